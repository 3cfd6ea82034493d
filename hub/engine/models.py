"""The engine's tables: combis, runs, items, deliveries. Rows are the truth; everything else is a hint."""

from datetime import date as Day  # noqa: N812 - `date` is a column's name
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


def moment(**facts: Any) -> Any:
    """A column with an instant: aware, UTC."""
    return Field(sa_type=DateTime(timezone=True), **facts)


def tree(**facts: Any) -> Any:
    """A column with JSON."""
    return Field(sa_type=JSONB, **facts)


def amount(**facts: Any) -> Any:
    """A column with an exact amount."""
    return Field(sa_type=Numeric(18, 4), **facts)


class CombiStatus(StrEnum):
    """Where a combi stands."""

    draft = "draft"
    """Being installed: nothing runs."""
    active = "active"
    """Runs on its schedule."""
    paused = "paused"
    """A human paused it; only a human starts it again."""
    attention = "attention"
    """Stopped until a human gives consent again or changes a setting."""


class ItemStatus(StrEnum):
    """Where a document stands. `waiting` and `unknown` are in the engine's hands, the rest is at rest."""

    waiting = "waiting"
    booked = "booked"
    ignored = "ignored"
    """A rule says it is not to be booked."""
    skipped = "skipped"
    """A human said that it is not to be booked."""
    finding = "finding"
    """Parked: something must be chosen or corrected."""
    rejected = "rejected"
    """The target refused it."""
    unknown = "unknown"
    """It was sent and the answer got lost; it is being looked up, or waits for a human who can."""
    changed = "changed"
    """It changed at the source, or vanished there, after it was booked, and a human must say what to do."""
    reversed = "reversed"
    """Its booking was taken back and nothing was booked instead."""


class DeliveryState(StrEnum):
    """`intended → sent → recorded`, or `refused`; `gone` when a human removed the booking from the target, `reversed`
    when its opposite stands there too."""

    intended = "intended"
    sent = "sent"
    recorded = "recorded"
    refused = "refused"
    gone = "gone"
    reversed = "reversed"


class Owned(SQLModel):
    """A row that belongs to an organisation: row-level security shows it to that organisation only."""

    organisation_id: UUID = Field(index=True)


class Plenty(Owned):
    """Such a row of a table that is always asked by something narrower than its organisation.

    An index on the organisation alone would be chosen beside the narrow one while the table grows fast, and each look
    would read all that the organisation has.
    """

    organisation_id: UUID


class Combi(Owned, table=True):
    """A source and a target, the flows between them, and the choices."""

    id: UUID = Field(primary_key=True)
    recipe: str
    name: str = ""
    source_connection_id: UUID = Field(foreign_key="connection.id", index=True)
    target_connection_id: UUID = Field(foreign_key="connection.id", index=True)
    side_connection_id: UUID | None = Field(default=None, foreign_key="connection.id", index=True)
    """The third connection, to which salaries are offered."""
    side_since: datetime | None = moment(default=None)
    """Since when it is there: what was booked before that moment is never offered."""
    settings: dict[str, Any] = tree(default_factory=dict)
    settings_version: int = 1
    """Grows with every change of settings or mappings: parked items are tried again under the new one."""
    schedule: str
    start_date: Day | None = None
    status: CombiStatus = Field(default=CombiStatus.draft, sa_type=Text)
    answered: list[str] = tree(default_factory=list)
    """The topics of the installation that a human went through."""
    reason: dict[str, Any] | None = tree(default=None)
    """The finding that explains `attention`."""
    slot: datetime | None = moment(default=None, index=True)
    """The next planned slot; the one after it follows from this one, never from the clock."""
    not_before: datetime | None = moment(default=None)
    """Back-off after failures."""
    failures: int = 0
    """Failed runs in a row."""
    version: int = 1
    """For `ETag`."""
    created_at: datetime = moment()
    updated_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)


class Mapping(Owned, table=True):
    """One entry of a customer's table: the source's word on the left, the target's on the right."""

    __table_args__ = (Index("mapping_entry", "combi_id", "table_name", "source", unique=True),)

    id: UUID = Field(primary_key=True)
    combi_id: UUID = Field(foreign_key="combi.id")
    table_name: str
    source: str
    target: str


class Run(Owned, table=True):
    """One synchronisation of a combi, from its slot to its outcome."""

    __table_args__ = (
        Index("run_active", "combi_id", unique=True, postgresql_where=text("finished_at IS NULL")),
        Index("run_slot", "combi_id", "slot", unique=True, postgresql_where=text("slot IS NOT NULL")),
        Index("run_due", "wake_at", postgresql_where=text("finished_at IS NULL")),
        Index("run_history", "combi_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    combi_id: UUID = Field(foreign_key="combi.id")
    slot: datetime | None = moment(default=None)
    """The planned slot; None for a manual run."""
    skipped_slots: int = 0
    """Slots that passed before this run while nobody worked."""
    trigger: str = "schedule"
    mode: str = "write"
    scope: str = "missing_or_failed"
    period: dict[str, Any] | None = tree(default=None)
    documents: list[str] | None = tree(default=None)
    """The source ids of the documents that alone are booked; None: all."""
    settings: dict[str, Any] = tree(default_factory=dict)
    """The settings as they were."""
    settings_version: int = 1
    created_at: datetime = moment()
    started_at: datetime | None = moment(default=None)
    finished_at: datetime | None = moment(default=None)
    wake_at: datetime = moment()
    """When the next slice may start."""
    lease_owner: str | None = None
    lease_until: datetime | None = moment(default=None)
    cancelled: bool = False
    progress: dict[str, Any] = tree(default_factory=dict)
    """Which steps are done, so that a slice goes on where the last one stopped."""
    counts: dict[str, Any] = tree(default_factory=dict)
    """Documents by flow and outcome, and `calls` by connector."""
    outcome: int | None = None
    reason: dict[str, Any] | None = tree(default=None)
    """The finding behind an outcome that is no success."""
    result: dict[str, Any] | None = tree(default=None)
    """What a preview showed."""


class Position(Owned, table=True):
    """How far a stream was read, in the connector's own words. Editing a combi never moves it."""

    combi_id: UUID = Field(primary_key=True, foreign_key="combi.id")
    stream: str = Field(primary_key=True)
    cursor: dict[str, Any] = tree()
    moved_at: datetime = moment()


class Item(Plenty, table=True):
    """One document of a combi, as the customer sees it."""

    __table_args__ = (
        Index("item_source", "combi_id", "flow", "source_id", "administration", unique=True),
        Index("item_at_hand", "combi_id", "flow", "id", postgresql_where=text("status IN ('waiting', 'unknown')")),
        Index("item_status", "combi_id", "status", "id", postgresql_include=["organisation_id"]),
        Index("item_list", "combi_id", "id"),
        Index("item_delivery", "delivery_id"),
        Index("item_due", "combi_id", "id", postgresql_where=text("note <> '' OR attach")),
        Index("item_missed", "combi_id", "flow", postgresql_where=text("missed_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    combi_id: UUID = Field(foreign_key="combi.id")
    flow: str
    source_id: str
    administration: str = ""
    """Only for documents that go to several administrations (customers); empty for those booked once."""
    status: ItemStatus = Field(default=ItemStatus.waiting, sa_type=Text)
    number: str = ""
    date: Day | None = None
    party: str = ""
    """Name of the customer."""
    period: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """Of a journal entry: year and payroll period, such as `2026-03`."""
    route: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """`connector:administration` that a document booked once goes to, as far as it is known."""
    amount: Decimal | None = amount(default=None)
    currency: str = ""
    raw: dict[str, Any] | None = tree(default=None)
    """As the source sent it; a fix of a mapping is replayed over it."""
    fingerprint: str = ""
    findings: list[dict[str, Any]] = tree(default_factory=list)
    delivery_id: UUID | None = None
    target_ref: str = ""
    target_label: str = ""
    tried_version: int = 0
    """The settings version of the last attempt."""
    attempts: int = 0
    retry_at: datetime | None = moment(default=None)
    forced: bool = False
    """A human looked and said: go on. Look-alikes and hands that changed the booking no longer hold it up."""
    chosen: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """A human chose to have it booked."""
    missed_at: datetime | None = moment(default=None)
    """When a complete listing of the source first missed it."""
    vanished_at: datetime | None = moment(default=None)
    """When that was taken for certain: it was ignored from then on, or a human was told."""
    note: str = ""
    """A message for the source's timeline that has yet to be written: its translation key."""
    attach: bool = False
    """What follows the booking is yet to be done: the printed form hung on it, or the source told."""
    run_id: UUID | None = None
    created_at: datetime = moment()
    updated_at: datetime = moment()


class Party(Owned, table=True):
    """A customer's card as the source last showed it; becomes an item once it has to be in a target."""

    combi_id: UUID = Field(primary_key=True, foreign_key="combi.id")
    source_id: str = Field(primary_key=True)
    raw: dict[str, Any] = tree()
    fingerprint: str
    updated_at: datetime = moment()


class Delivery(Plenty, table=True):
    """The one booking of one document in one administration. Outlives combis: the key holds no id of ours."""

    __table_args__ = (
        Index("delivery_key", "organisation_id", "key", "version", "revision", unique=True),
        Index(
            "delivery_claim",
            "organisation_id",
            "target",
            "stream",
            "claim",
            unique=True,
            postgresql_where=text("claim IS NOT NULL AND revision = 1 AND state NOT IN ('gone', 'reversed')"),
        ),
        Index("delivery_source", "organisation_id", "source_id"),
        Index(
            "delivery_open_item",
            "organisation_id",
            "target",
            "open_item",
            postgresql_where=text("state = 'recorded' AND settled_at IS NULL AND open_item <> ''"),
        ),
        Index("delivery_ref", "organisation_id", "target", "stream", "ref"),
    )

    id: UUID = Field(primary_key=True)
    key: str
    version: int = 1
    revision: int = 1
    """Grows with every change under the same key."""
    source: str
    stream: str
    source_id: str
    target: str
    state: DeliveryState = Field(default=DeliveryState.intended, sa_type=Text)
    claim: str | None = None
    payload: dict[str, Any] = tree(default_factory=dict)
    fingerprint: str = ""
    """Of the document as booked."""
    total: Decimal | None = amount(default=None)
    """What it must amount to, with the document's sign."""
    settings_version: int = 1
    run_id: UUID | None = None
    intended_at: datetime = moment()
    sent_at: datetime | None = moment(default=None)
    check_at: datetime | None = moment(default=None)
    """When a booking of unknown fate may be looked up."""
    recorded_at: datetime | None = moment(default=None)
    ref: str = ""
    label: str = ""
    open_item: str = ""
    receipt: dict[str, Any] | None = tree(default=None)
    adopted: bool = False
    """It stood there before we came."""
    verified: bool = False
    """The total was read back and is ours."""
    seen_run: UUID | None = None
    """The last run whose complete open-item listing held it."""
    balance: Decimal | None = amount(default=None)
    settled_at: datetime | None = moment(default=None)


class Standing(Owned, table=True):
    """What stood in a target when a combi began: adopted when it is ours, asked about when it looks like it."""

    __table_args__ = (
        Index("standing_number", "combi_id", "stream", "administration", "number"),
        Index("standing_mark", "combi_id", "stream", "administration", "mark"),
        Index("standing_email", "combi_id", "stream", "administration", "email"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    combi_id: UUID = Field(foreign_key="combi.id")
    stream: str
    administration: str
    ref: str
    label: str = ""
    mark: str = ""
    number: str = ""
    date: Day | None = None
    total: Decimal | None = amount(default=None)
    email: str = ""
    open_item: str = ""


class MasterData(Owned, table=True):
    """Charts of accounts and the like, with their age."""

    connection_id: UUID = Field(primary_key=True, foreign_key="connection.id")
    administration: str = Field(primary_key=True)
    value: dict[str, Any] = tree()
    fetched_at: datetime = moment()


class LogEntry(Plenty, table=True):
    """One line of what happened: a translation key with values. Partitioned by month, kept for a while."""

    __table_args__ = (
        Index("log_combi", "combi_id", "id"),
        Index("log_item", "item_id", "id"),
        Index("log_run", "run_id", "id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    at: datetime = moment(primary_key=True)
    combi_id: UUID
    run_id: UUID | None = None
    item_id: UUID | None = None
    level: str = "info"
    key: str
    values: dict[str, Any] = tree(default_factory=dict)
    evidence: dict[str, Any] | None = tree(default=None)
    """The redacted call behind it."""
