"""What the API says about connections."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from hub.runs.schemas import FindingOut

Fields = Annotated[
    dict[str, Annotated[str, Field(max_length=4000)]],
    Field(max_length=20, description="The connect fields of the package, by name; secret ones are never shown again."),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConnectionCreate(_Body):
    """A package to connect."""

    connector: Annotated[str, Field(max_length=50, examples=["simplicate"])]
    fields: Fields = {}
    auth: Annotated[
        Literal["oauth", "key", "session", "file"] | None,
        Field(description="The way to get in; left out: the one the fields are of."),
    ] = None
    return_url: Annotated[
        str | None,
        Field(
            max_length=2000,
            description="Where the browser goes after consent. Ignored unless it is on our own origin or on that of one"
            " of your install links.",
        ),
    ] = None


class ReauthorizeBody(_Body):
    """New consent for a connection."""

    fields: Annotated[Fields, Field(description="For a connection by key or session: its connect fields anew.")] = {}
    auth: Annotated[
        Literal["oauth", "key", "session"] | None,
        Field(description="Another of the package's ways in, to move the connection to; left out: as it is."),
    ] = None
    return_url: Annotated[str | None, Field(max_length=2000)] = None


class IdentityOut(BaseModel):
    """Who is connected, in the package's words."""

    tenant: str = Field(description="The package's own id of the company.")
    name: str
    email: str = ""
    user: str = ""


class ConnectionOut(BaseModel):
    """A connection. Secrets are never part of it."""

    id: UUID
    connector: str
    auth: Literal["oauth", "key", "session", "file"]
    status: Literal["pending", "active", "needs_reauth", "revoked"]
    fields: dict[str, str]
    identity: IdentityOut | None = Field(description="Null until somebody gave consent.")
    reason: FindingOut | None = Field(description="Why consent is needed again.")
    authorization_url: str | None = Field(
        default=None, description="Open it in a browser, once, within the hour; only in the answer that made it."
    )
    return_url: str | None
    created_at: datetime
    updated_at: datetime


class ConnectionList(BaseModel):
    """A page of connections."""

    data: list[ConnectionOut]
    next_cursor: str | None


class ConnectionCheck(BaseModel):
    """What the package answered when it was asked just now."""

    ok: bool
    status: Literal["pending", "active", "needs_reauth", "revoked"]
    identity: IdentityOut | None
    findings: list[FindingOut]
