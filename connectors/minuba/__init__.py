"""Minuba: approved sales invoices and their customers out."""

from pathlib import Path

from connectors.minuba import account, customers, invoices
from connectors.minuba.settings import MinubaSettings
from hub.sdk.connector import Connector
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=MinubaSettings,
    identify=account.identify,
    options=account.OPTIONS,
    sources={"invoices": invoices.STREAM, "customers": customers.STREAM},
    refusal=account.refusal,
)
