"""File batches as the API shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class BatchOut(BaseModel):
    """One numbered file: it can be fetched as often as needed and is the same each time."""

    id: UUID
    number: int = Field(description="Counts per administration, from 1.")
    administration: str
    year: int = Field(description="The fiscal year; a file holds one.")
    documents: int
    total: str = Field(description="What its documents come to together.")
    formats: list[str] = Field(description="The formats in which it can be fetched.")
    created_at: datetime


class BatchList(BaseModel):
    """The batches of a combi."""

    data: list[BatchOut]
    waiting: int = Field(description="How many booked documents are in no file yet.")
