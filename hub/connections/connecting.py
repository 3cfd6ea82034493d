"""Starting, trying and showing connections: what the API and the pages share."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.connections import oauth, recognition, repository, service
from hub.connections.clients import ConnectionClients, stamp
from hub.connections.facts import way_in
from hub.connections.models import Connection, ConnectionStatus
from hub.engine import registry
from hub.kit.ids import new_id
from hub.kit.problem import FieldError, Problem
from hub.runs import sentences
from hub.sdk.connector import Connector, Identity
from hub.sdk.errors import TransientError, VendorError
from hub.sdk.manifest import Auth, ConnectField


@dataclass(frozen=True)
class Wanted:
    """A package with the way in and the connect fields that were given for it, clean."""

    connector: Connector
    auth: Auth
    fields: Mapping[str, str]
    secrets: Mapping[str, str]


def wanted(name: str, kind: str | None, given: Mapping[str, str]) -> Wanted:
    """Check what somebody typed against the manifest. Raises Problem 422 naming each field that is wrong."""
    try:
        connector = registry.get(name)
    except KeyError:
        raise _invalid([FieldError(field="connector", code="unknown", message="There is no such package.")]) from None
    auth = way_in(connector.manifest, kind or _kind_of(connector, given))
    if auth is None:
        raise _invalid([FieldError(field="auth", code="unknown", message="This package cannot be entered that way.")])
    fields, secrets, errors = cleaned(auth, given)
    if errors:
        raise _invalid(errors)
    return Wanted(connector, auth, fields, secrets)


def rewanted(connection: Connection, way: str, given: Mapping[str, str]) -> Wanted:
    """The same for a connection that stands: what is known of it need not be typed again. Raises Problem 422."""
    auth = way_in(registry.get(connection.connector).manifest, way)
    names = {field.name for field in auth.fields} if auth is not None else set()
    known = {name: str(value) for name, value in connection.fields.items() if name in names}
    return wanted(connection.connector, way, {**known, **given})


def cleaned(auth: Auth, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[FieldError]]:
    """The plain fields, the secret ones, and all that is wrong."""
    fields: dict[str, str] = {}
    secrets: dict[str, str] = {}
    errors: list[FieldError] = []
    for field in auth.fields:
        value = clean(field, given.get(field.name, ""))
        if not value and field.optional:
            continue
        if not value:
            errors.append(FieldError(field=f"fields.{field.name}", code="missing", message="This field is needed."))
        elif not field.regex.fullmatch(value):
            example = f" Example: {field.example}." if field.example else ""
            message = f"This does not look as it should.{example}"
            errors.append(FieldError(field=f"fields.{field.name}", code="pattern", message=message))
        else:
            (secrets if field.secret else fields)[field.name] = value
    names = {field.name for field in auth.fields}
    errors += [
        FieldError(field=f"fields.{name[:50]}", code="unknown", message="This package does not ask for this field.")
        for name in sorted(set(given) - names)
    ]
    return fields, secrets, errors


def clean(field: ConnectField, value: str) -> str:
    """What people paste along taken off: spaces, and the manifest's prefixes and suffixes."""
    value = value.strip()
    if not field.secret and not field.regex.fullmatch(value):
        value = value.lower()
    stripped = True
    while stripped:
        stripped = False
        for extra in field.strip:
            shorter = value.removeprefix(extra).removesuffix(extra)
            if shorter != value:
                value, stripped = shorter, True
    return value


async def start(
    session: AsyncSession, clients: ConnectionClients, organisation_id: UUID, asked: Wanted, return_url: str
) -> Connection:
    """A new connection that waits for consent."""
    now = clients.clock.now()
    connection = Connection(
        id=new_id(clients.clock),
        organisation_id=organisation_id,
        connector=asked.connector.manifest.name,
        auth=asked.auth.kind,
        fields=dict(asked.fields),
        return_url=return_url,
        created_at=now,
        updated_at=now,
    )
    session.add(connection)
    await session.flush()
    return connection


async def tried(clients: ConnectionClients, asked: Wanted, key: str, language: str = "nl") -> Identity:
    """Ask the package who these keys belong to. Raises Problem: 422 when it refuses them, 503 when it is away.

    What is wrong is said in a sentence per field: a wrong token is something else than a right that is missing.
    """
    http = clients.trial(asked.connector, asked.auth, asked.secrets, asked.fields, key)
    try:
        return await asked.connector.identify(http)
    except TransientError as error:
        raise unreachable(asked.connector, error) from error
    except VendorError as error:
        names = [error.field] if error.field in {*asked.fields, *asked.secrets} else sorted(asked.secrets)
        title = f"{asked.connector.manifest.title} does not accept this."
        told = sentences.finding(error.finding(), language)
        errors = [FieldError(field=f"fields.{name}", code="refused", message=told.sentence) for name in names]
        said = error.words or None
        raise Problem(422, "credentials_refused", title, said, errors=errors, findings=[told.model_dump()]) from error


async def keep_key(
    session: AsyncSession, clients: ConnectionClients, organisation_id: UUID, asked: Wanted, identity: Identity
) -> Connection:
    """A connection with keys that were tried; the one that stands when this company is connected already."""
    name, way = asked.connector.manifest.name, asked.auth.kind
    earlier = await recognition.recognised(session, organisation_id, name, way, identity, UUID(int=0))
    connection = await repository.locked(session, earlier.id) if earlier is not None and is_open(earlier) else None
    if connection is None:
        connection = await start(session, clients, organisation_id, asked, "")
    await renew_key(session, clients, connection, asked, identity, earlier)
    return connection


async def renew_key(
    session: AsyncSession,
    clients: ConnectionClients,
    connection: Connection,
    asked: Wanted,
    identity: Identity,
    earlier: Connection | None = None,
) -> None:
    """Put keys that were tried into a connection, also into one that came in another way until now.

    Raises Problem 409 when they are another company's.
    """
    if connection.tenant and not recognition.is_same(connection, asked.auth.kind, identity):
        raise Problem(
            409,
            "other_company",
            "These keys belong to another company.",
            known=connection.tenant,
            found=identity.tenant,
        )
    connection.fields = dict(asked.fields)
    service.activate(clients.keys, clients.clock, connection, asked.secrets, asked.auth.kind, identity, earlier)
    stamp(connection, None, clients.clock.now())
    await repository.follow(session, connection)
    await service.on_consent(session, connection, clients.clock)


def unreachable(connector: Connector, error: TransientError) -> Problem:
    """The package is away: nothing is known about the keys."""
    headers = {"Retry-After": str(int(error.retry_after))} if error.retry_after else {}
    title = f"{connector.manifest.title} cannot be reached now; try again later."
    return Problem(503, "package_unreachable", title, error.words or None, headers=headers)


async def return_origins(session: AsyncSession) -> set[str]:
    """The origins that the session's organisation registered with its install links."""
    return {oauth.origin(link.return_url) for link in await repository.install_links(session) if link.return_url}


def is_open(connection: Connection | None) -> bool:
    """True for a connection that was not removed."""
    return connection is not None and connection.status != ConnectionStatus.revoked


def _kind_of(connector: Connector, given: Mapping[str, str]) -> str | None:
    for auth in connector.manifest.auth:
        if set(given) == {field.name for field in auth.fields}:
            return auth.kind
    return next(
        (auth.kind for auth in connector.manifest.auth if set(given) <= {field.name for field in auth.fields}), None
    )


def _invalid(errors: list[FieldError]) -> Problem:
    return Problem(422, "invalid", "The request is not valid.", "See errors for each field.", errors=errors)
