"""Minox Online: sales entries, debtors and journal entries there, paid open items back."""

from pathlib import Path

from connectors.minox import administration, batches, customers, invoices, journals, payments
from connectors.minox.refusal import refusal
from connectors.minox.settings import MinoxSettings
from hub.sdk.connector import Connector, Settlements, TargetWriter
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=MinoxSettings,
    identify=administration.identify,
    options={
        "administrations": administration.administrations,
        "journals": administration.journals,
        "accounts": administration.accounts,
        "cost_centres": administration.cost_centres,
    },
    master=administration.master,
    targets={
        "invoices": TargetWriter(
            encode=invoices.encode,
            validate=invoices.validate,
            claim=invoices.claim,
            find=batches.find,
            write=batches.write,
            update=batches.update,
            index=batches.index,
            attach=batches.attach,
        ),
        "customers": TargetWriter(
            encode=customers.encode,
            claim=customers.claim,
            find=customers.find,
            write=customers.write,
            update=customers.update,
            marks=customers.marks,
            index=customers.index,
            match=customers.match,
            adopt=customers.adopt,
        ),
        "journals": TargetWriter(
            encode=journals.encode,
            validate=journals.validate,
            find=journals.find,
            write=journals.write,
            update=journals.update,
            index=journals.index,
        ),
    },
    settlements={"invoices": Settlements(read=payments.read, confirm=payments.confirm)},
    refusal=refusal,
)
