"""Visma eAccounting: draft invoices, customers and vouchers there, paid invoices back."""

from pathlib import Path

from connectors.eaccounting import alike, articles, company, customers, drafts, invoices, journals, payments
from connectors.eaccounting.refusal import refusal
from connectors.eaccounting.settings import EaccountingSettings
from hub.sdk.connector import Connector, Settlements, TargetWriter
from hub.sdk.manifest import load

CONNECTOR = Connector(
    manifest=load(Path(__file__).parent),
    settings=EaccountingSettings,
    identify=company.identify,
    options={
        "administrations": company.administrations,
        "article_codings": company.article_codings,
        "payment_terms": company.payment_terms,
        "accounts": company.accounts,
        "cost_centres": company.cost_centres,
    },
    master=company.master,
    targets={
        "invoices": TargetWriter(
            encode=invoices.encode,
            validate=invoices.validate,
            claim=invoices.claim,
            account=articles.account,
            outdated=articles.outdated,
            find=drafts.find,
            alike=alike.alike,
            write=drafts.write,
            update=drafts.update,
            index=drafts.index,
            attach=drafts.attach,
        ),
        "customers": TargetWriter(
            encode=customers.encode,
            validate=customers.validate,
            claim=customers.claim,
            find=customers.find,
            write=customers.write,
            update=customers.update,
            match=customers.match,
            match_is_proof=True,
        ),
        "journals": TargetWriter(
            encode=journals.encode,
            validate=journals.validate,
            find=journals.find,
            write=journals.write,
            reversal=journals.reversal,
            index=journals.index,
        ),
    },
    settlements={"invoices": Settlements(read=payments.read, confirm=payments.confirm)},
    refusal=refusal,
)
