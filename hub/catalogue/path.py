"""Ids in addresses: a malformed one is as unknown as a foreign one."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator

from hub.kit.problem import Problem


def unknown(what: str) -> Problem:
    """The answer for something that is not there, or belongs to another organisation: both look the same."""
    return Problem(404, "not_found", f"There is no such {what}.")


def _uuid(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise unknown("address") from None


PathId = Annotated[UUID, BeforeValidator(_uuid)]
"""A UUID in a path."""
