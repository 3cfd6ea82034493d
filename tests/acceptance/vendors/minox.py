"""A server of Minox Online, from its dossier alone: what is documented or seen is kept to, the unknown is a habit."""

import base64
import itertools
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tests.acceptance.vendors.house import Vendor, World, answer

CENT = Decimal("0.01")
LOGIN_PAGE = """<form method="post"><input name="klantnummer"><input name="gebruiker">
<input name="wachtwoord" type="password"><button name="ok" value="1">Akkoord</button></form>"""
CLIENT = ("minox-client", "minox-secret")
VAT = {
    1: ("BTW hoog", Decimal(21), "Af te dragen (1a, 1b)"),
    2: ("BTW laag", Decimal(9), "Af te dragen (1a, 1b)"),
    3: ("Verlegd", Decimal(0), "Verlegd binnenland - levering (1e)"),
    4: ("ICP", Decimal(0), "Diensten binnen de EU (ICP)"),
}
ACCOUNTS: dict[int, tuple[str, int | None]] = {
    1300: ("Debiteuren", None),
    1520: ("Af te dragen btw", None),
    8000: ("Omzet algemeen", 1),
    8010: ("Omzet boeken", 2),
    8100: ("Omzet EU", 4),
    8200: ("Omzet verlegd", 3),
    8999: ("Omzet overig", 1),
    4000: ("Lonen", None),
    4010: ("Vakantiegeld", None),
    4050: ("Premies", None),
    4060: ("Pensioenpremie", None),
    4070: ("Reiskosten", None),
    1700: ("Loonheffing", None),
    1720: ("Pensioen", None),
    1830: ("Vakantiegeld te betalen", None),
    2100: ("Netto lonen", None),
}
CENTRES = {10: "Winkel", 20: "Magazijn"}


class Refusal(Exception):
    """A 400 with messages."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.body = [{"message_code": code, "message_type": "error", "message": message}]


@dataclass
class Books:
    """One administration."""

    id: int
    name: str
    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    customers: dict[int, dict[str, Any]] = field(default_factory=dict)
    born: dict[int, float] = field(default_factory=dict)
    items: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    put: dict[str, float] = field(default_factory=dict)
    years: tuple[int, ...] = (2025, 2026)
    closed: set[tuple[int, int]] = field(default_factory=set)
    accounts: dict[int, tuple[str, int | None]] = field(default_factory=lambda: dict(ACCOUNTS))
    blocked: set[int] = field(default_factory=set)

    def customer(self, name: str, email: str, **more: Any) -> int:
        """A debtor that somebody typed in."""
        number = 10000 + len(self.customers) + 1
        address = {
            "address_type": "postal",
            "name": name,
            "city": "Utrecht",
            "country_code": "NL",
            "email_addresses": [{"email_address_type": "invoice", "email_address": email}],
        }
        self.customers[number] = {"id": number, "addresses": [address], "vat": {"active": False}, **more}
        return number

    def pay(self, customer: int, number: int, amount: Decimal | None = None) -> None:
        """A payment is processed on an open item."""
        item = self.items[customer, number]
        item["paid"] += item["balance"] if amount is None else amount
        item["balance"] = item["total"] - item["paid"]

    def posted(self, name: str) -> dict[str, Decimal]:
        """Debit less credit over all lines, by `account` or `cost_center`."""
        found: dict[str, Decimal] = {}
        for line in (line for batch in self.batches.values() for line in batch if line.get(name)):
            own = str(line[name]["id"])
            found[own] = found.get(own, Decimal(0)) + line["debit"] - line["credit"]
        return {own: total for own, total in found.items() if total}

    def on(self, number: int) -> list[dict[str, Any]]:
        """All debtor lines of an invoice number."""
        return [
            line
            for batch in self.batches.values()
            for line in batch
            if line.get("invoice_number") == number and line["account"]["type"] == "customer"
        ]


@dataclass
class Tenant(World):
    """A customer of Minox with its administrations."""

    id: int = 0
    books: dict[int, Books] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def book_by_hand(self, books: Books, customer: int, number: int, day: str, account: str, net: Decimal) -> None:
        """A sales entry that somebody typed in, VAT by the account."""
        percentage = VAT[books.accounts[int(account)][1] or 3][1]
        both = {"document_date": day, "invoice_number": number, "journal": {"id": "VERK"}, "description": "met de hand"}
        total = net + (net * percentage / 100).quantize(CENT, ROUND_HALF_UP)
        debtor = {"account": {"id": str(customer), "type": "customer"}, "debit": total, "credit": 0, **both}
        revenue = {"account": {"id": account, "type": "ledger_account"}, "debit": 0, "credit": net, **both}
        _keep(self, books, str(uuid4()), _validated(self, books, [debtor, revenue]))


class Minox(Vendor):
    """The vendor: all tenants and the place to log in."""

    def __init__(self) -> None:
        self.tenants: dict[int, Tenant] = {}
        self.codes: dict[str, tuple[Tenant, dict[str, str]]] = {}

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        return {
            "HUB_ENDPOINTS__MINOX__API": f"{url}/api/1",
            "HUB_ENDPOINTS__MINOX__AUTHORIZE": f"{url}/oauth/authorize",
            "HUB_ENDPOINTS__MINOX__TOKEN": f"{url}/oauth/token",
            "HUB_OAUTH__MINOX__CLIENT_ID": CLIENT[0],
            "HUB_OAUTH__MINOX__CLIENT_SECRET": CLIENT[1],
        }

    def open(self, number: int, *names: str, **habits: Any) -> Tenant:
        """A new tenant with administrations 3, 4, …"""
        tenant = Tenant(habits, id=number)
        tenant.books = {key: Books(key, name) for key, name in enumerate(names, start=3)}
        self.tenants[number] = tenant
        return tenant

    def world_of(self, request: Request) -> Tenant | None:
        """By the tenant in the path."""
        found = re.match(r"/api/1/tenant/(\d+)", request.url.path)
        return self.tenants.get(int(found[1])) if found else None

    async def handle(self, request: Request) -> Response:
        """Pages to log in, the token host, or the API."""
        path = request.url.path
        if path == "/oauth/authorize":
            return await self._authorize(request)
        if path == "/oauth/token":
            return await self._token(request)
        if path.startswith("/api/1/inspect"):
            return await self._inspect(request)
        tenant = self.world_of(request)
        found = re.fullmatch(r"/api/1/tenant/\d+/(administration|webhook)(?:/(\d+))?(?:/(.+))?", path)
        if tenant is None or found is None:
            return answer({"message": "not found"}, 404)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or tenant.access.get(token, 0) < time.monotonic():
            return answer({"message": "unauthorized"}, 401)
        try:
            return await self._resource(tenant, request, found[2], found[3])
        except Refusal as refusal:
            tenant.refused.append(str(refusal))
            return answer(refusal.body, 400)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT[0] or asked.get("response_type") != "code" or not asked.get("redirect_uri"):
            return HTMLResponse("<h1>invalid_request</h1>", 400)
        if request.method == "GET":
            return HTMLResponse(LOGIN_PAGE)
        form = await request.form()
        tenant = self.tenants.get(int(str(form.get("klantnummer") or 0)))
        back = {"state": asked.get("state", "")}
        if tenant is None or form.get("gebruiker") != "MINOX":
            return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**back, 'error': 'access_denied'})}", 302)
        code = secrets.token_urlsafe(16)
        self.codes[code] = (tenant, asked)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**back, 'code': code})}", 302)

    async def _token(self, request: Request) -> Response:
        as_json = "json" in request.headers.get("content-type", "")
        body: dict[str, Any] = await request.json() if as_json else dict(await request.form())
        known = self.codes.get(body.get("code", ""))
        tenant = known[0] if known else None
        if tenant is None:
            tenant = next((one for one in self.tenants.values() if body.get("refresh_token") in one.refresh), None)
        if tenant is None or (body.get("client_id"), body.get("client_secret")) != CLIENT:
            return answer({"error": "invalid_grant"}, 400)
        if tenant.habit("token_body", "both") not in ("both", "json" if as_json else "form"):
            return answer({"error": "invalid_request", "error_description": "unsupported content type"}, 415)
        fault = tenant.fault_for("POST", "/oauth/token")
        if fault:
            return self.faulty(fault)
        self.codes.pop(body.get("code", ""), None)
        life = tenant.habit("life", 3600)
        if tenant.habit("single_access"):
            tenant.access.clear()
        tenant.refresh.discard(body.get("refresh_token"))
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        tenant.access[access] = time.monotonic() + life
        tenant.refresh.add(refresh)
        expires: Any = str(life) if tenant.habit("life_as_text") else life
        return answer({"access_token": access, "refresh_token": refresh, "expires_in": expires, "token_type": "bearer"})

    async def _inspect(self, request: Request) -> Response:
        expected = base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization", "") != f"Basic {expected}":
            return answer({"message": "client credentials are asked for"}, 401)
        token = (await request.json()).get("token") if request.method == "POST" else request.url.path.rsplit("/")[-1]
        for tenant in self.tenants.values():
            if tenant.access.get(token, 0) >= time.monotonic():
                number: Any = str(tenant.id) if tenant.habit("tenant_as_text") else tenant.id
                others = [{"tenant_id": other} for other in tenant.habit("also", ())]
                return answer({"linked_tenants": [{"tenant_id": number}, *others]})
        return answer({"linked_tenants": []})

    def too_many(self, world: World) -> Response | None:
        """So many calls per window of some seconds, then 429 with `retry-after`."""
        calls, seconds = world.habit("limit", (0, 0))
        recent = sum(
            1 for call in reversed(world.calls[-200:]) if call.at > time.monotonic() - seconds and call.status != 429
        )
        return answer({"message": "slow down"}, 429, {"retry-after": "2"}) if calls and recent >= calls else None

    async def _resource(self, tenant: Tenant, request: Request, number: str | None, path: str | None) -> Response:
        if number is None:
            return _list(tenant, request, [_administration(tenant, one) for one in tenant.books.values()])
        books = tenant.books.get(int(number))
        if books is None:
            return answer({"message": "administration unknown"}, 404)
        name, _, key = (path or "").partition("/")
        masters = {
            "": lambda *_: [],
            "ledger_account": _ledger,
            "vat": _vat_codes,
            "journal": _journals,
            "payment_term": _terms,
            "cost_center": lambda *_: [{"id": own, "description": name} for own, name in CENTRES.items()],
            "cost_type": lambda *_: [],
        }
        if name in masters and request.method == "GET":
            rows = masters[name](tenant, books)
            if not key:
                return _list(tenant, request, rows)
            row = next((one for one in rows if str(one["id"]) == key), None)
            return answer(row) if row else answer({"message": "not found"}, 404)
        if name == "customer":
            return await _customers(tenant, books, request, key)
        if name == "receivable":
            return _receivables(tenant, books, request, key)
        if name == "transaction_line_batch":
            return await _batch(tenant, books, request, key)
        if name == "year" and (found := re.fullmatch(r"(\d{4})/transaction_lines", key)):
            lines = [
                one
                for batch in books.batches.values()
                for one in batch
                if one["period"]["fiscal_year"] == int(found[1])
            ]
            period = request.query_params.get("period")
            lines = [_line(tenant, one) for one in lines if period in (None, "", str(one["period"]["id"]))]
            return answer(lines)
        return answer({"message": "not found"}, 404)


def _administration(tenant: Tenant, books: Books) -> dict[str, Any]:
    years = [
        {
            "fiscal_year": year,
            "number_of_periods": 12,
            "start_date": _date(tenant, f"{year}-01-01"),
            "end_date": _date(tenant, f"{year}-12-31"),
        }
        for year in books.years
    ]
    return {
        "id": books.id,
        "name": books.name,
        "number_of_periods": 12,
        "vat_on_sub": False,
        "currency": {"id": "EUR", "exchange_rate": 1},
        "country_code": "NL",
        "fiscal_years": years,
    }


def _ledger(tenant: Tenant, books: Books) -> list[dict[str, Any]]:
    rows = []
    for number, (description, code) in books.accounts.items():
        kind = {"cost_type": {"id": 1, "description": "Personeel", "type": "K"}} if _asks(tenant, number) else {}
        vat = {"id": code, "type": VAT[code][2], "percentage": VAT[code][1]} if code else {}
        blocked = {"active": number in books.blocked, "reason": ""}
        rows.append(
            {
                "id": number,
                "description": description,
                "vat": vat,
                "blocked": blocked,
                "debit_credit_suggestion": "none",
                **kind,
            }
        )
    return rows


def _asks(tenant: Tenant, account: int) -> bool:
    """Whether an account has a cost type."""
    return bool(tenant.habit("cost_types")) and 4000 <= account < 5000


def _vat_codes(tenant: Tenant, books: Books) -> list[dict[str, Any]]:
    return [
        {"id": key, "description": name, "percentage": percentage, "type": kind, "account_id": "1520"}
        for key, (name, percentage, kind) in VAT.items()
    ]


def _journals(tenant: Tenant, books: Books) -> list[dict[str, Any]]:
    names = tenant.habit("journal_types", ("verkoop", "general"))
    span = {"start": 10000, "end": 19999, "is_automatically_assigned": True}
    return [
        {"id": "VERK", "description": "Verkoopboek", "type": names[0], "range": span},
        {"id": "MEMO", "description": "Memoriaal", "type": names[1]},
    ]


def _terms(tenant: Tenant, books: Books) -> list[dict[str, Any]]:
    return [{"id": 1, "description": "14 dagen", "days": 14}]


def _list(tenant: Tenant, request: Request, rows: list[dict[str, Any]]) -> Response:
    size, style = tenant.habit("page", 7), tenant.habit("paging", "relative")
    if style == "whole":
        return answer({"links": {}, "collection": rows})
    if style == "bare":
        return answer(rows)
    asked = request.query_params.get("next", "0")
    start = int(asked.removeprefix("c")) if asked.removeprefix("c").isdigit() else 0
    links: dict[str, Any] = {}
    if start + size < len(rows):
        query = urlencode(
            {**{k: v for k, v in request.query_params.items() if k != "next"}, "next": f"c{start + size}"}
        )
        relative = f"{request.url.path.split('/')[-1]}?{query}"
        links["next"] = {
            "relative": f"/api/1{request.url.path.split('/api/1')[1]}?{query}",
            "absolute": f"http://{request.headers['host']}/minox{request.url.path}?{query}",
            "sibling": relative,
            "token": f"c{start + size}",
            "object": {"href": f"http://{request.headers['host']}/minox{request.url.path}?{query}"},
        }[style]
    return answer({"links": links, "collection": rows[start : start + size]})


async def _customers(tenant: Tenant, books: Books, request: Request, key: str) -> Response:
    if request.method == "POST":
        body = await request.json()
        if not isinstance(body, dict) or not body.get("addresses") or "vat" not in body:
            raise Refusal("C1", "addresses and vat are required, as one object")
        if body.get("id") == 0:
            raise Refusal("C2", "id 0 does not exist")
        journal = request.query_params.get("journal_id", "" if tenant.habit("journal_asked") else "VERK")
        if journal not in ("VERK", "MEMO"):
            raise Refusal("C3", "journal_id: dagboek onbekend")
        number = body.get("id") or books.customer("", "")
        books.customers[number] = {**body, "id": number}
        books.born[number] = time.monotonic()
        said = {
            "empty": ...,
            "object": books.customers[number],
            "id": {"id": number},
            "text": "created",
            "array": [books.customers[number]],
        }
        return answer(said[tenant.habit("post_customer", "empty")], 201)
    if key.startswith(("by_email/", "by_externalid/")):
        how, _, wanted = key.partition("/")
        lag = tenant.habit("lag", 0)
        ready = [one for number, one in books.customers.items() if books.born.get(number, 0) < time.monotonic() - lag]
        hits = [one for one in ready if (_emails(one) if how == "by_email" else [one.get("externalid")]).count(wanted)]
        style = tenant.habit("by", "object")
        if style == "refused" and not hits:
            raise Refusal("C9", "Debiteur niet gevonden")
        if style == "object":
            return answer(hits[0]) if hits else answer({"message": "not found"}, 404)
        if style == "null":
            return answer(hits[0] if hits else None)
        return answer(hits if style in ("list", "refused") else {"links": {}, "collection": hits})
    if not key:
        wanted = request.query_params.get("search", "").lower()
        lag = tenant.habit("list_lag", 0)
        rows = [one for number, one in books.customers.items() if books.born.get(number, 0) < time.monotonic() - lag]
        return _list(tenant, request, [one for one in rows if not wanted or wanted in json.dumps(one).lower()])
    customer = books.customers.get(int(key)) if key.isdigit() else None
    if customer is None:
        return answer({"message": "not found"}, 404)
    if request.method == "PATCH":
        customer.update({**(await request.json()), "id": customer["id"]})
        return answer(... if tenant.habit("post_customer", "empty") == "empty" else customer)
    return answer(customer)


def _emails(customer: Mapping[str, Any]) -> list[str]:
    return [
        str(one.get("email_address"))
        for address in customer.get("addresses", [])
        for one in address.get("email_addresses") or []
    ]


async def _batch(tenant: Tenant, books: Books, request: Request, key: str) -> Response:
    key, _, blob = key.partition("/")
    if blob == "blob" and request.method == "POST":
        part = (await request.form()).get("data")
        if part is None or isinstance(part, str) or key not in books.batches:
            raise Refusal("D1", "one part named data, of a batch that exists")
        if key in books.blobs:
            raise Refusal("D2", "er is al een document bij deze boeking")
        books.blobs[key] = base64.b64decode(await part.read(), validate=True)
        for line in books.batches[key]:
            line["document_id"] = f"{key}.pdf"
        return answer(... if tenant.habit("put_batch") == "empty" else "ok")
    if request.method == "GET":
        lines = books.batches.get(key)
        if lines and books.put.get(key, 0) > time.monotonic() - tenant.habit("batch_lag", 0):
            lines = None
        return answer([_line(tenant, one) for one in lines]) if lines else answer({"message": "not found"}, 404)
    if request.method == "DELETE":
        return answer(...) if books.batches.pop(key, None) else answer({"message": "not found"}, 404)
    if UUID(key).version != 4 or str(UUID(key)) != key:
        raise Refusal("B1", "batch is not a version 4 uuid")
    lines = _validated(tenant, books, await request.json())
    books.put.setdefault(key, time.monotonic())
    _keep(tenant, books, key, lines)
    shown = [_line(tenant, one) for one in lines]
    said = {
        "empty": ...,
        "lines": shown,
        "collection": {"links": {}, "collection": shown},
        "text": "ok",
        "first": shown[0],
    }
    return answer(said[tenant.habit("put_batch", "lines")])


def _validated(tenant: Tenant, books: Books, body: Any) -> list[dict[str, Any]]:
    """The lines as they are stored, VAT computed. Raises Refusal."""
    if not isinstance(body, list) or not body:
        raise Refusal("B2", "an array of lines is asked for")
    lines: list[dict[str, Any]] = []
    sum_, tax_sum = Decimal(0), Decimal(0)
    for given in body:
        line = {**given, "debit": Decimal(str(given.get("debit", 0))), "credit": Decimal(str(given.get("credit", 0)))}
        if min(line["debit"], line["credit"]) != 0 or max(line["debit"], line["credit"]) < 0:
            raise Refusal("B3", "debit and credit: one is 0, none is negative")
        _known(books, line)
        _with_centre(tenant, line)
        day = str(line.get("document_date", ""))
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", day) or int(day[:4]) not in books.years:
            raise Refusal("B6", f"Er is geen boekjaar voor documentdatum {day}")
        period = (int(day[:4]), int(day[5:7]))
        if period in books.closed:
            raise Refusal("B7", f"Periode {period[1]} van {period[0]} is afgesloten")
        if (
            line.get("period") == {}
            or line.get("period", {}).get("id") == 0
            or (line.get("vat") or {"id": 1}).get("id") == 0
        ):
            raise Refusal("B8", "id 0 does not exist")
        line["period"] = {"id": period[1], "fiscal_year": line.get("period", {}).get("fiscal_year", period[0])}
        if not isinstance(line.get("invoice_number", 1), int):
            raise Refusal("B9", "invoice_number is an integer")
        sum_ += line["debit"] - line["credit"]
        code = books.accounts[int(line["account"]["id"])][1] if line["account"]["type"] == "ledger_account" else None
        if code:
            amount, percentage = line["debit"] - line["credit"], VAT[code][1]
            gross = tenant.habit("gross")
            tax = (amount * percentage / (100 + percentage if gross else 100)).quantize(CENT, ROUND_HALF_UP)
            line["vat"] = {"id": code, "amount": tax, "percentage": percentage, "type": VAT[code][2]}
            tax_sum += 0 if gross else tax
        lines.append(line)
    if abs(sum_ + tax_sum) > CENT:
        raise Refusal("B10", f"De boeking is niet in balans: verschil {sum_ + tax_sum}")
    return lines


def _known(books: Books, line: Mapping[str, Any]) -> None:
    account = line.get("account") or {}
    key, kind = account.get("id"), account.get("type")
    if not isinstance(key, str) or not key.isdigit():
        raise Refusal("B4", f"account {key!r} is not a string of digits")
    known = books.customers if kind == "customer" else books.accounts
    if int(key) not in known or int(key) in books.blocked:
        raise Refusal("B4", f"Rekening {key} bestaat niet of is geblokkeerd")
    if (line.get("journal") or {}).get("id") not in ("VERK", "MEMO"):
        raise Refusal("B5", "Dagboek onbekend")


def _with_centre(tenant: Tenant, line: Mapping[str, Any]) -> None:
    centre = line.get("cost_center")
    if centre is not None and centre.get("id") not in CENTRES:
        raise Refusal("B11", "Kostenplaats onbekend")
    asked = line["account"]["type"] == "ledger_account" and _asks(tenant, int(line["account"]["id"]))
    if asked and centre is None:
        raise Refusal("B12", "Kostenplaats ontbreekt")
    if centre is not None and not asked and not tenant.habit("centre_elsewhere"):
        raise Refusal("B13", "Deze rekening kent geen kostenplaatsen")


def _keep(tenant: Tenant, books: Books, key: str, lines: list[dict[str, Any]]) -> None:
    for line in lines:
        line |= {"id": next(tenant.numbers), "batch_id": key, "messages": tenant.habit("messages", [])}
    books.batches[key] = lines
    _open(books, lines)


def _open(books: Books, lines: list[dict[str, Any]]) -> None:
    """The open items of a booking; those of its earlier version go."""
    standing = {(int(line["account"]["id"]), line.get("invoice_number")) for line in lines}
    for key in [
        key for key, item in books.items.items() if item["batch"] == lines[0]["batch_id"] and key not in standing
    ]:
        del books.items[key]
    for line in lines:
        if line["account"]["type"] == "customer" and line.get("invoice_number"):
            key = (int(line["account"]["id"]), line["invoice_number"])
            before = books.items.get(key, {"paid": Decimal(0), "born": time.monotonic()})
            paid = before["paid"]
            total = line["debit"] - line["credit"]
            books.items[key] = {
                "total": total,
                "paid": paid,
                "balance": total - paid,
                "date": line["document_date"],
                "due": line.get("due_date"),
                "born": before["born"],
                "batch": line["batch_id"],
            }


def _receivables(tenant: Tenant, books: Books, request: Request, key: str) -> Response:
    after, lag = tenant.habit("paid_item", "gone"), tenant.habit("item_lag", 0)
    items = {place: one for place, one in books.items.items() if one["born"] < time.monotonic() - lag}
    if found := re.fullmatch(r"account/(\d+)/invoice/(\d+)", key):
        item = items.get((int(found[1]), int(found[2])))
        if item is None or (item["balance"] == 0 and after == "gone"):
            return answer({"message": "not found"}, 404)
        if item["balance"] == 0 and after == "empty":
            return answer({"links": {}, "collection": []})
        return answer(_item(tenant, books, (int(found[1]), int(found[2])), item))
    rows = [
        _item(tenant, books, place, item) for place, item in items.items() if item["balance"] != 0 or after == "listed"
    ]
    return _list(tenant, request, rows)


def _item(tenant: Tenant, books: Books, place: tuple[int, int], item: Mapping[str, Any]) -> dict[str, Any]:
    account = {"id": str(place[0]), "scheme": "MINOX", "type": "customer"}
    return {
        "type": tenant.habit("item_type", "receivable"),
        "account_id": place[0],
        "account": account,
        "invoice_number": place[1],
        "invoice_date": _date(tenant, item["date"]),
        "due_date": _date(tenant, item["due"]),
        "total": item["total"],
        "paid": item["paid"],
        "balance": item["balance"],
        "blocked": 0,
        "memo": "",
        "reminder": {"number_sent": 0},
        "currency": {"id": "EUR", "exchange_rate": 1},
        "age": 19,
    }


def _line(tenant: Tenant, line: Mapping[str, Any]) -> dict[str, Any]:
    shown = {**line, "currency": {"id": "EUR", "exchange_rate": 1}}
    for name in ("document_date", "due_date"):
        if shown.get(name):
            shown[name] = _date(tenant, shown[name])
    return shown


def _date(tenant: Tenant, day: str | None) -> str | None:
    return f"{day}T00:00:00.000Z" if day and tenant.habit("rfc_dates", True) else day
