"""The log, the statistics and the reconciliation as the API shows them."""

from datetime import date as Day  # noqa: N812 - `date` is a field's name
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Interval(StrEnum):
    """How long the periods of statistics are; a week begins on Monday."""

    day = "day"
    week = "week"
    month = "month"


class LogLine(BaseModel):
    """One line of what happened."""

    id: int
    at: datetime
    level: str = Field(description="`info`, `warning` or `error`.")
    key: str
    sentence: str
    words: str | None = Field(description="The package's own words.")
    number: str = Field(description="The number of the document it is about.")
    run_id: UUID | None
    item_id: UUID | None
    values: dict[str, Any]
    evidence: dict[str, Any] | None = Field(description="The call behind it, without secrets.")


class LogList(BaseModel):
    """Lines, the newest first."""

    data: list[LogLine]
    next_cursor: str | None


class Group(BaseModel):
    """Documents of one flow with one status in one currency."""

    flow: str
    status: str
    currency: str
    documents: int
    amount: str = Field(description="Decimal string; credit notes count as negative.")


class Period(BaseModel):
    """One day, week or month; every period has the same groups, with zeros where nothing happened."""

    start: Day
    end: Day = Field(description="The last day, included.")
    groups: list[Group]


class RunFigures(BaseModel):
    """The runs that finished in the period."""

    count: int
    by_outcome: dict[str, int] = Field(description="Outcome code to number of runs.")
    p50_s: float | None = Field(description="Half of the runs took no longer, in seconds.")
    p95_s: float | None


class HumanFigures(BaseModel):
    """How much went without a human."""

    documents: int
    without_human: int = Field(description="Documents that were never parked, refused or decided on by a human.")
    share: float | None = Field(description="0 to 1; null without documents.")


class Statistics(BaseModel):
    """Documents by their own date, runs by the day they finished."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Day = Field(alias="from")
    to: Day
    interval: Interval
    periods: list[Period]
    totals: list[Group]
    runs: RunFigures
    human: HumanFigures


class Sum(BaseModel):
    """A number of documents and their total."""

    count: int
    total: str


class Difference(BaseModel):
    """One document that makes the sides differ."""

    kind: str = Field(description="`not_delivered`, `ignored`, `amount`, `not_read_back`, `gone`, or `only_in_target`.")
    item_id: UUID | None
    number: str
    date: Day | None
    party: str
    source: str | None = Field(description="Amount at the source.")
    target: str | None = Field(description="Amount as delivered, or as it stands in the target.")
    status: str
    target_ref: str
    sentence: str


class AdministrationOut(BaseModel):
    """One administration in one month, per flow and currency. What was never delivered has no administration yet."""

    administration: str = Field(description="`connector:administration`; empty while it is not decided.")
    flow: str
    currency: str
    source: Sum = Field(description="What the source offers, ignored documents included.")
    delivered: Sum = Field(description="What we booked or adopted.")
    present: Sum = Field(description="What the target was seen to hold, as last read back.")
    balanced: bool
    differences: list[Difference]


class Reconciliation(BaseModel):
    """One month of a combi."""

    month: str
    balanced: bool
    administrations: list[AdministrationOut]
