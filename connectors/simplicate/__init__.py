"""Simplicate: sales invoices and debtors out, payments back in."""

from pathlib import Path

from connectors.simplicate import account, customers, invoices, payments
from connectors.simplicate.settings import SimplicateSettings
from hub.sdk.connector import Connector
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=SimplicateSettings,
    identify=account.identify,
    options=account.OPTIONS,
    sources={"invoices": invoices.STREAM, "customers": customers.STREAM},
    targets={"payments": payments.WRITER},
    note=account.note,
    refusal=account.refusal,
)
