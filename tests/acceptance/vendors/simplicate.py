"""A server of Simplicate, from its dossier alone: what is documented or seen is kept to, what is unknown is a habit."""

import base64
import hashlib
import re
import secrets
import string
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tests.acceptance.vendors.house import Vendor, World, answer

CENT = Decimal("0.01")
LOGIN_PAGE = """<form method="post"><input name="email"><input name="password" type="password">
<button name="consent" value="yes">Toestaan</button></form>"""
CLIENT = ("combihub-client", "combihub-secret")
PROFILES = {
    "myorganizationprofile:91c0de77aa10b2c4": "Studio Waterlinie B.V.",
    "myorganizationprofile:1f00000000000002": "Waterlinie Print B.V.",
}
MAIN, OTHER = PROFILES
VAT = {
    "vatclass:21": ("VH", "21% btw", "21"),
    "vatclass:9": ("VL", "9% btw", "9"),
    "vatclass:0": ("V0", "0% btw", "0"),
    "vatclass:verlegd": ("VV", "Btw verlegd", "0"),
    "vatclass:icp": ("ICP", "ICP diensten (btw verlegd)", "0"),
}
GROUPS = {
    "revenuegroup:8000": "8000 Omzet algemeen",
    "revenuegroup:8010": "8010 Omzet boeken",
    "revenuegroup:8100": "8100 Omzet EU",
    "revenuegroup:8200": "8200 Omzet verlegd",
    "revenuegroup:9999": "9999 Staat niet in Minox",
    "revenuegroup:vrij": "Overige omzet",
}
STATUSES = {"concept": "label_Concept", "sent": "label_Sended", "overdue": "label_Expired", "paid": "label_Payed"}
BARE = {"concept": "Concept", "sent": "Sent", "overdue": "Overdue", "paid": "Paid"}
TERM = {"id": "paymentterm:3aa1bb2cc3dd4ee5", "name": "14 dagen", "days": "14", "method": "banktransfer"}
LISTS = {
    "invoices/invoice": "invoices",
    "invoices/payment": "payments",
    "invoices/document": "documents",
    "crm/organization": "organizations",
    "crm/person": "persons",
    "timeline/message": "messages",
}


def new_id(kind: str) -> str:
    """An id as Simplicate writes them."""
    return f"{kind}:{secrets.token_hex(8)}"


@dataclass
class Company(World):
    """One environment (`domain`) with all that is in it, as it would be shown by the API."""

    domain: str = ""
    email: str = "eigenaar@waterlinie.example"
    keys: dict[str, str] = field(default_factory=dict)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    organizations: dict[str, dict[str, Any]] = field(default_factory=dict)
    persons: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def now(self) -> str:
        """A moment as Simplicate writes it: without its zone."""
        return datetime.now(ZoneInfo(self.habit("zone", "UTC"))).strftime("%Y-%m-%d %H:%M:%S")

    def organization(self, name: str, email: str, **more: Any) -> str:
        """A new debtor."""
        key = new_id("organization")
        address = {
            "id": new_id("address"),
            "type": "default",
            "line_1": "Oudegracht 12",
            "postal_code": "3511 AB",
            "locality": "Utrecht",
            "country": "Country_The Netherlands",
            "country_code": "NL",
        }
        self.organizations[key] = {
            "id": key,
            "name": name,
            "email": email,
            "is_active": True,
            "relation_number": str(10000 + len(self.organizations)),
            "visiting_address": address,
            "has_different_postal_address": False,
            "allow_autocollect": "0",
            "debtor": {"payment_term": TERM, "provision_method": "email", "cc": [], "autocollect": False},
            "interests": [],
            "linked_persons_contacts": [],
            "custom_fields": [],
            "created_at": self.now(),
            "updated_at": self.now(),
            **more,
        }
        return key

    def invoice(
        self,
        number: str | None,
        date: str | None,
        customer: str,
        lines: Iterable[tuple[str, str, str, str]],
        status: str = "sent",
        profile: str = MAIN,
    ) -> str:
        """A new invoice; a line is quantity, price, VAT class and revenue group (without their prefix)."""
        key, shown, net_sum, vat_sum = new_id("invoice"), [], Decimal(0), Decimal(0)
        for quantity, price, vat, group in lines:
            code, label, percentage = VAT[f"vatclass:{vat}"]
            net = (Decimal(quantity) * Decimal(price)).quantize(CENT, ROUND_HALF_EVEN)
            tax = (net * Decimal(percentage) / 100).quantize(CENT, ROUND_HALF_EVEN)
            net_sum, vat_sum = net_sum + net, vat_sum + tax
            shown.append(
                {
                    "id": new_id("invoiceline"),
                    "date": None,
                    "description": f"Werk à {price}",
                    "amount": f"{Decimal(quantity):.6f}",
                    "price": f"{Decimal(price):.6f}",
                    "total_vat": f"{tax:.2f}",
                    "default_service_id": "defaultservice:e1",
                    "vat_class": {
                        "id": f"vatclass:{vat}",
                        "code": code,
                        "label": label,
                        "percentage": f"{Decimal(percentage):.2f}",
                    },
                    "revenue_group": {"id": f"revenuegroup:{group}", "label": GROUPS[f"revenuegroup:{group}"]}
                    if group
                    else None,
                }
            )
        party = self.organizations.get(customer) or self.persons[customer]
        simple = {"id": customer, "relation_number": party.get("relation_number", "")}
        who = (
            {"organization_id": customer, "organization": {**simple, "name": party["name"]}}
            if customer in self.organizations
            else {"person_id": customer, "person": {**simple, "full_name": party["full_name"]}}
        )
        self.invoices[key] = {
            "id": key,
            "invoice_number": number,
            "status": status,
            "date": date,
            "subject": "Werkzaamheden",
            "reference": "",
            "comments": "",
            **who,
            "my_organization_profile_id": profile,
            "my_organization_profile": {
                "id": profile,
                "organization": {"id": "organization:0a0b", "name": PROFILES[profile]},
            },
            "payment_term": TERM,
            "project": None,
            "projects": [],
            "sending_method": "email",
            "composition_type": "lines",
            "invoice_lines": shown,
            "total_excluding_vat": net_sum,
            "total_vat": vat_sum,
            "total_including_vat": net_sum + vat_sum,
            "total_outstanding": net_sum + vat_sum,
            "simplicate_url": f"https://{self.domain}.simplicate.nl/v1/invoice/view?id=4",
            "created_at": self.now(),
            "created": self.now(),
            "updated_at": self.now(),
        }
        if status != "concept":
            document = new_id("document")
            self.documents[document] = {
                "id": document,
                "title": f"{number}.pdf",
                "document_type": {"id": "documenttype:si", "label": "label_sended invoice"},
                "linked_to": [{"invoice_id": key, "label": number}],
                "created_at": self.now(),
            }
        return key

    def paid(self, invoice: str) -> Decimal:
        """What was paid on an invoice, as the books have it."""
        return sum(
            (Decimal(str(one["amount"])) for one in self.payments.values() if one["invoice_id"] == invoice), Decimal(0)
        )


class Simplicate(Vendor):
    """The vendor: all companies, and the central host where one logs in."""

    def __init__(self) -> None:
        self.companies: dict[str, Company] = {}
        self.codes: dict[str, tuple[Company, dict[str, str]]] = {}
        self.oauth: list[str] = []
        """What the token host refused, in words."""

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        return {
            "HUB_ENDPOINTS__SIMPLICATE__API": f"{url}/{{domain}}/api/v2",
            "HUB_ENDPOINTS__SIMPLICATE__AUTHORIZE": f"{url}/oauth/authorize",
            "HUB_ENDPOINTS__SIMPLICATE__TOKEN": f"{url}/oauth/token",
            "HUB_OAUTH__SIMPLICATE__CLIENT_ID": CLIENT[0],
            "HUB_OAUTH__SIMPLICATE__CLIENT_SECRET": CLIENT[1],
        }

    def open(self, domain: str, **habits: Any) -> Company:
        """A new company."""
        self.companies[domain] = Company(habits, domain=domain, email=f"eigenaar@{domain}.example")
        return self.companies[domain]

    def world_of(self, request: Request) -> Company | None:
        """By the first segment of the path."""
        return self.companies.get(request.url.path.split("/")[1])

    async def handle(self, request: Request) -> Response:
        """Pages of the central host, or the API of a company."""
        path = request.url.path
        if path == "/oauth/authorize":
            return await self._authorize(request)
        if path == "/oauth/token":
            return await self._token(request)
        company = self.world_of(request)
        found = re.fullmatch(r"/[^/]+/api/v2/(.+?)(\.json)?/?", path)
        if company is None or found is None:
            return Response("Not found", 404)
        if not _admitted(company, request):
            return _error(company, 401, "Invalid authentication key or secret")
        return await self._resource(company, request, found[1])

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if (
            asked.get("client_id") != CLIENT[0]
            or asked.get("response_type") != "code"
            or asked.get("code_challenge_method") != "S256"
        ):
            return HTMLResponse("<h1>invalid_request</h1>", 400)
        if request.method == "GET":
            return HTMLResponse(LOGIN_PAGE)
        form = await request.form()
        company = next((one for one in self.companies.values() if one.email == form.get("email")), None)
        if company is None:
            return HTMLResponse("<p>Onbekende gebruiker</p>", 200)
        code = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
        self.codes[code] = (company, asked)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], 'code': code})}", 302)

    async def _token(self, request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return self._refuse("the body is not JSON")
        body = await request.json()
        company, asked = self.codes.pop(body.get("code", ""), (None, {}))
        if company is None or (body.get("client_id"), body.get("client_secret")) != CLIENT:
            return self._refuse("code or client unknown")
        hashed = hashlib.sha256(str(body.get("code_verifier")).encode()).hexdigest()
        if (
            base64.b64encode(hashed.encode()).decode() != asked["code_challenge"]
            or body.get("redirect_uri") != asked["redirect_uri"]
        ):
            return self._refuse("verifier or redirect_uri differ")
        if company.habit("one_token"):
            company.keys.clear()
        key, secret = secrets.token_hex(16), secrets.token_hex(16)
        company.keys[key] = secret
        more = company.habit("token_more", {})
        return answer({"authentication_key": key, "authentication_secret": secret, **more})

    def _refuse(self, why: str) -> Response:
        self.oauth.append(why)
        return answer({"error": "invalid_request", "error_description": why}, 400)

    def too_many(self, world: World) -> Response | None:
        """A bucket per company, when it has that habit: (calls, seconds)."""
        calls, seconds = world.habit("limit", (0, 0))
        recent = sum(1 for call in reversed(world.calls[-200:]) if call.at > time.monotonic() - seconds)
        if not calls or recent < calls:
            return None
        headers = {"Retry-After": str(seconds)} if world.habit("says_when", True) else {}
        return answer({"data": None, "errors": ["Too many requests"], "debug": None}, 429, headers)

    async def _resource(self, company: Company, request: Request, path: str) -> Response:
        module, key = "/".join(path.split("/")[:2]), "/".join(path.split("/")[2:])
        if module == "base/test":
            return _data(company, "ok")
        if module == "users/user":
            user: dict[str, Any] = {"id": "user:1", "username": company.email, "email": company.email, "rights": []}
            user |= {"first_name": "Eva", "family_name": "Waterlinie"}
            return _data(company, [user] if company.habit("user_list") else user)
        if module == "documents/download":
            if key not in company.documents:
                return _error(company, 404, "not found")
            return Response(b"%PDF-1.4 " + key.encode(), media_type="application/pdf")
        if request.method in ("POST", "PUT"):
            return self._write(company, module, await request.json(), request.method)
        if module in LISTS:
            rows = list(getattr(company, LISTS[module]).values())
        elif module == "crm/debtor":
            rows = [
                {"organization": {k: one[k] for k in ("id", "name", "relation_number")}}
                for one in company.organizations.values()
            ]
        else:
            looked_up = _lookup(module)
            if looked_up is None:
                return _error(company, 400, f"Unknown resource {path}")
            rows = looked_up
        if key:
            row = next((one for one in rows if one.get("id") == key), None)
            return _data(company, _shown(company, row)) if row else _error(company, 404, "Entity not found")
        return _list(company, rows, request)

    def _write(self, company: Company, module: str, body: Mapping[str, Any], method: str) -> Response:
        if module == "invoices/payment" and method == "POST":
            invoice = company.invoices.get(body.get("invoice_id", ""))
            if invoice is None or not body.get("date") or not re.fullmatch(r"\d{4}-\d\d-\d\d", body["date"]):
                return _error(company, 400, "invoice_id is invalid")
            made = new_id("payment")
            company.payments[made] = {
                "id": made,
                **{name: body.get(name) for name in ("invoice_id", "date", "amount", "description")},
            }
            invoice["total_outstanding"] -= Decimal(str(body["amount"]))
            invoice["status"] = "paid" if invoice["total_outstanding"] <= 0 else invoice["status"]
            invoice["updated_at"] = company.now()
            return answer(...) if company.habit("empty_post") else _data(company, {"id": made})
        if module == "timeline/message" and method == "POST":
            if not body.get("linked_to") or not (body.get("messagetype_id") or body.get("message_type")):
                return _error(company, 400, "messagetype_id is required")
            made = new_id("message")
            company.messages[made] = {"id": made, **body}
            return answer(...) if company.habit("empty_post") else _data(company, {"id": made})
        return _error(company, 400, f"{method} {module} is not allowed")


def _admitted(company: Company, request: Request) -> bool:
    key, secret = request.headers.get("authentication-key", ""), request.headers.get("authentication-secret", "")
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and ":" in bearer:
        key, _, secret = bearer.partition(":")
    return bool(key) and company.keys.get(key) == secret


def _data(company: Company, data: Any, metadata: Mapping[str, Any] | None = None) -> Response:
    return answer({"data": data, **({"metadata": metadata} if metadata else {}), "errors": None, "debug": None})


def _error(company: Company, status: int, message: str) -> Response:
    plain = company.habit("plain_errors")
    error: Any = (
        message
        if plain
        else {
            "code": status,
            "type": "Validation",
            "message": message,
            "translated_message": message,
            "error_message": "",
        }
    )
    return answer(
        {"data": None, "errors": [error], "debug": None},
        200 if company.habit("errors_in_200") and status == 400 else status,
    )


def _lookup(module: str) -> list[dict[str, Any]] | None:
    lookups: dict[str, list[dict[str, Any]]] = {
        "crm/myorganizationprofile": [
            {"id": key, "organization_id": "organization:0a0b", "name": name, "coc_code": "80012345", "blocked": False}
            for key, name in PROFILES.items()
        ],
        "invoices/invoicestatus": [
            {"id": f"invoicestatus:{name}", "name": label, "color": "#2980b9"} for name, label in STATUSES.items()
        ],
        "invoices/vatclass": [
            {"id": key, "code": code, "label": label, "percentage": f"{percentage}.00"}
            for key, (code, label, percentage) in VAT.items()
        ],
        "invoices/paymentterm": [TERM],
        "sales/revenuegroup": [{"id": key, "label": label} for key, label in GROUPS.items()],
        "crm/country": [{"id": "country:nl", "name": "Country_The Netherlands", "country_code": "NL"}],
        "crm/relationtype": [{"id": "relationtype:klant", "label": "Klant", "color": "#27ae60"}],
        "timeline/messagetype": [{"id": "messagetype:852d47ec82cb8055", "label": "Notitie", "blocked": False}],
        "crm/contactperson": [],
        "projects/project": [],
    }
    return lookups.get(module)


def _shown(company: Company, row: Mapping[str, Any], name: str = "") -> Any:
    """A record as this company's API shows it: status, numbers and absent values by habit."""
    if isinstance(row, list):
        return [_shown(company, one) for one in row]
    if not isinstance(row, dict):
        if isinstance(row, Decimal):
            return f"{row:.2f}" if company.habit("strings") else row
        if name in ("amount", "price", "percentage", "days") and isinstance(row, str) and company.habit("numbers"):
            return Decimal(row)
        return row
    out = {}
    for field_name, value in row.items():
        if field_name == "status" and value in STATUSES:
            value = (
                BARE[value]
                if company.habit("bare_status")
                else {"id": f"invoicestatus:{value}", "name": STATUSES[value], "color": "#2980b9"}
            )
        if field_name == "updated_at" and company.habit("no_updated_at"):
            value = None
        if value is None and not company.habit("nulls"):
            continue
        out[field_name] = _shown(company, value, field_name)
    return out


def _list(company: Company, rows: list[dict[str, Any]], request: Request) -> Response:
    asked = request.query_params
    if any(f"q[{name}]" in key for name in company.habit("breaks", ()) for key in asked):
        return _error(company, 500, "SQLSTATE[42S22]")
    kept = [
        row
        for row in rows
        if all(_fits(company, row, key, value) for key, value in asked.multi_items() if key.startswith("q["))
    ]
    order = asked.get("sort", "")
    if order and not company.habit("unsorted"):
        for name in reversed(order.split(",")):
            kept.sort(key=lambda row: str(_at(row, name.lstrip("-")) or ""), reverse=name.startswith("-"))
    offset, limit = int(asked.get("offset", 0)), min(int(asked.get("limit", 100)), 100)
    if company.habit("unsorted"):
        kept.reverse()
    page = [_shown(company, row) for row in kept[offset : offset + limit]]
    if "select" in asked:
        tops = {part.split(".")[0] for part in asked["select"].split(",")}
        page = [{name: value for name, value in row.items() if name in tops} for row in page]
    everything = {"count": len(kept), "total_count": len(rows), "limit": limit, "offset": offset}
    metadata = {name: everything[name] for name in asked.get("metadata", "").split(",") if name in everything}
    return _data(company, page, None if company.habit("no_metadata") else metadata)


def _at(row: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(row, list):
            row = next((one.get(name) for one in row if isinstance(one, dict) and name in one), None)
        else:
            row = row.get(name) if isinstance(row, dict) else None
    return row


def _fits(company: Company, row: dict[str, Any], key: str, value: str) -> bool:
    field_name, *operator = re.findall(r"\[([^\]]+)\]", key)
    if field_name in company.habit("ignores", ()):
        return True
    found = _at(row, field_name)
    shown = "" if found is None else str(found)
    if not operator:
        if value in ("null", "*"):
            return (found is None) == (value == "null")
        return re.fullmatch(re.escape(value).replace(r"\*", ".*"), shown) is not None
    if operator[0] in ("in", "nin"):
        return bool((shown in value.split(",")) == (operator[0] == "in"))
    held: dict[str, bool] = {"ge": shown >= value, "gt": shown > value, "le": shown <= value, "lt": shown < value}
    return held.get(operator[0], True)
