"""Batches of files: which booked documents went into which numbered file, once."""

from datetime import date as Day  # noqa: N812 - as elsewhere
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from hub.engine.models import Owned, moment, tree


class FileBatch(Owned, table=True):
    """One numbered file of one administration and fiscal year. What it is made of never changes."""

    __table_args__ = (Index("file_batch_number", "organisation_id", "target", "number", unique=True),)

    id: UUID = Field(primary_key=True)
    combi_id: UUID = Field(index=True)
    """The combi by which it was made; a batch outlives it."""
    target: str
    """`connector:administration`."""
    stream: str
    number: int
    year: int
    made_on: Day
    company: dict[str, Any] = tree(default_factory=dict)
    """The connection's fields at that time."""
    recipe: str
    settings: dict[str, Any] = tree(default_factory=dict)
    """The combi's choices at that time."""
    created_at: datetime = moment()


class FileEntry(Owned, table=True):
    """That a booking is in a batch: a booking is in one at most."""

    delivery_id: UUID = Field(primary_key=True)
    batch_id: UUID = Field(foreign_key="filebatch.id", index=True)
    position: int
