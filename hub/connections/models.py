"""Links to packages: their state, their sealed secrets, the consents under way and the installations they belong to."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from hub.engine.models import Owned, moment, tree


class ConnectionStatus(StrEnum):
    """Where a connection stands."""

    pending = "pending"
    """Waits for the customer's consent."""
    active = "active"
    needs_reauth = "needs_reauth"
    """The grant died: a human must give consent again."""
    revoked = "revoked"
    """Removed by the customer; its secrets are gone."""


class Connection(Owned, table=True):
    """One company of one package, with the grant to work in it."""

    __table_args__ = (
        Index(
            "connection_tenant",
            "organisation_id",
            "connector",
            "tenant",
            unique=True,
            postgresql_where=text("tenant <> '' AND status <> 'revoked' AND same_as IS NULL"),
        ),
        Index("connection_list", "organisation_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    connector: str
    auth: str
    """`oauth`, `key` or `session`."""
    status: ConnectionStatus = Field(default=ConnectionStatus.pending, sa_type=Text)
    fields: dict[str, Any] = tree(default_factory=dict)
    """Connect fields that are no secret, such as the domain."""
    identity: dict[str, Any] = tree(default_factory=dict)
    """`tenant`, `name`, `email`, `user`, as the package says."""
    tenant: str = ""
    """The package's own id of the company; once known it never changes."""
    secrets: bytes | None = Field(default=None, sa_type=LargeBinary)
    """JSON of name -> secret, sealed under `<organisation>/<connection>`."""
    secrets_version: int = 0
    """Grows with every change of the secrets."""
    issued_at: datetime | None = moment(default=None)
    expires_at: datetime | None = moment(default=None)
    """When the access token ends; None: unknown or never."""
    refresh_after: datetime | None = moment(default=None)
    """No refresh before this moment: the last one failed."""
    refresh_failures: int = 0
    reason: dict[str, Any] | None = tree(default=None)
    """The finding that explains `needs_reauth`."""
    return_url: str = ""
    connect_hash: str | None = Field(default=None, index=True)
    """The hash of the token in `/connect/{token}`; gone once it was used."""
    connect_expires_at: datetime | None = moment(default=None)
    same_as: UUID | None = Field(default=None, index=True)
    """The connection that holds the grant, when the same company turned out to be connected already."""
    version: int = 1
    created_at: datetime = moment()
    updated_at: datetime = moment()


class OAuthAttempt(SQLModel, table=True):
    """One trip to a package's consent page; found by the hash of its state, used once, by the browser that began it."""

    id: str = Field(primary_key=True)
    connection_id: UUID = Field(index=True)
    organisation_id: UUID
    browser: str
    """The hash of the binding cookie."""
    verifier: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The PKCE verifier, sealed under the attempt's id."""
    redirect_uri: str
    installation_id: UUID | None = None
    created_at: datetime = moment()
    expires_at: datetime = moment(index=True)
    used_at: datetime | None = moment(default=None)


class Installation(SQLModel, table=True):
    """A source and a target being linked in one browser, perhaps before anybody knows whose they are."""

    id: UUID = Field(primary_key=True)
    browser: str = Field(index=True)
    """The hash of the binding cookie."""
    source: str
    target: str
    email: str = ""
    """What the deep link says; a hint to show, never trusted."""
    install_link_id: UUID | None = None
    owner_organisation_id: UUID | None = None
    """Where its connections live; a provisional organisation until somebody has logged in."""
    source_connection_id: UUID | None = None
    target_connection_id: UUID | None = None
    claim_email: str = ""
    """The address of an existing account that has to log in before this goes on."""
    combi_id: UUID | None = None
    notice: dict[str, Any] | None = tree(default=None)
    """What the last trip to a package came to, when it came to nothing: a sentence's key and values."""
    language: str = "nl"
    created_at: datetime = moment()
    expires_at: datetime = moment(index=True)


class InstallLink(Owned, table=True):
    """A partner's deep link, and where its customers return to."""

    id: UUID = Field(primary_key=True)
    name: str = ""
    source: str
    target: str
    return_url: str = ""
    """Absolute; its origin is also allowed as `return_url` of this organisation's connections."""
    created_at: datetime = moment()
