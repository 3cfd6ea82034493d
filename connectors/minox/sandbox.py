"""A Minox Online that behaves as the dossier says: consent, its own double-entry books, and a switch per unknown."""

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hub.accounting.money import ZERO, cents
from hub.sdk.sandbox import Grant, Sandbox, back_to, consent_page, json_body, json_response

Handler = Callable[[Request], Awaitable[Response]]
Entry = dict[str, Any]
HOME = "/api/1/tenant/{tenant}/administration/{own}"
MAIN_USER = "MINOX"
_LINE_FIELDS = frozenset(
    [
        "account",
        "debit",
        "credit",
        "journal",
        "period",
        "document_date",
        "due_date",
        "entry_number",
        "invoice_number",
        "description",
        "cost_center",
        "payment_term",
        "vat",
        "currency",
    ]
)
_CUSTOMER_FIELDS = frozenset(
    [
        "id",
        "aggregation",
        "is_one_time",
        "addresses",
        "search",
        "language",
        "currency",
        "vat",
        "payment_term",
        "blocked",
        "block_sending_reminders",
        "block_collection",
        "chamber_of_commerce",
        "bank_accounts",
        "bank",
        "custom_fields",
        "memo",
        "sales",
        "externalid",
    ]
)
_ADDRESS_FIELDS = frozenset(
    [
        "address_type",
        "id",
        "name",
        "extended_name",
        "contact_name",
        "salutation",
        "streetname_and_number",
        "postal_code",
        "city",
        "country_code",
        "search",
        "www",
        "phone_numbers",
        "email_addresses",
    ]
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_VAT_CODES: tuple[tuple[int, str, str, int, str], ...] = (
    (1, "Hoog tarief", "Af te dragen (1a, 1b)", 21, "1510"),
    (2, "Laag tarief", "Af te dragen (1a, 1b)", 9, "1511"),
    (3, "Diensten EU", "Diensten binnen de EU (ICP)", 0, "1515"),
    (4, "Verlegd", "Verlegd binnenland - levering (1e)", 0, "1516"),
    (5, "Export", "Verlegd buiten EU - levering (3a)", 0, "1517"),
)
_LEDGER: tuple[tuple[int, str, int | None, bool], ...] = (
    (490, "Resultaat lopend jaar", None, True),
    (1100, "Bank", None, True),
    (1300, "Debiteuren", None, True),
    (1510, "Af te dragen btw hoog", None, True),
    (1511, "Af te dragen btw laag", None, True),
    (1515, "Btw diensten EU", None, True),
    (1516, "Btw verlegd", None, True),
    (1517, "Btw export", None, True),
    (1720, "Af te dragen loonheffing", None, True),
    (1740, "Te betalen nettolonen", None, True),
    (4000, "Brutolonen", None, False),
    (4010, "Sociale lasten", None, False),
    (4999, "Nog te rubriceren", None, False),
    (8000, "Omzet advies 21%", 1, False),
    (8010, "Omzet boeken 9%", 2, False),
    (8100, "Omzet EU (ICP, 0)", 3, False),
    (8200, "Omzet verlegd (0)", 4, False),
    (8300, "Omzet buiten EU", 5, False),
    (8900, "Omzet vrijgesteld", None, False),
)
_JOURNALS: tuple[tuple[str, str, str], ...] = (
    ("VERK", "Verkoop", "sales"),
    ("INK", "Inkoop", "purchase"),
    ("BANK", "Bank", "bank"),
    ("MEMO", "Memoriaal", "general"),
)


def message(code: str, words: str, kind: str = "error") -> Entry:
    """One of Minox's messages; codes in an own range, so that nobody takes them for Minox's."""
    return {"message_code": f"SBX_{code}", "message_type": kind, "message": words}


def new_administration(own: int, name: str) -> Entry:
    """An administration with a small chart, four journals and no bookings, in 2025 and 2026."""
    codes = {
        number: {"id": number, "description": words, "type": kind, "percentage": percentage, "account_id": account}
        for number, words, kind, percentage, account in _VAT_CODES
    }
    return {
        "facts": _facts(own, name),
        "vat": {str(number): code for number, code in codes.items()},
        "ledger_accounts": {
            str(number): ledger_account(number, words, codes[code] if code else None, balance)
            for number, words, code, balance in _LEDGER
        },
        "journals": {one: _journal(one, words, kind) for one, words, kind in _JOURNALS},
        "cost_centres": {"10": {"id": 10, "description": "Kantoor", "search": []}},
        "customers": {},
        "by_external": {},
        "by_email": {},
        "batches": {},
        "by_period": {},
        "receivables": {},
        "open": {},
        "documents": {},
        "closed_until": "",
        "vat_entry": "net",
        "next_line": 1,
    }


def _facts(own: int, name: str) -> Entry:
    return {
        "id": own,
        "name": name,
        "number_of_periods": 12,
        "vat_on_sub": False,
        "currency": {"id": "EUR", "exchange_rate": 1, "description": "Euro"},
        "chamber_of_commerce": "80012345",
        "country_code": "NL",
        "fiscal_years": [
            {"fiscal_year": year, "number_of_periods": 12, "start_date": f"{year}-01-01", "end_date": f"{year}-12-31"}
            for year in (2025, 2026)
        ],
        "ledger_accounts": {
            "profit_loss": {
                "id": "490",
                "scheme": "MINOX",
                "type": "ledger_account",
                "description": "Resultaat lopend jaar",
            }
        },
    }


def ledger_account(number: int, words: str, code: Entry | None, balance: bool = False) -> Entry:
    """A ledger account as Minox shows it; without a VAT code `vat` is an object of zeros."""
    return {
        "id": number,
        "description": words,
        "aggregation": {"aggregation_level": 0, "description": ""},
        "vat": dict(code) | {"amount": 0} if code else {"id": 0, "type": "", "percentage": 0, "account_id": ""},
        "allow_free_vat_input": False,
        "debit_credit_suggestion": "none" if balance else "credit" if number >= 8000 else "debet",
        "balance": {"id": 0, "description": "", "is_group": False, "type": "", "isBalance": balance},
        "isBalance": balance,
        "cost_type": None,
        "blocked": {"active": False, "reason": ""},
        "memo": {"active": False, "text": ""},
        "rgs": [],
    }


def _journal(own: str, words: str, kind: str) -> Entry:
    numbers = {"start": 10000, "end": 19999999, "is_automatically_assigned": True} if kind == "sales" else {}
    return {
        "id": own,
        "description": words,
        "type": kind,
        "ledger_account_id": 1300,
        "currency": "EUR",
        "free_entry_number": True,
        "allow_linking_of_documents": True,
        "range": numbers,
    }


def simple_debtor(name: str, email: str, street: str = "", postal_code: str = "", city: str = "") -> Entry:
    """A debtor as a user types it."""
    return {
        "addresses": [
            {
                "address_type": "postal",
                "name": name,
                "streetname_and_number": street,
                "postal_code": postal_code,
                "city": city,
                "country_code": "NL",
                "email_addresses": [{"email_address_type": "invoice", "email_address": email}],
            }
        ],
        "vat": {"active": False, "vat_registration_number": ""},
    }


class MinoxSandbox(Sandbox):
    """The sandbox. An administration is named `<tenant>/<administration>` in its helpers, as in our settings."""

    name = "minox"

    def reset(self) -> None:
        """Empty books and default switches."""
        super().reset()
        self.books = {"tenants": {}}
        self.switches = {
            "clients": {},
            "access_life_s": 3600,
            "refresh_rotates": True,
            "token_fields": ["access_token", "refresh_token", "expires_in"],
            "inspect": "post",  # post | get_only
            "linked_tenants": "objects",  # objects | numbers | texts
            "enforce_scopes": True,
            "rate_per_minute": 60_000,
            "rate_burst": 1000,
            "retry_after": True,
            "page_size": 200,
            "links": "relative",  # relative | absolute | query | token | object | none (whole lists, links {})
            "lists": "collection",  # collection | bare
            "put_answer": "lines",  # lines | first | empty | object | warning | text
            "batch_missing": "404",  # 404 | empty
            "batch_lag_s": 0,  # how long a new batch stays hidden to who asks for it
            "uuid": "any",  # any | v4
            "dates": "rfc3339",  # rfc3339 | plain, on what is received
            "numbers": "number",  # number | text, for amounts received
            "vat_lines": False,
            "vat_entry": {},
            "customer_answer": "object",  # object | id | empty | text
            "customer_vat_required": True,
            "hidden_fields": [],  # left out of debtors in lists and searches, such as addresses or externalid
            "search_lag_s": 0,
            "by_email": "object",  # object | collection | array
            "search_missing": "404",  # 404 | empty | 400
            "search_filter": True,
            "patch_arrays": "replace",  # replace | merge
            "paid_item": "zero",  # zero | gone | empty, when a receivable is asked singly
            "paid_in_list": False,
            "status_filter": True,
            "item_type": "receivable",  # receivable | payable: the one example seen says payable for both
            "credit_sign": "negative",  # negative | positive, of a credit note's open item
            "duplicate_numbers": "refuse",  # refuse | allow
            "paid_batch": "allow",  # allow | refuse a PUT on what was paid
            "period_filter": True,
            "centre_elsewhere": "refuse",  # refuse | accept a cost centre on an account without a cost type
        }
        self.tokens: dict[str, Grant] = {}
        self.refreshes: dict[str, Grant] = {}
        self.codes: dict[str, Grant] = {}
        self._buckets: dict[str, tuple[float, float]] = {}

    # --- what tests and the demo use -------------------------------------------------------------------------

    def seed(self) -> None:
        """Waterlelie: customer number 41207 with two administrations and a debtor that was there before us."""
        self.books["tenants"]["41207"] = {"name": "Waterlelie", "password": "waterlelie", "administrations": {}}
        self.add_administration(3, "Waterlelie Advies B.V.")
        self.add_administration(4, "Waterlelie Uitgeverij B.V.")
        self.add_customer("41207/3", simple_debtor("Bakkerij De Gouden Aar B.V.", "info@goudenaar.example"))

    def add_administration(self, own: int, name: str, tenant: str = "41207", **facts: Any) -> Entry:
        """A new administration with the small chart; `facts` replace parts of it."""
        home = self.books["tenants"].setdefault(
            tenant, {"name": f"Klant {tenant}", "password": "minox", "administrations": {}}
        )
        made: Entry = new_administration(own, name) | facts
        home["administrations"][str(own)] = made
        return made

    def administration(self, administration: str) -> Entry:
        """The books of one administration. Raises KeyError."""
        tenant, _, own = administration.partition("/")
        found: Entry = self.books["tenants"][tenant]["administrations"][own]
        return found

    def batches(self, administration: str = "41207/3") -> dict[str, list[Entry]]:
        """All batches by UUID."""
        found: dict[str, list[Entry]] = self.administration(administration)["batches"]
        return found

    def receivable(self, customer: str | int, number: int, administration: str = "41207/3") -> Entry | None:
        """One open or paid item."""
        found: Entry | None = self.administration(administration)["receivables"].get(f"{customer}/{number}")
        return found

    def receivables(self, administration: str = "41207/3") -> list[Entry]:
        """All items, paid ones included."""
        return list(self.administration(administration)["receivables"].values())

    def customers_of(self, administration: str = "41207/3") -> list[Entry]:
        """All debtors."""
        return list(self.administration(administration)["customers"].values())

    def pay(
        self, customer: str | int, number: int, amount: Decimal | None = None, administration: str = "41207/3"
    ) -> Entry:
        """Pays an item, fully without an amount. The amount has the item's sign."""
        books = self.administration(administration)
        item: Entry = books["receivables"][f"{customer}/{number}"]
        item["paid"] = cents(item["paid"] + (item["balance"] if amount is None else amount))
        _settle(books, f"{customer}/{number}")
        return item

    def add_customer(self, administration: str, body: Mapping[str, Any]) -> Entry:
        """A debtor with the next free number, or with the `id` given."""
        books = self.administration(administration)
        own = int(body.get("id") or next(reversed(books["customers"].values()), {"id": 9999})["id"] + 1)
        made = {"externalid": "", "addresses": [], "search": [], "bank_accounts": []} | dict(body) | {"id": own}
        made["blocked"] = made.get("blocked") or {"active": False, "reason": ""}
        made["_made"] = self.now()
        books["customers"][str(own)] = made
        self._index(books, made)
        return made

    def add_batch(self, administration: str, uuid: str, lines: list[Entry]) -> list[Entry]:
        """Books lines as a user or another program would, unchecked."""
        return self._store(self.administration(administration), uuid, lines)

    def add_cost_centre(self, administration: str, own: int, description: str) -> None:
        """A cost centre as a user makes it."""
        centre = {"id": own, "description": description, "search": []}
        self.administration(administration)["cost_centres"][str(own)] = centre

    def ask_cost_centre(self, administration: str, *accounts: str) -> None:
        """Gives ledger accounts a cost type, so that booking on them asks for a cost centre."""
        for account in accounts:
            kind = {"id": 1, "description": "Personeel", "type": "cost_center"}
            self.administration(administration)["ledger_accounts"][account]["cost_type"] = kind

    def posted(self, administration: str = "41207/3") -> dict[str, Decimal]:
        """Debit less credit of every ledger account, over all batches, without accounts that stand at nothing."""
        sums: dict[str, Decimal] = {}
        for line in (line for lines in self.batches(administration).values() for line in lines):
            own = line["account"]["id"]
            sums[own] = sums.get(own, ZERO) + _signed(line)
        return {own: total for own, total in sums.items() if total}

    def delete_batch(self, administration: str, uuid: str) -> None:
        """Takes a batch and its open items out of the books."""
        books = self.administration(administration)
        self._unpost(books, uuid)
        books["batches"].pop(uuid, None)

    def grant(self, tenant: str = "41207", scopes: Iterable[str] = ()) -> tuple[str, str]:
        """An access and a refresh token without the consent pages; no scopes: all."""
        return self._issue(Grant(MAIN_USER, {"tenant": tenant, "scopes": list(scopes), "client": ""}))

    # --- signing in ------------------------------------------------------------------------------------------

    def routes(self) -> list[BaseRoute]:
        """Minox's routes."""
        inside: tuple[tuple[str, str, Callable[[Request, Entry], Awaitable[Response]], str], ...] = (
            ("GET", "/ledger_account", self._list_of("ledger_accounts"), "ledger_account:read"),
            ("GET", "/vat", self._list_of("vat"), "vat:read"),
            ("GET", "/journal", self._list_of("journals"), "journal:read"),
            ("GET", "/cost_center", self._list_of("cost_centres"), "cost_center:read"),
            ("GET", "/customer", self._customers, "customer:read"),
            ("POST", "/customer", self._make_customer, "customer:write"),
            ("GET", "/customer/by_email/{email:path}", self._by_email, "customer:read"),
            ("GET", "/customer/by_externalid/{mark:path}", self._by_external, "customer:read"),
            ("GET", "/customer/{customer}", self._customer, "customer:read"),
            ("PATCH", "/customer/{customer}", self._change_customer, "customer:write"),
            ("PUT", "/transaction_line_batch/{uuid}", self._put_batch, "transaction:write"),
            ("GET", "/transaction_line_batch/{uuid}", self._get_batch, "transaction:read"),
            ("DELETE", "/transaction_line_batch/{uuid}", self._delete_batch, "transaction:write"),
            ("POST", "/transaction_line_batch/{uuid}/blob", self._blob, "transaction:write"),
            ("GET", "/year/{year}/transaction_lines", self._lines_of_year, "transaction:read"),
            ("GET", "/receivable", self._receivables, "transaction:read"),
            ("GET", "/receivable/account/{customer}/invoice/{number}", self._receivable, "transaction:read"),
        )
        return [
            Route("/oauth/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/api/1/inspect", self._inspect, methods=["POST"]),
            Route("/api/1/inspect/{token}", self._inspect, methods=["GET"]),
            Route(
                "/api/1/tenant/{tenant}/administration",
                self._guarded(self._administrations, "administration:read"),
                methods=["GET"],
            ),
            *(
                Route(HOME + path, self._guarded(handler, scope), methods=[method])
                for method, path, handler, scope in inside
            ),
            Route("/api/1/{rest:path}", self._nowhere, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    async def _nowhere(self, _: Request) -> Response:
        return json_response([message("NOT_FOUND", "Onbekend adres")], 404, self._limits("")[1])

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        where = asked.get("redirect_uri", "")
        if asked.get("response_type") != "code" or not asked.get("client_id"):
            return PlainTextResponse("invalid_request: response_type=code and client_id are needed", 400)
        if urlsplit(where).scheme not in ("http", "https"):
            return PlainTextResponse("invalid_request: redirect_uri", 400)
        if self.switches["clients"] and asked["client_id"] not in self.switches["clients"]:
            return PlainTextResponse("unauthorized_client", 400)
        if request.method == "GET":
            return self._login("")
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        state = asked.get("state", "")
        if form.get("consent") != "yes":
            return back_to(where, error="access_denied", state=state)
        home = self.books["tenants"].get(form.get("customer_number", ""))
        if home is None or form.get("password") != home["password"]:
            return self._login("Klantnummer of wachtwoord onjuist")
        if form.get("user", "").upper() != MAIN_USER:
            words = "Alleen de hoofdgebruiker MINOX mag een koppeling toestaan"
            return back_to(where, error="access_denied", error_description=words, state=state)
        code = self.token()
        scopes = asked.get("scope", "").split()
        data = {"tenant": form["customer_number"], "scopes": scopes, "client": asked["client_id"]}
        self.codes[code] = Grant(MAIN_USER, data, where, expires_at=self.now() + 300)
        return back_to(where, code=code, state=state)

    def _login(self, error: str) -> Response:
        known = next(iter(self.books["tenants"].items()), ("", {"password": ""}))
        fields = {
            "customer_number": ("Klantnummer", "text", escape(known[0])),
            "user": ("Gebruiker", "text", MAIN_USER),
            "password": ("Wachtwoord", "password", escape(known[1]["password"])),
        }
        return consent_page("Minox Online", fields, error)

    async def _token(self, request: Request) -> Response:
        if "json" in request.headers.get("content-type", ""):
            sent = await json_body(request)
            form = {key: str(value) for key, value in sent.items()} if isinstance(sent, dict) else {}
        else:
            form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        client = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        known = self.switches["clients"]
        if not all(client) or (known and known.get(client[0]) != client[1]):
            return json_response({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "authorization_code":
            grant = self.codes.pop(form.get("code", ""), None)
            if grant is None or grant.expires_at < self.now():
                return json_response({"error": "invalid_grant"}, 400)
            if form.get("redirect_uri", grant.redirect_uri) != grant.redirect_uri:
                return json_response({"error": "invalid_grant", "error_description": "redirect_uri"}, 400)
        elif form.get("grant_type") == "refresh_token":
            grant = self.refreshes.get(form.get("refresh_token", ""))
            if grant is None:
                return json_response({"error": "invalid_grant"}, 400)
            if self.switches["refresh_rotates"]:
                del self.refreshes[form["refresh_token"]]
        else:
            return json_response({"error": "unsupported_grant_type"}, 400)
        if grant.data["client"] not in ("", client[0]):
            return json_response({"error": "invalid_grant"}, 400)
        access, refresh = self._issue(grant)
        answer = {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": self.switches["access_life_s"],
            "token_type": "bearer",
        }
        return json_response({key: answer[key] for key in [*self.switches["token_fields"], "token_type"]})

    def _issue(self, grant: Grant) -> tuple[str, str]:
        access, refresh = self.token(), self.token()
        life = float(self.switches["access_life_s"])
        self.tokens[access] = Grant(grant.user, grant.data, expires_at=self.now() + life)
        self.refreshes[refresh] = grant
        return access, refresh

    async def _inspect(self, request: Request) -> Response:
        client = _basic(request)
        known = self.switches["clients"]
        if client is None or not all(client) or (known and known.get(client[0]) != client[1]):
            return json_response([message("CLIENT", "Onbekende client")], 401)
        if request.method == "POST":
            if self.switches["inspect"] == "get_only":
                return json_response([message("NOT_FOUND", "Onbekend adres")], 404)
            sent = await json_body(request)
            token = sent.get("token", "") if isinstance(sent, dict) else ""
        else:
            token = request.path_params["token"]
        grant = self.tokens.get(token)
        if grant is None or grant.expires_at < self.now():
            return json_response([message("TOKEN", "Onbekend token")], 400)
        linked = [grant.data["tenant"], *grant.data.get("also", ())]
        shown: list[Any] = [{"tenant_id": int(one), "name": self.books["tenants"][one]["name"]} for one in linked]
        if self.switches["linked_tenants"] != "objects":
            shown = [one if self.switches["linked_tenants"] == "texts" else int(one) for one in linked]
        return json_response({"linked_tenants": shown, "user": grant.user, "scopes": grant.data["scopes"]})

    # --- at the door -----------------------------------------------------------------------------------------

    def _guarded(self, handler: Callable[[Request, Entry], Awaitable[Response]], scope: str) -> Handler:
        async def guarded(request: Request) -> Response:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            grant = self.tokens.get(token) if kind.lower() == "bearer" else None
            allowed, headers = self._limits(token)
            if not allowed:
                return self.busy_answer(min(120.0, max(1.0, 60 / float(self.switches["rate_per_minute"]))))
            if grant is None or grant.expires_at < self.now():
                answer = self.expired_answer()
            else:
                answer = await self._entered(request, grant, handler, scope)
            answer.headers.update(headers)
            return answer

        return guarded

    async def _entered(
        self, request: Request, grant: Grant, handler: Callable[[Request, Entry], Awaitable[Response]], scope: str
    ) -> Response:
        tenant = request.path_params["tenant"]
        if tenant not in (grant.data["tenant"], *grant.data.get("also", ())):
            return json_response([message("TENANT", "Geen toegang tot deze klant")], 403)
        if self.switches["enforce_scopes"] and grant.data["scopes"] and scope not in grant.data["scopes"]:
            return json_response([message("SCOPE", f"Recht {scope} ontbreekt")], 403)
        home = self.books["tenants"][tenant]
        if "own" not in request.path_params:
            return await handler(request, home)
        books = home["administrations"].get(request.path_params["own"])
        if books is None:
            return json_response([message("ADMINISTRATION", "Onbekende administratie")], 404)
        return await handler(request, books)

    def _limits(self, token: str) -> tuple[bool, dict[str, str]]:
        """Takes a turn from the token's bucket; the headers that go on every answer."""
        burst, rate = float(self.switches["rate_burst"]), float(self.switches["rate_per_minute"]) / 60
        now = self.now()
        left, then = self._buckets.get(token, (burst, now))
        left = min(burst, left + (now - then) * rate)
        allowed = left >= 1
        left -= 1 if allowed else 0
        self._buckets[token] = (left, now)
        reset = int((now + max(0.0, 1 - left) / rate) * 1000)
        return allowed, {
            "x-rate-limit-limit": str(int(burst)),
            "x-rate-limit-remaining": str(int(left)),
            "x-rate-limit-reset": str(reset),
        }

    def busy_answer(self, seconds: float) -> Response:
        """429 with `retry-after` and the reset in milliseconds."""
        headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int((self.now() + seconds) * 1000))}
        if self.switches["retry_after"] and seconds:
            headers["retry-after"] = str(int(seconds + 0.999))
        return json_response([message("RATE", "Te veel aanroepen")], 429, headers)

    def expired_answer(self) -> Response:
        """401 with a message array."""
        return json_response([message("TOKEN", "Token is niet (meer) geldig")], 401)

    def error_answer(self) -> Response:
        """500 with a message array."""
        return json_response([message("INTERNAL", "Er is iets misgegaan")], 500)

    # --- lists -----------------------------------------------------------------------------------------------

    def _page(self, request: Request, total: int, part: Callable[[int, int], Iterable[Entry]]) -> Response:
        """A page of a list in the form the switches say; `part` gives the records of a slice."""
        form = self.switches["links"]
        if form == "none":
            return self._list([*part(0, total)], {})
        asked = request.query_params.get("next", "0")
        start = int(asked) if asked.isdecimal() else 0
        size = int(self.switches["page_size"])
        records = [*part(start, start + size)]
        following = str(start + size)
        if start + size >= total:
            return self._list(records, {})
        others = "".join(f"{key}={value}&" for key, value in request.query_params.items() if key != "next")
        query = f"?{others}next={following}"
        link: object = {
            "relative": f"{request.url.path}{query}",
            "absolute": f"{request.url.scheme}://{request.url.netloc}{request.url.path}{query}",
            "query": query,
            "token": following,
            "object": {"href": f"{request.url.path}{query}"},
        }[form]
        return self._list(records, {"next": link})

    def _list(self, records: list[Entry], links: Entry) -> Response:
        shown = [self._shown(record) for record in records]
        if self.switches["lists"] == "bare" and not links:
            return json_response(shown)
        return json_response({"links": links, "collection": shown})

    def _shown(self, record: Entry) -> Entry:
        """A record as it is sent: without our own marks, dates and amounts spelt as the switches say."""
        shown = {key: value for key, value in record.items() if not key.startswith("_")}
        if self.switches["dates"] == "rfc3339":
            for key in ("invoice_date", "document_date", "due_date"):
                if shown.get(key):
                    shown[key] = f"{shown[key]}T00:00:00.000Z"
        if self.switches["numbers"] == "text":
            for key in ("total", "paid", "balance", "debit", "credit", "percentage"):
                if key in shown:
                    shown[key] = str(shown[key])
        return shown

    async def _administrations(self, request: Request, home: Entry) -> Response:
        facts = [one["facts"] for one in home["administrations"].values()]
        return self._page(request, len(facts), lambda start, end: facts[start:end])

    def _list_of(self, name: str) -> Callable[[Request, Entry], Awaitable[Response]]:
        async def listed(request: Request, books: Entry) -> Response:
            records = books[name]
            return self._page(request, len(records), lambda start, end: islice(records.values(), start, end))

        return listed

    # --- debtors ---------------------------------------------------------------------------------------------

    async def _customers(self, request: Request, books: Entry) -> Response:
        records = books["customers"]
        return self._page(
            request, len(records), lambda start, end: map(self._shy, islice(records.values(), start, end))
        )

    def _shy(self, customer: Entry) -> Entry:
        return {name: value for name, value in customer.items() if name not in self.switches["hidden_fields"]}

    async def _customer(self, request: Request, books: Entry) -> Response:
        found = books["customers"].get(request.path_params["customer"])
        if found is None:
            return json_response([message("CUSTOMER", "Onbekende debiteur")], 404)
        return json_response(self._shown(found))

    async def _by_email(self, request: Request, books: Entry) -> Response:
        own = books["by_email"].get(request.path_params["email"].lower(), [])
        return self._found(own, books)

    async def _by_external(self, request: Request, books: Entry) -> Response:
        return self._found(books["by_external"].get(request.path_params["mark"], []), books)

    def _found(self, own: Iterable[str], books: Entry) -> Response:
        seen = self.now() - float(self.switches["search_lag_s"])
        numbers = own if self.switches["search_filter"] else books["customers"]
        found = [books["customers"][one] for one in numbers if books["customers"][one]["_made"] <= seen]
        form = self.switches["by_email"]
        if not found:
            if self.switches["search_missing"] != "empty":
                status = int(self.switches["search_missing"])
                return json_response([message("CUSTOMER", "Niet gevonden")], status)
            return json_response({"links": {}, "collection": []} if form == "collection" else [])
        shown = [self._shown(self._shy(one)) for one in found]
        if form == "object" and len(shown) == 1:
            return json_response(shown[0])
        return json_response(shown if form == "array" else {"links": {}, "collection": shown})

    def _index(self, books: Entry, customer: Entry) -> None:
        own = str(customer["id"])
        for email in _emails(customer):
            if own not in books["by_email"].setdefault(email, []):
                books["by_email"][email].append(own)
        if customer["externalid"] and own not in books["by_external"].setdefault(customer["externalid"], []):
            books["by_external"][customer["externalid"]].append(own)

    def _unindex(self, books: Entry, customer: Entry) -> None:
        own = str(customer["id"])
        places = [books["by_email"].get(email, []) for email in _emails(customer)]
        for place in [*places, books["by_external"].get(customer["externalid"], [])]:
            if own in place:
                place.remove(own)

    async def _make_customer(self, request: Request, books: Entry) -> Response:
        sent = await json_body(request)
        wrong = self._wrong_customer(sent, whole=True)
        book = request.query_params.get("journal_id")
        if book is not None and book not in books["journals"]:
            wrong.append(message("JOURNAL", f"Onbekend dagboek {book}"))
        if wrong:
            return json_response(wrong, 400)
        tenant, own = request.path_params["tenant"], request.path_params["own"]
        made = self.add_customer(f"{tenant}/{own}", sent)
        match self.switches["customer_answer"]:
            case "empty":
                return Response("", 201)
            case "text":
                return json_response("Debiteur aangemaakt", 201)
            case "id":
                return json_response({"id": str(made["id"])}, 201)
            case _:
                return json_response(self._shown(made), 201)

    def _wrong_customer(self, sent: object, *, whole: bool) -> list[Entry]:
        if not isinstance(sent, dict):
            return [message("BODY", "Eén debiteur verwacht")]
        wrong = [message("FIELD", f"Onbekend veld {name}") for name in sorted(set(sent) - _CUSTOMER_FIELDS)]
        addresses = sent.get("addresses", [] if whole else None)
        if whole and self.switches["customer_vat_required"] and not isinstance(sent.get("vat"), dict):
            wrong.append(message("VAT", "vat ontbreekt"))
        if addresses is not None and not (isinstance(addresses, list) and addresses):
            wrong.append(message("ADDRESS", "Een adres is verplicht"))
        for address in addresses or ():
            unknown = sorted(set(address) - _ADDRESS_FIELDS) if isinstance(address, dict) else ["addresses"]
            wrong += [message("FIELD", f"Onbekend veld {name}") for name in unknown]
            if not unknown and not address.get("name"):
                wrong.append(message("ADDRESS", "Een naam is verplicht"))
        mark = sent.get("externalid", "")
        if not isinstance(mark, str) or mark != mark.lower() or len(mark) > 60:
            wrong.append(message("EXTERNALID", "externalid: kleine letters, hoogstens 60"))
        return wrong

    async def _change_customer(self, request: Request, books: Entry) -> Response:
        found = books["customers"].get(request.path_params["customer"])
        if found is None:
            return json_response([message("CUSTOMER", "Onbekende debiteur")], 404)
        sent = await json_body(request)
        if wrong := self._wrong_customer(sent, whole=False):
            return json_response(wrong, 400)
        self._unindex(books, found)
        for name, value in sent.items():
            merge = self.switches["patch_arrays"] == "merge" and isinstance(value, list)
            found[name] = [*found[name], *(one for one in value if one not in found[name])] if merge else value
        self._index(books, found)
        return json_response(self._shown(found))

    # --- bookings --------------------------------------------------------------------------------------------

    async def _put_batch(self, request: Request, books: Entry) -> Response:
        uuid = request.path_params["uuid"].lower()
        sent = await json_body(request)
        wrong = self._wrong_batch(uuid, sent, books)
        if wrong:
            return json_response(wrong, 400)
        stored = self._store(books, uuid, sent)
        match self.switches["put_answer"]:
            case "empty":
                return Response("", 200)
            case "first":
                return json_response(self._shown(stored[0]))
            case "object":
                return json_response({"id": uuid, "lines": [self._shown(line) for line in stored]})
            case "warning":
                warned = [self._shown(line) for line in stored]
                warned[0] |= {"messages": [message("LATE", "Vervaldatum ligt ver weg", "warning")]}
                return json_response(warned)
            case "text":
                return json_response("Verwerkt")
            case _:
                return json_response([self._shown(line) for line in stored])

    def _wrong_batch(self, uuid: str, sent: object, books: Entry) -> list[Entry]:
        pattern = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        version = uuid[14:15] == "4" and uuid[19:20] in "89ab"
        if not re.fullmatch(pattern, uuid) or (self.switches["uuid"] == "v4" and not version):
            return [message("UUID", "Geen geldige UUID")]
        if not isinstance(sent, list) or not sent or not all(isinstance(line, dict) for line in sent):
            return [message("BODY", "Een lijst van boekingsregels verwacht")]
        wrong = [one for line in sent for one in self._wrong_line(line, books)]
        if not wrong:
            wrong = [*self._unbalanced(sent, books), *self._conflicts(uuid, sent, books)]
        return wrong

    def _wrong_line(self, line: Entry, books: Entry) -> Iterable[Entry]:
        for name in sorted(set(line) - _LINE_FIELDS):
            yield message("FIELD", f"Onbekend veld {name}")
        yield from _wrong_account(line, books)
        sides = [line.get("debit"), line.get("credit")]
        if not all(_money(side) for side in sides) or all(sides):
            yield message("AMOUNT", "debit en credit: getallen vanaf 0 met hoogstens twee decimalen, een van beide 0")
        book = line.get("journal")
        if not isinstance(book, dict) or book.get("id") not in books["journals"]:
            yield message("JOURNAL", "Onbekend dagboek")
        own = line.get("invoice_number", 0)
        if isinstance(own, bool) or not isinstance(own, int) or not 0 <= own < 2**31:
            yield message("INVOICE_NUMBER", "invoice_number is een geheel getal")
        for name in ("document_date", "due_date"):
            if name in line and not (isinstance(line[name], str) and _DAY.fullmatch(line[name])):
                yield message("DATE", f"{name}: JJJJ-MM-DD")
                return
        yield from _wrong_period(line, books)
        for name in ("cost_center", "payment_term"):
            if name in line and not (isinstance(line[name], dict) and line[name].get("id")):
                yield message("ZERO_ID", f"{name} zonder id")
                return
        yield from self._wrong_centre(line, books)

    def _wrong_centre(self, line: Entry, books: Entry) -> Iterable[Entry]:
        centre = line.get("cost_center")
        if centre is None:
            return
        if str(centre["id"]) not in books["cost_centres"]:
            yield message("COST_CENTER", f"Onbekende kostenplaats {centre['id']}")
        account = books["ledger_accounts"].get(str(line.get("account", {}).get("id")), {})
        if self.switches["centre_elsewhere"] == "refuse" and not account.get("cost_type"):
            yield message("COST_CENTER", f"Rekening {account.get('id')} kent geen kostenplaatsen")

    def _unbalanced(self, lines: list[Entry], books: Entry) -> Iterable[Entry]:
        total = sum((_signed(line) + _signed(line, self._vat(line, books)) for line in lines), ZERO)
        if total:
            yield message("UNBALANCED", f"De boeking is niet in evenwicht, verschil {total:f}")

    def _conflicts(self, uuid: str, lines: list[Entry], books: Entry) -> Iterable[Entry]:
        for key in {_item_key(line) for line in lines if _is_item(line, books)}:
            item = books["receivables"].get(key)
            if item is None:
                continue
            if item["_batch"] != uuid and self.switches["duplicate_numbers"] == "refuse":
                yield message("DUPLICATE", f"Factuurnummer {key} bestaat al")
            if item["_batch"] == uuid and item["paid"] and self.switches["paid_batch"] == "refuse":
                yield message("PAID", f"Factuur {key} is al (deels) betaald")

    def _vat(self, line: Entry, books: Entry) -> Decimal:
        """The VAT on top of a line by its account's code; none where amounts go in gross."""
        code = self._code(line, books)
        if code is None or self._entry_of(code, books) == "gross":
            return ZERO
        return cents((line["debit"] + line["credit"]) * Decimal(code["percentage"]) / 100)

    def _entry_of(self, code: Entry, books: Entry) -> str:
        return str(self.switches["vat_entry"].get(str(code["id"]), books["vat_entry"]))

    def _code(self, line: Entry, books: Entry) -> Entry | None:
        if line["account"]["type"] != "ledger_account":
            return None
        code = books["ledger_accounts"].get(line["account"]["id"], {}).get("vat") or {}
        return code if code.get("id") and code.get("percentage") else None

    def _store(self, books: Entry, uuid: str, sent: list[Entry]) -> list[Entry]:
        before: dict[str, Decimal] = {}
        if uuid in books["batches"]:
            before = {key: books["receivables"][key]["paid"] for key in self._items_of(books, uuid)}
            self._unpost(books, uuid)
        stored: list[Entry] = []
        for line in sent:
            stored.append(self._stored(books, uuid, line, len(stored)))
        if self.switches["vat_lines"]:
            stored += [self._vat_line(books, uuid, line) for line in list(stored) if line["vat"]["amount"]]
        books["batches"][uuid] = stored
        for place in {(line["period"]["fiscal_year"], line["period"]["id"]) for line in stored}:
            books["by_period"].setdefault(f"{place[0]}/{place[1]}", {})[uuid] = True
        for line in stored:
            if _is_item(line, books):
                self._open(books, uuid, line, before)
        return stored

    def _stored(self, books: Entry, uuid: str, line: Entry, at: int) -> Entry:
        day = date.fromisoformat(line["document_date"]) if line.get("document_date") else _today(self.now())
        code = self._code(line, books)
        vat = self._vat(line, books)
        if code is not None and self._entry_of(code, books) == "gross":
            size, percentage = line["debit"] + line["credit"], Decimal(code["percentage"])
            vat = cents(size * percentage / (100 + percentage))
        books["next_line"] += 1
        return {
            "account": {"scheme": "MINOX", "type": "ledger_account"} | line["account"],
            "debit": line["debit"],
            "credit": line["credit"],
            "document_date": day.isoformat(),
            "due_date": line.get("due_date"),
            "invoice_number": line.get("invoice_number", 0),
            "entry_number": line.get("entry_number", 0),
            "description": line.get("description", ""),
            "cost_center": line.get("cost_center"),
            "id": books["next_line"],
            "batch_id": uuid,
            "journal": {"page_number": 1, "line_number": at + 1}
            | {key: books["journals"][line["journal"]["id"]][key] for key in ("id", "description", "type")},
            "period": {"id": day.month, "description": f"{day:%Y-%m}"} | line.get("period", {})
            if line.get("period", {}).get("fiscal_year")
            else {"id": day.month, "fiscal_year": day.year, "description": f"{day:%Y-%m}"},
            "vat": (dict(code) if code else {"id": 0}) | {"amount": vat},
            "currency": {"id": "EUR", "exchange_rate": 1, "description": "Euro"},
            "document_id": None,
            "messages": [],
            "_put_at": self.now(),
        }

    def _vat_line(self, books: Entry, uuid: str, line: Entry) -> Entry:
        books["next_line"] += 1
        vat = line["vat"]["amount"]
        return line | {
            "id": books["next_line"],
            "batch_id": uuid,
            "account": {"id": line["vat"]["account_id"], "scheme": "MINOX", "type": "ledger_account"},
            "debit": vat if line["debit"] else 0,
            "credit": vat if line["credit"] else 0,
            "vat": {"id": 0, "amount": 0},
        }

    def _open(self, books: Entry, uuid: str, line: Entry, before: Mapping[str, Decimal]) -> None:
        key = _item_key(line)
        total = _signed(line)
        if key in books["receivables"]:
            total += books["receivables"][key]["_total"]
        account = books["customers"].get(line["account"]["id"], {})
        shown = abs(total) if self.switches["credit_sign"] == "positive" else total
        books["receivables"][key] = {
            "type": self.switches["item_type"],
            "account_id": int(line["account"]["id"]),
            "account": line["account"]
            | {"description": next((one["name"] for one in account.get("addresses", ())), "")},
            "invoice_number": line["invoice_number"],
            "invoice_date": line["document_date"],
            "due_date": line["due_date"],
            "total": cents(shown),
            "paid": before.get(key, cents(ZERO)),
            "balance": cents(shown),
            "blocked": 0,
            "memo": "",
            "reminder": {"number_sent": 0},
            "currency": {"id": "EUR", "exchange_rate": 1, "description": "Euro"},
            "age": 0,
            "_total": total,
            "_batch": uuid,
        }
        _settle(books, key)

    def _items_of(self, books: Entry, uuid: str) -> set[str]:
        return {_item_key(line) for line in books["batches"].get(uuid, ()) if _is_item(line, books)}

    def _unpost(self, books: Entry, uuid: str) -> None:
        for key in self._items_of(books, uuid):
            books["receivables"].pop(key, None)
            books["open"].pop(key, None)
        for line in books["batches"].get(uuid, ()):
            books["by_period"].get(f"{line['period']['fiscal_year']}/{line['period']['id']}", {}).pop(uuid, None)

    async def _get_batch(self, request: Request, books: Entry) -> Response:
        found = books["batches"].get(request.path_params["uuid"].lower())
        if found is None or found[0].get("_put_at", 0) > self.now() - float(self.switches["batch_lag_s"]):
            if self.switches["batch_missing"] == "empty":
                return json_response([])
            return json_response([message("BATCH", "Onbekende boeking")], 404)
        return json_response([self._shown(line) for line in found])

    async def _delete_batch(self, request: Request, books: Entry) -> Response:
        uuid = request.path_params["uuid"].lower()
        if uuid not in books["batches"]:
            return json_response([message("BATCH", "Onbekende boeking")], 404)
        self.delete_batch(f"{request.path_params['tenant']}/{request.path_params['own']}", uuid)
        return Response("", 204)

    async def _blob(self, request: Request, books: Entry) -> Response:
        uuid = request.path_params["uuid"].lower()
        lines = books["batches"].get(uuid)
        if lines is None:
            return json_response([message("BATCH", "Onbekende boeking")], 404)
        found = _multipart(request.headers.get("content-type", ""), await request.body())
        if found is None or set(found) != {"data"}:
            return json_response([message("BLOB", "Eén deel met de naam data verwacht")], 400)
        try:
            content = base64.b64decode(found["data"], validate=True)
        except binascii.Error:
            return json_response([message("BLOB", "Geen base64")], 400)
        if lines[0]["document_id"]:
            return json_response([message("BLOB", "Er hangt al een document aan")], 400)
        books["documents"][uuid] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for line in lines:
            line["document_id"] = f"{uuid}.pdf"
        return json_response({"document_id": f"{uuid}.pdf"}, 201)

    async def _lines_of_year(self, request: Request, books: Entry) -> Response:
        year, period = request.path_params["year"], request.query_params.get("period", "")
        if not self.switches["period_filter"] or not period:
            keys = [key for key in books["by_period"] if key.startswith(f"{year}/")]
        else:
            keys = [f"{year}/{period}"]
        lines = [
            self._shown(line)
            for key in keys
            for uuid in books["by_period"].get(key, ())
            for line in books["batches"][uuid]
        ]
        return json_response(lines)

    # --- open items ------------------------------------------------------------------------------------------

    async def _receivables(self, request: Request, books: Entry) -> Response:
        everything = self.switches["paid_in_list"] or not (
            self.switches["status_filter"] and request.query_params.get("status") == "open"
        )
        items = books["receivables"]
        if everything:
            return self._page(request, len(items), lambda start, end: islice(items.values(), start, end))
        keys = books["open"]
        return self._page(request, len(keys), lambda start, end: (items[key] for key in islice(keys, start, end)))

    async def _receivable(self, request: Request, books: Entry) -> Response:
        item = books["receivables"].get(f"{request.path_params['customer']}/{request.path_params['number']}")
        if item is None or (item["balance"] == 0 and self.switches["paid_item"] == "gone"):
            return json_response([message("RECEIVABLE", "Geen openstaande post")], 404)
        if item["balance"] == 0 and self.switches["paid_item"] == "empty":
            return json_response({"links": {}, "collection": []})
        return json_response(self._shown(item))


def _settle(books: Entry, key: str) -> None:
    """Brings an item's balance and its place in the open list up to date."""
    item = books["receivables"][key]
    item["balance"] = cents(item["total"] - item["paid"])
    if item["balance"] == 0:
        books["open"].pop(key, None)
    else:
        books["open"][key] = True


def _emails(customer: Entry) -> set[str]:
    return {
        entry["email_address"].lower()
        for address in customer.get("addresses") or ()
        for entry in address.get("email_addresses") or ()
        if entry.get("email_address")
    }


def _signed(line: Entry, size: Decimal | None = None) -> Decimal:
    """Debit above zero, credit below; `size` takes the line's side."""
    if size is not None:
        return size if line["debit"] else -size
    return Decimal(line["debit"]) - Decimal(line["credit"])


def _money(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return value >= 0 and Decimal(value) == cents(Decimal(value))


def _is_item(line: Entry, books: Entry) -> bool:
    """True for a line that makes an open item: a debtor, in a sales journal, with a number."""
    sales = books["journals"].get(line["journal"]["id"], {}).get("type") == "sales"
    return bool(sales and line["account"]["type"] == "customer" and line.get("invoice_number"))


def _item_key(line: Entry) -> str:
    return f"{line['account']['id']}/{line['invoice_number']}"


def _wrong_account(line: Entry, books: Entry) -> Iterable[Entry]:
    account = line.get("account")
    if not isinstance(account, dict) or not isinstance(account.get("id"), str):
        yield message("ACCOUNT", "account.id is tekst")
        return
    kind = account.get("type")
    known = {"ledger_account": books["ledger_accounts"], "customer": books["customers"]}.get(str(kind))
    if account.get("scheme") != "MINOX" or known is None:
        yield message("ACCOUNT", "account: scheme MINOX en type ledger_account of customer")
    elif account["id"] not in known:
        yield message("ACCOUNT", f"Onbekende rekening {account['id']}")
    elif known[account["id"]]["blocked"]["active"]:
        yield message("BLOCKED", f"Rekening {account['id']} is geblokkeerd")
    elif kind == "ledger_account" and known[account["id"]]["cost_type"] and not line.get("cost_center"):
        yield message("COST_CENTER", f"Rekening {account['id']} vraagt een kostenplaats")


def _wrong_period(line: Entry, books: Entry) -> Iterable[Entry]:
    day = line.get("document_date", "")
    years = {
        year["fiscal_year"]: year
        for year in books["facts"]["fiscal_years"]
        if not day or year["start_date"] <= day <= year["end_date"]
    }
    asked = line.get("period", {}).get("fiscal_year") if isinstance(line.get("period", {}), dict) else -1
    if not years or (asked is not None and asked not in years):
        yield message("NO_FISCAL_YEAR", f"Er is geen boekjaar voor documentdatum {day}")
    elif day and day <= books["closed_until"]:
        yield message("CLOSED", f"De periode van {day} is afgesloten")


def _today(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, secret


def _multipart(kind: str, body: bytes) -> dict[str, bytes] | None:
    """The named parts of a form body; None when it is no form."""
    boundary = re.search(r'boundary="?([^";]+)', kind)
    if not kind.startswith("multipart/form-data") or boundary is None:
        return None
    parts: dict[str, bytes] = {}
    for piece in body.split(b"--" + boundary[1].encode()):
        head, split, content = piece.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        if split and name:
            parts[name[1].decode()] = content.removesuffix(b"\r\n")
    return parts


SANDBOX = MinoxSandbox
