"""Nmbrs: payroll journals out, over SOAP or REST."""

from pathlib import Path

from connectors.nmbrs import account, journals, payments, rest, runs
from connectors.nmbrs.settings import NmbrsSettings
from hub.accounting.documents import JournalEntry
from hub.sdk.connector import Connector, SourceStream
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=NmbrsSettings,
    identify=account.identify,
    options=account.OPTIONS,
    sources={"journals": SourceStream(JournalEntry, runs.read, journals.source_id, journals.map_journal)},
    salaries=payments.salaries,
    refusal=rest.refusal,
)
