"""Whose account came in: one customer keeps one tenant, however many ways a package has to name it."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.connections.models import Connection, ConnectionStatus
from hub.sdk.connector import Identity


def known_as(connection: Connection, way: str) -> str:
    """The tenant by which a way in names this connection's customer; empty when it never came in that way."""
    known = connection.identity.get("known_as")
    if isinstance(known, Mapping):
        return str(known.get(way, ""))
    return connection.tenant if way == connection.auth else ""


def is_same(connection: Connection, way: str, identity: Identity) -> bool:
    """True when what came in by a way is this connection's customer.

    A way that was used before has its own name for the customer, and that decides. A way that is new is recognised by
    the tenant, or by the marks that both ways tell (`Identity.marks`).
    """
    if known := known_as(connection, way):
        return identity.tenant == known
    return identity.tenant == connection.tenant or shared(_marks(connection), identity.marks) > 0


def shared(ours: Collection[str], theirs: Collection[str]) -> int:
    """How many marks both have, when that is at least half of those of the one with the fewest; else 0.

    One login may see more companies than another, and a company may have been renamed since.
    """
    both = len(set(ours) & set(theirs))
    return both if both * 2 >= min(len(set(ours)), len(set(theirs))) else 0


def contradicted(ours: Collection[str], theirs: Collection[str]) -> bool:
    """True when both tell of some of the same places (`Identity.traces`) and agree on nothing there."""
    places = {one.partition("=")[0] for one in ours} & {one.partition("=")[0] for one in theirs}
    return bool(places) and not set(ours) & set(theirs)


async def recognised(
    session: AsyncSession, organisation_id: UUID, connector: str, way: str, identity: Identity, but: UUID
) -> Connection | None:
    """Another connection of this organisation, also a removed one, with the customer that came in.

    Those that stand go first, then the newest. None when the marks fit several customers equally well: they cannot be
    told apart. One that works and is known by its marks alone must not be contradicted by its traces either: it may be
    the copy of an environment, and would be taken over. Who asks next about this package waits until this transaction
    ends: two consents at once become one connection.
    """
    turn = f"{organisation_id}/{connector}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:turn, 0))"), {"turn": turn})
    found = await session.exec(
        select(Connection)
        .where(
            Connection.organisation_id == organisation_id,
            Connection.connector == connector,
            Connection.tenant != "",
            Connection.id != but,
            col(Connection.same_as).is_(None),
        )
        .order_by(col(Connection.id).desc())
    )
    same = [one for one in found if is_same(one, way, identity) and not _copied(one, way, identity)]
    best = max((_likeness(one, way, identity) for one in same), default=0)
    same = [one for one in same if _likeness(one, way, identity) == best]
    if len({one.tenant for one in same}) > 1:
        return None
    return min(same, key=lambda one: one.status == ConnectionStatus.revoked, default=None)


def _copied(connection: Connection, way: str, identity: Identity) -> bool:
    by_name = identity.tenant in (known_as(connection, way), connection.tenant)
    works = connection.status == ConnectionStatus.active
    return works and not by_name and contradicted(_told(connection, "traces"), identity.traces)


def _likeness(connection: Connection, way: str, identity: Identity) -> int:
    if identity.tenant in (known_as(connection, way), connection.tenant):
        return 10**6
    return shared(_marks(connection), identity.marks)


def take(connection: Connection, way: str, identity: Identity, earlier: Connection | None = None) -> None:
    """Give a connection who came in by a way. Its tenant, once it has one, stays; a new one has an earlier one's."""
    known: dict[str, str] = {}
    for one in (earlier, connection):
        if one is not None and one.tenant:
            known |= {name: known_as(one, name) for name in ("oauth", "key", "session") if known_as(one, name)}
    connection.auth = way
    connection.tenant = connection.tenant or (earlier.tenant if earlier is not None else "") or identity.tenant
    connection.identity = {
        "tenant": connection.tenant,
        "name": identity.name,
        "email": identity.email,
        "user": identity.user,
        "known_as": known | {way: identity.tenant},
        "marks": list(identity.marks),
        "traces": list(identity.traces),
    }


def stored(connection: Connection) -> Identity:
    """Who a connection was last said to be, as its way named it."""
    told = {name: str(connection.identity.get(name, "")) for name in ("name", "email", "user")}
    tenant = known_as(connection, connection.auth) or connection.tenant
    marks, traces = tuple(_marks(connection)), tuple(_told(connection, "traces"))
    return Identity(tenant, told["name"], told["email"], told["user"], marks, traces)


def _marks(connection: Connection) -> list[str]:
    return _told(connection, "marks")


def _told(connection: Connection, what: str) -> list[str]:
    found = connection.identity.get(what)
    return [str(one) for one in found] if isinstance(found, list) else []
