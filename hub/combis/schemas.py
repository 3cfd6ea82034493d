"""Combis as the API takes and shows them."""

from datetime import date as Day  # noqa: N812 - `date` is a field's name
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from hub.engine.models import CombiStatus
from hub.engine.schedule import Schedule
from hub.runs.schemas import FindingOut, PostingOut


class Body(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class CombiIn(Body):
    """A combi to be made: a draft until it is activated."""

    recipe: str = Field(max_length=100, description="Id of a recipe, such as `simplicate-minox`.")
    source_connection_id: UUID
    target_connection_id: UUID
    side_connection_id: UUID | None = Field(
        default=None,
        description="A third connection, to which the salaries of journals booked from now on are offered.",
    )
    name: str = Field(default="", max_length=200)
    settings: dict[str, Any] = Field(default_factory=dict, description="Choices; what is left out has its default.")
    schedule: Schedule | None = Field(default=None, description="Default: the recipe's.")
    start_date: Day | None = Field(
        default=None, description="Documents before this day are marked as handled and not sent."
    )


class CombiPatch(Body):
    """Changes; what is left out stays. Reading goes on where it was: no change makes old documents come again."""

    name: str | None = Field(default=None, max_length=200)
    settings: dict[str, Any] | None = Field(
        default=None, description="Merge patch (RFC 7396): null brings a setting back to its default."
    )
    schedule: Schedule | None = None
    start_date: Day | None = None
    source_connection_id: UUID | None = None
    target_connection_id: UUID | None = None
    side_connection_id: UUID | None = Field(default=None, description="null takes the third connection away.")
    confirm_other_administration: bool = Field(
        default=False, description="Allow a connection to another company than the present one."
    )


class SideOut(BaseModel):
    """One side of a combi."""

    connection_id: UUID
    connector: str
    title: str
    status: str = Field(description="`pending`, `active`, `needs_reauth` or `revoked`.")
    name: str = Field(description="The connected company.")


class LastRun(BaseModel):
    """How the last finished run ended."""

    id: UUID
    outcome: int | None
    good: bool
    sentence: str
    action: str
    finished_at: datetime


class Counts(BaseModel):
    """Documents that are not at rest, each counted up to 100: 100 means that many or more."""

    waiting: int = 0
    unknown: int = 0
    finding: int = 0
    rejected: int = 0
    changed: int = 0


class CombiRow(BaseModel):
    """A combi in a list."""

    id: UUID
    recipe: str
    name: str
    status: CombiStatus
    reason: FindingOut | None = Field(description="Why it needs attention.")
    source: SideOut
    target: SideOut
    side: SideOut | None = Field(description="The third connection, to which salaries are offered.")
    schedule: Schedule
    start_date: Day | None
    next_run_at: datetime | None
    last_run: LastRun | None
    counts: Counts
    needs_attention: bool
    version: int
    created_at: datetime
    updated_at: datetime


class CombiOut(CombiRow):
    """A combi with its settings in force."""

    source_connection_id: UUID
    target_connection_id: UUID
    flows: list[str] = Field(description="The flows that run, in order.")
    settings: dict[str, Any] = Field(description="All settings as they are in force, defaults included.")
    settings_version: int


class CombiList(BaseModel):
    """Combis, the newest first."""

    data: list[CombiRow]
    next_cursor: str | None


class OptionOut(BaseModel):
    """One live choice."""

    value: str
    label: str


class ChoicesOut(BaseModel):
    """Live choices of a settings field; `keys` is the left-hand side of a table such as `administrations`."""

    field: str
    options: list[OptionOut]
    keys: list[OptionOut] | None


class CheckOut(BaseModel):
    """Everything that would go wrong."""

    ok: bool = Field(description="Nothing keeps the combi from working; a warning may stand among the findings.")
    findings: list[FindingOut]


class PreviewIn(Body):
    """How much of it."""

    limit: int = Field(default=50, ge=1, le=200)


class PreviewDocument(BaseModel):
    """What would happen to one document."""

    flow: str
    source_id: str
    number: str
    date: Day | None
    party: str
    amount: str | None
    currency: str
    administration: str
    action: str = Field(description="`create`, `update`, `adopt`, `ignore`, `none` or `attention`.")
    posting: list[PostingOut]
    findings: list[FindingOut]


class PreviewOut(BaseModel):
    """What would be booked; nothing was written."""

    documents: list[PreviewDocument]
    complete: bool = Field(description="False: there are more documents than were looked at.")


class MappingEntry(Body):
    """The source's word and the target's."""

    source: str = Field(min_length=1, max_length=300)
    target: str = Field(min_length=1, max_length=300)


class MappingIn(Body):
    """The whole table: what is not in it is gone."""

    entries: list[MappingEntry] = Field(max_length=5000)


class Suggestion(BaseModel):
    """An entry that may be right."""

    source: str
    source_label: str
    target: str
    origin: str = Field(
        description="Where it comes from: `table`, `same_code`, `leading_code`, `name`, `fallback`, `default`, `none`."
    )
    known: bool = Field(description="Whether the target has it.")


class MappingOut(BaseModel):
    """A mapping table."""

    table: str
    entries: list[MappingEntry]
    suggestions: list[Suggestion]
