"""A Minuba of our own: consent by form_post, orders, clients and files as seen, invoices by our stand-in profile.

Everything about the resource `Invoice` is assumed (dossier 5, 8.5); what the dossier marks unknown is a switch.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Grant, Sandbox, consent_page, json_response

Record = dict[str, Any]
CENT = Decimal("0.01")
OWNER = "jan@molenaar-installatie.example"
ORDER_STATES = ("proposal", "new", "started", "delayed", "completed", "closed")
INVOICE_STATES = ("draft", "approved", "paid")
RESOURCES = {"Order": "orders", "Client": "clients", "File": "files", "Invoice": "invoices"}
STATES = {"Order": ORDER_STATES, "Invoice": INVOICE_STATES}
INCLUDES = {"Order": {"client", "addresses"}, "Client": {"addresses"}, "Invoice": {"client", "lines"}, "File": set()}
FILTERS = {
    "Order": {"state", "id", "clientId", "orderNumber"},
    "Client": {"id", "name", "cvr", "clientNumber"},
    "File": {"orderId", "parentId"},
    "Invoice": {"state", "id", "clientId", "invoiceNumber"},
}
PAGING = {"page", "offset"}
PDF = b"%PDF-1.4\n% "


class Refused(Exception):
    """A no with its status; the form of the body is switched (dossier 3: unknown)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class MinubaSandbox(Sandbox):
    """One Minuba account. For tests: `grant`, `add_client`, `add_order`, `add_invoice`, `approve`, `reject`, `credit`,
    `pay`, `change`, `vanish`, `add_file`, `fill`. `books` holds dicts by id."""

    name = "minuba"

    def reset(self) -> None:
        """An account with one user and nothing else."""
        super().reset()
        self.switches = {
            "clients": None,  # {id: secret}; None: any pair
            "token_form": "jwt",  # jwt | opaque; the claims are ours
            "expires_in": 3599,  # None: left out
            "refresh_rotates": True,
            "refresh_in_answer": True,  # False: a refresh answers without one (seen as possible)
            "envelope": "plural",  # plural | capital | data | bare | nested
            "empty": "list",  # list | null | object | nothing
            "names": "camel",  # camel | pascal | lower
            "state_case": "upper",  # upper | lower, of the records
            "numbers": "number",  # number | text | comma
            "absent": "null",  # null | omit
            "paging": "none",  # none | pages | total | link | silent_total (no way on) | stuck (the same again)
            "page_size": 100,
            "state_filter": "lower",  # lower | upper: how a state must be asked for (4.1: lower, of orders)
            "ignored_filters": [],
            "refused_filters": [],
            "stateless": "whole",  # whole | refused | unpaid | short: what invoices are listed without a state
            "refused_includes": [],
            "lines": "always",  # always | include: only when asked to embed them
            "invoices": True,  # False: the resource does not exist
            "own_only": True,  # without forAllUsers=true only the user's own
            "currency_field": True,
            "approved_at_field": True,
            "line_totals": False,
            "client_name": True,
            "unauthorised_call": 0,  # the n-th API call from now answers 401, once
            "errors": "message",  # message | object | text | empty
            "download": "pdf",  # pdf | missing | html
            "rate_per_minute": 60_000,
        }
        self.books = {
            "account": {"id": "1F0A5B7C-0000-4D0E-9C0B-000000000001", "name": "Molenaar Installatie B.V."},
            "users": {OWNER: {"name": "Jan Molenaar", "role": "Administrator", "password": ""}},
            **{name: {} for name in RESOURCES.values()},
        }
        self.codes: dict[str, Grant] = {}
        self.tokens: dict[str, Grant] = {}
        self.refreshes: dict[str, Grant] = {}
        self._counts: dict[str, int] = {}
        self._bucket: tuple[float, float] | None = None

    # --- what tests and the demo use

    def grant(self, user: str = OWNER, client: str = "") -> tuple[str, str]:
        """An access and a refresh token."""
        grant = Grant(user, {"client": client})
        return self._access(grant), self._refresh(grant)

    def new_id(self, kind: str) -> str:
        """The next id of a kind: an upper-case GUID, the same in every run."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        found = hashlib.sha256(f"{kind}{self._counts[kind]}".encode()).hexdigest().upper()
        return f"{found[:8]}-{found[8:12]}-4{found[13:16]}-9{found[17:20]}-{found[20:32]}"

    def moment(self) -> str:
        """The sandbox's clock as Minuba was seen to write it."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def put(self, collection: str, record: Record) -> Record:
        """Stores a record under its id."""
        self.books[collection][record["id"]] = record
        return record

    def add_client(self, name: str = "Molen en Dijk Vastgoed B.V.", **fields: Any) -> Record:
        """A client with one contact address; `address` changes that one, None leaves it out."""
        at = len(self.books["clients"])
        address: Record | None = fields.pop("address", {})
        slug = "".join(letter for letter in name.lower() if letter.isalnum())[:18]
        where = {
            "id": str(at * 10 + 12), "addressType": "CONTACT", "name": name, "att": "Administratie",
            "streetAddress": f"Voorbeeldkade {at + 12}", "streetAddress2": None, "postCode": "1234 AB",
            "city": "Utrecht", "country": "NL", "email": f"administratie@{slug}.example", "phone": "+31 30 000 00 00",
            "cellPhone": None,
        }  # fmt: skip
        found = [] if address is None else [where | address]
        return self.put("clients", {
            "id": self.new_id("client"), "clientNumber": str(10482 + at), "name": name, "cvr": None,
            "lastUsedBillingAddressId": found[0]["id"] if found else None, "addresses": found, **fields,
        })  # fmt: skip

    def add_order(self, state: str = "completed", client: Record | None = None, **fields: Any) -> Record:
        """An order; work on it changes no invoice."""
        owner = client or self._client()
        return self.put("orders", {
            "id": self.new_id("order"), "orderNumber": str(5501 + len(self.books["orders"])), "state": state,
            "description": "Onderhoud cv-ketel", "clientId": owner["id"], "theirref": "mw. J. Voorbeeld",
            "created": self.moment(), "updated": self.moment(), "owner": OWNER, **fields,
        })  # fmt: skip

    def add_invoice(
        self,
        *lines: Record,
        client: Record | None = None,
        state: str = "approved",
        day: str = "2026-11-19",
        number: int | None = None,
        approved_at: str | None = None,
        **fields: Any,
    ) -> Record:
        """An invoice or credit note; lines are made by `hours`, `material`, `words`, `fixed`."""
        owner = client or self._client()
        made = [dict(line) for line in lines or (hours("2.5", "62"),)]
        due = (date.fromisoformat(day) + timedelta(days=14)).isoformat()
        record = {
            "id": self.new_id("invoice"), "draftNumber": 1, "invoiceNumber": None, "state": "draft", "type": "invoice",
            "creditedInvoiceId": None, "approvedAt": None, "invoiceDate": day, "dueDate": due, "currency": "EUR",
            "orderIds": [], "clientId": owner["id"], "theirref": "", "reverseCharge": False, "lines": made,
            "owner": OWNER, **totals(made),
        }  # fmt: skip
        record |= fields
        self.put("invoices", record)
        if state != "draft":
            self.approve(record["id"], number, approved_at=approved_at)
        if state == "paid":
            self.pay(record["id"])
        return record

    def approve(
        self,
        invoice_id: str,
        number: int | None = None,
        *,
        day: str | None = None,
        due: str | None = None,
        approved_at: str | None = None,
    ) -> Record:
        """One-way: gives the number and fixes the dates, which may be changed here. A credit note pays its invoice."""
        record: Record = self.books["invoices"][invoice_id]
        if record["state"] != "draft":
            raise ValueError("only a draft can be approved")
        self._counts["number"] = int(number or self._counts.get("number", 20261180) + 1)
        record.update(
            state="approved", invoiceNumber=str(self._counts["number"]),
            approvedAt=approved_at or self.moment(), invoiceDate=day or record["invoiceDate"],
            dueDate=due or record["dueDate"],
        )  # fmt: skip
        credited = self.books["invoices"].get(record["creditedInvoiceId"])
        if credited and credited["totalInclVat"] + record["totalInclVat"] <= 0:
            credited["state"] = "paid"
        return record

    def reject(self, invoice_id: str) -> None:
        """A draft that is rejected goes away, and its lines can be billed again."""
        if self.books["invoices"][invoice_id]["state"] != "draft":
            raise ValueError("only a draft can be rejected")
        del self.books["invoices"][invoice_id]

    def credit(self, invoice_id: str, *lines: Record, state: str = "approved", **fields: Any) -> Record:
        """A credit note on an approved invoice: all of it, or the given lines (their quantities made negative)."""
        record = self.books["invoices"][invoice_id]
        if record["state"] == "draft":
            raise ValueError("a draft cannot be credited")
        back = [
            line | ({"quantity": -line["quantity"]} if "quantity" in line else {}) for line in lines or record["lines"]
        ]
        return self.add_invoice(
            *back, client=self.books["clients"][record["clientId"]], state=state, type="credit",
            creditedInvoiceId=invoice_id, reverseCharge=record["reverseCharge"], currency=record["currency"], **fields,
        )  # fmt: skip

    def pay(self, invoice_id: str) -> None:
        """Fully settled, for instance by an imported FI file: it leaves the approved ones."""
        self.books["invoices"][invoice_id]["state"] = "paid"

    def change(self, collection: str, record_id: str, **fields: Any) -> Record:
        """Changes a record behind the product's back."""
        return self.put(collection, self.books[collection][record_id] | fields)

    def vanish(self, invoice_id: str) -> Record:
        """An invoice that is in no listing any more, for whatever reason; give it back with `put`."""
        return self.books["invoices"].pop(invoice_id)  # type: ignore[no-any-return]

    def add_file(self, parent: Record, name: str = "", content: str = "") -> Record:
        """A PDF on an order or an invoice."""
        kind = "orderId" if "orderNumber" in parent else "parentId"
        label = name or f"{parent.get('invoiceNumber') or parent.get('orderNumber')}.pdf"
        facts = {"orderId": None, "parentId": parent["id"], kind: parent["id"]}
        return self.put("files", {"id": self.new_id("file"), "name": label, "content": content or label, **facts})

    def fill(self, invoices: int, customers: int = 100, articles: int = 50) -> None:
        """Many plain invoices, for measurements."""
        owners = [self.add_client(f"Klant {at} B.V.") for at in range(customers)]
        for at in range(invoices):
            day = f"2026-{at % 9 + 1:02d}-{at % 28 + 1:02d}"
            line = material(f"ART-{at % articles:03d}", "2", str(10 + at % 90))
            paid = "paid" if at % 3 else "approved"
            self.add_invoice(line, client=owners[at % customers], day=day, number=30000001 + at, state=paid)

    def seed(self) -> None:
        """An installation company: a dozen invoices of every kind, their orders and PDFs."""
        seed(self)

    def _client(self) -> Record:
        found: dict[str, Record] = self.books["clients"]
        return next(iter(found.values())) if found else self.add_client()

    # --- consent (dossier 2.1)

    def routes(self) -> list[BaseRoute]:
        """The consent host and the API."""
        return [
            Route("/oauth2/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/oauth2/token", self._token, methods=["POST"]),
            Route("/api/1/{path:path}", self._api, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if wrong := self._wrong_request(asked):
            return PlainTextResponse(wrong, 400)
        if request.method == "GET":
            return self._login("")
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        where, state = asked["redirect_uri"], asked["state"]
        if form.get("consent") != "yes":
            return posted_back(where, error="access_denied", state=state)
        user = self.books["users"].get(form.get("email", "").strip().lower())
        if user is None or not form.get("password") or user["password"] not in ("", form["password"]):
            return self._login("E-mail eller adgangskode er forkert")
        if user["role"] != asked["scope"]:
            return posted_back(where, error="access_denied", error_description="Kun administratorer", state=state)
        code = self.token()
        data = {"client": asked["client_id"]}
        self.codes[code] = Grant(form["email"].strip().lower(), data, where, expires_at=self.now() + 300)
        return posted_back(where, code=code, state=state)

    def _wrong_request(self, asked: Mapping[str, str]) -> str:
        needed = ("client_id", "redirect_uri", "scope", "state", "response_type", "response_mode")
        if missing := [name for name in needed if not asked.get(name)]:
            return f"invalid_request: {', '.join(missing)}"
        clients, back = self.switches["clients"], urlsplit(asked["redirect_uri"])
        checks = {
            "unauthorized_client": bool(clients) and asked["client_id"] not in clients,
            "unsupported_response_type": asked["response_type"] != "code",
            "invalid_request: response_mode must be form_post": asked["response_mode"] != "form_post",
            "invalid_scope": asked["scope"] != "Administrator",
            "invalid_request: redirect_uri": back.scheme not in ("http", "https") or not back.netloc,
        }
        return next((words for words, wrong in checks.items() if wrong), "")

    def _login(self, error: str) -> Response:
        shown = {
            "email": ("E-mail", "email", escape(next(iter(self.books["users"])))),
            "password": ("Wachtwoord", "password", "zandbak"),
        }
        return consent_page(f"Minuba · {escape(self.books['account']['name'])}", shown, error)

    async def _token(self, request: Request) -> Response:
        if "application/x-www-form-urlencoded" not in request.headers.get("content-type", ""):
            return json_response({"error": "invalid_request", "error_description": "form expected"}, 400)
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        client, known = _basic(request), self.switches["clients"]
        if client is None or not all(client) or (known and known.get(client[0]) != client[1]):
            return json_response({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "authorization_code":
            grant = self.codes.pop(form.get("code", ""), None)
            if grant is None or grant.expires_at < self.now() or form.get("redirect_uri") != grant.redirect_uri:
                return json_response({"error": "invalid_grant"}, 400)
        elif form.get("grant_type") == "refresh_token":
            grant = self.refreshes.get(form.get("refresh_token", ""))
        else:
            return json_response({"error": "unsupported_grant_type"}, 400)
        if grant is None or grant.data["client"] not in ("", client[0]):
            return json_response({"error": "invalid_grant"}, 400)
        return json_response(self._granted(grant, form.get("refresh_token", "")))

    def _granted(self, grant: Grant, used: str) -> Record:
        answer: Record = {"access_token": self._access(grant), "token_type": "Bearer", "scope": "Administrator"}
        if self.switches["expires_in"]:
            answer["expires_in"] = self.switches["expires_in"]
        if not used:
            answer["refresh_token"] = self._refresh(grant)
        elif self.switches["refresh_in_answer"]:
            answer["refresh_token"] = self._refresh(grant) if self.switches["refresh_rotates"] else used
            if self.switches["refresh_rotates"]:
                del self.refreshes[used]
        return answer

    def _access(self, grant: Grant) -> str:
        token = self.token()
        if self.switches["token_form"] == "jwt":
            account = self.books["account"]
            said = {"sub": grant.user, "email": grant.user, "name": self.books["users"][grant.user]["name"],
                    "companyId": account["id"], "companyName": account["name"], "jti": token}  # fmt: skip
            token = ".".join((_part({"alg": "none", "typ": "JWT"}), _part(said), token))
        life = float(self.switches["expires_in"] or 3599)
        self.tokens[token] = Grant(grant.user, grant.data, expires_at=self.now() + life)
        return token

    def _refresh(self, grant: Grant) -> str:
        token = f"rt-{self.token()}"
        self.refreshes[token] = grant
        return token

    # --- the API (dossier 3, 4)

    def refused(self, status: int, message: str) -> Response:
        """A no in the form that is switched on."""
        match self.switches["errors"]:
            case "object":
                return json_response({"error": {"code": str(status), "message": message}}, status)
            case "text":
                return PlainTextResponse(message, status)
            case "empty":
                return Response("", status)
            case _:
                return json_response({"message": message}, status)

    def expired_answer(self) -> Response:
        """The 401 of an expired token."""
        return self.refused(401, "Unauthorized")

    def busy_answer(self, seconds: float) -> Response:
        """A 429; whether Minuba has one is unknown."""
        answer = self.refused(429, "Too many requests")
        if seconds:
            answer.headers["Retry-After"] = str(int(seconds))
        return answer

    def error_answer(self) -> Response:
        """A 500."""
        return self.refused(500, "Internal error")

    async def _api(self, request: Request) -> Response:
        try:
            return self._answered(request, self._user(request))
        except Refused as no:
            return self.busy_answer(1) if no.status == 429 else self.refused(no.status, str(no))

    def _answered(self, request: Request, user: str) -> Response:
        if request.method != "GET":
            raise Refused(405, "Read only")
        resource, _, rest = request.path_params["path"].partition("/")
        if resource == "File" and rest:
            return self._download(rest, request.headers["accept"])
        if resource not in RESOURCES or rest or (resource == "Invoice" and not self.switches["invoices"]):
            raise Refused(404, f"Unknown resource {request.path_params['path']}")
        return self._list(request, resource, user)

    def _user(self, request: Request) -> str:
        if "application/json" not in request.headers.get("accept", ""):
            raise Refused(406, "Accept: application/json")
        if self.switches["unauthorised_call"]:
            self.switches["unauthorised_call"] -= 1
            if not self.switches["unauthorised_call"]:
                raise Refused(401, "Unauthorized")
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.tokens.get(token)
        if kind != "Bearer" or grant is None or grant.expires_at < self.now():
            raise Refused(401, "Unauthorized")
        self._take_turn()
        return grant.user

    def _take_turn(self) -> None:
        rate, now = float(self.switches["rate_per_minute"]), self.now()
        room = max(5.0, rate / 6)
        left, since = self._bucket or (room, now)
        left = min(room, left + (now - since) * rate / 60)
        self._bucket = (max(left - 1, 0), now)
        if left < 1:
            raise Refused(429, "Too many requests")

    def _list(self, request: Request, resource: str, user: str) -> Response:
        asked = dict(request.query_params)
        includes = {one for one in asked.pop("include", "").split(",") if one}
        everybody = asked.pop("forAllUsers", "") == "true"
        paging = {name: asked.pop(name) for name in PAGING & set(asked)}
        refused = includes - INCLUDES[resource] | includes & set(self.switches["refused_includes"])
        if everybody and "forAllUsers" in self.switches["refused_filters"]:
            raise Refused(400, "Unknown: forAllUsers")
        unknown = set(asked) - FILTERS[resource] | set(asked) & set(self.switches["refused_filters"])
        if refused or unknown or (paging and self.switches["paging"] in ("none", "silent_total")):
            raise Refused(400, f"Unknown: {', '.join(sorted({*refused, *unknown, *paging}))}")
        if "state" in asked and resource in STATES and asked["state"] not in STATES[resource]:
            raise Refused(400, f"Unknown state {asked['state']}")
        wanted = {name: value for name, value in asked.items() if name not in self.switches["ignored_filters"]}
        found = [
            one
            for one in self.books[RESOURCES[resource]].values()
            if all(one.get(name) == value for name, value in wanted.items())
            and ("state" not in wanted or self.switches["state_filter"] == "lower")
            and (everybody or not self.switches["own_only"] or one.get("owner", user) == user)
        ]
        if resource == "Invoice" and "state" not in asked:
            found = self._stateless(found)
        return self._page(resource, found, includes, paging, request)

    def _stateless(self, found: list[Record]) -> list[Record]:
        match self.switches["stateless"]:
            case "refused":
                raise Refused(400, "state is required")
            case "unpaid":
                return [one for one in found if one["state"] != "paid"]
            case "short":
                return found[:5]
            case _:
                return found

    def _page(
        self, resource: str, found: Sequence[Record], includes: set[str], paging: Mapping[str, str], request: Request
    ) -> Response:
        way, size = self.switches["paging"], int(self.switches["page_size"])
        page = int(paging.get("page", "1"))
        start = int(paging.get("offset", (page - 1) * size))
        part = found if way == "none" else found[start : start + size]
        pages = max(1, -(-len(found) // size))
        facts: Record = {}
        if way == "stuck":
            part, facts = found[:size], {"total": len(found)}
        shown = [self._shown(resource, one, includes) for one in part]
        if way == "pages":
            facts = {"page": page, "totalPages": pages}
        elif way in ("total", "silent_total"):
            facts = {"total": len(found)}
        elif way == "link" and page < pages:
            query = request.url.include_query_params(page=page + 1).query
            facts = {"next": f"https://app.minuba.dk/api/1/{resource}?{query}"}
        return self._enveloped(resource, shown, facts)

    def _enveloped(self, resource: str, shown: list[Record], facts: Record) -> Response:
        plural = f"{resource.lower()}s"
        name = {"capital": plural.capitalize(), "data": "data"}.get(self.switches["envelope"], plural)
        if not shown and not facts and self.switches["empty"] != "list":
            body = {"null": {name: None}, "object": {}}.get(self.switches["empty"])
            return Response("", 200) if body is None else json_response(body)
        if self.switches["envelope"] == "bare" and not facts:
            return json_response(shown)
        if self.switches["envelope"] == "nested":
            return json_response({"data": {plural: shown}, **facts})
        return json_response({name: shown, **facts})

    def _shown(self, resource: str, record: Record, includes: set[str]) -> Record:
        """A record with what was asked to be embedded, in the spelling that is switched on."""
        hidden = {"owner", "content"} | ({"lines"} if self.switches["lines"] == "include" else set()) - includes
        hidden |= set() if self.switches["currency_field"] else {"currency"}
        hidden |= set() if self.switches["approved_at_field"] else {"approvedAt"}
        hidden |= {"addresses"} - includes if resource == "Client" else set()
        shown = {name: value for name, value in record.items() if name not in hidden}
        owner = self.books["clients"].get(record.get("clientId"))
        if "client" in includes and owner:
            shown["client"] = {"id": owner["id"], "name": owner["name"] if self.switches["client_name"] else None}
        if resource == "Order" and "addresses" in includes:
            shown["addresses"] = owner["addresses"] if owner else []
        if "state" in shown and self.switches["state_case"] == "upper":
            shown["state"] = shown["state"].upper()
        if self.switches["line_totals"] and "lines" in shown:
            shown["lines"] = [line | ({"totalExclVat": cents(exact(line))} if "unitPrice" in line else {})
                              for line in shown["lines"]]  # fmt: skip
        plain = all(self.switches[name] == way for name, way in PLAIN.items())
        return shown if plain else dict(respelt(shown, self.switches))

    def _download(self, file_id: str, accept: str) -> Response:
        """The path is our guess, what is asked for is seen (dossier 4.4)."""
        if "application/pdf" not in accept:
            raise Refused(406, "Accept: application/pdf")
        file = self.books["files"].get(file_id)
        if file is None or self.switches["download"] == "missing":
            raise Refused(404, "Unknown file")
        if self.switches["download"] == "html":
            return HTMLResponse("<html>Log ind</html>")
        return Response(PDF + file["content"].encode() + b"\n%%EOF\n", media_type="application/pdf")


SANDBOX = MinubaSandbox
PLAIN = {"names": "camel", "numbers": "number", "absent": "null"}


def posted_back(where: str, **fields: str) -> HTMLResponse:
    """The form_post answer: a page that posts itself to the client; with a button for browsers without scripts."""
    inputs = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())
    return HTMLResponse(
        '<!doctype html><html lang="nl"><head><meta charset="utf-8"><title>Minuba</title></head>'
        '<body onload="document.forms[0].submit()">'
        f'<form id="form_post" method="post" action="{escape(where)}">{inputs}'
        "<button>Verder</button></form></body></html>",
        headers={"Cache-Control": "no-store"},
    )


def hours(quantity: str, price: str, vat: int = 21, text: str = "Monteur", discount: str = "0") -> Record:
    """A line of hours: no material number."""
    return {
        "type": "hours", "text": text, "quantity": Decimal(quantity), "unitPrice": Decimal(price),
        "discountPercent": Decimal(discount), "vatPercent": vat,
    }  # fmt: skip


def material(
    number: str | None, quantity: str, price: str, vat: int = 21, text: str = "", discount: str = "0"
) -> Record:
    """A line of material."""
    line = hours(quantity, price, vat, text or f"Materiaal {number or ''}".strip(), discount)
    return line | {"type": "material", "materialNumber": number}


def fixed(price: str, vat: int = 21, text: str = "Vaste prijs volgens offerte") -> Record:
    """A fixed price or an instalment on account: no hours or materials are carried over."""
    return hours("1", price, vat, text) | {"type": "fixed"}


def words(text: str) -> Record:
    """A line that only says something."""
    return {"type": "text", "text": text}


def exact(line: Record) -> Decimal:
    """What a line comes to, unrounded."""
    if line.get("unitPrice") is None:
        return Decimal(0)
    found: Decimal = line["quantity"] * line["unitPrice"] * (100 - line["discountPercent"]) / 100
    return found


def cents(amount: Decimal) -> Decimal:
    """Half up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def totals(lines: Iterable[Record]) -> Record:
    """Per rate over the unrounded sum; how Minuba rounds is unknown."""
    rates: dict[int, Decimal] = {}
    for line in lines:
        rate = line.get("vatPercent") or 0
        rates[rate] = rates.get(rate, Decimal(0)) + exact(line)
    net = cents(sum(rates.values(), Decimal(0)))
    vat = sum((cents(amount * rate / 100) for rate, amount in rates.items()), Decimal(0))
    return {"totalExclVat": net, "vatAmount": vat, "totalInclVat": net + vat}


def respelt(value: Any, switches: Mapping[str, Any]) -> Any:
    """The same in the spelling of names, numbers and absent fields that is switched on."""
    if isinstance(value, dict):
        spell = {"pascal": lambda name: name[:1].upper() + name[1:], "lower": str.lower}.get(switches["names"], str)
        kept = {name: one for name, one in value.items() if one is not None or switches["absent"] == "null"}
        return {spell(name): respelt(one, switches) for name, one in kept.items()}
    if isinstance(value, list):
        return [respelt(one, switches) for one in value]
    if isinstance(value, Decimal | int) and not isinstance(value, bool) and switches["numbers"] != "number":
        return str(value).replace(".", ",") if switches["numbers"] == "comma" else str(value)
    return value


def _part(facts: Record) -> str:
    body = bytes(json_response(facts).body)
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, secret


def seed(box: MinubaSandbox) -> None:
    """Fills the books."""
    molen = box.add_client(id="A2D9C0B4-1E64-4E0C-8D4E-9B6A51B0F201")
    bakery = box.add_client("Bakkerij De Gouden Aar B.V.", cvr="NL855512340B01", paymentTerm="14 dagen",
                            address={"email": "info@goudenaar.example; facturen@goudenaar.example"})  # fmt: skip
    builder = box.add_client("Bouwbedrijf Lekstroom B.V.", cvr="NL812345678B01")
    danish = box.add_client("Havnens Køkken ApS", cvr="13585628",
                            address={"postCode": "1256", "city": "København K", "country": "DK"})  # fmt: skip
    bare = box.add_client("VvE Voorbeeldkade", clientNumber=None, address={"postCode": None, "city": None})
    order = box.add_order(client=molen, id="6F0E2C1A-7C55-4B7B-9F1D-2B6B6D0C1A10", orderNumber="5512")
    box.add_order("proposal", bakery, description="Offerte warmtepomp")
    box.add_order("started", builder, description="Nieuwbouw Lekstroom fase 2")
    vessel = material("EXP-18", "1", "48.75", text="Expansievat 18 l", discount="10")
    box.add_invoice(words("Werkbon 5512: onderhoud cv-ketel"), hours("2.5", "62"), vessel, client=molen,
                            number=20261187, theirref="mw. J. Voorbeeld", orderIds=[order["id"]],
                            id="0B9F6C2E-3E0B-4D0E-9C0B-9A6D1C7E5F33", approved_at="2026-11-19T16:02:10")  # fmt: skip
    pipe = material("LEI-22", "12.5", "7.1234")
    insulation = hours("3", "54.50", 9, "Isolatiewerk")
    mixed = box.add_invoice(hours("6", "62"), insulation, pipe, client=bakery, day="2026-11-02")
    box.add_invoice(fixed("4250"), client=bakery, day="2026-11-04")
    box.add_invoice(fixed("1500", text="Termijn 1 van 3 (a conto)"), client=builder, day="2026-11-05", state="paid")
    box.add_invoice(hours("40", "58", 0), material("KRAAN/½\"-é", "4", "31.20", 0), client=builder, day="2026-11-09",
                    reverseCharge=True)  # fmt: skip
    box.credit(mixed["id"], material("LEI-22", "2.5", "7.1234"), day="2026-11-10")
    credited = box.add_invoice(hours("1", "62"), client=molen, day="2026-11-11")
    box.credit(credited["id"], day="2026-11-12")
    box.add_invoice(hours("2", "62"), client=bare, day="2026-11-13")
    box.add_invoice(hours("3", "495", 25), client=danish, day="2026-11-13", currency="DKK")
    box.add_invoice(material("SET-" + "X" * 44, "1", "310"), client=bakery, day="2026-11-16")
    box.add_invoice(hours("8", "62"), client=molen, state="draft", day="2026-11-20")
    for record in list(box.books["invoices"].values()):
        if record["invoiceNumber"]:
            box.add_file(record)
    box.add_file(order, "werkbon-5512.pdf")
