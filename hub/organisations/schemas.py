"""What the API says about keys, members and the audit log."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Scope = Literal["read", "write", "admin"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ApiKeyCreate(_Body):
    """A new key."""

    name: Annotated[str, Field(max_length=200)] = ""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)] = ["read", "write", "admin"]
    expires_at: AwareDatetime | None = None
    per_minute: Annotated[int, Field(ge=1, le=60_000, description="Calls a minute.")] = 600


class ApiKeyOut(BaseModel):
    """A key; its secret is not stored."""

    id: UUID
    name: str
    prefix: str
    scopes: list[Scope]
    per_minute: int
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class ApiKeyCreated(ApiKeyOut):
    """A new key with its text, shown this once."""

    key: str


class ApiKeyList(BaseModel):
    """A page of keys."""

    data: list[ApiKeyOut]
    next_cursor: str | None


class MemberInvite(_Body):
    """Somebody to invite by mail."""

    email: Annotated[str, Field(max_length=254)]
    role: Literal["owner", "member", "reader"] = "member"


class MemberChange(_Body):
    """Another role."""

    role: Literal["owner", "member", "reader"]


class MemberOut(BaseModel):
    """A member of the organisation."""

    id: UUID
    email: str
    role: Literal["owner", "member", "reader"]
    created_at: datetime


class MemberList(BaseModel):
    """A page of members."""

    data: list[MemberOut]
    next_cursor: str | None


class AuditOut(BaseModel):
    """Something that somebody did."""

    id: UUID
    at: datetime
    action: str
    subject: str = Field(description="The id of what it was done to.")
    user_id: UUID | None
    api_key_id: UUID | None
    facts: dict[str, Any]


class AuditList(BaseModel):
    """A page of the audit log, newest first."""

    data: list[AuditOut]
    next_cursor: str | None
