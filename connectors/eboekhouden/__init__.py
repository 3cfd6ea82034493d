"""e-Boekhouden.nl: sales mutations, relations and memorial entries there, paid open items back."""

from pathlib import Path

from connectors.eboekhouden import administration, customers, invoices, journals, mutations, payments
from connectors.eboekhouden.refusal import refusal
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.sdk.connector import Connector, Settlements, TargetWriter
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=EboekhoudenSettings,
    identify=administration.identify,
    options={
        "administrations": administration.administrations,
        "accounts": administration.accounts,
        "debtor_accounts": administration.debtor_accounts,
        "suspense_accounts": administration.suspense_accounts,
        "cost_centres": administration.cost_centres,
        "vat_codes": administration.vat_codes,
    },
    master=administration.master,
    targets={
        "invoices": TargetWriter(
            encode=invoices.encode,
            validate=invoices.validate,
            claim=invoices.claim,
            marks=mutations.marks,
            find=mutations.find,
            write=mutations.write,
            index=mutations.index,
        ),
        "customers": TargetWriter(
            encode=customers.encode,
            marks=customers.marks,
            find=customers.find,
            write=customers.write,
            update=customers.update,
            match=customers.match,
        ),
        "journals": TargetWriter(
            encode=journals.encode,
            validate=journals.validate,
            marks=mutations.marks,
            find=journals.find,
            write=journals.write,
            reversal=journals.reversal,
            index=journals.index,
        ),
    },
    settlements={"invoices": Settlements(read=payments.read, confirm=payments.confirm)},
    refusal=refusal,
)
