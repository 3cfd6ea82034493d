"""A Simplicate by another hand: written from the dossier alone, with every choice it leaves open as an argument."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub.kit import json

API = "/waterlinie/api/v2"
PROFILE = "myorganizationprofile:0123456789abcdef0123456789abcdef"
Record = dict[str, Any]


def invoice(number: int, *, credit: bool = False, at: str = "2026-03-09 09:14:40", **facts: Any) -> Record:
    """Two rates and a discount: 1600 net, 300 VAT (dossier 7.1)."""
    sign = -1 if credit else 1
    high, low = (
        {"id": "vatclass:1", "code": "A", "label": "21% btw", "percentage": Decimal(21)},
        {"id": "vatclass:2", "code": "B", "label": "9% btw", "percentage": Decimal(9)},
    )
    group = {"id": "revenuegroup:1", "label": "8000 Omzet advies"}
    lines = [
        (12.5, 110, 288.75, high, "Advies"),
        (20, 15, 27, low, "Handboek"),
        (1, -75, -15.75, high, "Korting"),
    ]
    return {
        "id": f"invoice:{number:032x}",
        "invoice_number": f"F2026-{number:04}",
        "status": "Sent",
        "date": "2026-03-09",
        "subject": "Werkzaamheden februari",
        "reference": "PO 88123",
        "comments": "",
        "organization_id": "organization:1",
        "organization": {"id": "organization:1", "name": "Bakkerij De Gouden Aar B.V."},
        "my_organization_profile_id": PROFILE,
        "my_organization_profile": {"id": PROFILE, "organization": {"id": "organization:9", "name": "Waterlinie"}},
        "payment_term": {"id": "paymentterm:1", "name": "14 dagen", "days": Decimal(14), "method": "banktransfer"},
        "project": None,
        "projects": [],
        "invoice_lines": [
            {
                "id": f"invoiceline:{at}",
                "description": words,
                "date": None,
                "amount": Decimal(str(amount)) * sign,
                "price": Decimal(price),
                "total_vat": Decimal(str(vat)) * sign,
                "vat_class": kind,
                "revenue_group": group,
            }
            for at, (amount, price, vat, kind, words) in enumerate(lines)
        ],
        "total_excluding_vat": Decimal(1600) * sign,
        "total_vat": Decimal(300) * sign,
        "total_including_vat": Decimal(1900) * sign,
        "total_outstanding": Decimal(1900) * sign,
        "created_at": at,
        "updated_at": at,
    } | facts


def organization(**facts: Any) -> Record:
    return {
        "id": "organization:1",
        "name": "Bakkerij De Gouden Aar B.V.",
        "email": "info@goudenaar.example",
        "is_active": True,
        "relation_type": {"id": "relationtype:1", "label": "Klant"},
        "has_different_postal_address": False,
        "visiting_address": {
            "line_1": "Oudegracht 12", "postal_code": "3511 AB", "locality": "Utrecht", "country_code": "NL"
        },
        "vat_number": "NL855512340B01",
        "debtor": {"payment_term": {"days": Decimal(14)}, "send_email_type": "contact"},
        "created_at": "2024-01-15 10:00:00",
        "updated_at": "2026-02-20 08:31:05",
    } | facts  # fmt: skip


@dataclass
class OtherSimplicate:
    """One tenant. Each field names a choice; the defaults are not those of our own sandbox."""

    envelope: str = "full"  # full | bare | no_errors | empty_errors | errors_object
    empty: str = "[]"  # [] | null | {} | missing: `data` of a list without records
    cap: int = 100
    metadata: str = "never"  # never | asked | always | strings | total_only | page
    filters: str = "work"  # work | ignored | 400 | 422 | nothing: what becomes of a filter that is not `known`
    known: tuple[str, ...] = ("date",)
    sort: str = "works"  # works | ignored | newest
    numbers: str = "number"  # number | string | six
    moments: str = "plain"  # plain | iso | iso_utc | iso_fraction | missing | null
    days: str = "plain"  # plain | moment | iso
    status: str = "string"  # string | label | object | plain_object | missing
    absent: str = "omit"  # omit | null | empty
    single: str = "object"  # object | list
    post: str = "id"  # id | 201 | empty | 204 | object | list | bare | string | null_data | nested
    users: str = "404"  # 404 | 403 | 400 | object | list | all
    base: str = "empty"  # empty | text | true | object | 404
    links: str = "invoice_id"  # invoice_id | nested: how a payment names its invoice
    outstanding: str = "lowers"  # lowers | stays | missing | string
    lag: int = 0  # so many searches do not see a new payment
    lose: int = 0  # so many POSTs land and answer 500
    errors: str = "object"
    invoices: dict[str, Record] = field(default_factory=dict)
    organizations: dict[str, Record] = field(default_factory=dict)
    payments: dict[str, Record] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unseen = 0
        profile = {PROFILE: {"id": PROFILE, "name": "Waterlinie B.V.", "blocked": False}}
        lists: dict[str, Callable[[], dict[str, Record]]] = {
            "/invoices/invoice": lambda: self.invoices,
            "/invoices/payment": self._payments,
            "/crm/organization": lambda: self.organizations,
            "/crm/myorganizationprofile": lambda: profile,
        }
        routes = [Route(f"{API}/users/user", self._user), Route(f"{API}/base/test", self._base)]
        routes.append(Route(f"{API}/invoices/payment", self._pay, methods=["POST"]))
        for path, rows in lists.items():
            routes.append(Route(API + path, self._list(rows)))
            routes.append(Route(API + path + "/{id}", self._one(rows)))
        self.app = Starlette(routes=routes)

    def add(self, *records: Record) -> None:
        for one in records:
            (self.invoices if one["id"].startswith("invoice:") else self.organizations)[one["id"]] = one

    # How it says things

    def _answer(self, data: Any, status: int = 200, metadata: Any = None) -> Response:
        if self.envelope == "bare":
            return Response(json.dumps(data), status, media_type="application/json")
        errors: Any = {"no_errors": {}, "empty_errors": {"errors": []}, "errors_object": {"errors": {}}}
        body = {"data": data, **errors.get(self.envelope, {"errors": None, "debug": None})}
        if metadata:
            body["metadata"] = metadata
        return Response(json.dumps(body), status, media_type="application/json")

    def _error(self, status: int, words: str) -> Response:
        forms: dict[str, Any] = {
            "object": {"data": None, "errors": [{"code": status, "type": "Validation", "message": words}]},
            "text": {"data": None, "errors": [words], "debug": None},
            "message": {"message": words},
            "single": {"errors": {"message": words}},
            "html": None,
        }
        if self.errors == "html":
            return PlainTextResponse(f"<html>{words}</html>", status)
        return Response(json.dumps(forms[self.errors]), status, media_type="application/json")

    def _spelt(self, record: Record) -> Record:
        return {name: self._value(name, value) for name, value in record.items() if not self._dropped(name, value)}

    def _dropped(self, name: str, value: Any) -> bool:
        nothing = value in (None, "") and self.absent == "omit"
        return (
            nothing
            or (name == "updated_at" and self.moments == "missing")
            or (name == "status" and self.status == "missing")
            or (name == "total_outstanding" and self.outstanding == "missing")
        )

    def _value(self, name: str, value: Any) -> Any:
        if name == "status":
            return {
                "label": "label_Sended",
                "object": {"id": "invoicestatus:1", "name": "label_Sended", "color": "#fff"},
                "plain_object": {"id": "invoicestatus:1", "label": "Verzonden"},
            }.get(self.status, value)
        if name == "date" and value:
            return {"moment": f"{value} 00:00:00", "iso": f"{value}T00:00:00+01:00"}.get(self.days, value)
        if name in ("created_at", "updated_at"):
            return self._moment(value)
        if value in (None, ""):
            return {"null": None, "empty": ""}.get(self.absent, value)
        match value:
            case dict():
                return self._spelt(value)
            case list():
                return [self._spelt(one) if isinstance(one, dict) else one for one in value]
            case Decimal() if self.numbers != "number" or (
                name == "total_outstanding" and self.outstanding == "string"
            ):
                return f"{value:.6f}" if self.numbers == "six" else str(value)
        return value

    def _moment(self, value: str) -> Any:
        iso = value.replace(" ", "T")
        forms = {"iso": f"{iso}+01:00", "iso_utc": f"{iso}Z", "iso_fraction": f"{iso}.000000+01:00", "null": None}
        return forms.get(self.moments, value)

    # Lists

    def _list(self, rows: Callable[[], dict[str, Record]]) -> Any:
        async def listed(request: Request) -> Response:
            self.calls.append(f"{request.url.path}?{request.url.query}")
            asked = request.query_params
            filters = [(name, value) for name, value in asked.items() if name.startswith("q[")]
            found: Iterable[Record] = rows().values()
            for name, value in filters:
                parts = re.findall(r"\[([^\]]*)\]", name)
                if self.filters != "work" and parts[0] not in self.known:
                    if self.filters in ("400", "422"):
                        return self._error(int(self.filters), f"unknown filter {parts[0]}")
                    found = [] if self.filters == "nothing" else found
                    continue
                found = [one for one in found if self._matches(one, parts, value)]
            kept = list(found)
            sort = asked.get("sort", "")
            if sort and self.sort == "works":
                by = sort.removeprefix("-")
                kept.sort(key=lambda one: str(one.get(by) or ""), reverse=sort.startswith("-"))
            if self.sort == "newest":
                kept.reverse()
            return self._page(kept, asked)

        return listed

    def _page(self, kept: list[Record], asked: Any) -> Response:
        offset, limit = int(asked.get("offset") or 0), min(int(asked.get("limit") or 100), self.cap)
        page = kept[offset : offset + limit]
        count = len(page) if self.metadata == "page" else len(kept)
        facts: Record = {"count": count, "limit": limit, "offset": offset}
        if self.metadata == "strings":
            facts = {name: str(value) for name, value in facts.items()}
        if self.metadata == "total_only":
            facts = {"total_count": len(kept)}
        wanted = self.metadata == "always" or (self.metadata != "never" and "metadata" in asked)
        data: Any = [self._spelt(one) for one in page]
        if not page and self.empty != "[]":
            if self.empty == "missing":
                return Response(json.dumps({"errors": None}), media_type="application/json")
            data = None if self.empty == "null" else {}
        return self._answer(data, metadata=facts if wanted else None)

    @staticmethod
    def _matches(one: Record, parts: list[str], value: str) -> bool:
        shown: Any = one
        for name in parts[0].split("."):
            shown = shown.get(name) if isinstance(shown, dict) else None
        if len(parts) == 1:
            return str(shown) == value
        return {"ge": str(shown or "") >= value, "gt": str(shown or "") > value, "le": str(shown) <= value}[parts[1]]

    def _one(self, rows: Callable[[], dict[str, Record]]) -> Any:
        async def single(request: Request) -> Response:
            found = rows().get(request.path_params["id"])
            if found is None:
                return self._error(404, "not found")
            return self._answer([self._spelt(found)] if self.single == "list" else self._spelt(found))

        return single

    async def _user(self, request: Request) -> Response:
        user = {"email": "Anna@Waterlinie.example", "first_name": "Anna", "family_name": "de Wit"}
        if self.users.isdecimal():
            return self._error(int(self.users), "no")
        return self._answer({"object": user, "list": [user], "all": [user, {"email": "bram@x.example"}]}[self.users])

    async def _base(self, request: Request) -> Response:
        match self.base:
            case "empty":
                return Response("", 200)
            case "text":
                return PlainTextResponse("OK")
            case "true":
                return self._answer(True)
            case "404":
                return self._error(404, "no")
            case _:
                return self._answer({"message": "Hello"})

    # Payments

    def _payments(self) -> dict[str, Record]:
        if self._unseen > 0:
            self._unseen -= 1
            return dict(list(self.payments.items())[:-1])
        return self.payments

    async def _pay(self, request: Request) -> Response:
        body = json.loads(await request.body())
        if set(body) != {"invoice_id", "date", "amount", "description"} or body["invoice_id"] not in self.invoices:
            return self._error(400, "invoice_id is invalid")
        own = f"payment:{len(self.payments):032x}"
        link = (
            {"invoice_id": body["invoice_id"]}
            if self.links == "invoice_id"
            else {"invoice": {"id": body["invoice_id"]}}
        )
        rest = {name: body[name] for name in ("date", "description")}
        self.payments[own] = {"id": own, **link, **rest, "amount": Decimal(body["amount"])}
        self._unseen = self.lag
        if self.outstanding != "stays":
            self.invoices[body["invoice_id"]]["total_outstanding"] -= Decimal(body["amount"])
        if self.lose:
            self.lose -= 1
            return self._error(500, "lost")
        return self._paid(own)

    def _paid(self, own: str) -> Response:
        match self.post:
            case "201":
                return self._answer({"id": own}, 201)
            case "empty":
                return Response("", 201)
            case "204":
                return Response("", 204)
            case "object":
                return self._answer(self._spelt(self.payments[own]))
            case "list":
                return self._answer([{"id": own}])
            case "bare":
                return Response(json.dumps({"id": own}), media_type="application/json")
            case "string":
                return self._answer(own)
            case "null_data":
                return self._answer(None)
            case "nested":
                return self._answer({"payment": {"id": own}})
            case _:
                return self._answer({"id": own})
