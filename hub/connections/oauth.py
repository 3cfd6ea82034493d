"""The trip to a package's consent page and back: bound to one browser, used once, over within ten minutes."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.connections import recognition, repository, service, tokens, vault
from hub.connections.clients import ConnectionClients, stamp
from hub.connections.facts import endpoints_of, oauth_client_of, way_in
from hub.connections.models import Connection, ConnectionStatus, OAuthAttempt
from hub.engine import registry, words
from hub.kit.secrets import SecretUnreadable
from hub.organisations.service import audit
from hub.sdk.connector import Connector, Identity
from hub.sdk.errors import ConfigError, RecordRejected, VendorError
from hub.sdk.http import fill
from hub.sdk.manifest import Auth, OAuth

ATTEMPT_LIFE = timedelta(minutes=10)
CONNECT_LIFE = timedelta(hours=1)
CALLBACK = "/oauth/callback"

_log = structlog.get_logger(__name__)


class Refused(Exception):
    """The trip ends here; nothing was changed. `key` is a sentence under `connections.page`, `sentence` its whole key:
    what a package lacks (a right, an employer) has a sentence of its own."""

    installation_id: UUID | None = None
    """The installation that this browser was in."""

    def __init__(self, key: str, status: int = 400, *, sentence: str = "", **values: str) -> None:
        super().__init__(key)
        self.key = key
        self.sentence = sentence or f"connections.page.{key}"
        self.status = status
        self.values = values


@dataclass(frozen=True)
class Connected:
    """A trip that ended well. `connection` holds the grant; `asked_id` is what was being connected."""

    connection: Connection
    asked_id: UUID
    return_url: str
    installation_id: UUID | None


def redirect_uri(clients: ConnectionClients) -> str:
    """Where packages send the browser back to, the same for all."""
    return clients.config.base_url + CALLBACK


def hand_out(clients: ConnectionClients, connection: Connection) -> str:
    """Our own address that starts the trip: once, within the hour. Raises ConfigError without OAuth client."""
    oauth_client_of(registry.get(connection.connector).manifest, clients.config)
    token = secrets.token_urlsafe(32)
    connection.connect_hash = vault.hashed(token)
    connection.connect_expires_at = clients.clock.now() + CONNECT_LIFE
    return f"{clients.config.base_url}/connect/{token}"


async def depart(clients: ConnectionClients, token: str, browser: str) -> str:
    """Use a handed-out address up; gives the package's own. Raises Refused."""
    async with clients.database.system() as session:
        connection = await repository.of_connect_token(session, vault.hashed(token))
        if connection is None or connection.status == ConnectionStatus.revoked:
            raise Refused("link_unknown", 404)
        if connection.connect_expires_at is None or connection.connect_expires_at <= clients.clock.now():
            raise Refused("link_expired", 410)
        connection.connect_hash = None
        return begin(clients, session, connection, browser, None)


def begin(
    clients: ConnectionClients,
    session: AsyncSession,
    connection: Connection,
    browser: str,
    installation_id: UUID | None,
) -> str:
    """Begin a trip for a browser (the hash of its cookie); gives the package's consent page. Raises ConfigError."""
    manifest = registry.get(connection.connector).manifest
    oauth = _facts(connection)
    own = oauth_client_of(manifest, clients.config)
    state = secrets.token_urlsafe(32)
    verifier = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode().rstrip("=")
    now = clients.clock.now()
    attempt_id = vault.hashed(state)
    attempt = OAuthAttempt(
        id=attempt_id,
        connection_id=connection.id,
        organisation_id=connection.organisation_id,
        browser=browser,
        verifier=None if oauth.pkce == "none" else clients.keys.seal(verifier.encode(), attempt_id),
        redirect_uri=redirect_uri(clients),
        installation_id=installation_id,
        created_at=now,
        expires_at=now + ATTEMPT_LIFE,
    )
    session.add(attempt)
    extra = dict(oauth.authorize_params)
    if oauth.pkce != "none":
        extra |= {"code_challenge": challenge(verifier, oauth.pkce), "code_challenge_method": "S256"}
    if oauth.response_mode == "form_post":
        extra["response_mode"] = "form_post"
    fields = {name: str(value) for name, value in connection.fields.items()}
    return str(
        prepare_grant_uri(
            fill(endpoints_of(manifest, clients.config)["AUTHORIZE"], fields),
            own["client_id"],
            "code",
            redirect_uri=attempt.redirect_uri,
            scope=" ".join(oauth.scopes) or None,
            state=state,
            **extra,
        )
    )


def challenge(verifier: str, method: str) -> str:
    """The PKCE challenge. `S256_hex` is what Simplicate was seen to take: base64 of the digest's hexadecimal text."""
    if method == "S256_hex":
        return base64.b64encode(hashlib.sha256(verifier.encode()).hexdigest().encode()).decode()
    return str(create_s256_code_challenge(verifier))


async def arrive(clients: ConnectionClients, answer: Mapping[str, str], browser: str | None) -> Connected:
    """Take the package's answer (`state` with `code` or `error`) from a browser. Raises Refused: nothing changed."""
    attempt = await _use(clients, answer.get("state", ""), browser)
    try:
        return await _arrived(clients, attempt, answer)
    except Refused as refusal:
        refusal.installation_id = attempt.installation_id
        raise


async def _arrived(clients: ConnectionClients, attempt: OAuthAttempt, answer: Mapping[str, str]) -> Connected:
    async with clients.database.tenant(attempt.organisation_id) as session:
        connection = await repository.holder(session, attempt.connection_id)
    if connection is None or connection.status == ConnectionStatus.revoked:
        raise Refused("connection_gone", 410)
    connector = registry.get(connection.connector)
    package = connector.manifest.title
    if answer.get("error"):
        denied = answer["error"] == "access_denied"
        raise Refused("denied" if denied else "package_refused", 200 if denied else 400, package=package)
    if not answer.get("code"):
        raise Refused("no_code", 400, package=package)
    try:
        fresh = await _exchange(clients, connector, connection, attempt, answer["code"])
        identity = await _identify(clients, connector, connection, fresh.secrets)
    except VendorError as error:
        _log.warning("consent_failed", connection=str(connection.id), connector=connector.manifest.name, key=error.key)
        own = words.key_of(error.key) if isinstance(error, ConfigError) else ""
        told = {**error.values, "package": package, "words": error.words}
        raise Refused("consent_failed", 502, sentence=own, **told) from error
    kept = await _keep(clients, connection.id, attempt, fresh, identity)
    return Connected(kept, attempt.connection_id, kept.return_url, attempt.installation_id)


async def _use(clients: ConnectionClients, state: str, browser: str | None) -> OAuthAttempt:
    """Use a state up, for good. One sentence for all that is wrong with it: who guesses learns nothing."""
    async with clients.database.system() as session:
        attempt = await repository.attempt(session, vault.hashed(state))
        now = clients.clock.now()
        if attempt is None or browser is None or not secrets.compare_digest(attempt.browser, browser):
            raise Refused("state_invalid")
        if attempt.used_at is not None or attempt.expires_at <= now:
            late = Refused("state_invalid")
            late.installation_id = attempt.installation_id
            raise late
        attempt.used_at = now
    return attempt


async def _exchange(
    clients: ConnectionClients, connector: Connector, connection: Connection, attempt: OAuthAttempt, code: str
) -> tokens.Tokens:
    oauth = _facts(connection)
    grant = {"grant_type": "authorization_code", "code": code}
    if oauth.send_redirect_uri:
        grant["redirect_uri"] = attempt.redirect_uri
    if attempt.verifier is not None:
        try:
            grant["code_verifier"] = clients.keys.open(attempt.verifier, attempt.id).decode()
        except SecretUnreadable as error:
            raise ConfigError("secrets_unreadable", words=str(error)) from error
    manifest = connector.manifest
    fields = {name: str(value) for name, value in connection.fields.items()}
    url = fill(endpoints_of(manifest, clients.config)["TOKEN"], fields)
    own = oauth_client_of(manifest, clients.config)
    fresh = await tokens.ask(clients.client, manifest, oauth, url, own, grant)
    wanted = oauth.refresh != "none" and not oauth.refresh_optional and "refresh_token" in oauth.secrets
    if wanted and not fresh.secrets.get("refresh_token"):
        raise RecordRejected("token_answer_broken", package=manifest.title, missing="refresh_token")
    return fresh


async def _identify(
    clients: ConnectionClients, connector: Connector, connection: Connection, given: Mapping[str, str]
) -> Identity:
    http = clients.trial(connector, _way(connection), given, connection.fields, str(connection.id))
    identity = await connector.identify(http)
    if not identity.tenant:
        raise RecordRejected("identity_unknown", package=connector.manifest.title)
    return identity


async def _keep(
    clients: ConnectionClients, connection_id: UUID, attempt: OAuthAttempt, fresh: tokens.Tokens, identity: Identity
) -> Connection:
    """Store the grant: under this connection, or under the one that already holds the same company."""
    async with clients.database.tenant(attempt.organisation_id) as session:
        connection = await repository.locked(session, connection_id)
        if connection is None or connection.status == ConnectionStatus.revoked:
            raise Refused("connection_gone", 410)
        package = service.title_of(connection.connector)
        if connection.tenant and not recognition.is_same(connection, "oauth", identity):
            known = str(connection.identity.get("name", ""))
            raise Refused("other_company", 409, package=package, known=known, found=identity.name)
        held, earlier = await merged(session, clients, connection, identity)
        names = {field.name for field in _way(connection).fields}
        held.fields = {name: value for name, value in connection.fields.items() if name in names}
        kept = _kept(clients, held, fresh.secrets)
        service.activate(clients.keys, clients.clock, held, kept, "oauth", identity, earlier)
        stamp(held, fresh.lifetime_s, clients.clock.now())
        held.return_url = connection.return_url
        await repository.follow(session, held)
        await service.on_consent(session, held, clients.clock)
        audit(session, clients.clock, held.organisation_id, "connection.consented", held.id, identity=identity.name)
    return held


def _kept(clients: ConnectionClients, held: Connection, fresh: Mapping[str, str]) -> Mapping[str, str]:
    """The fresh secrets, with the older refresh token where the package may leave it out and did."""
    if not _facts(held).refresh_optional or fresh.get("refresh_token") or held.secrets is None:
        return fresh
    older = vault.opened(clients.keys, held).get("refresh_token")
    return {**fresh, "refresh_token": older} if older else fresh


async def merged(
    session: AsyncSession, clients: ConnectionClients, connection: Connection, identity: Identity
) -> tuple[Connection, Connection | None]:
    """The connection that is to hold the grant for this company, locked, and another one of it, if there was any.

    A company is connected once per organisation: a second consent may end the first one's grant at the package, so
    the new grant goes to the connection that stands, and the new one stands for it under its own id.
    """
    earlier = await recognition.recognised(
        session, connection.organisation_id, connection.connector, "oauth", identity, connection.id
    )
    stands = earlier is not None and earlier.status != ConnectionStatus.revoked
    other = await repository.locked(session, earlier.id) if earlier is not None and stands else None
    if other is None or (connection.tenant and connection.tenant != other.tenant):
        return connection, earlier
    connection.same_as = other.id
    connection.status = ConnectionStatus.active
    connection.connect_hash = None
    service.changed(connection, clients.clock)
    return other, connection


def _facts(connection: Connection) -> OAuth:
    auth = _way(connection)
    assert auth.oauth is not None  # noqa: S101 - the manifest's law
    return auth.oauth


def _way(connection: Connection) -> Auth:
    """The way in by consent, also of a connection that came in by another one until now."""
    auth = way_in(registry.get(connection.connector).manifest, "oauth")
    if auth is None:
        raise ConfigError("connection_without_oauth", name=connection.connector)
    return auth


def allowed_return(url: str, base_url: str, origins: set[str]) -> bool:
    """Whether a browser may be sent to a URL: our own origin, or one that the organisation registered."""
    if not url or len(url) > 2000 or "\\" in url or any(ord(sign) <= 32 for sign in url):
        return False
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
        return False
    return origin(url) == origin(base_url) or origin(url) in origins


def origin(url: str) -> str:
    """Scheme, host and port of a URL; empty when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def returning(url: str, connection_id: UUID, status: str) -> str:
    """The return address with the outcome in its query."""
    said = urlencode({"connection_id": str(connection_id), "status": status})
    head, mark, fragment = url.partition("#")
    return f"{head}{'&' if '?' in head else '?'}{said}{mark}{fragment}"
