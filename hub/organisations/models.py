"""Who uses the hub: organisations, users, their sessions and keys, and what they did."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import DDL, Index, LargeBinary, Text, event
from sqlmodel import Field, SQLModel

from hub.engine.models import Owned, moment, tree


class Role(StrEnum):
    """What a member may do."""

    owner = "owner"
    """Everything, members and keys included."""
    member = "member"
    """Reads and changes, but not members and keys."""
    reader = "reader"


class Organisation(SQLModel, table=True):
    """A tenant: the company (or the partner) that everything else belongs to."""

    id: UUID = Field(primary_key=True)
    name: str
    provisional: bool = Field(default=False, index=True)
    """Made for an installation whose customer is not known yet: nobody can log in to it and no combi of it runs."""
    partner: str = ""
    """The install link by which it came, when there was one."""
    created_at: datetime = moment()


class User(SQLModel, table=True):
    """A person, by e-mail address (lower case)."""

    id: UUID = Field(primary_key=True)
    email: str = Field(unique=True)
    language: str = "nl"
    created_at: datetime = moment()


class Membership(Owned, table=True):
    """A user's place in an organisation."""

    __table_args__ = (Index("membership_pair", "organisation_id", "user_id", unique=True),)

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="user.id", index=True)
    role: Role = Field(default=Role.member, sa_type=Text)
    created_at: datetime = moment()


class BrowserSession(SQLModel, table=True):
    """A logged-in browser. The cookie holds the secret whose hash is the id."""

    id: str = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="user.id", index=True)
    current_organisation_id: UUID = Field(foreign_key="organisation.id")
    csrf: str
    """The secret that every form of this session carries."""
    agent: str = ""
    """What the browser called itself when it logged in."""
    created_at: datetime = moment()
    expires_at: datetime = moment()
    revoked_at: datetime | None = moment(default=None)


class LoginLink(SQLModel, table=True):
    """A magic link that was mailed. Used once, by a button, within a quarter of an hour."""

    id: str = Field(primary_key=True)
    """The hash of the token in the link."""
    email: str = Field(index=True)
    asked_from: str = Field(default="", index=True)
    """A hash of the address that asked, to keep one of them from flooding others."""
    next_page: str = "/"
    """A path of our own to go on at."""
    installation_id: UUID | None = None
    """The installation whose browser started it: it is claimed by logging in."""
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None)


class ApiKey(Owned, table=True):
    """A key for the API; the secret is shown once and stored as a hash."""

    id: UUID = Field(primary_key=True)
    name: str = ""
    prefix: str = Field(unique=True)
    hash: str
    """SHA-256 of the whole key, in hexadecimal."""
    scopes: str = "read,write,admin"
    per_minute: int = 600
    created_by: UUID | None = None
    created_at: datetime = moment()
    expires_at: datetime | None = moment(default=None)
    last_used_at: datetime | None = moment(default=None)
    revoked_at: datetime | None = moment(default=None)


class IdempotentCall(Owned, table=True):
    """A POST with an `Idempotency-Key`: claimed before the work, answered from here when it is repeated."""

    organisation_id: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True)
    operation: str
    """Method and path."""
    request_hash: str
    status: int | None = None
    """None: in flight."""
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Sealed, for an answer may hold a secret that is shown once."""
    headers: dict[str, Any] = tree(default_factory=dict)
    created_at: datetime = moment(index=True)


class AuditEntry(Owned, table=True):
    """Who did what. Never changed, never removed; a trigger sees to that."""

    __table_args__ = (Index("audit_list", "organisation_id", "id"),)

    id: UUID = Field(primary_key=True)
    at: datetime = moment()
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    action: str
    """A dotted word, such as `api_key.created`."""
    subject: str = ""
    """The id of what it was done to."""
    facts: dict[str, Any] = tree(default_factory=dict)


_APPEND_ONLY = DDL(  # type: ignore[no-untyped-call]
    """CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()"""
)
event.listen(SQLModel.metadata.tables["auditentry"], "after_create", _APPEND_ONLY)
