"""The packages' own books beside what the hub says that it booked there: each document once, to the cent."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from hub.engine.hub import Hub

Standing = Mapping[str, Decimal]
"""What stands in an administration: reference -> amount, with the sign of the document."""


def _in_minox(box: Any, administration: str) -> Standing:
    return {uuid: _minox_total(lines) for uuid, lines in box.batches(administration).items()}


def _minox_total(lines: list[Any]) -> Decimal:
    """What the debtor owes, or what an entry without debtor debits."""
    owed = [one["debit"] - one["credit"] for one in lines if one["account"]["type"] == "customer"]
    return sum(owed, Decimal(0)) if owed else sum((one["debit"] for one in lines), Decimal(0))


def _in_eaccounting(box: Any, company: str) -> Standing:
    """A draft that a user made an invoice of is the same document."""
    return {
        one.get("CreatedFromDraftId") or one["Id"]: -abs(one["TotalAmount"]) if one["IsCreditInvoice"]
        else one["TotalAmount"]
        for one in box.documents(company)
    }  # fmt: skip


def _in_eboekhouden(box: Any, administration: str) -> Standing:
    """Of the administration that has this ledger: a row of a memorial is credit, below zero debit."""
    homes = box.books["administrations"].values()
    home = next(one for one in homes if administration in map(str, one["ledgers"]))
    return {str(one["id"]): _eboekhouden_total(one) for one in home["mutations"].values()}


def _eboekhouden_total(mutation: Any) -> Decimal:
    amounts = [row["amount"] for row in mutation["rows"]]
    debit = sum((-one for one in amounts if one < 0), Decimal(0))
    return max(debit, sum(amounts, Decimal(0)) + debit)


def _in_finmaster(box: Any, administration: str) -> Standing:
    entries = box.entries(administration)
    return {one["boekstuknummer"]: sum((Decimal(row["debet"]) for row in one["regels"]), Decimal(0)) for one in entries}


def _in_bizcuit(box: Any, _: str) -> Standing:
    return {one["proposalRef"]: Decimal(one["controlSum"]) for one in box.proposals()}


def _in_simplicate(box: Any, _: str) -> Standing:
    return {own: Decimal(one["amount"]) for own, one in box.books["payments"].items()}


_STANDING: Mapping[str, Callable[[Any, str], Standing]] = {
    "minox": _in_minox,
    "eaccounting": _in_eaccounting,
    "eboekhouden": _in_eboekhouden,
    "finmaster": _in_finmaster,
    "bizcuit": _in_bizcuit,
    "simplicate": _in_simplicate,
}


async def differences(hub: Hub, boxes: Mapping[str, Any], seeded: Mapping[str, Any]) -> list[str]:
    """What stands other than we say, is missing, or is there that nobody ordered; `seeded`: the books at the start."""
    async with hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT DISTINCT ON (organisation_id, key, version) target, stream, ref, label, total, state
                FROM delivery WHERE state IN ('recorded', 'reversed') AND stream <> 'customers'
                ORDER BY organisation_id, key, version, revision DESC"""
            )
        )
        rows = found.all()
    wrong = []
    for target in sorted({row.target for row in rows}):
        package, _, administration = target.partition(":")
        there = _STANDING[package](boxes[package], administration)
        ours = {row.ref: row for row in rows if row.target == target}
        for ref, row in ours.items():
            if ref not in there:
                wrong.append(f"{row.label}: staat niet in {target}")
            elif not row.stream.endswith(".reversal") and there[ref] != row.total:
                wrong.append(f"{row.label}: {there[ref]} staat in {target}, {row.total} hoort er te staan")
        strange = set(there) - set(ours) - set(_STANDING[package](seeded[package], administration))
        wrong.extend(f"{ref}: staat in {target} en is niet door ons geboekt" for ref in sorted(strange))
    return wrong
