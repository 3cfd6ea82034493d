"""Loket.nl: payroll journals out."""

from pathlib import Path

from connectors.loket import account, journals
from connectors.loket.settings import LoketSettings
from hub.sdk.connector import Connector
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=LoketSettings,
    identify=account.identify,
    options=account.OPTIONS,
    sources={"journals": journals.STREAM},
    refusal=account.refusal,
)
