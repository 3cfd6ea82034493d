"""Loket.nl: payroll journals out."""

from pathlib import Path

from connectors.loket import account, journals, marking, runs
from connectors.loket.settings import LoketSettings
from hub.accounting.documents import JournalEntry
from hub.sdk.connector import Connector, SourceStream
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=LoketSettings,
    identify=account.identify,
    options=account.OPTIONS,
    sources={
        "journals": SourceStream(
            document=JournalEntry,
            read=runs.read,
            key=runs.key,
            map=journals.map_run,
            acknowledge=marking.acknowledge,
        )
    },
    refusal=account.refusal,
)
