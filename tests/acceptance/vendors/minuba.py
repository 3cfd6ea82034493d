"""A server of Minuba, from its dossier alone: what is seen is kept to, and all the rest, invoices first, is a habit."""

import base64
import html
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tests.acceptance.vendors.house import Vendor, World, answer

CENT = Decimal("0.01")
LOGIN_PAGE = """<form method="post"><input name="user"><input name="password" type="password">
<button name="allow" value="1">Tillad</button></form>"""
CLIENT = ("minuba-client", "minuba-secret")
STATES = ("proposal", "new", "started", "delayed", "completed", "closed")


def new_id() -> str:
    """An upper-case GUID."""
    return str(uuid4()).upper()


@dataclass
class Account(World):
    """One customer of Minuba."""

    user: str = ""
    access: dict[str, float] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    orders: list[dict[str, Any]] = field(default_factory=list)
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_id(self) -> str:
        """An upper-case GUID, or a number where that is the habit."""
        return str(secrets.randbelow(10**9)) if self.habit("number_ids") else new_id()

    def client(self, name: str, number: str | None, **more: Any) -> str:
        """A new customer with a contact address and a building site."""
        own = self.new_id()
        home = {
            "id": f"{len(self.clients)}1",
            "addressType": "CONTACT",
            "name": name,
            "att": "Administratie",
            "streetAddress": "Voorbeeldkade 12",
            "postCode": "1234 AB",
            "city": "Utrecht",
            "country": "NL",
            "email": f"adm@{own[:6].lower()}.example, kopie@{own[:6].lower()}.example",
            "phone": "030 000 00 00",
            **more.pop("home", {}),
        }
        site = {**home, "id": f"{len(self.clients)}2", "addressType": "DELIVERY", "city": "Bouwput", "email": None}
        self.clients[own] = {
            "id": own,
            "name": name,
            self.habit("number_field", "clientNumber"): number,
            "cvr": None,
            "lastUsedContactAddressId": home["id"],
            "addresses": [site, home],
            **more,
        }
        return own

    def order(self, state: str = "completed") -> None:
        """A work order."""
        moment = f"2026-01-{len(self.orders) % 28 + 1:02}T08:00:00"
        number = str(5500 + len(self.orders))
        self.orders.append(
            {"id": new_id(), "orderNumber": number, "state": state, "created": moment, "updated": moment}
        )

    def invoice(
        self,
        number: str,
        client: str,
        lines: Iterable[tuple[str, str | None, str, str, str, int]],
        *,
        state: str = "approved",
        credited: str | None = None,
        **more: Any,
    ) -> str:
        """A new invoice; a line is words, material number, quantity, price, discount in percent and VAT in percent."""
        own, shown, nets = self.new_id(), [], dict[int, Decimal]()
        for text, material, quantity, price, discount, vat in lines:
            net = Decimal(quantity) * Decimal(price) * (100 - Decimal(discount)) / 100
            nets[vat] = nets.get(vat, Decimal(0)) + net
            line: dict[str, Any] = {"type": "material" if material else "hours", "text": text}
            line |= {"materialNumber": material} if material else {}
            line |= {"quantity": Decimal(quantity), "unitPrice": Decimal(price), "vatPercent": Decimal(vat)}
            shown.append({**line, "discountPercent": Decimal(discount)})
        total_net = sum(nets.values(), Decimal(0)).quantize(CENT, ROUND_HALF_UP)
        total_vat = sum(((net * rate / 100).quantize(CENT, ROUND_HALF_UP) for rate, net in nets.items()), Decimal(0))
        self.invoices[own] = {
            "id": own,
            "invoiceNumber": number if state != "draft" else None,
            "state": state,
            "type": "credit" if credited else "invoice",
            "creditedInvoiceId": credited,
            "approvedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S") if state != "draft" else None,
            "invoiceDate": "2026-11-12",
            "dueDate": "2026-11-26",
            "currency": "EUR",
            "clientId": client,
            "theirref": "mw. J. Voorbeeld",
            "lines": [{"type": "text", "text": f"Werkbon {number}"}, *shown],
            "totalExclVat": total_net,
            "vatAmount": total_vat,
            "totalInclVat": total_net + total_vat,
            **more,
        }
        if state != "draft":
            file = new_id()
            self.files[file] = {"id": file, "parentId": own, "name": f"faktura-{number}.pdf"}
        return own


class Minuba(Vendor):
    """The vendor: all accounts, and the host where one logs in."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.codes: dict[str, tuple[Account, str]] = {}

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        return {
            "HUB_ENDPOINTS__MINUBA__API": f"{url}/api/1",
            "HUB_ENDPOINTS__MINUBA__AUTHORIZE": f"{url}/oauth2/authorize",
            "HUB_ENDPOINTS__MINUBA__TOKEN": f"{url}/oauth2/token",
            "HUB_OAUTH__MINUBA__CLIENT_ID": CLIENT[0],
            "HUB_OAUTH__MINUBA__CLIENT_SECRET": CLIENT[1],
        }

    def open(self, user: str, **habits: Any) -> Account:
        """A new account."""
        self.accounts[user] = Account(habits, user=user)
        self.accounts[user].order()
        return self.accounts[user]

    def world_of(self, request: Request) -> Account | None:
        """By the token; the pages to log in are nobody's."""
        token = request.headers.get("authorization", "").partition(" ")[2]
        return next((one for one in self.accounts.values() if token and token in one.access), None)

    async def handle(self, request: Request) -> Response:
        """Pages to log in, the token host, or the API."""
        match request.url.path:
            case "/oauth2/authorize":
                return await self._authorize(request)
            case "/oauth2/token":
                return await self._token(request)
        account = self.world_of(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if account is None or account.access.get(token, 0) < time.monotonic():
            return Response("", 401)
        if "application/json" not in request.headers.get("accept", ""):
            return Response("Not acceptable", 406)
        found = re.fullmatch(r"/api/1/(\w+)(?:/([^/]+))?", request.url.path)
        if found is None or request.method != "GET":
            return Response("Not found", 404)
        return _resource(account, request, found[1], found[2])

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        needed = {
            "client_id": CLIENT[0],
            "response_type": "code",
            "response_mode": "form_post",
            "scope": "Administrator",
        }
        if {name: asked.get(name) for name in needed} != needed or not asked.get("redirect_uri"):
            return HTMLResponse("<h1>invalid_request</h1>", 400)
        if request.method == "GET":
            return HTMLResponse(LOGIN_PAGE)
        account = self.accounts.get(str((await request.form()).get("user")))
        given = {"state": asked.get("state", "")}
        if account is None:
            given["error"] = "access_denied"
        else:
            given["code"] = secrets.token_urlsafe(16)
            self.codes[given["code"]] = (account, asked["redirect_uri"])
        inputs = "".join(f'<input type="hidden" name="{k}" value="{html.escape(v)}"/>' for k, v in given.items())
        target = html.escape(asked["redirect_uri"])
        return HTMLResponse(f'<html><body><form action="{target}" method="post">{inputs}</form></body></html>')

    async def _token(self, request: Request) -> Response:
        expected = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization") != expected:
            return answer({"error": "invalid_client"}, 401)
        form = await request.form()
        old = str(form.get("refresh_token", ""))
        if form.get("grant_type") == "authorization_code":
            account, back = self.codes.pop(str(form.get("code")), (None, ""))
            if account is None or form.get("redirect_uri") != back:
                return answer({"error": "invalid_grant"}, 400)
        else:
            account = next((one for one in self.accounts.values() if old in one.refresh), None)
            if account is None:
                return answer({"error": "invalid_grant"}, 400)
        access, life = secrets.token_urlsafe(24), account.habit("life", 3599)
        account.access[access] = time.monotonic() + life
        given: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "scope": "Administrator"}
        given |= {} if account.habit("no_expiry") else {"expires_in": life}
        if (not old and not account.habit("no_refresh")) or (old and account.habit("rotates")):
            account.refresh.discard(old)
            given["refresh_token"] = f"rt-{secrets.token_hex(6)}"
            account.refresh.add(given["refresh_token"])
        return answer(given)


def _resource(account: Account, request: Request, name: str, key: str | None) -> Response:
    if name == "File" and key:
        if key not in account.files:
            return Response("", 404)
        return Response(b"%PDF-1.7 " + key.encode(), media_type="application/pdf")
    asked = dict(request.query_params)
    rows = _rows(account, name, asked)
    if rows is None:
        return Response("Unknown resource", 404)
    for field_name, value in asked.items():
        if field_name in account.habit("refuses", ()):
            return Response("Unknown parameter", 400)
        if field_name not in account.habit("ignores", ()):
            rows = [one for one in rows if str(one.get(field_name, "")).lower() == value.lower()]
    return _enveloped(account, name, [_shown(account, one) for one in rows])


def _rows(account: Account, name: str, asked: dict[str, str]) -> list[dict[str, Any]] | None:
    include = asked.pop("include", "").split(",")
    everybody = asked.pop("forAllUsers", "") == "true"
    match name:
        case "Order":
            return account.orders if everybody else []
        case "Client":
            hidden = set() if "addresses" in include else {"addresses"}
            clients = account.clients.values()
            return [{field: value for field, value in one.items() if field not in hidden} for one in clients]
        case "File":
            return list(account.files.values())
        case "Invoice":
            return [_embedded(account, one, include) for one in account.invoices.values()] if everybody else []
    return None


def _enveloped(account: Account, name: str, shown: list[Any]) -> Response:
    plural = f"{name.lower()}s"
    match account.habit("envelope", "plural"):
        case "bare":
            return answer(shown)
        case "data":
            return answer({"data": shown, "count": len(shown)})
        case "capital":
            return answer({plural.capitalize(): shown})
    return answer({plural: shown} if shown or not account.habit("null_when_empty") else {plural: None})


def _embedded(account: Account, invoice: Mapping[str, Any], include: list[str]) -> dict[str, Any]:
    found = dict(invoice)
    if "client" in include and not account.habit("embeds_nothing"):
        owner = account.clients[invoice["clientId"]]
        found["client"] = {"id": owner["id"], "name": owner["name"]}
    return found


def _shown(account: Account, value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if one is not None or not account.habit("omits")}
        return {key: _shown(account, one, key) for key, one in kept.items()}
    if isinstance(value, list):
        return [_shown(account, one) for one in value]
    if isinstance(value, Decimal) and account.habit("text_numbers"):
        return f"{value:f}"
    if name == "state" and account.habit("upper_states", True):
        return str(value).upper()
    if name in ("id", "clientId", "parentId", "creditedInvoiceId") and account.habit("number_ids"):
        return int(value) if str(value).isdecimal() else value
    if name.endswith("Date") and value and account.habit("date_times"):
        return f"{value}T00:00:00"
    return value
