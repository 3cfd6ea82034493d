"""Where partners are told of events, what they are told, and what people were mailed about."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from hub.engine.models import Owned, moment, tree


class WebhookEndpoint(Owned, table=True):
    """An address of a partner. Its secret is sealed; the previous one signs along until it expires."""

    id: UUID = Field(primary_key=True)
    url: str
    description: str = ""
    events: list[str] = tree(default_factory=list)
    """Event types; empty: all."""
    enabled: bool = True
    disabled_reason: str = ""
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    previous_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    previous_until: datetime | None = moment(default=None)
    version: int = 1
    created_at: datetime = moment()
    updated_at: datetime = moment()


class WebhookDelivery(Owned, table=True):
    """One event for one endpoint: tried until it is taken, or given up after a day."""

    __table_args__ = (
        Index("webhook_once", "endpoint_id", "subject", unique=True),
        Index("webhook_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("webhook_list", "endpoint_id", "id"),
    )

    id: UUID = Field(primary_key=True)
    """Also the `webhook-id`: the same at every try, so that a receiver can tell a repetition."""
    endpoint_id: UUID = Field(foreign_key="webhookendpoint.id", ondelete="CASCADE")
    type: str
    subject: str
    """What happened to what, and when: an event is told once."""
    payload: dict[str, Any] = tree(default_factory=dict)
    attempts: int = 0
    next_at: datetime | None = moment(default=None)
    """When it is (next) tried; None: delivered or given up."""
    last_status: int | None = None
    last_error: str = ""
    created_at: datetime = moment()
    delivered_at: datetime | None = moment(default=None)


class NotificationMark(SQLModel, table=True):
    """How far the rows were looked through for news."""

    name: str = Field(primary_key=True)
    at: datetime = moment()


class Told(Owned, table=True):
    """That people were mailed about a combi which needs them; removed when it needs nobody any more."""

    combi_id: UUID = Field(primary_key=True, foreign_key="combi.id")
    reason: str = ""
    """`attention:<finding>` or `items`."""
    told_at: datetime = moment()
