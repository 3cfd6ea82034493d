"""What happens to connections: consent comes, grants die, keys rotate, connections go."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.accounting.documents import Finding
from hub.connections import recognition, repository, vault
from hub.connections.models import Connection, ConnectionStatus
from hub.engine import registry
from hub.kit.clock import Clock
from hub.kit.database import Database
from hub.kit.mail import Mailer
from hub.kit.secrets import KeyRing
from hub.kit.text import register, sentence
from hub.organisations.service import audit
from hub.sdk.connector import Identity

register(Path(__file__).parent / "strings")


def title_of(connector: str) -> str:
    """The package's name for people."""
    try:
        return registry.get(connector).manifest.title
    except KeyError:
        return connector


async def on_reauth(session: AsyncSession, connection: Connection, clock: Clock) -> int:
    """Active combis of a connection whose grant died wait for consent; gives how many."""
    reason = {
        "key": repository.REAUTH_KEY,
        "values": {"connection_id": str(connection.id), "package": title_of(connection.connector)},
        "field": None,
    }
    return await repository.halt_combis(session, connection.id, reason, clock.now())


async def on_consent(session: AsyncSession, connection: Connection, clock: Clock) -> int:
    """Combis that waited for this consent go on, never those that a human paused; gives how many."""
    return await repository.resume_combis(session, connection.id, clock.now())


async def needs_reauth(
    session: AsyncSession, clock: Clock, connection_id: UUID, seen_version: int, finding: Finding
) -> bool:
    """Mark a connection whose grant died; False when its secrets changed since `seen_version` or it was not active."""
    connection = await repository.locked(session, connection_id)
    if connection is None or connection.status != ConnectionStatus.active:
        return False
    if connection.secrets_version != seen_version:
        return False
    connection.status = ConnectionStatus.needs_reauth
    connection.reason = finding.model_dump(mode="json")
    changed(connection, clock)
    await repository.follow(session, connection)
    combis = await on_reauth(session, connection, clock)
    audit(session, clock, connection.organisation_id, "connection.needs_reauth", connection.id, combis=combis)
    await session.flush()
    return True


async def tell_owners(database: Database, mailer: Mailer, base_url: str, connection: Connection) -> None:
    """Mail the owners that a connection waits for their consent."""
    async with database.system() as session:
        owners = await repository.owners(session, connection.organisation_id)
    values = {
        "package": title_of(connection.connector),
        "name": connection.identity.get("name", ""),
        "url": f"{base_url}/connections/{connection.id}/reauthorize",
    }
    for email, language in owners:
        subject = sentence("connections.mail.reauth_subject", language, values)
        await mailer.send(email, subject, sentence("connections.mail.reauth_text", language, values))


def activate(
    keys: KeyRing,
    clock: Clock,
    connection: Connection,
    secrets: Mapping[str, str],
    way: str,
    identity: Identity,
    earlier: Connection | None = None,
) -> None:
    """Give a connection the secrets of a way in and the company they belong to, under an `earlier` one's tenant."""
    vault.lock_up(keys, connection, secrets)
    recognition.take(connection, way, identity, earlier)
    connection.status = ConnectionStatus.active
    connection.reason = None
    connection.refresh_after = None
    connection.refresh_failures = 0
    connection.connect_hash = None
    connection.connect_expires_at = None
    changed(connection, clock)


async def remove(session: AsyncSession, clock: Clock, connection: Connection) -> None:
    """Erase a connection's secrets and end it; combis that use it wait for another."""
    connection.status = ConnectionStatus.revoked
    connection.secrets = None
    connection.secrets_version += 1
    connection.connect_hash = None
    connection.expires_at = None
    changed(connection, clock)
    if connection.same_as is None:
        await repository.follow(session, connection)
    await on_reauth(session, connection, clock)
    await repository.erase_master_data(session, connection.id)


def changed(connection: Connection, clock: Clock) -> None:
    """Count a change, for `ETag`."""
    connection.version += 1
    connection.updated_at = clock.now()


async def rotate_secrets(database: Database, keys: KeyRing) -> int:
    """Seal every connection's secrets under the newest key; gives how many were sealed anew.

    Can be stopped and started again. Raises SecretUnreadable when a key that is still in use was taken away.
    """
    rotated = 0
    after: UUID | None = None
    while True:
        async with database.system() as session:
            batch = await repository.sealed(session, after, 100)
            for connection in batch:
                after = connection.id
                if connection.secrets is not None and keys.needs_rotation(connection.secrets):
                    bound_to = vault.context(connection.organisation_id, connection.id)
                    connection.secrets = keys.seal(keys.open(connection.secrets, bound_to), bound_to)
                    rotated += 1
        if not batch:
            return rotated
