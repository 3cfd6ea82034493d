"""A Minox by another hand: written from the dossier alone, with every choice it leaves open as an argument."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.kit import json

HOME = "/api/1/tenant/41207"
BOOKS = HOME + "/administration/3"
VAT = {
    8000: {"id": 1, "percentage": 21, "type": "Af te dragen (1a, 1b)", "account_id": "1510"},
    8100: {"id": 3, "percentage": 0, "type": "Diensten binnen de EU (ICP)", "account_id": "1515"},
}


def answer(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")


def error(words: str, status: int = 400) -> Response:
    return answer([{"message_code": "X1", "message_type": "error", "message": words}], status)


@dataclass
class OtherMinox:
    """One administration. Each field names a choice; the defaults are not those of our own sandbox."""

    lists: str = "bare"  # bare | collection | data | single (one record comes as an object)
    paging: str = "none"  # none | cursor | number | path | absolute | rels | top | null | self
    put: str = "204"  # 204 | empty | lines | object | collection | text | null | true | warned
    batch: str = "array"  # array | collection | object
    batch_missing: str = "404"  # 404 | empty | 204 | object | 410
    post: str = "201"  # 201 | 204 | empty | id | bare_id | list | collection | text | no_id | error
    patch: str = "204"  # 204 | object | empty | text
    patch_arrays: str = "replace"  # replace | by_id | append
    missing: str = "404"  # 404 | empty | [] | {} | collection | null | 204: nothing found by e-mail or key
    found: str = "list"  # object | list | collection: what is found
    lag: int = 0  # so many searches do not see a new debtor yet
    ids: type = str
    money: type = str
    dates: str = "T00:00:00.000Z"
    vat_lines: bool = True  # Minox's own VAT postings show in a batch
    account_type: bool = True  # a line says what its account is
    paid: str = "404"  # 404 | zero | listed | both: what becomes of a paid item
    paid_field: bool = True
    credit: int = -1  # 1: a credit note's open item is unsigned
    account: str = "object"  # object | id: how an open item names its debtor
    status_filter: bool = True
    inspect: int = 200  # the status that an inspection answers
    inspect_get: bool = False  # the form that the vendor's guide still names
    customers: dict[int, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    payments: dict[tuple[str, int], Decimal] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unseen: dict[int, int] = {}
        self.app = Starlette(
            routes=[
                Route("/api/1/inspect", self._inspect, methods=["POST"]),
                Route("/api/1/inspect/{token}", self._inspect_get),
                Route(HOME + "/administration", self._administrations),
                Route(BOOKS + "/ledger_account", self._ledger),
                Route(BOOKS + "/journal", self._journals),
                Route(BOOKS + "/customer", self._customers, methods=["GET", "POST"]),
                Route(BOOKS + "/customer/by_email/{word:path}", self._by_email),
                Route(BOOKS + "/customer/by_externalid/{word:path}", self._by_external),
                Route(BOOKS + "/customer/{id}", self._customer, methods=["GET", "PATCH"]),
                Route(BOOKS + "/transaction_line_batch/{uuid}", self._batch, methods=["GET", "PUT", "DELETE"]),
                Route(BOOKS + "/year/{year}/transaction_lines", self._lines),
                Route(BOOKS + "/receivable", self._receivables),
                Route(BOOKS + "/receivable/account/{customer}/invoice/{number}", self._receivable),
            ]
        )

    # What a test does and sees

    def pay(self, customer: str, number: int, amount: Decimal) -> None:
        self.payments[customer, number] = amount

    # How it says things

    def _amount(self, value: Decimal | int) -> Any:
        return self.money(value) if self.money is str else Decimal(value)

    def _day(self, value: str) -> str:
        return value + self.dates

    def _listed(self, request: Request, rows: list[Any]) -> Response:
        links: Any = {}
        top: dict[str, Any] = {}
        if self.paging == "deaf":  # The cursor is not heard: the first page comes for ever, if under another name.
            after = int(request.query_params.get("next") or 0) + 1
            return answer({"links": {"next": str(after)}, "collection": rows or [{"id": 1}]})
        if self.paging not in ("none", "null"):
            start = int(request.query_params.get("next") or 0)
            page, after = rows[start : start + 2], start + 2
            more = after < len(rows)
            path = request.url.path
            following = {
                "cursor": str(after),
                "number": after,
                "path": f"{path}?next={after}",
                "absolute": f"https://app.minox.nl{path}?next={after}&size=2",
                "self": f"{path}?next={after}",
            }.get(self.paging, str(after))
            if self.paging == "rels":
                links = [{"rel": "self", "href": path}, *([{"rel": "next", "href": f"{path}?next={after}"}] * more)]
            elif self.paging == "top":
                top = {"next": following if more else None}
            elif self.paging == "self":
                links = {"next": following if more else f"{path}?next={start}"} if more or start else {}
            else:
                links = {"self": path, **({"next": following} if more else {})}
            return answer({"links": links, "collection": page, **top})
        if self.paging == "null":
            return answer({"links": {"next": None, "prev": None}, "collection": rows})
        match self.lists:
            case "collection":
                return answer({"links": {}, "collection": rows})
            case "data":
                return answer({"data": rows})
            case "single" if len(rows) == 1:
                return answer(rows[0])
            case _:
                return answer(rows)

    async def _inspect(self, request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("Basic "):
            return error("client?", 401)
        if self.inspect != 200:
            return error("onbekend token", self.inspect)
        return answer({"linked_tenants": [{"tenant_id": self.ids(41207)}]})

    async def _inspect_get(self, request: Request) -> Response:
        if not self.inspect_get or not request.headers.get("authorization", "").startswith("Basic "):
            return error("onbekend adres", 404)
        return answer({"linked_tenants": [{"tenant_id": self.ids(41207)}]})

    async def _administrations(self, request: Request) -> Response:
        years = [
            {
                "fiscal_year": self.ids(2026),
                "number_of_periods": self.ids(12),
                "start_date": self._day("2026-01-01"),
                "end_date": self._day("2026-12-31"),
            }
        ]
        return self._listed(request, [{"id": self.ids(3), "name": "Waterlelie", "fiscal_years": years}])

    async def _ledger(self, request: Request) -> Response:
        numbers = (1300, 1510, 8000, 8100, 8900)
        rows = [{"id": self.ids(one), "description": f"Rekening {one}", "vat": self._vat(one)} for one in numbers]
        return self._listed(request, rows)

    def _vat(self, account: int) -> Any:
        code = VAT.get(account)
        return code and {**code, "id": self.ids(code["id"]), "percentage": self._amount(code["percentage"])}

    async def _journals(self, request: Request) -> Response:
        rows = [{"id": "MEMO", "type": "general"}, {"id": "VERK", "type": "7", "description": "Verkoop"}, {"id": "BNK"}]
        return self._listed(request, rows)

    # Debtors

    async def _customers(self, request: Request) -> Response:
        if request.method == "GET":
            return self._listed(request, [self._debtor(one) for one in self.customers])
        body = json.loads(await request.body())
        if not isinstance(body, dict) or not isinstance(body.get("vat"), dict):
            return error("vat ontbreekt")
        if self.post == "error":  # A refusal in the clothes of a success (dossier 7).
            return error("postcode ongeldig", 200)
        own = 10000 + len(self.customers)
        self.customers[own] = {**body, "addresses": [{**one, "id": 7} for one in body["addresses"]]}
        self._unseen[own] = self.lag
        made = {"id": self.ids(own), **self.customers[own]}
        match self.post:
            case "201":
                return answer(made, 201)
            case "204":
                return Response("", 204)
            case "empty":
                return Response("", 201)
            case "id":
                return answer({"id": self.ids(own)})
            case "bare_id":
                return answer(own)
            case "list":
                return answer([made])
            case "collection":
                return answer({"links": {}, "collection": [made]}, 201)
            case "text":
                return answer("created")
            case _:
                return answer({"externalid": body.get("externalid")}, 201)

    def _debtor(self, own: int) -> dict[str, Any]:
        return {"id": self.ids(own), **self.customers[own]}

    def _found(self, wanted: list[int]) -> Response:
        seen = []
        for own in wanted:
            if self._unseen.get(own, 0) > 0:
                self._unseen[own] -= 1
            else:
                seen.append(self._debtor(own))
        if not seen:
            nothing: dict[str, Any] = {"[]": [], "{}": {}, "collection": {"links": {}, "collection": []}, "null": None}
            match self.missing:
                case "404":
                    return error("niet gevonden", 404)
                case "empty":
                    return Response("", 200)
                case "204":
                    return Response("", 204)
                case form:
                    return answer(nothing[form])
        if self.found == "object" and len(seen) == 1:
            return answer(seen[0])
        return answer({"links": {}, "collection": seen} if self.found == "collection" else seen)

    async def _by_email(self, request: Request) -> Response:
        word = request.path_params["word"].lower()
        return self._found(
            [
                own
                for own, one in self.customers.items()
                for address in one["addresses"]
                for mail in address.get("email_addresses") or ()
                if mail["email_address"].lower() == word
            ]
        )

    async def _by_external(self, request: Request) -> Response:
        word = request.path_params["word"]
        return self._found([own for own, one in self.customers.items() if one.get("externalid") == word])

    async def _customer(self, request: Request) -> Response:
        own = int(request.path_params["id"])
        if own not in self.customers:
            return error("niet gevonden", 404)
        stands = self.customers[own]
        if request.method == "PATCH":
            for name, value in json.loads(await request.body()).items():
                if isinstance(value, list) and self.patch_arrays == "append":
                    stands[name] = [*stands.get(name, []), *value]
                elif isinstance(value, list) and self.patch_arrays == "by_id" and all("id" in one for one in value):
                    merged = {one.get("id"): one for one in stands.get(name, [])}
                    for one in value:
                        merged[one["id"]] = {**merged.get(one["id"], {}), **one}
                    stands[name] = list(merged.values())
                else:
                    stands[name] = value
            match self.patch:
                case "204":
                    return Response("", 204)
                case "empty":
                    return Response("", 200)
                case "text":
                    return answer("ok")
        return answer(self._debtor(own))

    # Bookings

    async def _batch(self, request: Request) -> Response:
        uuid = request.path_params["uuid"]
        self.calls.append(f"{request.method} {uuid}")
        if request.method == "PUT":
            refused = self._refused(json.loads(await request.body()), uuid)
            return refused or self._stored(uuid)
        if uuid not in self.batches:
            match self.batch_missing:
                case "404":
                    return error("geen boeking", 404)
                case "410":
                    return Response("", 410)
                case "empty":
                    return answer([])
                case "object":
                    return answer({})
                case _:
                    return Response("", 204)
        lines = self._shown(uuid)
        match self.batch:
            case "collection":
                return answer({"links": {}, "collection": lines})
            case "object":
                return answer({"id": uuid, "lines": lines})
            case _:
                return answer(lines)

    def _refused(self, lines: Any, uuid: str) -> Response | None:
        if uuid[14] != "4" or uuid[19] not in "89ab":
            return error("geen v4")
        if not isinstance(lines, list) or not lines:
            return error("geen regels")
        total = Decimal(0)
        for line in lines:
            if set(line) - {
                "account", "debit", "credit", "journal", "period", "document_date", "due_date", "invoice_number",
                "description", "cost_center",
            } or not isinstance(line["account"]["id"], str) or not isinstance(line["invoice_number"], int):  # fmt: skip
                return error("regel onleesbaar")
            amount = Decimal(line["debit"]) - Decimal(line["credit"])
            if min(Decimal(line["debit"]), Decimal(line["credit"])) < 0 or line["period"] != {"fiscal_year": 2026}:
                return error("regel onjuist")
            code = VAT.get(int(line["account"]["id"])) if line["account"]["type"] == "ledger_account" else None
            total += amount + (amount * code["percentage"] / 100 if code else 0)
        if total.quantize(Decimal("0.01")):
            return error(f"niet in evenwicht: {total}")
        self.batches[uuid] = lines
        return None

    def _stored(self, uuid: str) -> Response:
        match self.put:
            case "204":
                return Response("", 204)
            case "empty":
                return Response("", 201)
            case "object":
                return answer({"batch_id": uuid, "status": "stored"}, 201)
            case "collection":
                return answer({"links": {}, "collection": self._shown(uuid)}, 201)
            case "text":
                return answer(uuid)
            case "null":
                return answer(None)
            case "true":
                return answer(True)
            case "warned":
                note = {"message_type": "warning", "message": "Kredietlimiet overschreden", "message_code": "W1"}
                return answer([{**one, "messages": [note]} for one in self._shown(uuid)])
            case _:
                return answer(self._shown(uuid))

    def _shown(self, uuid: str) -> list[dict[str, Any]]:
        shown = []
        for at, line in enumerate(self.batches[uuid], 1):
            account = dict(line["account"])
            code = VAT.get(int(account["id"])) if account["type"] == "ledger_account" else None
            if not self.account_type:
                account.pop("type")
            sides = {name: self._amount(Decimal(line[name])) for name in ("debit", "credit")}
            facts = {
                "id": at,
                "batch_id": uuid.upper(),
                "messages": [],
                "document_date": self._day(line["document_date"]),
            }
            number = self.ids(line["invoice_number"])
            vat = self._vat(int(line["account"]["id"])) if code else None
            shown.append({**line, **sides, **facts, "account": account, "invoice_number": number, "vat": vat})
            if code and code["percentage"] and self.vat_lines:
                added = {n: Decimal(line[n]) * code["percentage"] / 100 for n in ("debit", "credit")}
                own = {"id": code["account_id"], **({"type": "ledger_account"} if self.account_type else {})}
                shown.append(
                    {**shown[-1], **{n: self._amount(v) for n, v in added.items()}, "account": own, "vat": None}
                )
        return shown

    async def _lines(self, request: Request) -> Response:
        if request.query_params.get("period") not in (None, "3"):
            return self._listed(request, [])
        return self._listed(request, [line for uuid in self.batches for line in self._shown(uuid)])

    # Open items

    def _items(self) -> list[dict[str, Any]]:
        found = []
        for lines in self.batches.values():
            debtor = lines[0]
            own = (debtor["account"]["id"], debtor["invoice_number"])
            total = Decimal(debtor["debit"]) - Decimal(debtor["credit"])
            sign = -1 if total < 0 and self.credit == 1 else 1
            paid = self.payments.get(own, Decimal(0))
            item = {
                "type": "receivable",
                "account_id": self.ids(own[0]),
                "account": {"id": own[0], "type": "customer"},
                "invoice_number": self.ids(own[1]),
                "total": self._amount(total * sign),
                "paid": self._amount(paid * sign),
                "balance": self._amount((total - paid) * sign),
                "_open": total != paid,
            }
            item.pop("account_id" if self.account == "object" else "account")
            if not self.paid_field:
                item.pop("paid")
            found.append(item)
        return found

    async def _receivables(self, request: Request) -> Response:
        wanted = (
            self.status_filter and request.query_params.get("status") == "open" and self.paid not in ("listed", "both")
        )
        found = self._items()
        return self._listed(
            request, [{n: v for n, v in one.items() if n != "_open"} for one in found if one["_open"] or not wanted]
        )

    async def _receivable(self, request: Request) -> Response:
        own = (request.path_params["customer"], request.path_params["number"])
        for one in self._items():
            customer = one["account"]["id"] if "account" in one else str(one["account_id"])
            if (customer, str(one["invoice_number"])) == own and (one.pop("_open") or self.paid in ("zero", "both")):
                return answer(one)
        return error("geen openstaande post", 404)
