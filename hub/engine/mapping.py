"""Suggestions for a mapping table: what the source says, what the target has, and where the idea comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.chart import Master
from hub.accounting.documents import EntryLine, JournalEntry, SalesInvoice
from hub.engine import preview as previews
from hub.engine.context import Context
from hub.engine.entry_rules import NAMELESS, account_words, centre_words, propose_account, propose_centre
from hub.engine.models import CombiStatus
from hub.engine.resolve import document_of
from hub.engine.settings import CombiSettings, leading_code
from hub.sdk.errors import Malformed

TABLES = ("ledger_accounts", "cost_centres", "vat_classes")
Kind = TypeVar("Kind", SalesInvoice, JournalEntry)
LATEST = 500
LIVE = 100
"""How many documents are read from the source while none is stored yet."""


@dataclass(frozen=True)
class Suggestion:
    """One left-hand side that documents use, with a proposal. `origin`: leading_code, name, default, same_code,
    fallback, or none."""

    source: str
    source_label: str
    target: str
    origin: str


async def suggest(ctx: Context, table: str) -> list[Suggestion]:
    """For every word that recent documents use in this table's place; before the first run also what the source lists.

    Raises VendorError when a package that is asked cannot be reached.
    """
    found: dict[str, Suggestion] = {}
    if table == "ledger_accounts":
        found.update({one.source: one for one in await _revenue_groups(ctx)})
    if table in ("ledger_accounts", "cost_centres"):
        for entry in await _documents(ctx, "journals", JournalEntry):
            master = await _master(ctx, ctx.settings.administrations.get(entry.company))
            for line in entry.lines:
                one = _of_line(line, table, ctx.settings, master)
                if one is not None:
                    found.setdefault(one.source, one)
    return list(found.values())


async def _revenue_groups(ctx: Context) -> list[Suggestion]:
    words: dict[str, None] = {}
    if ctx.combi.status == CombiStatus.draft and "revenue_groups" in ctx.source.connector.options:
        listed = await ctx.source.connector.options["revenue_groups"](ctx.source.http, {})
        words.update(dict.fromkeys(one.label for one in listed if one.label))
    for invoice in await _documents(ctx, "invoices", SalesInvoice):
        for line in invoice.lines:
            if line.revenue_group and line.revenue_group.label:
                words.setdefault(line.revenue_group.label)
    master = await _master(ctx, next(iter(sorted(set(ctx.settings.administrations.values()))), None))
    return [_suggestion(word, master, ctx.settings.default_revenue_account) for word in words]


async def _master(ctx: Context, administration: str | None) -> Master:
    return await ctx.master(administration) if administration else Master(administration="-")


def _of_line(line: EntryLine, table: str, settings: CombiSettings, master: Master) -> Suggestion | None:
    """What a line of a journal entry asks of a table; None when it asks nothing."""
    if table == "cost_centres":
        centre = line.cost_centre
        if centre is None:
            return None
        proposal = propose_centre(centre, settings, {}, master)
        return Suggestion(centre.id or centre.label, centre_words(centre), proposal.code, proposal.origin)
    proposal = propose_account(line, settings, {}, master)
    word = line.account or line.account_name or NAMELESS
    return Suggestion(word, account_words(line.account, line.account_name) or word, proposal.code, proposal.origin)


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


async def _documents(ctx: Context, flow: str, kind: type[Kind]) -> list[Kind]:
    """Recent documents of a flow, as far as they can be read."""
    raws: Sequence[Mapping[str, Any]]
    if flow not in ctx.flows():
        return []
    async with ctx.database.tenant(ctx.organisation_id) as session:
        raws = await _raws(session, ctx, flow)
    if not raws and ctx.combi.status == CombiStatus.draft:
        raws, _ = await previews.first(ctx, flow, LIVE)
    found: list[Kind] = []
    for raw in raws:
        try:
            document = document_of(ctx, flow, raw)
        except Malformed:
            continue
        if isinstance(document, kind):
            found.append(document)
    return found


async def _raws(session: AsyncSession, ctx: Context, flow: str) -> list[Mapping[str, Any]]:
    rows = await session.execute(
        text(
            """SELECT raw FROM item WHERE combi_id = :combi AND flow = :flow AND raw IS NOT NULL
            ORDER BY id DESC LIMIT :limit"""
        ),
        {"combi": ctx.combi.id, "flow": flow, "limit": LATEST},
    )
    return [row.raw for row in rows]
