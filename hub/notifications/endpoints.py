"""Webhook endpoints and install links over HTTP."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from hub.catalogue.path import PathId, unknown
from hub.connections.models import InstallLink
from hub.engine.hub import Hub, hub_of
from hub.kit import pagination
from hub.kit.database import HubSession
from hub.kit.pagination import Cursor, Limit
from hub.kit.problem import Problem
from hub.notifications import repository, service
from hub.notifications.models import WebhookDelivery, WebhookEndpoint
from hub.notifications.schemas import (
    DeliveryList,
    DeliveryOut,
    EndpointCreated,
    EndpointIn,
    EndpointList,
    EndpointOut,
    EndpointPatch,
    InstallLinkIn,
    InstallLinkList,
    InstallLinkOut,
)
from hub.organisations.access import HubRoute, Reader, TenantSession, Writer
from hub.runs.repository import NEWEST
from hub.runs.service import columns

router = APIRouter(prefix="/v1", tags=["notifications"], route_class=HubRoute)

IfMatch = Annotated[str | None, Header(alias="If-Match", description="The `ETag` the change is based on.")]


@router.post("/webhook-endpoints", status_code=201, operation_id="create_webhook_endpoint")
async def create_endpoint(
    asked: EndpointIn, request: Request, response: Response, caller: Writer, session: TenantSession
) -> EndpointCreated:
    """Be told of events. The answer holds the secret of the signatures, which is not shown again."""
    endpoint, secret = await service.create(session, hub_of(request), caller.organisation_id, asked)
    _tag(response, endpoint)
    return EndpointCreated(**_out(endpoint).model_dump(), secret=secret)


@router.get("/webhook-endpoints", operation_id="list_webhook_endpoints")
async def list_endpoints(
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees them
    limit: Limit = 50,
    cursor: Cursor = None,
) -> EndpointList:
    """All endpoints."""
    found = await repository.endpoints(session, _before(cursor), limit + 1)
    return EndpointList(data=[_out(one) for one in found[:limit]], next_cursor=_more(found, limit))


@router.get("/webhook-endpoints/{endpoint_id}", operation_id="get_webhook_endpoint")
async def get_endpoint(
    endpoint_id: PathId,
    response: Response,
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees it
) -> EndpointOut:
    """One endpoint."""
    endpoint = await service.endpoint_of(session, endpoint_id)
    _tag(response, endpoint)
    return _out(endpoint)


@router.patch("/webhook-endpoints/{endpoint_id}", operation_id="change_webhook_endpoint")
async def change_endpoint(
    endpoint_id: PathId,
    asked: EndpointPatch,
    request: Request,
    response: Response,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
    if_match: IfMatch = None,
) -> EndpointOut:
    """Change the address or the events, or switch it on or off."""
    endpoint = await _locked(session, endpoint_id, if_match)
    await service.change(hub_of(request), endpoint, asked)
    _tag(response, endpoint)
    return _out(endpoint)


@router.delete("/webhook-endpoints/{endpoint_id}", status_code=204, operation_id="delete_webhook_endpoint")
async def delete_endpoint(
    endpoint_id: PathId,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
    if_match: IfMatch = None,
) -> None:
    """Stop being told; what was not delivered yet is dropped."""
    await session.delete(await _locked(session, endpoint_id, if_match))


@router.post("/webhook-endpoints/{endpoint_id}/rotate", operation_id="rotate_webhook_secret")
async def rotate_secret(
    endpoint_id: PathId,
    request: Request,
    response: Response,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
    if_match: IfMatch = None,
) -> EndpointCreated:
    """A new secret; for a day the old one signs along."""
    endpoint = await _locked(session, endpoint_id, if_match)
    secret = service.rotate(hub_of(request), endpoint)
    _tag(response, endpoint)
    return EndpointCreated(**_out(endpoint).model_dump(), secret=secret)


@router.get("/webhook-endpoints/{endpoint_id}/deliveries", operation_id="list_webhook_deliveries")
async def list_deliveries(
    endpoint_id: PathId,
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees them
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeliveryList:
    """What an endpoint was told, and how that went."""
    await service.endpoint_of(session, endpoint_id)
    found = await repository.deliveries(session, endpoint_id, _before(cursor), limit + 1)
    data = [DeliveryOut(**columns(one, DeliveryOut.model_fields)) for one in found[:limit]]
    return DeliveryList(data=data, next_cursor=_more(found, limit))


@router.post(
    "/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    operation_id="resend_webhook_delivery",
)
async def resend(
    endpoint_id: PathId,
    delivery_id: PathId,
    request: Request,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
) -> DeliveryOut:
    """Tell it again, under the same `webhook-id`."""
    delivery = await repository.delivery(session, delivery_id)
    if delivery is None or delivery.endpoint_id != endpoint_id:
        raise unknown("delivery")
    delivery.next_at, delivery.attempts, delivery.delivered_at = hub_of(request).clock.now(), 0, None
    return DeliveryOut(**columns(delivery, DeliveryOut.model_fields))


@router.post("/install-links", status_code=201, operation_id="create_install_link")
async def create_install_link(
    asked: InstallLinkIn, request: Request, caller: Writer, session: TenantSession
) -> InstallLinkOut:
    """A deep link by which a customer of yours starts an installation."""
    link = await service.create_link(session, hub_of(request), caller.organisation_id, asked)
    return _link_out(hub_of(request), link, asked.email)


@router.get("/install-links", operation_id="list_install_links")
async def list_install_links(
    request: Request,
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees them
    limit: Limit = 50,
    cursor: Cursor = None,
) -> InstallLinkList:
    """All install links."""
    found = await repository.links(session, _before(cursor), limit + 1)
    hub = hub_of(request)
    return InstallLinkList(data=[_link_out(hub, one, None) for one in found[:limit]], next_cursor=_more(found, limit))


@router.delete("/install-links/{link_id}", status_code=204, operation_id="delete_install_link")
async def delete_install_link(
    link_id: PathId,
    session: TenantSession,
    caller: Writer,  # noqa: ARG001 - only who may write does this
) -> None:
    """Withdraw a link."""
    link = await repository.link(session, link_id)
    if link is None:
        raise unknown("install link")
    await session.delete(link)


def _out(endpoint: WebhookEndpoint) -> EndpointOut:
    return EndpointOut(**columns(endpoint, EndpointOut.model_fields))


def _link_out(hub: Hub, link: InstallLink, email: str | None) -> InstallLinkOut:
    plain = columns(link, set(InstallLinkOut.model_fields) - {"url"})
    return InstallLinkOut(**plain, url=service.link_url(hub, link, email))


def _more(found: Sequence[WebhookEndpoint | WebhookDelivery | InstallLink], limit: int) -> str | None:
    return pagination.encode([found[limit - 1].id]) if len(found) > limit else None


def _before(cursor: str | None) -> UUID:
    before = pagination.decode(cursor, 1)[0] if cursor else NEWEST
    if not isinstance(before, UUID):
        pagination.decode("")
    return UUID(str(before))


def _tag(response: Response, endpoint: WebhookEndpoint) -> None:
    response.headers["ETag"] = f'"{endpoint.version}"'


async def _locked(session: HubSession, endpoint_id: UUID, if_match: str | None) -> WebhookEndpoint:
    endpoint = await service.endpoint_of(session, endpoint_id, lock=True)
    if if_match is not None:
        tags = {tag.strip() for tag in if_match.split(",")}
        if "*" not in tags and f'"{endpoint.version}"' not in tags:
            raise Problem(412, "changed_meanwhile", "The endpoint changed meanwhile.", "Read it again.")
    return endpoint
