"""Suggestions for a mapping table: what the source says, what the target has, and where the idea comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.chart import Master
from hub.accounting.documents import SalesInvoice
from hub.engine.context import Context
from hub.engine.resolve import document_of
from hub.engine.settings import leading_code
from hub.kit.database import text
from hub.sdk.errors import Malformed

TABLES = ("ledger_accounts", "cost_centres", "vat_classes")
LATEST = 500


@dataclass(frozen=True)
class Suggestion:
    """One left-hand side that documents use, with a proposal. `origin`: leading_code, name, default, or none."""

    source: str
    source_label: str
    target: str
    origin: str


async def suggest(ctx: Context, table: str) -> list[Suggestion]:
    """For every word that recent documents use in this table's place."""
    if table != "ledger_accounts":
        return []
    words: dict[str, None] = {}
    for invoice in await _invoices(ctx):
        for line in invoice.lines:
            if line.revenue_group and line.revenue_group.label:
                words.setdefault(line.revenue_group.label)
    administrations = sorted(set(ctx.settings.administrations.values()))
    master = await ctx.master(administrations[0]) if administrations else Master(administration="-")
    return [_suggestion(word, master, ctx.settings.default_revenue_account) for word in words]


def _suggestion(word: str, master: Master, default: str) -> Suggestion:
    code = leading_code(word)
    if code and master.account(code):
        return Suggestion(word, word, code, "leading_code")
    names = {account.name.casefold(): account.number for account in master.accounts or () if not account.blocked}
    rest = word.removeprefix(code).strip().casefold()
    if rest and rest in names:
        return Suggestion(word, word, names[rest], "name")
    fallback = leading_code(default) or default
    return Suggestion(word, word, fallback, "default" if fallback else "none")


async def _invoices(ctx: Context) -> list[SalesInvoice]:
    async with ctx.database.tenant(ctx.organisation_id) as session:
        raws = await _raws(session, ctx)
    found: list[SalesInvoice] = []
    for raw in raws:
        try:
            document = document_of(ctx, "invoices", raw)
        except Malformed:
            continue
        if isinstance(document, SalesInvoice):
            found.append(document)
    return found


async def _raws(session: AsyncSession, ctx: Context) -> list[Mapping[str, Any]]:
    rows = await session.execute(
        text(
            """SELECT raw FROM item WHERE combi_id = :combi AND flow = 'invoices' AND raw IS NOT NULL
            ORDER BY id DESC LIMIT :limit"""
        ),
        {"combi": ctx.combi.id, "limit": LATEST},
    )
    return [row.raw for row in rows]
