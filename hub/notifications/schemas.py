"""Webhook endpoints and install links as the API takes and shows them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class EventType(StrEnum):
    """What a webhook can tell."""

    run_finished = "run.finished"
    item_finding = "item.finding"
    item_unknown = "item.unknown"
    connection_needs_reauth = "connection.needs_reauth"
    combi_attention = "combi.attention"


class Body(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class EndpointIn(Body):
    """A place that wants to be told."""

    url: str = Field(max_length=2000, description="https, on a public address. Redirects are not followed.")
    description: str = Field(default="", max_length=200)
    events: list[EventType] = Field(default_factory=list, description="Empty: all events.")


class EndpointPatch(Body):
    """Changes; what is left out stays."""

    url: str | None = Field(default=None, max_length=2000)
    description: str | None = Field(default=None, max_length=200)
    events: list[EventType] | None = None
    enabled: bool | None = None


class EndpointOut(BaseModel):
    """A place that is told."""

    id: UUID
    url: str
    description: str
    events: list[EventType]
    enabled: bool
    disabled_reason: str = Field(description="Why we stopped: `410` or `failing`; empty otherwise.")
    version: int
    created_at: datetime
    updated_at: datetime


class EndpointCreated(EndpointOut):
    """The same with its secret, which is shown this once."""

    secret: str = Field(description="`whsec_…`, for the signatures of Standard Webhooks.")


class EndpointList(BaseModel):
    """Endpoints, the newest first."""

    data: list[EndpointOut]
    next_cursor: str | None


class DeliveryOut(BaseModel):
    """One event for one endpoint."""

    id: UUID
    type: EventType
    attempts: int
    next_at: datetime | None = Field(description="When it is tried (again); null: taken or given up.")
    last_status: int | None
    last_error: str
    created_at: datetime
    delivered_at: datetime | None


class DeliveryList(BaseModel):
    """Events, the newest first."""

    data: list[DeliveryOut]
    next_cursor: str | None


class InstallLinkIn(Body):
    """A link by which a partner's customer starts an installation."""

    source: str = Field(max_length=50)
    target: str = Field(max_length=50)
    name: str = Field(default="", max_length=200)
    email: str | None = Field(default=None, max_length=254, description="Filled in on the page; never trusted.")
    return_url: str | None = Field(
        default=None,
        max_length=2000,
        description="Where the customer returns to. Its origin is also allowed as `return_url` of connections.",
    )


class InstallLinkOut(BaseModel):
    """An install link."""

    id: UUID
    url: str
    name: str
    source: str
    target: str
    return_url: str
    created_at: datetime


class InstallLinkList(BaseModel):
    """Install links, the newest first."""

    data: list[InstallLinkOut]
    next_cursor: str | None
