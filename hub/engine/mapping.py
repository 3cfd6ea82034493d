"""Suggestions for a mapping table: what the source says, what the target has, and where the idea comes from.

For journal entries this is the table that is checked before a combi is switched on: every account and cost centre of
the documents at hand with what it becomes, and whether the target has that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.chart import Master
from hub.accounting.documents import Document, EntryLine, JournalEntry, SalesInvoice
from hub.engine import entry_rules
from hub.engine import preview as previews
from hub.engine.context import Context
from hub.engine.entry_rules import Proposal
from hub.engine.models import CombiStatus
from hub.engine.resolve import administration_of, document_of
from hub.engine.settings import leading_code
from hub.kit.database import text
from hub.sdk.errors import Malformed, RecordRejected

TABLES = ("ledger_accounts", "cost_centres", "vat_classes")
LATEST = 500
LIVE = 100
"""How many documents are read from the source while none is stored yet."""
NOWHERE = Master(administration="-", accounts=(), cost_centres=())
"""Stands for the target while no administration was chosen: it has nothing."""


@dataclass(frozen=True)
class Suggestion:
    """One left-hand side that documents use, with a proposal.

    `origin`: `table`, `same_code`, `leading_code`, `name`, `fallback` (for lines without account or cost centre),
    `default` (revenue groups), or `none`. `known`: the target has it.
    """

    source: str
    source_label: str
    target: str
    origin: str
    known: bool = True


async def suggest(ctx: Context, table: str) -> list[Suggestion]:
    """For every word that recent documents use in this table's place; before the first run also what the source lists.

    Raises VendorError when a package that is asked cannot be reached.
    """
    found: list[Suggestion] = []
    if table == "ledger_accounts" and "invoices" in ctx.flows():
        found.extend(await _revenue_groups(ctx))
    if table in ("ledger_accounts", "cost_centres") and "journals" in ctx.flows():
        suggested = await _entries(ctx, _accounts if table == "ledger_accounts" else _centres)
        found.extend(one for one in suggested if one.source not in {other.source for other in found})
    return found


async def _revenue_groups(ctx: Context) -> list[Suggestion]:
    words: dict[str, None] = {}
    if ctx.combi.status == CombiStatus.draft and "revenue_groups" in ctx.source.connector.options:
        listed = await ctx.source.connector.options["revenue_groups"](ctx.source.http, {})
        words.update(dict.fromkeys(one.label for one in listed if one.label))
    for invoice in await _at_hand(ctx, "invoices"):
        for line in invoice.lines if isinstance(invoice, SalesInvoice) else ():
            if line.revenue_group and line.revenue_group.label:
                words.setdefault(line.revenue_group.label)
    administrations = sorted(set(ctx.settings.administrations.values()))
    master = await ctx.master(administrations[0]) if administrations else Master(administration="-")
    return [_suggestion(word, master, ctx.settings.default_revenue_account) for word in words]


def _suggestion(word: str, master: Master, default: str) -> Suggestion:
    code = leading_code(word)
    if code and master.account(code):
        return Suggestion(word, word, code, "leading_code")
    if named := _by_name(word.removeprefix(code).strip(), _account_names(master)):
        return Suggestion(word, word, named, "name")
    fallback = leading_code(default) or default
    known = bool(fallback) and entry_rules.account_stands(fallback, master)
    return Suggestion(word, word, fallback, "default" if fallback else "none", known)


def _account_names(master: Master) -> list[tuple[str, str]]:
    return [(one.number, one.name) for one in master.accounts or () if not one.blocked]


def _by_name(name: str, listed: Sequence[tuple[str, str]]) -> str:
    """The code of the only entry of this name; empty when there is none or more than one."""
    codes = [code for code, own in listed if name and own.casefold() == name.casefold()]
    return codes[0] if len(codes) == 1 else ""


Row = Callable[[Context, EntryLine, Master], Suggestion | None]


async def _entries(ctx: Context, row: Row) -> list[Suggestion]:
    """A row per word of the journal entries; where several administrations are booked in, all must have it."""
    found: dict[str, Suggestion] = {}
    for entry in await _at_hand(ctx, "journals"):
        if not isinstance(entry, JournalEntry):
            continue
        place = administration_of(ctx, entry.company)
        master = await ctx.master(place) if place else NOWHERE
        for line in entry.lines:
            suggestion = row(ctx, line, master) if line.sides else None
            if suggestion is not None:
                other = found.get(suggestion.source, suggestion)
                found[suggestion.source] = other if not other.known else suggestion
    return [found[source] for source in sorted(found)]


def _accounts(ctx: Context, line: EntryLine, master: Master) -> Suggestion:
    table = ctx.mappings.get("ledger_accounts", {})
    proposal = entry_rules.propose_account(line, ctx.settings, table, master)
    source = line.account or line.account_name or entry_rules.NAMELESS
    shown = entry_rules.account_words(line.account, line.account_name) or line.description or source
    same = Proposal(line.account, "same_code", bool(line.account) and master.account(line.account) is not None)
    return _best(source, shown, (proposal, same), _by_name(line.account_name, _account_names(master)))


def _centres(ctx: Context, line: EntryLine, master: Master) -> Suggestion | None:
    if line.cost_centre is None or ctx.settings.cost_centre_mode == "none":
        return None
    centre = line.cost_centre
    table = ctx.mappings.get("cost_centres", {})
    proposal = entry_rules.propose_centre(centre, ctx.settings, table, master)
    listed = [(one.id, one.name) for one in master.cost_centres or ()]
    same = Proposal(centre.id, "same_code", centre.id in dict(listed))
    named = _by_name(centre.label.removeprefix(centre.id).strip(), listed)
    return _best(centre.id, entry_rules.centre_words(centre), (proposal, same), named)


def _best(source: str, shown: str, proposals: Sequence[Proposal], named: str) -> Suggestion:
    """What the customer's own table says, else the first proposal that the target has, else what bears its name."""
    rule = Suggestion(source, shown, proposals[0].code, proposals[0].origin, proposals[0].known)
    if rule.origin == "table":
        return rule
    for one in proposals:
        if one.known:
            return replace(rule, target=one.code, origin=one.origin, known=True)
    if named:
        return replace(rule, target=named, origin="name", known=True)
    return rule if rule.origin == "fallback" else replace(rule, target="", origin="none")


async def _at_hand(ctx: Context, flow: str) -> list[Document]:
    """The newest stored documents; as the source shows them before a combi has read any."""
    raws: Sequence[Mapping[str, Any]]
    async with ctx.database.tenant(ctx.organisation_id) as session:
        raws = await _raws(session, ctx, flow)
    if not raws and (flow == "journals" or ctx.combi.status == CombiStatus.draft):
        raws, _ = await previews.first(ctx, flow, LIVE)
    found: list[Document] = []
    for raw in raws:
        try:
            document = document_of(ctx, flow, raw)
        except (Malformed, RecordRejected):
            continue
        if isinstance(document, Document):
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
