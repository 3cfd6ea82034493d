"""Whose account is connected, and Minuba's own words for "no" (dossier 2.1, 3)."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.minuba.listing import listed
from connectors.minuba.reading import Named
from hub.sdk.connector import Identity, Options
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Answer, Http, Refusal, by_status
from hub.sdk.settings import Option

COMPANY = "account"
"""A connection is one account, so an invoice has no choice of company."""
STATES = ("closed", "completed", "delayed", "started", "new", "proposal")
"""All states that orders were seen to have (dossier 4.1)."""
_COMPANY_ID = ("companyid", "accountid", "organisationid", "organizationid", "tenantid", "orgid", "tid")
_COMPANY = ("company", "account", "organisation", "organization", "tenant", "org")
_COMPANY_NAME = ("companyname", "accountname", "organisationname", "organizationname")


async def identify(http: Http) -> Identity:
    """The account behind the grant. No resource is known that tells it, so: what a readable access token says of the
    company, else the oldest order (else customer) of the account, which no other account has and which stays.
    """
    claims = await _claims(http)
    proposals = await _all(http, "Order", _orders("proposal"))
    email = next((one for name in ("email", "upn", "preferredusername") if "@" in (one := claims.text(name))), "")
    company = next((found for name in _COMPANY if (found := claims.part(name))), Named(None))
    tenant = claims.text(*_COMPANY_ID) or company.text("id") or claims.text(*_COMPANY)
    name = claims.text(*_COMPANY_NAME) or company.text("name")
    if not tenant:
        tenant, oldest = await _anchor(http, proposals)
        name = name or (f"Minuba (order {oldest})" if oldest else "")
    return Identity(tenant, name or email or "Minuba", email.lower(), claims.text("name"))


async def _claims(http: Http) -> Named:
    """What a JWT says; nothing for an opaque token. It came from the token endpoint itself, so nothing is verified."""
    parts = (await http.token()).split(".")
    if len(parts) != 3:
        return Named(None)
    try:
        return Named(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))
    except ValueError:
        return Named(None)


async def _anchor(http: Http, proposals: list[Named]) -> tuple[str, str]:
    """An id that stands for the account, and the number of the order it belongs to."""
    orders = [*proposals]
    for state in STATES[:-1]:
        orders += await _all(http, "Order", _orders(state))
    if oldest := _oldest(orders):
        return f"order:{oldest.text('id')}", oldest.text("ordernumber", "number")
    oldest = _oldest(await _all(http, "Client", [("include", "addresses")]))
    return (f"client:{oldest.text('id')}" if oldest else COMPANY), ""


def _orders(state: str) -> list[tuple[str, str]]:
    return [("state", state), ("forAllUsers", "true")]


async def _all(http: Http, resource: str, query: list[tuple[str, str]]) -> list[Named]:
    try:
        return [Named(row) async for page in listed(http, resource, query) for row in page]
    except RecordRejected:
        return []  # The resource or this state is not there: the account shows itself in another way, or not at all.


def _oldest(records: Iterable[Named]) -> Named | None:
    known = [one for one in records if one.text("id")]
    return min(known, key=lambda one: (one.text("created") or "9", one.text("id")), default=None)


async def _companies(http: Http, _chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The one account."""
    claims = await _claims(http)
    name = claims.text(*_COMPANY_NAME) or claims.part(*_COMPANY).text("name")
    return [Option(COMPANY, name or "Minuba")]


OPTIONS: Mapping[str, Options] = {"companies": _companies}


def refusal(answer: Answer) -> Refusal | None:
    """The error form is unknown (dossier 3), so the status judges and any words in it are only shown."""
    return by_status(answer, _words, "minuba")


def _words(told: object) -> str:
    body = Named(told)
    inner = body.part("error")
    return (inner.text("message", "code") or body.text("errordescription", "message", "error", "title"))[:500]
