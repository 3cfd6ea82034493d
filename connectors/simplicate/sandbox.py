"""A Simplicate of our own: consent pages, API v2 and books, as the dossier says; its unknowns are switches."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Grant, Sandbox, back_to, consent_page, json_body, json_response

Record = dict[str, Any]
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
CENT = Decimal("0.01")
PROFILE = "myorganizationprofile:91c0de77aa10b2c4"
SECOND_PROFILE = "myorganizationprofile:5e20bb01cc93d7aa"
BAKERY = "organization:4b7d21ce90aa3315"
STATUSES = {
    "concept": {"id": "invoicestatus:d1a06c55e7b84f21", "name": "label_Concept", "color": "#bdc3c7"},
    "sent": {"id": "invoicestatus:0f3a9b6c1d2e4f50", "name": "label_Sended", "color": "#2980b9"},
    "overdue": {"id": "invoicestatus:77c2e0a94b1d3f68", "name": "label_Expired", "color": "#c0392b"},
    "paid": {"id": "invoicestatus:a9e4137fd5c0b826", "name": "label_Paid", "color": "#27ae60"},
}
VAT_CLASSES = {
    "hoog": {"id": "vatclass:21b0aa34c9d7e601", "code": "VH", "label": "21% btw", "percentage": "21.00"},
    "laag": {"id": "vatclass:09c1bb45dae8f712", "code": "VL", "label": "9% btw", "percentage": "9.00"},
    "nul": {"id": "vatclass:00d2cc56ebf90823", "code": "V0", "label": "0% btw", "percentage": "0.00"},
    "icp": {"id": "vatclass:1cp3dd67fc0a1934", "code": "ICP", "label": "ICP diensten", "percentage": "0.00"},
    "verlegd": {"id": "vatclass:7e1eee780d1b2a45", "code": "VV", "label": "Btw verlegd", "percentage": "0.00"},
    "vrij": {"id": "vatclass:3ef4ff891e2c3b56", "code": "VR", "label": "Vrijgesteld", "percentage": "0.00"},
    "export": {"id": "vatclass:4fa5009a2f3d4c67", "code": "EX", "label": "Export buiten EU", "percentage": "0.00"},
}
GROUPS = {
    "8000": {"id": "revenuegroup:8000aa11bb22cc33", "label": "8000 Omzet advies"},
    "8010": {"id": "revenuegroup:8010aa11bb22cc33", "label": "8010 Omzet boeken"},
    "8100": {"id": "revenuegroup:8100aa11bb22cc33", "label": "8100 Omzet EU"},
    "8200": {"id": "revenuegroup:8200aa11bb22cc33", "label": "8200 Omzet verlegd"},
    "overig": {"id": "revenuegroup:9999aa11bb22cc33", "label": "Overige opbrengsten"},
}
TERMS = {
    "14": {"id": "paymentterm:3aa1bb2cc3dd4ee5", "name": "14 dagen", "days": "14", "method": "banktransfer"},
    "30": {"id": "paymentterm:4bb2cc3dd4ee5ff6", "name": "30 dagen", "days": "30", "method": "banktransfer"},
}
LINKS = ("invoice_id", "organization_id", "person_id", "project_id", "sales_id", "employee_id")
FIELDS: dict[str, Mapping[str, type | tuple[type, ...]]] = {
    "payment": {"invoice_id": str, "date": str, "amount": (int, Decimal), "description": str},
    "message": {
        "messagetype_id": str,
        "message_type": dict,
        "linked_to": dict,
        "title": str,
        "content": str,
        "content_fields": list,
        "display_date": str,
        "created_by_id": str,
    },
    "invoice": {
        "my_organization_profile_id": str,
        "organization_id": str,
        "person_id": str,
        "date": str,
        "subject": str,
        "reference": str,
        "project_id": str,
        "comments": str,
    },
}
COLLECTIONS = {
    "invoices/invoice": "invoices",
    "invoices/payment": "payments",
    "invoices/document": "documents",
    "invoices/paymentterm": "payment_terms",
    "invoices/vatclass": "vat_classes",
    "invoices/invoicestatus": "statuses",
    "sales/revenuegroup": "revenue_groups",
    "crm/myorganizationprofile": "profiles",
    "crm/organization": "organizations",
    "crm/person": "persons",
    "timeline/message": "messages",
    "timeline/messagetype": "message_types",
}
LEGEND = {"sender": "Studio Waterlinie B.V.", "second": "Waterlinie Uitgeverij B.V."}


class Refused(Exception):
    """An answer in Simplicate's error form (dossier 2.5)."""

    def __init__(self, status: int, message: str, kind: str = "Validation") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class SimplicateSandbox(Sandbox):
    """Simplicate's central consent host and one tenant's API v2.

    For tests: `add_invoice`, `add_organization`, `add_person`, `add_document`, `change`, `remove`, `add_key`,
    `fill`, `payments_of`, `messages_of`, `now_text`. `books` holds dicts by id; change records through `change`.
    """

    name = "simplicate"

    def reset(self) -> None:
        """A tenant with two company profiles, master data, three users and one API key; no documents."""
        super().reset()
        self.switches = {
            "pkce": "hex",  # hex | standard | either | off (1.2: hex seen)
            "expires_in": 31536000,  # None: left out
            "clients": None,  # {id: secret}; None: any pair
            "new_token_ends_earlier": False,
            "any_domain": False,  # the same books under every domain
            "rate_per_minute": 60000,
            "limit_cap": 100,
            "default_limit": 100,
            "metadata": True,
            "count": "matching",  # matching | page
            "ignored_filters": [],
            "refused_filters": [],
            "failing_filters": [],  # answer 500
            "ignore_sort": False,
            "ignore_offset": False,
            "users_user": "object",  # object | list | forbidden | missing
            "base_test": "object",  # object | empty | text | missing
            "write_answer": "id",  # id | empty | object | list
            "numbers": "mixed",  # mixed | strings | numbers
            "status_form": "object",  # object | label | plain
            "absent": "omit",  # omit | null | empty
            "iso_8601": "header",  # header | always | never
            "errors_form": "object",  # object | text | message
            "single_as_list": False,
            "empty_list_as_null": False,
            "not_found": 404,  # 404 | 400 | 422
            "overpayment": "accept",  # accept | refuse
            "credit_payment": "accept",  # accept | refuse
            "payment_touches_invoice": True,
            "payment_lag": 0,  # so many searches miss the newest payment
            "linked_to_form": "invoice_id",  # invoice_id | id_type
            "warn_on_write": False,  # a 200 with an id and errors
            "maintenance": False,
            "status_on": {},  # {part of a path: status}
            "tojournalize": False,  # OUR OWN invention: /invoices/tojournalize, see dossier 4
        }
        self.books = {
            "domain": "waterlinie",
            "users": {},
            "keys": {},
            **{name: {} for name in sorted(set(COLLECTIONS.values()))},
            "vat_classes": {one["id"]: dict(one) for one in VAT_CLASSES.values()},
            "revenue_groups": {one["id"]: dict(one) for one in GROUPS.values()},
            "payment_terms": {one["id"]: dict(one) for one in TERMS.values()},
            "statuses": {one["id"]: dict(one) for one in STATUSES.values()},
            "message_types": {
                "messagetype:852d47ec82cb8055": {"id": "messagetype:852d47ec82cb8055", "label": "Notitie"},
                "messagetype:19cc20aa71b45d03": {"id": "messagetype:19cc20aa71b45d03", "label": "Telefoongesprek"},
            },
        }
        self.codes: dict[str, Grant] = {}
        self._version = 0
        self._counts: dict[str, int] = {}
        self._results: dict[tuple[Any, ...], tuple[tuple[int, int], list[Record]]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._missed = 0
        for profile, name, coc in ((PROFILE, LEGEND["sender"], "30123456"), (SECOND_PROFILE, LEGEND["second"], "301")):
            owner = self.add_organization(name=name, email="", relation_type={"label": "Relationtype_own_company"})
            self.books["profiles"][profile] = {
                "id": profile, "organization_id": owner["id"], "name": name, "coc_code": coc, "blocked": False,
            }  # fmt: skip
        self.add_user("anna@waterlinie.example", "Anna", "de Wit")
        self.add_user("bram@waterlinie.example", "Bram", "Kok", profiles=[PROFILE])
        self.add_user("cleo@waterlinie.example", "Cleo", "Vos", modules=["users", "base", "timeline"])
        self.add_key("anna@waterlinie.example", "k" * 32, "s" * 32)

    # What tests use

    def now_text(self) -> str:
        """The sandbox's clock as Simplicate writes it."""
        return datetime.fromtimestamp(self.now(), AMSTERDAM).strftime("%Y-%m-%d %H:%M:%S")

    def new_id(self, kind: str) -> str:
        """The next id of a kind: 16 hexadecimal digits in no particular order, the same in every run."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}:{hashlib.sha256(f'{kind}{self._counts[kind]}'.encode()).hexdigest()[:16]}"

    def put(self, collection: str, record: Record) -> Record:
        """Stores a record under its id."""
        self._version += 1
        self.books[collection][record["id"]] = record
        return record

    def change(self, collection: str, record_id: str, **fields: Any) -> Record:
        """Changes a record and its `updated_at`."""
        record: Record = self.books[collection][record_id]
        return self.put(collection, record | {"updated_at": self.now_text()} | fields)

    def remove(self, collection: str, record_id: str) -> None:
        """Deletes a record without a trace, as Simplicate does."""
        self._version += 1
        del self.books[collection][record_id]

    def add_user(
        self, email: str, first_name: str, family_name: str, *, profiles: list[str] | None = None,
        modules: list[str] | None = None, password: str = "",
    ) -> None:  # fmt: skip
        """A user; `profiles` and `modules` None: no restriction. Any password will do when it is empty."""
        self.books["users"][email] = {
            "email": email, "username": email, "first_name": first_name, "family_name": family_name,
            "profiles": profiles, "modules": modules, "password": password,
        }  # fmt: skip

    def add_key(self, email: str, key: str = "", secret: str = "", expires_at: float | None = None) -> tuple[str, str]:
        """An API key of a user: key and secret."""
        key, secret = key or self.token(), secret or self.token()
        self.books["keys"][key] = {"secret": secret, "email": email, "expires_at": expires_at, "oauth": False}
        return key, secret

    def add_organization(self, name: str = "Bakkerij De Gouden Aar B.V.", **fields: Any) -> Record:
        """A debtor; give `id`, `email`, `relation_number` or any other field to choose it."""
        now = self.now_text()
        record_id = fields.pop("id", None) or self.new_id("organization")
        slug = re.sub(r"\W+", "", name.lower())[:20]
        record = {
            "id": record_id,
            "name": name,
            "email": f"info@{slug}.example",
            "relation_number": str(10000 + len(self.books["organizations"])),
            "is_active": True,
            "relation_type": {"id": "relationtype:5aa1", "label": "Klant", "color": "#27ae60"},
            "has_different_postal_address": False,
            "allow_autocollect": "0",
            "visiting_address": address("Oudegracht 12", "3511 AB", "Utrecht"),
            "debtor": {"payment_term": dict(TERMS["14"]), "provision_method": "email", "send_email_type": "contact"},
            "created_at": now,
            "updated_at": now,
            "created": now,
            "modified": now,
        }
        return self.put("organizations", record | fields)

    def add_person(self, full_name: str = "Fien Bakker", **fields: Any) -> Record:
        """A private debtor."""
        now, (first, _, family) = self.now_text(), full_name.partition(" ")
        record = {
            "id": fields.pop("id", None) or self.new_id("person"),
            "first_name": first,
            "family_name": family,
            "full_name": full_name,
            "email": f"{first.lower()}@{family.lower()}.example",
            "relation_number": str(20000 + len(self.books["persons"])),
            "is_active": True,
            "address": [address("Lijnmarkt 3", "3511 KE", "Utrecht")],
            "created_at": now,
            "updated_at": now,
        }
        return self.put("persons", record | fields)

    def add_invoice(
        self,
        number: str | None = "auto",
        *,
        organization: Record | str | None = None,
        person: Record | str | None = None,
        lines: Sequence[tuple[str, str, str, str, str | None]] = (("Advies", "10", "100", "hoog", "8000"),),
        status: str = "sent",
        date: str | None = "2026-03-09",
        profile: str = PROFILE,
        paid: bool = False,
        **fields: Any,
    ) -> Record:
        """An invoice. A line is (description, amount, price, key of VAT_CLASSES, key of GROUPS or None).

        `number` None or `status` "concept" makes a concept; negative amounts make a credit note.
        """
        if status == "concept":
            number = None
        elif number == "auto":
            number = f"F2026-{len(self.books['invoices']) + 1:04d}"
        now = self.now_text()
        made = [self._line(*line, date) for line in lines]
        net, vat = _totals(made)
        record: Record = {
            "id": fields.pop("id", None) or self.new_id("invoice"),
            **({"invoice_number": number} if number else {}),
            "status": dict(STATUSES["paid" if paid else status]),
            "date": date,
            "subject": "",
            "reference": "",
            "comments": "",
            **self._recipient(organization, person),
            "my_organization_profile_id": profile,
            "my_organization_profile": {"id": profile, "organization": self._sender(profile)},
            "payment_term": dict(TERMS["14"]),
            "sending_method": "email",
            "composition_type": "service",
            "invoice_lines": made,
            "total_excluding_vat": net,
            "total_vat": vat,
            "total_including_vat": net + vat,
            "total_outstanding": Decimal(0) if paid else net + vat,
            "created": now,
            "created_at": now,
            "updated_at": now,
        }
        return self.put("invoices", record | fields)

    def add_document(self, invoice_id: str, **fields: Any) -> Record:
        """The PDF of a sent invoice."""
        label = self.books["invoices"][invoice_id].get("invoice_number", "")
        record_id = self.new_id("document")
        record = {
            "id": record_id,
            "title": f"{label}.pdf",
            "document_type": {"id": "documenttype:51aa", "label": "label_sended invoice"},
            "linked_to": [{"invoice_id": invoice_id, "label": label}],
            "download_url": f"https://{self.books['domain']}.simplicate.nl/api/v2/documents/download/{record_id}",
            "created_at": self.now_text(),
        }
        return self.put("documents", record | fields)

    def fill(self, invoices: int, customers: int = 100, per_minute: int = 10) -> None:
        """Many plain invoices, changed long ago and not all in the same minute: for measurements."""
        begin = datetime.fromtimestamp(self.now(), AMSTERDAM) - timedelta(days=2, minutes=invoices // per_minute)
        owners = [
            self.add_organization(
                f"Klant {at} B.V.",
                email=f"klant{at}@klanten.example",
                updated_at=f"{begin - timedelta(minutes=at):%Y-%m-%d %H:%M:%S}",
            )
            for at in range(customers)
        ]
        for at in range(invoices):
            moment = (begin + timedelta(seconds=at * 60 // per_minute)).strftime("%Y-%m-%d %H:%M:%S")
            self.add_invoice(
                f"F2026-{at + 1:05d}", organization=owners[at % customers], updated_at=moment, created_at=moment,
                date=f"2026-{at % 9 + 1:02d}-{at % 28 + 1:02d}", reference=f"PO {at}",
            )  # fmt: skip

    def payments_of(self, invoice_id: str) -> list[Record]:
        """The payments on an invoice, oldest first."""
        return [one for one in self.books["payments"].values() if one["invoice_id"] == invoice_id]

    def messages_of(self, linked_id: str) -> list[Record]:
        """The timeline messages on an invoice, organisation or person."""
        return [one for one in self.books["messages"].values() if linked_id in one["linked_to"].values()]

    def signed_event(self, payload: object, secret: str) -> tuple[dict[str, str], bytes]:
        """Headers and body of a webhook call (3.8); its body schema is unknown, so `payload` is the caller's."""
        body = json.dumps(payload).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Webhook-Signature": f"sha256={signature}", "X-Simplicate-Domain": self.books["domain"]}
        return headers | {"Content-Type": "application/json"}, body

    def _recipient(self, organization: Record | str | None, person: Record | str | None) -> Record:
        if person is not None:
            found = self.books["persons"][person] if isinstance(person, str) else person
            simple = {name: found[name] for name in ("id", "full_name", "relation_number") if name in found}
            return {"person_id": found["id"], "person": simple}
        if organization is None:
            organization = self.books["organizations"].get(BAKERY) or self.add_organization(
                id=BAKERY, email="info@goudenaar.example"
            )
        found = self.books["organizations"][organization] if isinstance(organization, str) else organization
        simple = {name: found[name] for name in ("id", "name", "relation_number") if name in found}
        return {"organization_id": found["id"], "organization": simple}

    def _sender(self, profile: str) -> Record:
        known = self.books["profiles"].get(profile, {})
        return {"id": known.get("organization_id", ""), "name": known.get("name", "")}

    def _line(
        self, description: str, amount: str, price: str, vat: str, group: str | None, day: str | None
    ) -> Record:  # fmt: skip
        vat_class = VAT_CLASSES[vat]
        net = Decimal(amount) * Decimal(price)
        return {
            "id": self.new_id("invoiceline"),
            "description": description,
            "date": day,
            "amount": f"{Decimal(amount):.6f}",
            "price": f"{Decimal(price):.6f}",
            "total_vat": f"{_bankers(_bankers(net) * Decimal(vat_class['percentage']) / 100):.2f}",
            "vat_class": dict(vat_class),
            **({"revenue_group": dict(GROUPS[group])} if group else {}),
            "default_service_id": "defaultservice:e1aa22bb33cc44dd",
        }

    def seed(self) -> None:
        """A studio with a publishing house: two profiles, a dozen invoices of every kind, their PDFs."""
        seed(self)

    # Consent

    def routes(self) -> list[BaseRoute]:
        """The consent host and the API."""
        return [
            Route("/oauth/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/{domain}/api/v2/{path:path}", self._api, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if wrong := self._wrong_request(asked):
            return PlainTextResponse(wrong, 400)
        email, error = "anna@waterlinie.example", ""
        if request.method == "POST":
            form = await request.form()
            if form.get("consent") == "no":
                return back_to(asked["redirect_uri"], error="access_denied", state=asked["state"])
            email = str(form.get("email", "")).strip().lower()
            user = self.books["users"].get(email)
            if user and form.get("password") and user["password"] in ("", form.get("password")):
                code = self.token()
                self.codes[code] = Grant(
                    email, {"client_id": asked["client_id"]}, asked["redirect_uri"],
                    asked.get("code_challenge", ""), self.now() + 300,
                )  # fmt: skip
                return back_to(asked["redirect_uri"], state=asked["state"], code=code)
            error = "E-mailadres of wachtwoord klopt niet"
        shown = {
            "email": ("E-mailadres", "email", email if email in self.books["users"] else ""),
            "password": ("Wachtwoord", "password", "zandbak" if request.method == "GET" else ""),
        }
        return consent_page("Inloggen bij Simplicate", shown, error)

    def _wrong_request(self, asked: Mapping[str, str]) -> str:
        needed = ["client_id", "response_type", "redirect_uri", "state", "scope"]
        if self.switches["pkce"] != "off":
            needed += ["code_challenge", "code_challenge_method"]
        if missing := [name for name in needed if not asked.get(name)]:
            return f"missing: {', '.join(missing)}"
        clients = self.switches["clients"]
        back = urlsplit(asked["redirect_uri"])
        checks = {
            "unknown client": clients is not None and asked["client_id"] not in clients,
            "response_type must be code": asked["response_type"] != "code",
            "scope must be all": asked["scope"] != "all",
            "redirect_uri must be http(s)": back.scheme not in ("http", "https") or not back.netloc,
            "code_challenge_method must be S256": asked.get("code_challenge_method", "S256") != "S256",
        }
        return next((words for words, wrong in checks.items() if wrong), "")

    async def _token(self, request: Request) -> Response:
        body = await json_body(request)
        if not isinstance(body, dict):
            return json_response({"error": "invalid_request", "error_description": "JSON expected"}, 400)
        grant = self.codes.pop(str(body.get("code")), None)
        clients = self.switches["clients"]
        client, secret = body.get("client_id"), body.get("client_secret")
        if not client or not secret or (clients is not None and clients.get(client) != secret):
            return json_response({"error": "invalid_client"}, 401)
        if body.get("grant_type") != "authorization_code":
            return json_response({"error": "unsupported_grant_type"}, 400)
        if (
            grant is None
            or grant.expires_at < self.now()
            or grant.data["client_id"] != client
            or grant.redirect_uri != body.get("redirect_uri")
            or not self._verified(grant.challenge, str(body.get("code_verifier", "")))
        ):
            return json_response({"error": "invalid_grant"}, 400)
        return json_response(self._granted(grant.user))

    def _granted(self, email: str) -> Record:
        if self.switches["new_token_ends_earlier"]:
            keys = self.books["keys"]
            for old in [key for key, facts in keys.items() if facts["oauth"] and facts["email"] == email]:
                del keys[old]
        lifetime = self.switches["expires_in"]
        key, secret = self.add_key(email, expires_at=self.now() + lifetime if lifetime else None)
        self.books["keys"][key]["oauth"] = True
        answer = {"authentication_key": key, "authentication_secret": secret}
        return answer | ({"expires_in": lifetime} if lifetime else {})

    def _verified(self, challenge: str, verifier: str) -> bool:
        """The quirk of 1.2: base64 of the hexadecimal text of the digest."""
        digest = hashlib.sha256(verifier.encode())
        quirk = base64.b64encode(digest.hexdigest().encode()).decode()
        standard = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
        accepted = {"hex": {quirk}, "standard": {standard}, "either": {quirk, standard}}
        way = self.switches["pkce"]
        return way == "off" or (challenge in accepted[way] and re.fullmatch(r"[\w.~-]{43,128}", verifier) is not None)

    # The API

    def error(self, status: int, message: str, kind: str = "Validation") -> Response:
        """An error in the form that is switched on."""
        match self.switches["errors_form"]:
            case "text":
                return json_response({"data": None, "errors": [message], "debug": None}, status)
            case "message":
                return json_response({"message": message}, status)
            case _:
                said = {"code": status, "type": kind, "message": message, "translated_message": "", "error_message": ""}
                return json_response({"data": None, "errors": [said], "debug": None}, status)

    def expired_answer(self) -> Response:
        """The vendor's 401."""
        return self.error(401, "Unauthorized", "Server")

    def busy_answer(self, seconds: float) -> Response:
        """The vendor's 429; its headers are unknown."""
        answer = self.error(429, "Too many requests", "Server")
        if seconds:
            answer.headers["Retry-After"] = str(int(seconds))
        return answer

    def error_answer(self) -> Response:
        """The vendor's 500."""
        return self.error(500, "Server error", "Server")

    async def _api(self, request: Request) -> Response:
        path = request.path_params["path"].removesuffix(".json").strip("/")
        try:
            user = self._user(request, path)
            return await self._dispatch(request, path, user)
        except Refused as no:
            return self.busy_answer(1) if no.status == 429 else self.error(no.status, str(no), no.kind)

    def _user(self, request: Request, path: str) -> Record:
        """Who calls. Raises Refused for every reason not to answer."""
        if self.switches["maintenance"]:
            raise Refused(503, "Maintenance", "Server")
        if not self.switches["any_domain"] and request.path_params["domain"] != self.books["domain"]:
            raise Refused(404, "Unknown environment", "Server")
        key, secret = request.headers.get("authentication-key", ""), request.headers.get("authentication-secret", "")
        bearer = request.headers.get("authorization", "")
        if bearer.startswith("Bearer ") and ":" in bearer:
            key, _, secret = bearer.removeprefix("Bearer ").partition(":")
        facts = self.books["keys"].get(key)
        expired = facts and facts["expires_at"] is not None and facts["expires_at"] < self.now()
        if not facts or expired or not hmac.compare_digest(facts["secret"].encode(), secret.encode()):
            raise Refused(401, "Unauthorized", "Server")
        self._take_turn(key)
        user: Record = self.books["users"][facts["email"]]
        if user["modules"] is not None and path.split("/")[0] not in user["modules"]:
            raise Refused(403, "Forbidden", "Server")
        for part, status in self.switches["status_on"].items():
            if part in path:
                raise Refused(int(status), f"Switched to {status}", "Server")
        return user

    def _take_turn(self, key: str) -> None:
        rate, now = float(self.switches["rate_per_minute"]), self.now()
        room = max(10.0, rate / 6)
        left, since = self._buckets.get(key, (room, now))
        left = min(room, left + (now - since) * rate / 60)
        self._buckets[key] = (max(left - 1, 0), now)
        if left < 1:
            raise Refused(429, "Too many requests", "Server")

    async def _dispatch(self, request: Request, path: str, user: Record) -> Response:
        resource, _, record_id = _split(path)
        if path == "users/user":
            return self._current_user(user)
        if path == "base/test":
            return self._base_test()
        if path.startswith("documents/download/") and request.method == "GET":
            return self._download(path.removeprefix("documents/download/"))
        if path == "invoices/tojournalize" and self.switches["tojournalize"]:
            return self._invented(user)
        if resource not in COLLECTIONS:
            raise Refused(400, f"Unknown resource {path}")
        if request.method != "GET":
            return await self._write(request, resource, record_id)
        if record_id:
            return self._single(request, resource, record_id, user)
        return self._list(request, resource, user)

    def _current_user(self, user: Record) -> Response:
        shown = {name: user[name] for name in ("email", "username", "first_name", "family_name")} | {"rights": []}
        match self.switches["users_user"]:
            case "forbidden":
                raise Refused(403, "Forbidden", "Server")
            case "missing":
                raise Refused(400, "Unknown resource users/user")
            case "list":
                return self._answer([shown])
            case _:
                return self._answer(shown)

    def _base_test(self) -> Response:
        match self.switches["base_test"]:
            case "empty":
                return Response("", 200)
            case "text":
                return PlainTextResponse("OK")
            case "missing":
                raise Refused(404, "Not found")
            case _:
                return self._answer({"success": True})

    def _download(self, record_id: str) -> Response:
        if record_id not in self.books["documents"]:
            raise Refused(404, "Not found")
        title = self.books["documents"][record_id]["title"]
        return Response(f"%PDF-1.4\n% {title}\n%%EOF\n".encode(), 200, media_type="application/pdf")

    def _invented(self, user: Record) -> Response:
        """NOT the vendor's: a guess at the hidden journal surface of dossier 4, for experiments only."""
        offered = [one for one in self._matching("invoices/invoice", (), user) if one.get("invoice_number")]
        return self._answer([{"invoice_id": one["id"], "invoice_number": one["invoice_number"]} for one in offered])

    def _single(self, request: Request, resource: str, record_id: str, user: Record) -> Response:
        record = self.books[COLLECTIONS[resource]].get(record_id)
        if record is None or not _visible(resource, record, user):
            raise Refused(int(self.switches["not_found"]), "Not found")
        shown = self._shown(resource, record, request)
        return self._answer([shown] if self.switches["single_as_list"] else shown)

    def _answer(self, data: Any, **extra: Any) -> Response:
        return json_response({"data": data, **extra, "errors": None, "debug": None})

    def _list(self, request: Request, resource: str, user: Record) -> Response:
        asked = request.query_params
        limit = min(_whole(asked.get("limit"), self.switches["default_limit"]), self.switches["limit_cap"])
        offset = 0 if self.switches["ignore_offset"] else _whole(asked.get("offset"), 0)
        conditions = [(name, value) for name, value in asked.multi_items() if name.startswith(("q[", "sort"))]
        found = self._matching(resource, tuple(conditions), user, again=offset > 0)
        page = [self._shown(resource, one, request) for one in found[offset : offset + limit]]
        if select := asked.get("select"):
            page = [_selected(one, select.split(",")) for one in page]
        metadata = {
            "count": len(page) if self.switches["count"] == "page" else len(found),
            "total_count": len(self.books[COLLECTIONS[resource]]),
            "offset": offset,
            "limit": limit,
        }
        wanted = asked.get("metadata", "").split(",") if self.switches["metadata"] else []
        extra = {name: metadata[name] for name in wanted if name in metadata}
        data = None if not page and self.switches["empty_list_as_null"] else page
        return self._answer(data, **({"metadata": extra} if extra else {}))

    def _matching(
        self, resource: str, conditions: tuple[tuple[str, str], ...], user: Record, *, again: bool = False
    ) -> list[Record]:
        """All matching records in order; a page further on takes the result of the page before it."""
        name = (resource, conditions, tuple(user["profiles"] or ()))
        kept = self._results.get(name)
        collection = self.books[COLLECTIONS[resource]]
        stamp = (self._version, id(collection))
        if again and kept and kept[0] == stamp:
            return kept[1]
        records: Iterable[Record] = collection.values()
        if resource == "invoices/payment" and self._missed < self.switches["payment_lag"]:
            self._missed += 1
            records = list(records)[:-1]
        filters = [(field, op, value) for field, op, value in self._filters(conditions) if field]
        found = [one for one in records if _visible(resource, one, user)]
        for field, op, value in filters:
            test = _test(op, value)
            found = [one for one in found if any(map(test, _values(one, field)))]
        sorts = [] if self.switches["ignore_sort"] else [value for key, value in conditions if key == "sort"]
        for field in reversed([part for value in sorts for part in value.split(",") if part]):
            found.sort(key=partial(_sortable, field.lstrip("-")), reverse=field.startswith("-"))
        if len(self._results) > 32:
            self._results.clear()
        self._results[name] = (stamp, found)
        return found

    def _filters(self, conditions: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str, str]]:
        for name, value in conditions:
            match = re.fullmatch(r"q((?:\[[^\]]+\])+)", name)
            if not match:
                continue
            parts = re.findall(r"\[([^\]]+)\]", match[1])
            parts = parts[1:] if parts[0] == "or" else parts
            op = parts[1] if len(parts) > 1 else "eq"
            if op not in ("eq", "ge", "gt", "le", "lt", "in", "nin"):
                raise Refused(400, f"Unknown operator {op}")
            if parts[0] in self.switches["failing_filters"]:
                raise Refused(500, "SQLSTATE[42S22]")
            if parts[0] in self.switches["refused_filters"]:
                raise Refused(400, f"Unknown filter {parts[0]}")
            if parts[0] not in self.switches["ignored_filters"]:
                yield parts[0], op, value

    def _shown(self, resource: str, record: Record, request: Request) -> Record:
        """A record in the spelling that is switched on."""
        iso = self.switches["iso_8601"]
        local = iso == "always" or (iso == "header" and request.headers.get("x-experimental-iso-8601") == "true")
        plain = self.switches["numbers"] == "mixed" and self.switches["absent"] == "omit" and not local
        if plain and self.switches["status_form"] == "object" and resource != "invoices/document":
            return record
        shown: Record = _respelt(record, self.switches, local)
        if resource == "invoices/invoice" and self.switches["status_form"] != "object":
            name = record["status"]["name"]
            shown["status"] = name if self.switches["status_form"] == "label" else _plain_status(name)
        if resource == "invoices/document" and self.switches["linked_to_form"] == "id_type":
            shown["linked_to"] = [{"id": one["invoice_id"], "type": "invoice"} for one in record["linked_to"]]
        return shown

    async def _write(self, request: Request, resource: str, record_id: str) -> Response:
        allowed = {
            ("POST", "invoices/payment"): self._add_payment,
            ("PUT", "invoices/payment"): self._change_payment,
            ("PUT", "invoices/invoice"): self._change_invoice,
            ("POST", "timeline/message"): self._add_message,
        }
        act = allowed.get((request.method, resource))
        if (request.method, resource) == ("DELETE", "timeline/message") and record_id in self.books["messages"]:
            self.remove("messages", record_id)
            return self._answer(None)
        if act is None or (request.method == "POST") == bool(record_id):
            raise Refused(400, f"{request.method} {resource} is not possible")
        if "application/json" not in request.headers.get("content-type", ""):
            raise Refused(400, "Content-Type must be application/json")
        body = await json_body(request)
        if not isinstance(body, dict):
            raise Refused(400, "Body must be a JSON object")
        _typed(body, FIELDS[resource.rpartition("/")[2]])
        return self._written(act(body, record_id))

    def _written(self, record: Record) -> Response:
        errors = [{"code": 0, "type": "Server", "message": "E-mail niet verstuurd"}]
        match self.switches["write_answer"]:
            case "empty":
                return Response("", 200)
            case "object":
                return self._answer(record)
            case "list":
                return self._answer([{"id": record["id"]}])
            case _ if self.switches["warn_on_write"]:
                return json_response({"data": {"id": record["id"]}, "errors": errors, "debug": None})
            case _:
                return self._answer({"id": record["id"]})

    def _add_payment(self, body: Record, _: str) -> Record:
        invoice = self.books["invoices"].get(body.get("invoice_id"))
        if invoice is None:
            raise Refused(400, "invoice_id is invalid")
        if "amount" not in body or "date" not in body:
            raise Refused(400, "date and amount are required")
        amount, left = Decimal(body["amount"]), Decimal(invoice["total_outstanding"])
        if amount == 0 or (amount < 0 and self.switches["credit_payment"] == "refuse"):
            raise Refused(400, "amount is invalid")
        if self.switches["overpayment"] == "refuse" and abs(amount) > abs(left):
            raise Refused(400, "amount is more than outstanding")
        if not invoice.get("invoice_number"):
            raise Refused(400, "invoice is a concept")
        record = {"id": self.new_id("payment"), **body, "created_at": self.now_text()}
        self.put("payments", record)
        self._outstanding(invoice, left - amount)
        return record

    def _change_payment(self, body: Record, record_id: str) -> Record:
        record = self.books["payments"].get(record_id)
        if record is None:
            raise Refused(404, "Not found")
        invoice = self.books["invoices"][record["invoice_id"]]
        change = Decimal(body.get("amount", record["amount"])) - Decimal(record["amount"])
        record.update(body)
        self._version += 1
        self._outstanding(invoice, Decimal(invoice["total_outstanding"]) - change)
        return record  # type: ignore[no-any-return]

    def _outstanding(self, invoice: Record, left: Decimal) -> None:
        fields: Record = {"total_outstanding": left}
        fields["status"] = dict(STATUSES["paid" if left == 0 else "sent"])
        if not self.switches["payment_touches_invoice"]:
            fields["updated_at"] = invoice.get("updated_at")
        self.change("invoices", invoice["id"], **fields)

    def _change_invoice(self, body: Record, record_id: str) -> Record:
        if record_id not in self.books["invoices"]:
            raise Refused(404, "Not found")
        return self.change("invoices", record_id, **body)

    def _add_message(self, body: Record, _: str) -> Record:
        kind = body.get("messagetype_id") or body.get("message_type", {}).get("id")
        linked = body.get("linked_to") or {}
        if kind not in self.books["message_types"]:
            raise Refused(400, "messagetype_id is invalid")
        if not linked or not set(linked) <= set(LINKS) or not body.get("title"):
            raise Refused(400, "linked_to or title is invalid")
        known = self.books["invoices"].keys() | self.books["organizations"].keys() | self.books["persons"].keys()
        if not set(linked.values()) <= known:
            raise Refused(404, "linked_to is not found")
        return self.put("messages", {"id": self.new_id("message"), **body})


SANDBOX = SimplicateSandbox


def address(line_1: str, postal_code: str, locality: str, country: str = "NL") -> Record:
    """An address as Simplicate gives it."""
    names = {"NL": "The Netherlands", "BE": "Belgium", "US": "United States"}
    return {
        "id": "address:9f1122aa33bb44cc",
        "type": "default",
        "line_1": line_1,
        "postal_code": postal_code,
        "locality": locality,
        "country": f"Country_{names.get(country, country)}",
        "country_code": country,
        "country_id": f"country:{country.lower()}",
    }


def _bankers(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_EVEN)


def _totals(lines: Sequence[Record]) -> tuple[Decimal, Decimal]:
    """Net and VAT as printed: what the books would come to, lines being rounded half to even (5.3)."""
    groups: dict[str, Decimal] = {}
    for line in lines:
        net = Decimal(line["amount"]) * Decimal(line["price"])
        groups[line["vat_class"]["percentage"]] = groups.get(line["vat_class"]["percentage"], Decimal(0)) + net
    vat = sum(
        ((net * Decimal(rate) / 100).quantize(CENT, rounding=ROUND_HALF_UP) for rate, net in groups.items()), Decimal(0)
    )
    return sum(groups.values(), Decimal(0)).quantize(CENT, rounding=ROUND_HALF_UP), vat


def _split(path: str) -> tuple[str, str, str]:
    module, _, rest = path.partition("/")
    name, slash, record_id = rest.partition("/")
    return f"{module}/{name}", slash, record_id


def _visible(resource: str, record: Record, user: Record) -> bool:
    """Restricted users miss the other profiles' records without an error (1.1)."""
    if user["profiles"] is None:
        return True
    if resource == "invoices/invoice":
        return record.get("my_organization_profile_id") in user["profiles"]
    return resource != "crm/myorganizationprofile" or record["id"] in user["profiles"]


def _whole(value: str | None, default: int) -> int:
    if value in (None, ""):
        return default
    if not str(value).isdecimal():
        raise Refused(400, "limit and offset must be whole numbers")
    return int(str(value))


def _values(record: Record, field: str) -> list[Any]:
    """The values under a dotted name; lists spread out."""
    found: list[Any] = [record]
    for name in field.split("."):
        spread = [one for value in found for one in (value if isinstance(value, list) else [value])]
        found = [one.get(name) if isinstance(one, dict) else None for one in spread]
    return found or [None]


def _test(op: str, value: str) -> Callable[[Any], bool]:
    if op == "eq":
        if value == "null":
            return lambda one: one in (None, "")
        pattern = re.compile(re.escape(value).replace(r"\*", ".*"), re.IGNORECASE | re.DOTALL)
        return lambda one: one is not None and pattern.fullmatch(str(one)) is not None
    if op in ("in", "nin"):
        wanted = set(value.split(","))
        return lambda one: (str(one) in wanted) == (op == "in")
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "ge": lambda a, b: bool(a >= b), "gt": lambda a, b: bool(a > b),
        "le": lambda a, b: bool(a <= b), "lt": lambda a, b: bool(a < b),
    }  # fmt: skip
    compare = tests[op]
    return lambda one: one not in (None, "") and compare(str(one), value)


def _sortable(field: str, record: Record) -> tuple[bool, str]:
    value = _values(record, field)[0]
    return value is not None, "" if value is None else str(value)


def _selected(record: Record, fields: Sequence[str]) -> Record:
    """`select`: a dotted name takes one subfield, a trailing dot all of them."""
    shown: Record = {}
    for field in fields:
        name, dot, inner = field.partition(".")
        value = record.get(name)
        if dot and inner and isinstance(value, dict):
            shown.setdefault(name, {})[inner] = value.get(inner)
        elif name in record:
            shown[name] = value
    return shown


def _plain_status(name: str) -> str:
    return {"label_Sended": "Sent", "label_Expired": "Overdue"}.get(name, name.removeprefix("label_"))


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_NUMBER = re.compile(r"-?\d+\.\d+")


def _respelt(value: Any, switches: Mapping[str, Any], iso: bool) -> Any:
    if isinstance(value, dict):
        kept = {name: _respelt(one, switches, iso) for name, one in value.items()}
        if switches["absent"] == "omit":
            return kept
        nothing = None if switches["absent"] == "null" else ""
        absent = ("relation_number", "updated_at", "project", "person_id", "reference", "revenue_group", "bank_account")
        return {name: nothing for name in absent if name not in kept and name != "updated_at"} | kept
    if isinstance(value, list):
        return [_respelt(one, switches, iso) for one in value]
    if iso and isinstance(value, str) and _MOMENT.fullmatch(value):
        return datetime.fromisoformat(value).replace(tzinfo=AMSTERDAM).isoformat()
    if switches["numbers"] == "strings" and isinstance(value, bool | int | Decimal):
        return str(int(value)) if isinstance(value, bool) else f"{Decimal(value):.2f}"
    if switches["numbers"] == "numbers" and isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return value


def _typed(body: Record, fields: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raises Refused for fields that do not exist, wrong types and impossible dates."""
    for name, value in body.items():
        if name not in fields:
            raise Refused(400, f"{name} is unknown")
        if isinstance(value, bool) or not isinstance(value, fields[name]):
            raise Refused(400, f"{name} has the wrong type")
        if name == "amount" and Decimal(str(value)) != Decimal(str(value)).quantize(CENT):
            raise Refused(400, "amount has more than two decimals")
    for name in ("date", "display_date"):
        try:
            date.fromisoformat(body.get(name, "2026-01-01")[:10])
        except (ValueError, InvalidOperation):
            raise Refused(400, f"{name} is invalid") from None


def seed(box: SimplicateSandbox) -> None:
    """Fills the books; long ago, so that an idle read stays short."""
    bakery = box.add_organization(
        id=BAKERY, email="info@goudenaar.example", relation_number="10027", coc_code="55512340",
        vat_number="NL855512340B01", phone="030-5550199", bank_account="NL02TEST0123456789",
        debtor={
            "payment_term": {**TERMS["14"], "days": 14}, "provision_method": "email", "send_email_type": "fixed",
            "send_email_email": "facturen@goudenaar.example", "cc": [], "attention_to": "none", "autocollect": False,
        },
    )  # fmt: skip
    schelde = box.add_organization(
        "Schelde Design BV", email="hallo@schelde.example", relation_number="10063", vat_number="BE0477472701",
        visiting_address=address("Kaai 7", "2000", "Antwerpen", "BE"),
    )  # fmt: skip
    builder = box.add_organization(
        "Bouwbedrijf Lekstroom B.V.", email="administratie@lekstroom.example", vat_number="NL812345678B01",
        has_different_postal_address=True, postal_address=address("Postbus 44", "3430 AA", "Nieuwegein"),
    )  # fmt: skip
    hudson = box.add_organization(
        "Hudson Prints Inc.", email="ap@hudson.example", visiting_address=address("Pier 40", "10014", "New York", "US")
    )
    fien = box.add_person("Fien Bakker", email="fien@bakker.example")
    advice, books = ("Advies", "12.5", "110", "hoog", "8000"), ("Handboek", "20", "15", "laag", "8010")
    discount = ("Korting", "1", "-75", "hoog", "8000")
    credit = ("Advies januari", "-12.5", "110", "hoog", "8000")
    plans: list[tuple[str, Record]] = [
        ("F2026-0398", {"lines": [("Advies januari", "12.5", "110", "hoog", "8000")], "date": "2026-02-02"}),
        ("F2026-0412", {"lines": [advice, books, discount], "subject": "Werkzaamheden februari",
                        "reference": "PO 88123", "date": "2026-03-09"}),
        ("F2026-0413", {"lines": [("Ontwikkeling", "2.25", "124.50", "hoog", "8000")] * 2, "date": "2026-03-10"}),
        ("F2026-0419", {"lines": [credit], "date": "2026-03-12", "subject": "Credit op F2026-0398"}),
        ("F2026-0421", {"lines": [("Ontwerp", "40", "95", "icp", "8100")], "date": "2026-03-12",
                        "organization": schelde}),
        ("F2026-0422", {"lines": [("Onderaanneming", "16", "85", "verlegd", "8200")], "date": "2026-03-16",
                        "organization": builder}),
        ("F2026-0423", {"lines": [("Posters", "3", "250", "export", "8100")], "date": "2026-03-18",
                        "organization": hudson}),
        ("F2026-0424", {"lines": [("Workshop", "1", "181.50", "hoog", "8000")], "date": "2026-03-20",
                        "organization": None, "person": fien}),
        ("F2026-0425", {"lines": [("Zaalhuur", "1", "300", "hoog", "overig")], "date": "2026-03-23"}),
        ("F2026-0426", {"lines": [("Advies", "8", "110", "hoog", "8000")], "date": "2026-04-01", "paid": True}),
        ("concept", {"lines": [("Advies april", "4", "110", "hoog", "8000")], "date": None, "status": "concept",
                     "updated_at": None}),
        ("U2026-0007", {"lines": [("Dichtbundel", "60", "17.95", "laag", "8010")], "date": "2026-03-25",
                        "profile": SECOND_PROFILE, "organization": builder}),
    ]  # fmt: skip
    now = datetime.fromtimestamp(box.now(), AMSTERDAM)
    for at, (number, plan) in enumerate(plans):
        moment = (now - timedelta(days=30 - at)).strftime("%Y-%m-%d %H:%M:%S")
        facts: Record = {"organization": bakery, "updated_at": moment, "created_at": moment} | plan
        invoice = box.add_invoice(number, **facts)
        if plan.get("status") != "concept":
            box.add_document(invoice["id"])
