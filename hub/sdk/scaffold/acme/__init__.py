"""Acme: sales invoices out, payments back in."""

from pathlib import Path

from hub.sdk.connector import Connector
from hub.sdk.manifest import load

from . import account, invoices, payments
from .settings import AcmeSettings

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=AcmeSettings,
    identify=account.identify,
    options={"companies": account.companies},
    sources={"invoices": invoices.STREAM},
    targets={"payments": payments.WRITER},
)
