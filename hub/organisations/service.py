"""What organisations, users and keys can do."""

from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.kit.clock import Clock
from hub.kit.ids import new_id
from hub.organisations.models import AuditEntry


def audit(
    session: AsyncSession,
    clock: Clock,
    organisation_id: UUID,
    action: str,
    subject: object = "",
    *,
    user_id: UUID | None = None,
    api_key_id: UUID | None = None,
    **facts: Any,
) -> None:
    """Note who did what; the entry commits together with the deed. Never give it a secret."""
    entry = AuditEntry(
        id=new_id(clock),
        organisation_id=organisation_id,
        at=clock.now(),
        user_id=user_id,
        api_key_id=api_key_id,
        action=action,
        subject=str(subject),
        facts=facts,
    )
    session.add(entry)
