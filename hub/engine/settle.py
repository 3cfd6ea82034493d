"""Payments back: only positive proof of full payment becomes a payment, and it does so once.

The target's open items are listed to the end. An item that stands there at zero is proof; one that is missing makes
the target be asked about that one booking; a booking that no longer exists is a finding and proves nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from hub.accounting.documents import Finding, Payment
from hub.engine import store
from hub.engine.context import Context
from hub.engine.models import ItemStatus
from hub.engine.read import ahead, move, position
from hub.engine.verdicts import total_differs
from hub.kit import json
from hub.kit.database import text
from hub.kit.ids import new_id
from hub.sdk.connector import Gone, OpenItem, Receipt, Settled, Settlements
from hub.sdk.errors import RecordRejected

BATCH = 200
YOUNG = timedelta(minutes=10)
"""A booking that was never seen open is this old before its absence from the open items makes us ask: both the listing
and the single look-up may lag behind a booking, and that is no proof of payment."""
SELDOM = 8
"""However many items are open, they are listed on every eighth scheduled run at least."""
A_CALL = 200
"""So many open items are taken as one call's worth: a listing of n such parts is made on every n-th scheduled run."""
ASK_AGAIN = timedelta(hours=1)
"""How soon a booking of which the target says nothing clear is asked about again; doubles up to a day."""


def _open(columns: str, condition: str = "") -> str:
    """SQL: this combi's booked invoices that are not known to be paid, as `d` (delivery) and `i` (item).

    OFFSET 0 holds PostgreSQL to the order delivery, then its item: while tables grow fast, it guesses badly.
    """
    return f"""WITH d AS MATERIALIZED (
        SELECT id, source_id, target, ref, label, open_item, total, balance, verified, receipt, check_at, recorded_at
        FROM delivery WHERE state = 'recorded' AND settled_at IS NULL AND open_item <> '' {condition})
      SELECT {columns} FROM d CROSS JOIN LATERAL (SELECT * FROM item WHERE delivery_id = d.id OFFSET 0) i
      WHERE i.combi_id = :combi AND i.flow = 'invoices' AND i.status IN ('booked', 'finding', 'changed')"""


async def settle(ctx: Context) -> bool:
    """Looks which booked invoices were paid and makes payment items. False when the slice ended first."""
    settlements = ctx.target.connector.settlements.get("invoices")
    if settlements is None:
        return True
    for administration in await _administrations(ctx, unverified_only="payments" not in ctx.flows()):
        if ctx.run.progress.get(f"settled:{administration}"):
            continue
        if not await _due(ctx, administration):
            ctx.run.progress = {**ctx.run.progress, f"settled:{administration}": True}
            continue
        began, listed = ctx.clock.now(), 0
        async for page in ahead(ctx, settlements.read(ctx.target.http, administration, ctx.settings)):
            ctx.lease.check()
            listed += len(page)
            await _compare(ctx, administration, page)
        back = "payments" in ctx.flows()
        if back and not await _ask_about_missing(ctx, administration, settlements, began):
            return False
        await _keep_pace(ctx, administration, {"listed": listed, "passed": 0})
        ctx.run.progress = {**ctx.run.progress, f"settled:{administration}": True}
    return True


async def _due(ctx: Context, administration: str) -> bool:
    """Whether the open items are listed now: always when a human asks or a total was not read back yet.

    An idle run costs about one call, however many invoices are unpaid.
    """
    pace = dict(position(ctx, f"open:{administration}") or {})
    wanted = min(-(-pace.get("listed", 0) // A_CALL), SELDOM)
    if ctx.run.trigger != "schedule" or pace.get("passed", 0) + 1 >= wanted:
        return True
    if administration in await _administrations(ctx, unverified_only=True):
        return True
    await _keep_pace(ctx, administration, {**pace, "passed": pace["passed"] + 1})
    return False


async def _keep_pace(ctx: Context, administration: str, pace: Mapping[str, int]) -> None:
    if position(ctx, f"open:{administration}") != pace:
        async with ctx.database.tenant(ctx.organisation_id) as session:
            await move(session, ctx, f"open:{administration}", pace)


async def _administrations(ctx: Context, *, unverified_only: bool) -> list[str]:
    """Where something is unpaid, or was booked without its total being read back."""
    condition = "AND NOT verified" if unverified_only else ""
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(_open("DISTINCT split_part(d.target, ':', 2) AS place", condition) + " ORDER BY 1"),
            {"combi": ctx.combi.id},
        )
        return [row.place for row in found]


async def _compare(ctx: Context, administration: str, page: Sequence[OpenItem]) -> None:
    """Takes over balances, checks totals, and turns a zero balance into a payment."""
    by_key = {one.open_item: one for one in page}
    async with ctx.database.tenant(ctx.organisation_id) as session:
        found = await session.execute(
            text(
                _open(
                    """d.id, d.open_item, d.total, d.balance, d.verified OR i.forced AS verified, d.label,
                      i.id AS item_id, i.source_id, i.number, i.currency""",
                    "AND target = :target AND open_item = ANY(:keys)",
                )
            ),
            {"combi": ctx.combi.id, "target": _target(ctx, administration), "keys": list(by_key)},
        )
        rows = found.mappings().all()
        if not rows:
            return
        await session.execute(
            text(
                """UPDATE delivery d SET seen_run = :run, balance = r.balance, verified = d.verified OR r.verified
                FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, balance numeric, verified boolean)
                WHERE d.id = r.id AND d.id = ANY(:ids)"""
            ),
            {
                "run": ctx.run.id,
                "ids": [row["id"] for row in rows],
                "rows": store.packed(
                    {
                        "id": row["id"],
                        "balance": by_key[row["open_item"]].balance,
                        "verified": by_key[row["open_item"]].total == row["total"],
                    }
                    for row in rows
                ),
            },
        )
        for row in rows:
            one = by_key[row["open_item"]]
            if not row["verified"] and one.total != row["total"]:
                await _flag(ctx, session, row, total_differs(row["total"], one.total, row["label"]))
            elif one.balance == 0:
                await _paid(ctx, session, row, administration, Settled(one.paid_on, one.reference))
            elif row["balance"] is not None and row["balance"] != one.balance:
                ctx.log("payment.partial", item=row["item_id"], number=row["number"], balance=one.balance)
        await store.write_lines(session, ctx)


async def _ask_about_missing(ctx: Context, administration: str, settlements: Settlements, began: datetime) -> bool:
    """Asks about each booking that the complete listing did not hold.

    One that was never seen in a listing may be too young for it; one that was seen there since it was booked is not.
    """
    settled_down = began - max(YOUNG, timedelta(seconds=ctx.facts("invoices").settle_s))
    while True:
        async with ctx.database.tenant(ctx.organisation_id) as session:
            found = await session.execute(
                text(
                    _open(
                        "d.*, i.id AS item_id, i.number, i.currency",
                        """AND target = :target AND seen_run IS DISTINCT FROM :run
                          AND (recorded_at < :before OR balance IS NOT NULL)
                          AND (check_at IS NULL OR check_at <= :now)""",
                    )
                    + " ORDER BY d.id LIMIT :limit"
                ),
                {
                    "combi": ctx.combi.id,
                    "target": _target(ctx, administration),
                    "run": ctx.run.id,
                    "before": settled_down,
                    "now": ctx.clock.now(),
                    "limit": BATCH,
                },
            )
            rows = found.mappings().all()
        if not rows:
            return True
        for row in rows:
            await _ask(ctx, administration, settlements, row)
            if ctx.out_of_time:
                return False


async def _ask(ctx: Context, administration: str, settlements: Settlements, row: RowMapping) -> None:
    stored = row["receipt"] or {}
    receipt = Receipt(
        ref=row["ref"],
        label=row["label"],
        total=row["total"],
        open_item=row["open_item"],
        fingerprint=stored.get("fingerprint", ""),
    )
    ctx.lease.check()
    try:
        fate = await settlements.confirm(ctx.target.http, administration, receipt)
    except RecordRejected as error:
        ctx.log_finding(error.finding(), row["item_id"], error.exchange)
        fate = None
    async with ctx.database.tenant(ctx.organisation_id) as session:
        match fate:
            case Settled():
                await _paid(ctx, session, row, administration, fate)
            case Gone():
                await session.execute(
                    text(
                        """UPDATE delivery SET state = 'gone', check_at = NULL WHERE state = 'recorded'
                          AND (key, version) = (SELECT key, version FROM delivery WHERE id = :id)"""
                    ),
                    {"id": row["id"]},
                )
                await _flag(ctx, session, row, Finding(key="booking_gone", values={"booked_as": row["label"]}))
            case _:
                await _ask_later(ctx, session, row)
        await store.write_lines(session, ctx)


async def _ask_later(ctx: Context, session: AsyncSession, row: RowMapping) -> None:
    """Nothing is concluded; asked again after twice the time since it was booked or last asked about."""
    last = row["check_at"] or row["recorded_at"]
    wait = min(max((ctx.clock.now() - last) * 2, ASK_AGAIN), timedelta(days=1))
    await session.execute(
        text("UPDATE delivery SET check_at = :at, seen_run = :run WHERE id = :id"),
        {"at": ctx.clock.now() + wait, "run": ctx.run.id, "id": row["id"]},
    )


async def _flag(ctx: Context, session: AsyncSession, row: RowMapping, finding: Finding) -> None:
    """A finding on the booked invoice."""
    changed = await session.execute(
        text(
            """UPDATE item SET status = 'finding', findings = cast(:findings AS jsonb), run_id = :run, retry_at = NULL,
              tried_version = :version, updated_at = :now WHERE id = :id AND status = 'booked' RETURNING id"""
        ),
        {
            "id": row["item_id"],
            "findings": json.dumps(store.found_json([finding])),
            "run": ctx.run.id,
            "version": ctx.run.settings_version,
            "now": ctx.clock.now(),
        },
    )
    if changed.first() is not None:
        ctx.counts["invoices"]["finding"] += 1
        ctx.log_finding(finding, row["item_id"])


async def _paid(ctx: Context, session: AsyncSession, row: RowMapping, administration: str, proof: Settled) -> None:
    """Positive proof: the payment becomes an item, in the same transaction that marks the invoice as settled."""
    if "payments" not in ctx.flows():
        return
    await session.execute(
        text("UPDATE delivery SET settled_at = :now, balance = 0 WHERE id = :id AND settled_at IS NULL"),
        {"now": ctx.clock.now(), "id": row["id"]},
    )
    total: Decimal = row["total"]
    payment = Payment(
        source_id=row["source_id"],
        invoice=row["source_id"],
        number=row["number"],
        date=proof.paid_on or ctx.clock.today(),
        amount=total,
        currency=row["currency"] or "EUR",
        reference=proof.reference or row["label"] or row["open_item"],
    )
    back = total > 0 or (total < 0 and ctx.settings.credit_payments)
    reason = Finding(key="credit_not_written_back", values={"number": row["number"]}, field="credit_payments")
    await store.upsert_items(session, ctx, "payments", [_payment_row(ctx, payment, administration, reason, back)])
    ctx.counts["payments"]["new"] += 1
    ctx.log("payment.proven", item=row["item_id"], number=row["number"], amount=total)


def _payment_row(ctx: Context, payment: Payment, administration: str, reason: Finding, back: bool) -> dict[str, Any]:
    return {
        "id": new_id(ctx.clock),
        "source_id": payment.source_id,
        "administration": administration,
        "status": ItemStatus.waiting if back else ItemStatus.ignored,
        "number": payment.number,
        "date": payment.date,
        "party": "",
        "amount": payment.amount,
        "currency": payment.currency,
        "raw": payment.model_dump(mode="json"),
        "fingerprint": payment.source_id,
        "findings": [] if back else store.found_json([reason]),
    }


def _target(ctx: Context, administration: str) -> str:
    return f"{ctx.target.connector.manifest.name}:{administration}"
