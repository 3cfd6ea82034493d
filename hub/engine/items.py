"""What a human may do with a document: try again, leave it out, or say what became of it."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from hub.accounting.documents import Finding
from hub.engine import recipe
from hub.engine.choosing import NOT_CHOSEN
from hub.engine.keys import key_for_item
from hub.engine.models import Combi, Delivery, DeliveryState, Item, ItemStatus, LogEntry, Standing
from hub.engine.verdicts import note_key
from hub.kit.clock import Clock
from hub.kit.ids import new_id

RETRYABLE = (
    ItemStatus.finding,
    ItemStatus.rejected,
    ItemStatus.unknown,
    ItemStatus.skipped,
    ItemStatus.changed,
    ItemStatus.ignored,
)
SKIPPABLE = (ItemStatus.waiting, ItemStatus.finding, ItemStatus.rejected, ItemStatus.ignored, ItemStatus.changed)
RESOLVABLE = (ItemStatus.finding, ItemStatus.rejected, ItemStatus.unknown, ItemStatus.changed)
GO_ON = {
    "total_differs",
    "edited_in_target",
    "edited_before_reversal",
    "changed_after_booking",
    "booking_gone",
    "period_closed",
    "salaries_not_in_journal",
    "salaries_differ_from_journal",
}
"""Findings about a booking that stands: trying again means that the human has looked and wants it done."""
ASKED_AGAIN = {NOT_CHOSEN, "no_payment_file"}
"""Reasons of an ignored document that a human may find to be gone."""


class NotAllowed(Exception):
    """The item's status forbids it; `key` and `values` make the sentence."""

    def __init__(self, key: str, **values: str) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


async def retry(session: AsyncSession, clock: Clock, item: Item) -> None:
    """Back to work at the next run. An unknown outcome is looked up first, never simply sent again."""
    _allow(item, RETRYABLE, "retry")
    keys = {finding.get("key") for finding in item.findings}
    if item.status == ItemStatus.ignored and (not keys & ASKED_AGAIN or item.vanished_at is not None):
        raise _forbidden(item, "retry")
    item.chosen = True
    item.forced = bool(keys & GO_ON) or item.status == ItemStatus.changed
    item.status = ItemStatus.unknown if item.status == ItemStatus.unknown else ItemStatus.waiting
    _touch(session, clock, item, "item.retried", retry_at=None)


async def skip(session: AsyncSession, clock: Clock, item: Item, reason: str = "") -> None:
    """Never sent, by a human's decision. Not for what was sent already: its fate must be known first."""
    _allow(item, SKIPPABLE, "skip")
    row = await session.get(Delivery, item.delivery_id) if item.delivery_id else None
    if row is not None and row.state == DeliveryState.recorded and item.vanished_at is not None:
        item.status, item.findings = ItemStatus.booked, []
        _touch(session, clock, item, "item.left_booked", reason=reason)
        return
    if row is not None and row.state != DeliveryState.gone and item.status != ItemStatus.changed:
        raise NotAllowed("item_stands_in_target", number=item.number)
    item.status = ItemStatus.skipped
    item.findings = [Finding(key="skipped_by_hand", values={"reason": reason}).model_dump(mode="json")]
    if item.flow in ("invoices", "journals"):
        item.note = note_key(item.flow, "skipped")
    _touch(session, clock, item, "item.skipped", reason=reason)


async def resolve(session: AsyncSession, clock: Clock, item: Item, outcome: str, target_ref: str = "") -> None:
    """A human looked in the target. `exists`: it stands there as `target_ref`. `absent`: it does not, send it."""
    _allow(item, RESOLVABLE, "resolve")
    row = await _delivery(session, item)
    if outcome == "exists":
        await _exists(session, clock, item, row, target_ref)
        return
    if row is not None and row.state == DeliveryState.recorded:
        await _mark_gone(session, row)
    elif row is not None and row.state == DeliveryState.sent:
        row.state = DeliveryState.intended
        session.add(row)
    if item.vanished_at is not None:
        item.status, item.findings = ItemStatus.reversed, []
        _touch(session, clock, item, "item.removed_by_hand")
        return
    item.forced = item.chosen = True
    item.status = ItemStatus.waiting
    _touch(session, clock, item, "item.resolved_absent", retry_at=None)


async def _mark_gone(session: AsyncSession, row: Delivery) -> None:
    """A booking with all its changes no longer stands."""
    await session.execute(
        update(Delivery)
        .where(col(Delivery.key) == row.key, col(Delivery.version) == row.version)
        .where(col(Delivery.state) == DeliveryState.recorded)
        .values(state=DeliveryState.gone)
    )


async def _exists(session: AsyncSession, clock: Clock, item: Item, row: Delivery | None, target_ref: str) -> None:
    if row is None:
        row = await _adopted(session, clock, item)
    if row.state == DeliveryState.recorded and item.status == ItemStatus.changed and item.vanished_at is None:
        # Somebody corrected it by hand: what stands there is the document as it is now, and not what we once sent.
        total = str(item.amount) if item.amount is not None else None
        row.fingerprint, row.total, row.adopted = item.fingerprint, item.amount, True
        row.receipt = {**(row.receipt or {}), "total": total, "fingerprint": ""}
        session.add(row)
    if row.state != DeliveryState.recorded:
        row.state = DeliveryState.recorded
        row.recorded_at = clock.now()
        row.adopted = True
        row.ref = target_ref or row.ref or named(item)
        row.fingerprint = item.fingerprint
        stands = await _standing(session, item, row.ref)
        if stands is not None:
            row.label, row.open_item = stands.label, stands.open_item
        elif row.ref == named(item):
            row.label, row.open_item = named(item, "booked_as"), named(item, "open_item")
        session.add(row)
    item.delivery_id = row.id
    item.target_ref = target_ref or row.ref
    item.target_label = row.label or item.target_label
    item.status = ItemStatus.booked
    item.findings = []
    _touch(session, clock, item, "item.resolved_exists", ref=item.target_ref)


def named(item: Item, fact: str = "ref") -> str:
    """The booking that a finding asks about, or another fact of it."""
    asked: dict[str, str] = next((one["values"] for one in item.findings if one.get("values", {}).get("ref")), {})
    return str(asked.get(fact, ""))


async def _standing(session: AsyncSession, item: Item, ref: str) -> Standing | None:
    """The booking with this reference in the listing that was made at the first run."""
    query = select(Standing).where(Standing.combi_id == item.combi_id, Standing.stream == item.flow)
    return (await session.execute(query.where(Standing.ref == ref).limit(1))).scalars().first() if ref else None


async def _delivery(session: AsyncSession, item: Item) -> Delivery | None:
    """The newest delivery of the item's document, also when the item does not point at it yet."""
    combi = await session.get_one(Combi, item.combi_id)
    the_recipe = recipe.get(combi.recipe)
    flow_source = the_recipe.target if the_recipe.direction(item.flow) == "back" else the_recipe.source
    query = (
        select(Delivery)
        .where(
            Delivery.stream == item.flow,
            Delivery.source_id == item.source_id,
            col(Delivery.source).startswith(f"{flow_source}:"),
        )
        .order_by(col(Delivery.version).desc(), col(Delivery.revision).desc())
    )
    if item.administration and item.flow == "customers":
        query = query.where(col(Delivery.target).endswith(f":{item.administration}"))
    return (await session.execute(query.limit(1))).scalars().first()


async def _adopted(session: AsyncSession, clock: Clock, item: Item) -> Delivery:
    """The delivery row of something that a human found in the target before we ever sent it."""
    key = await key_for_item(session, item)
    row = Delivery(
        id=new_id(clock),
        organisation_id=item.organisation_id,
        key=key.text,
        source=key.source,
        stream=key.stream,
        source_id=key.source_id,
        target=key.target,
        fingerprint=item.fingerprint,
        total=item.amount,
        intended_at=clock.now(),
    )
    session.add(row)
    return row


def _allow(item: Item, statuses: tuple[ItemStatus, ...], action: str) -> None:
    if item.status not in statuses:
        raise _forbidden(item, action)


def _forbidden(item: Item, action: str) -> NotAllowed:
    return NotAllowed("item_status_forbids", action=action, status=str(item.status), number=item.number)


def _touch(session: AsyncSession, clock: Clock, item: Item, key: str, **values: Any) -> None:
    item.retry_at = None
    item.updated_at = clock.now()
    session.add(item)
    session.add(
        LogEntry(
            organisation_id=item.organisation_id,
            at=clock.now(),
            combi_id=item.combi_id,
            item_id=item.id,
            key=key,
            values={"number": item.number, **{name: value for name, value in values.items() if value is not None}},
        )
    )
