"""Runs and documents as the API shows them."""

from datetime import date as Day  # noqa: N812 - `date` is a field's name
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hub.engine.models import ItemStatus


class FindingOut(BaseModel):
    """Something a human must look at."""

    key: str = Field(description="Stable.")
    sentence: str = Field(description="In the language of the request.")
    field: str | None = Field(description="The setting, mapping table or document field that can be changed.")
    values: dict[str, str]
    words: str | None = Field(default=None, description="The package's own words.")


class PostingOut(BaseModel):
    """One line of a booking: debit or credit."""

    account: str
    name: str
    debit: str
    credit: str
    description: str
    cost_centre: str


class OutcomeOut(BaseModel):
    """How a run ended."""

    code: int = Field(description="Stable: 2000 written, 2040 nothing to do, 2060 partly, 4010 consent needed, ….")
    name: str
    good: bool = Field(description="True: nobody needs to do anything.")
    sentence: str
    action: str = Field(description="The one thing to do.")


class PeriodIn(BaseModel):
    """Documents of these days, both included."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: Day | None = Field(default=None, alias="from")
    to: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "PeriodIn":
        if self.from_ and self.to and self.from_ > self.to:
            raise ValueError("`from` lies after `to`")
        return self


class RunIn(BaseModel):
    """Which run is asked for."""

    model_config = ConfigDict(extra="forbid")

    period: PeriodIn | None = None
    documents: list[Annotated[str, Field(min_length=1, max_length=300)]] | None = Field(
        default=None, min_length=1, max_length=1000, description="Source ids: only these documents are booked."
    )
    scope: Literal["missing_or_failed", "everything"] = "missing_or_failed"
    mode: Literal["write", "preview"] = "write"


class RunOut(BaseModel):
    """One synchronisation."""

    id: UUID
    combi_id: UUID
    status: Literal["queued", "running", "finished"]
    trigger: str = Field(description="`schedule`, `manual`, ….")
    mode: str
    scope: str
    period: dict[str, Any] | None
    documents: list[str] | None = Field(description="Source ids of the documents that alone were asked for.")
    slot: datetime | None = Field(description="The planned moment of a scheduled run.")
    skipped_slots: int = Field(description="Planned moments that passed before this run.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancelled: bool
    outcome: OutcomeOut | None
    reason: FindingOut | None
    counts: dict[str, Any] = Field(description="Documents by flow and outcome, and calls by package.")
    settings: dict[str, Any] = Field(description="The choices as they were; what is left out had its default.")
    settings_version: int
    result: dict[str, Any] | None = Field(description="What a preview showed.")


class RunList(BaseModel):
    """Runs, the newest first."""

    data: list[RunOut]
    next_cursor: str | None


class ItemRow(BaseModel):
    """One document in a list."""

    id: UUID
    flow: str
    source_id: str
    number: str
    date: Day | None
    period: str = Field(description="Of a journal entry: year and payroll period, such as `2026-03`.")
    party: str
    amount: str | None = Field(description="Decimal string with the document's sign: negative for a credit note.")
    currency: str
    administration: str
    status: ItemStatus
    findings: int = Field(description="How many.")
    target_ref: str
    target_label: str
    updated_at: datetime


class ItemList(BaseModel):
    """Documents, the newest first. A page may hold fewer than `limit` while `next_cursor` is given."""

    data: list[ItemRow]
    next_cursor: str | None


class HistoryOut(BaseModel):
    """One line of what happened to a document."""

    at: datetime
    level: str
    key: str
    sentence: str
    run_id: UUID | None
    evidence: dict[str, Any] | None = Field(description="The call behind it, without secrets.")


class BookingOut(BaseModel):
    """What stands in the target."""

    target: str = Field(description="`connector:administration`.")
    state: str = Field(description="`intended`, `sent`, `recorded`, `refused`, `gone` or `reversed`.")
    ref: str
    label: str
    total: str | None
    adopted: bool = Field(description="It stood there before we came.")
    verified: bool = Field(description="The total was read back and is ours.")
    recorded_at: datetime | None
    settled_at: datetime | None


class ItemOut(BaseModel):
    """One document with everything known about it."""

    id: UUID
    combi_id: UUID
    flow: str
    source_id: str
    number: str
    date: Day | None
    period: str
    party: str
    amount: str | None
    currency: str
    administration: str
    status: ItemStatus
    findings: list[FindingOut]
    target_ref: str
    target_label: str
    attempts: int
    retry_at: datetime | None
    created_at: datetime
    updated_at: datetime
    booking: BookingOut | None
    posting: list[PostingOut] = Field(
        default=[], description="Debit and credit by the choices as they are now; only where one document is read."
    )
    history: list[HistoryOut]


class SkipIn(BaseModel):
    """Why a document is not to be booked."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=500)


class ResolveIn(BaseModel):
    """What a human found in the target: it is there (under `target_ref`), or it is not."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["exists", "absent"]
    target_ref: str | None = Field(default=None, min_length=1, max_length=300)

    @model_validator(mode="after")
    def _ref_goes_with_exists(self) -> "ResolveIn":
        if (self.outcome == "exists") != (self.target_ref is not None):
            raise ValueError("`target_ref` goes with outcome `exists`, and only there")
        return self


class BulkRetryIn(BaseModel):
    """Which documents: exactly one of the three."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["finding", "rejected", "changed", "skipped", "unknown"] | None = None
    finding: str | None = Field(default=None, min_length=1, max_length=100, description="Key of a finding.")
    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _exactly_one(self) -> "BulkRetryIn":
        if sum(one is not None for one in (self.status, self.finding, self.ids)) != 1:
            raise ValueError("give exactly one of `status`, `finding` and `ids`")
        return self


class BulkRetryOut(BaseModel):
    """What became of it; up to 1,000 documents per call."""

    retried: int
    refused: int = Field(description="Documents whose status does not allow it.")
    more: bool = Field(description="True: call again for the rest.")
