"""What the catalogue tells about packages and pairs."""

from typing import Any, Literal

from pydantic import BaseModel, Field

Role = Literal["source", "target"]


class ConnectFieldOut(BaseModel):
    """Something the customer types before connecting."""

    name: str
    label: str
    pattern: str = Field(description="Regular expression the whole value must match.")
    secret: bool = Field(description="Write-only: never shown again.")
    optional: bool = Field(default=False, description="May be left out.")
    example: str


class AuthOut(BaseModel):
    """One way to get in; the first of the list is the advised one."""

    kind: Literal["oauth", "key", "session", "file"]
    fields: list[ConnectFieldOut]


class TargetFlowOut(BaseModel):
    """What a package promises about one kind of document that can be written into it."""

    flow: str
    dedupe: str = Field(description="How a write is found again: `key`, `reference` or `none`.")
    on_change: str = Field(description="What is done when a booked document changes: `update`, `reverse` or `manual`.")


class ConnectorOut(BaseModel):
    """A package that can be connected."""

    name: str
    title: str
    docs: str = Field(description="The package's own documentation.")
    roles: list[Role]
    sources: list[str] = Field(description="Kinds of documents that can be read from it.")
    settlements: list[str] = Field(description="Kinds of documents of which it tells that they were paid.")
    targets: list[TargetFlowOut] = Field(description="Kinds of documents that can be written into it.")
    auth: list[AuthOut]
    settings_schema: dict[str, Any] = Field(
        description="JSON schema of this package's settings; `x-choice` names the live list a field is chosen from."
    )


class ConnectorList(BaseModel):
    """All packages."""

    data: list[ConnectorOut]
    next_cursor: None = None


class QuestionOut(BaseModel):
    """One question of an installation, in the order of asking."""

    field: str
    label: str
    help: str


class RecipeOut(BaseModel):
    """A pair of packages and the documents that can flow between them."""

    id: str
    source: str
    target: str
    title: str
    offered: bool = Field(description="True: offered and supported. False: possible through the same engine.")
    flows: list[str] = Field(description="In the order in which a run does them.")
    schedule: str = Field(description="The schedule a new combi gets.")


class RecipeDetail(RecipeOut):
    """The same with everything that can be chosen."""

    settings: dict[str, Any] = Field(description="The defaults of this pair.")
    settings_schema: dict[str, Any] = Field(description="JSON schema of all settings of the pair.")
    questions: list[QuestionOut]


class RecipeList(BaseModel):
    """All pairs, the offered ones first."""

    data: list[RecipeOut]
    next_cursor: None = None
