"""Opens connections for the engine and keeps grants alive: one refresh for all workers, saved before it is used."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from hub.accounting.documents import Finding
from hub.config import Config
from hub.connections import recognition, repository, service, sessions, tokens, vault
from hub.connections.facts import endpoints_of, oauth_client_of, operator_secrets_of, way_in
from hub.connections.models import Connection, ConnectionStatus
from hub.engine import registry
from hub.engine.clients import Link
from hub.kit.clock import Clock
from hub.kit.database import Database, HubSession, after_commit
from hub.kit.log import register_secret
from hub.kit.mail import Mailer
from hub.kit.secrets import KeyRing
from hub.sdk.connector import Connector
from hub.sdk.errors import ConfigError, ReauthRequired, TransientError, VendorError
from hub.sdk.http import Credentials, Http, Limiter, fill, new_client
from hub.sdk.manifest import Auth, Manifest

MARGIN = timedelta(seconds=60)
TRUSTED_FOR = timedelta(seconds=30)
"""How long secrets in memory are used before the row is looked at again: a removed connection stops by then."""
COOL_DOWN_S = 15
LONGEST_COOL_DOWN_S = 900
PATIENCE = 3
"""After so many refusals that nobody can read, the grant is taken as dead."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Held:
    """Secrets as they were read, with their version and life."""

    secrets: Mapping[str, str]
    version: int
    issued_at: datetime | None
    expires_at: datetime | None
    read_at: datetime

    def due(self, now: datetime) -> bool:
        """True when the access token is so near its end that it has to be renewed."""
        if self.expires_at is None:
            return False
        life = self.expires_at - (self.issued_at or self.expires_at - 5 * MARGIN)
        return now >= self.expires_at - min(MARGIN, life / 5)

    def alive(self, now: datetime) -> bool:
        """True when the access token can still be used."""
        return self.expires_at is None or now < self.expires_at


class GivenSecrets:
    """Secrets that are being tried: nothing is stored, nothing renewed."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    async def current(self) -> Mapping[str, str]:
        """Them."""
        return self._secrets

    async def renewed(self, stale: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Raises ReauthRequired: there are no others."""
        raise ReauthRequired("access_refused")


class GivenSession:
    """A lasting token that is being tried: one session is opened for the trial, nothing is stored."""

    def __init__(
        self, clients: "ConnectionClients", connector: Connector, auth: Auth, values: Mapping[str, str]
    ) -> None:
        self._clients = clients
        self._manifest = connector.manifest
        self._auth = auth
        self._values = dict(values)
        for value in values.values():
            register_secret(value)

    async def current(self) -> Mapping[str, str]:
        """The secrets with a session. Raises ReauthRequired when the package refuses to open one."""
        if sessions.TOKEN not in self._values:
            try:
                fresh = await self._clients.session(self._manifest, self._auth, self._values)
            except TransientError as error:
                if error.key != "token_refused":
                    raise
                raise ReauthRequired(
                    "lasting_token_refused", words=error.words, package=self._manifest.title
                ) from error
            self._values |= fresh.secrets
        return self._values

    async def renewed(self, stale: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002 - the protocol's
        """Raises ReauthRequired: a fresh session that is refused tells that the token is."""
        raise ReauthRequired("access_refused")


class ConnectionClients:
    """Links to connections, over one pool of sockets for all tenants."""

    def __init__(
        self,
        config: Config,
        database: Database,
        clock: Clock,
        keys: KeyRing,
        limiter: Limiter,
        mailer: Mailer,
        client: Any | None = None,
    ) -> None:
        """Take the parts of the hub; `client` replaces the pool (tests)."""
        self.config = config
        self.database = database
        self.clock = clock
        self.keys = keys
        self.mailer = mailer
        self.client = client if client is not None else new_client()
        self._limiter = limiter
        self.refreshing: set[asyncio.Future[None]] = set()
        """Refreshes under way, which outlive who asked for them."""
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def open(self, organisation_id: UUID, connection_id: UUID) -> Link:
        """A link. Raises ReauthRequired when the connection needs consent, or was revoked."""
        async with self.database.tenant(organisation_id) as session:
            return await self.open_in(session, connection_id)

    async def open_in(self, session: HubSession, connection_id: UUID) -> Link:
        """The same in a transaction that is open already."""
        connection = await repository.holder(session, connection_id)
        if connection is None:
            raise ReauthRequired("connection_revoked")
        connector, auth = self._known(connection)
        credentials = StoredSecrets(self, connector, auth, connection)
        known = recognition.known_as(connection, auth.kind) or connection.tenant
        return Link(
            connection_id=connection.id,
            connector=connector,
            http=self.http(connector, auth, credentials, str(connection.id), connection.fields, known),
            tenant=connection.tenant,
            identity={name: value for name, value in connection.identity.items() if isinstance(value, str)},
        )

    async def aclose(self) -> None:
        """Close the sockets."""
        await self.client.aclose()

    async def died(self, organisation_id: UUID, connection_id: UUID, finding: Finding) -> None:
        """Hear that a package refuses a connection for good, whatever its secrets."""
        async with self.database.tenant(organisation_id) as session:
            connection = await repository.holder(session, connection_id)
        if connection is not None:
            await self.mark_dead(organisation_id, connection.id, connection.secrets_version, finding)

    def http(
        self,
        connector: Connector,
        auth: Auth,
        credentials: Credentials,
        key: str,
        fields: Mapping[str, Any],
        tenant: str,
    ) -> Http:
        """A client for these credentials; `key` is what its rate is counted under."""
        plain = {name: str(value) for name, value in fields.items()}
        try:
            own = oauth_client_of(connector.manifest, self.config) if auth.kind == "oauth" else {}
        except ConfigError:
            # Reading with a token that lives needs no client; a refresh will say what is missing.
            own = {}
        return Http(
            self.client,
            connector.manifest,
            auth,
            credentials,
            self._limiter,
            connection=key,
            endpoints=endpoints_of(connector.manifest, self.config),
            fields={**plain, "tenant": tenant} if tenant else plain,
            oauth_client=own,
            refusal=connector.refusal,
        )

    def trial(
        self, connector: Connector, auth: Auth, secrets: Mapping[str, str], fields: Mapping[str, Any], key: str
    ) -> Http:
        """A client with secrets that are not stored yet."""
        given = {**operator_secrets_of(connector.manifest, self.config), **secrets}
        credentials: Credentials = GivenSecrets(given)
        if auth.session is not None:
            credentials = GivenSession(self, connector, auth, {**_plain(fields), **given})
        return self.http(connector, auth, credentials, key, fields, "")

    async def session(self, manifest: Manifest, auth: Auth, values: Mapping[str, str]) -> tokens.Tokens:
        """A fresh session for the secrets and fields in `values`. Raises what `sessions.ask` does, and ConfigError."""
        assert auth.session is not None  # noqa: S101 - who asks looked
        url = sessions.address(auth.session, endpoints_of(manifest, self.config), values)
        return await sessions.ask(self.client, manifest, auth.session, url, values)

    def end_session(self, connection: Connection) -> Callable[[], Awaitable[None]] | None:
        """What ends the session of a connection that is about to be removed; None when it has none."""
        try:
            connector, auth = self._known(connection)
            held = {**_plain(connection.fields), **vault.opened(self.keys, connection)}
        except VendorError:
            return None
        if auth.session is None or sessions.TOKEN not in held:
            return None
        url = sessions.address(auth.session, endpoints_of(connector.manifest, self.config), held)
        headers = {name: fill(template, held, quoted=False) for name, template in auth.headers.items()}
        return partial(sessions.end, self.client, auth.session, url, headers)

    def lock(self, connection_id: UUID) -> asyncio.Lock:
        """This process's turn at a connection's refresh: one waits at the database, not all."""
        lock = self._locks.get(connection_id)
        if lock is None:
            lock = self._locks[connection_id] = asyncio.Lock()
        return lock

    async def mark_dead(self, organisation_id: UUID, connection_id: UUID, seen_version: int, finding: Finding) -> bool:
        """Mark a connection as in need of consent, unless its secrets changed; owners are told once it is stored."""
        async with self.database.tenant(organisation_id) as session:
            marked = await service.needs_reauth(session, self.clock, connection_id, seen_version, finding)
            connection = await repository.get(session, connection_id)
            if marked and connection is not None:
                _log.warning("connection_needs_reauth", connection=str(connection_id), reason=finding.key)
                told = connection

                async def tell() -> None:
                    await service.tell_owners(self.database, self.mailer, self.config.base_url, told)

                after_commit(session, tell)
        return marked

    def _known(self, connection: Connection) -> tuple[Connector, Auth]:
        _usable(connection)
        try:
            connector = registry.get(connection.connector)
        except KeyError:
            raise ConfigError("connector_unknown", name=connection.connector) from None
        auth = way_in(connector.manifest, connection.auth)
        if auth is None:
            raise ReauthRequired("connection_needs_reauth", package=connector.manifest.title)
        return connector, auth


class StoredSecrets:
    """The secrets of a stored connection, renewed once for all workers."""

    def __init__(self, clients: ConnectionClients, connector: Connector, auth: Auth, connection: Connection) -> None:
        self._clients = clients
        self._manifest = connector.manifest
        self._auth = auth
        self._organisation = connection.organisation_id
        self._connection = connection.id
        self._held = self._hold(connection)

    async def current(self) -> Mapping[str, str]:
        """Secrets by name. Raises ReauthRequired when the grant is known to be dead."""
        now = self._clients.clock.now()
        if not self._held.read_at <= now < self._held.read_at + TRUSTED_FOR:
            self._held = await self._read()
        missing = self._auth.session is not None and sessions.TOKEN not in self._held.secrets
        if missing or (self._held.due(now) and self._renewable(self._held)):
            held = self._held
            try:
                await self._renew(held.version)
            except (TransientError, ConfigError):
                if missing or not held.alive(self._clients.clock.now()):
                    raise
        return self._held.secrets

    async def renewed(self, stale: Mapping[str, str]) -> Mapping[str, str]:
        """Fresh secrets after `stale` was refused with 401; another worker's refresh is used when there was one."""
        self._held = await self._read()
        if self._held.secrets != stale:
            return self._held.secrets
        version = self._held.version
        if not self._renewable(self._held):
            finding = Finding(key="access_refused", values={"package": self._manifest.title})
            await self._died(version, ReauthRequired(finding.key, package=self._manifest.title))
            return self._held.secrets
        await self._renew(version)
        return self._held.secrets

    def _renewable(self, held: Held) -> bool:
        if self._auth.session is not None:
            return True
        oauth = self._auth.oauth
        return oauth is not None and oauth.refresh != "none" and bool(held.secrets.get("refresh_token"))

    def _hold(self, connection: Connection) -> Held:
        added = operator_secrets_of(self._manifest, self._clients.config)
        return Held(
            {**added, **vault.opened(self._clients.keys, connection)},
            connection.secrets_version,
            connection.issued_at,
            connection.expires_at,
            self._clients.clock.now(),
        )

    async def _read(self) -> Held:
        async with self._clients.database.tenant(self._organisation) as session:
            connection = await repository.get(session, self._connection)
        if connection is None:
            raise ReauthRequired("connection_revoked")
        _usable(connection)
        return self._hold(connection)

    async def _renew(self, seen: int) -> None:
        """Renew what was seen as version `seen`. Who gives up waiting does not stop a refresh half-way."""
        task = asyncio.ensure_future(self._renew_once(seen))
        self._clients.refreshing.add(task)
        task.add_done_callback(self._clients.refreshing.discard)
        await asyncio.shield(task)

    async def _renew_once(self, seen: int) -> None:
        async with self._clients.lock(self._connection):
            failure: VendorError | None
            async with self._clients.database.tenant(self._organisation) as session:
                connection = await repository.locked(session, self._connection)
                if connection is None:
                    raise ReauthRequired("connection_revoked")
                _usable(connection)
                failure = None if connection.secrets_version != seen else await self._refreshed(connection)
            # Only from here on, with the new refresh token committed, may the access token be used.
            if failure is None:
                self._held = self._hold(connection)
                return
        if isinstance(failure, ReauthRequired):
            await self._died(seen, failure)
            return
        raise failure

    async def _refreshed(self, connection: Connection) -> VendorError | None:
        """Refresh under the row's lock. The change and the cool-down after a failure commit with the lock."""
        now = self._clients.clock.now()
        if connection.refresh_after is not None and now < connection.refresh_after:
            wait = (connection.refresh_after - now).total_seconds()
            return TransientError("refresh_cools_down", retry_after=wait, package=self._manifest.title)
        secrets = vault.opened(self._clients.keys, connection)
        try:
            fresh = await self._fresh(connection, secrets)
        except VendorError as error:
            return self._failed(connection, error)
        vault.lock_up(self._clients.keys, connection, {**secrets, **fresh.secrets})
        stamp(connection, fresh.lifetime_s, self._clients.clock.now())
        return None

    async def _fresh(self, connection: Connection, secrets: Mapping[str, str]) -> tokens.Tokens:
        """New tokens from the refresh token, or a new session from the lasting one."""
        clients, fields = self._clients, _plain(connection.fields)
        if self._auth.session is not None:
            added = operator_secrets_of(self._manifest, clients.config)
            return await clients.session(self._manifest, self._auth, {**fields, **added, **secrets})
        assert self._auth.oauth is not None  # noqa: S101 - `_renewable` was asked
        grant = {"grant_type": "refresh_token", "refresh_token": secrets.get("refresh_token", "")}
        own = oauth_client_of(self._manifest, clients.config)
        url = fill(endpoints_of(self._manifest, clients.config)["TOKEN"], fields)
        return await tokens.ask(clients.client, self._manifest, self._auth.oauth, url, own, grant)

    def _failed(self, connection: Connection, error: VendorError) -> VendorError:
        if isinstance(error, ReauthRequired):
            return error
        connection.refresh_failures += 1
        if error.key == "token_refused" and connection.refresh_failures > PATIENCE:
            return ReauthRequired("grant_refused", words=error.words, package=self._manifest.title)
        wait = min(COOL_DOWN_S * 2 ** min(connection.refresh_failures - 1, 10), LONGEST_COOL_DOWN_S)
        connection.refresh_after = self._clients.clock.now() + timedelta(seconds=wait)
        if isinstance(error, TransientError):
            error.retry_after = wait
        return error

    async def _died(self, seen: int, error: ReauthRequired) -> None:
        """Returns when somebody renewed the secrets in between; marks the connection and raises otherwise."""
        marked = await self._clients.mark_dead(self._organisation, self._connection, seen, error.finding())
        if not marked:
            self._held = await self._read()
            if self._held.version != seen:
                return
        raise error


def stamp(connection: Connection, lifetime_s: int | None, now: datetime) -> None:
    """Note how long fresh secrets live, and that the trouble is over."""
    connection.issued_at = now
    connection.expires_at = None if lifetime_s is None else now + timedelta(seconds=lifetime_s)
    connection.refresh_after = None
    connection.refresh_failures = 0


def _plain(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}


def _usable(connection: Connection) -> None:
    """Raises ReauthRequired when a human has to give consent first."""
    package = service.title_of(connection.connector)
    match connection.status:
        case ConnectionStatus.revoked:
            raise ReauthRequired("connection_revoked", package=package)
        case ConnectionStatus.needs_reauth:
            raise ReauthRequired("connection_needs_reauth", package=package)
        case ConnectionStatus.pending:
            raise ReauthRequired("connection_pending", package=package)
        case _:
            return
