"""Telling partners: endpoints with secrets, events that are queued with what caused them."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from standardwebhooks import Webhook

from hub.catalogue.path import unknown
from hub.connections.models import InstallLink
from hub.engine import recipe as recipes
from hub.engine.hub import Hub
from hub.kit.clock import Clock
from hub.kit.database import HubSession
from hub.kit.ids import new_id
from hub.kit.log import register_secret
from hub.kit.problem import FieldError, Problem
from hub.notifications import repository
from hub.notifications.address import Refused, checked
from hub.notifications.models import WebhookEndpoint
from hub.notifications.schemas import EndpointIn, EndpointPatch, InstallLinkIn

OVERLAP = timedelta(hours=24)
"""How long the previous secret signs along after a rotation."""
_REFUSALS = {
    "not_https": "The address must begin with https://.",
    "not_a_url": "This is not a web address (without user name, password and fragment).",
    "not_public": "The address does not lead to the public internet.",
    "unknown_host": "The host of the address cannot be found.",
}


def private_allowed(hub: Hub) -> bool:
    """Whether the operator allows http and private addresses: a hub of sandboxes only."""
    return hub.config.sandbox


async def create(
    session: HubSession, hub: Hub, organisation_id: UUID, asked: EndpointIn
) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its secret. Raises the 422 problem for an address that is not called."""
    await _callable(hub, asked.url)
    now = hub.clock.now()
    endpoint = WebhookEndpoint(
        id=new_id(hub.clock),
        organisation_id=organisation_id,
        url=asked.url,
        description=asked.description,
        events=[str(kind) for kind in asked.events],
        secret=b"",
        created_at=now,
        updated_at=now,
    )
    secret = _new_secret(hub, endpoint)
    session.add(endpoint)
    await session.flush()
    return endpoint, secret


async def change(hub: Hub, endpoint: WebhookEndpoint, asked: EndpointPatch) -> None:
    """Applies a patch. Raises the 422 problem for an address that is not called."""
    if asked.url is not None:
        await _callable(hub, asked.url)
        endpoint.url = asked.url
    if asked.description is not None:
        endpoint.description = asked.description
    if asked.events is not None:
        endpoint.events = [str(kind) for kind in asked.events]
    if asked.enabled is not None:
        endpoint.enabled, endpoint.disabled_reason = asked.enabled, ""
    _touch(hub, endpoint)


def rotate(hub: Hub, endpoint: WebhookEndpoint) -> str:
    """A new secret; the old one signs along for a day, so that a receiver can change over."""
    endpoint.previous_secret, endpoint.previous_until = endpoint.secret, hub.clock.now() + OVERLAP
    _touch(hub, endpoint)
    return _new_secret(hub, endpoint)


async def endpoint_of(session: HubSession, endpoint_id: UUID, *, lock: bool = False) -> WebhookEndpoint:
    """An endpoint. Raises the 404 problem."""
    found = await repository.endpoint(session, endpoint_id, lock=lock)
    if found is None:
        raise unknown("webhook endpoint")
    return found


async def emit(
    session: HubSession, clock: Clock, organisation_id: UUID, kind: str, subject: str, data: Mapping[str, Any]
) -> None:
    """Queues an event for everybody who wants it, in the transaction of what caused it; a subject is told once."""
    now = clock.now()
    payload = {"type": kind, "timestamp": now.isoformat(), "data": dict(data)}
    for listener in await repository.listeners(session, organisation_id, kind):
        await repository.put(session, new_id(clock), listener, kind, subject, payload, now)


def signatures(secrets_in_force: list[str], message_id: str, at: datetime, body: str) -> str:
    """The `webhook-signature` header: one signature per secret.

    `Webhook.sign` replaces the time zone instead of converting it, so `at` has to be in UTC.
    """
    return " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets_in_force)


def opened(hub: Hub, organisation_id: UUID, endpoint_id: UUID, *sealed: bytes | None) -> list[str]:
    """Secrets in the clear, masked in logs from now on."""
    found = [hub.keys.open(one, _context(organisation_id, endpoint_id)).decode() for one in sealed if one]
    for secret in found:
        register_secret(secret)
    return found


async def create_link(session: HubSession, hub: Hub, organisation_id: UUID, asked: InstallLinkIn) -> InstallLink:
    """An install link. Raises the 422 problem for an impossible pair or a return address that is no web address."""
    errors: list[FieldError] = []
    pairs = {(one.source, one.target) for one in recipes.all_recipes().values()}
    if (asked.source, asked.target) not in pairs:
        message = "No document can flow between these packages; see /v1/recipes."
        errors.append(FieldError(field="target", code="unknown_recipe", message=message))
    if asked.return_url is not None and not _web_address(asked.return_url, private_allowed(hub)):
        errors.append(FieldError(field="return_url", code="not_https", message=_REFUSALS["not_https"]))
    if errors:
        raise Problem(422, "invalid", "The request is not valid.", "See errors for each field.", errors=errors)
    link = InstallLink(
        id=new_id(hub.clock),
        organisation_id=organisation_id,
        name=asked.name,
        source=asked.source,
        target=asked.target,
        return_url=asked.return_url or "",
        created_at=hub.clock.now(),
    )
    session.add(link)
    await session.flush()
    return link


def link_url(hub: Hub, link: InstallLink, email: str | None = None) -> str:
    """The deep link itself."""
    query = {"partner": str(link.id)} | ({"email": email} if email else {})
    return f"{hub.config.base_url}/install/{link.source}/{link.target}?{urlencode(query)}"


def _web_address(url: str, private: bool) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    schemes = ("https", "http") if private else ("https",)
    return parts.scheme in schemes and bool(parts.hostname) and parts.username is None


def _new_secret(hub: Hub, endpoint: WebhookEndpoint) -> str:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    endpoint.secret = hub.keys.seal(secret.encode(), _context(endpoint.organisation_id, endpoint.id))
    register_secret(secret)
    return secret


def _context(organisation_id: UUID, endpoint_id: UUID) -> str:
    return f"{organisation_id}/webhook/{endpoint_id}"


def _touch(hub: Hub, endpoint: WebhookEndpoint) -> None:
    endpoint.version += 1
    endpoint.updated_at = hub.clock.now()


async def _callable(hub: Hub, url: str) -> None:
    try:
        await checked(url, private=private_allowed(hub))
    except Refused as refusal:
        error = FieldError(field="url", code=refusal.code, message=_REFUSALS[refusal.code])
        raise Problem(422, "invalid", "The request is not valid.", error["message"], errors=[error]) from None
