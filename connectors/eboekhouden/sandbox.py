"""An e-Boekhouden.nl that behaves as the dossier says: sessions, mutations, its own books, and a switch per unknown."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.accounting.money import ZERO, cents
from hub.sdk.sandbox import Sandbox, json_body, json_response

Entry = dict[str, Any]
Answering = Callable[[Request, Entry], Awaitable[Response]]
DEMO_TOKEN = "ebh_demo_waterlelie"
OTHER_TOKEN = "ebh_demo_groenevloer"
_SOURCE = re.compile(r"[A-Za-z0-9_ ]{1,10}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FILTER = re.compile(r"(\w+)(?:\[(\w+)\])?")
_RATES = {"HOOG_VERK_21": 21, "LAAG_VERK_9": 9, "HOOG_INK_21": 21, "LAAG_INK_9": 9}
_SALES = ("HOOG_VERK_21", "LAAG_VERK_9", "VERL_VERK", "VERL_VERK_L9", "AFW_VERK", "BU_EU_VERK", "BI_EU_VERK",
          "BI_EU_VERK_D", "AFST_VERK", "AFW", "GEEN")  # fmt: skip
_PURCHASES = ("HOOG_INK_21", "LAAG_INK_9", "VERL_INK", "BU_EU_INK", "BI_EU_INK", "AFW", "GEEN")
_VAT_LEDGER = {"HOOG_VERK_21": "AF19", "LAAG_VERK_9": "AF6", "AFW_VERK": "AFOVERIG", "AFW": "AFOVERIG"}
_INVOICE = ("invoiceNumber", "relationId", "termOfPayment", "paymentReference", "checkPaymentReference")
_BODY = frozenset(["type", "date", "ledgerId", "entryNumber", "description", "inExVat", "rows", *_INVOICE])
_ROW = frozenset(
    ["ledgerId", "amount", "vatCode", "vatAmount", "costCenterId", "description", "invoiceNumber", "relationId"]
)
_RELATION: Mapping[str, int] = {
    "type": 1, "code": 15, "name": 100, "salutation": 50, "contact": 50, "gender": 1, "address": 150, "postalCode": 50,
    "city": 50, "country": 50, "address2": 150, "postalCode2": 50, "city2": 50, "country2": 50, "phoneNumber": 50,
    "mobilePhoneNumber": 50, "faxNumber": 50, "emailAddress": 150, "emailAddressInvoice": 150, "website": 50,
    "emailAddressReminder": 150, "note": 40000, "vatNumber": 50, "companyRegistrationNumber": 50, "iban": 50, "bic": 20,
    "mandateType": 1, "mandateId": 35, **{f"freeText{number}": 100 for number in range(1, 11)},
}  # fmt: skip
_RELATION_OTHER = frozenset(["inactive", "termOfPayment", "ledgerId", "mandate", "doNotReceiveNewsletters", "peppolId"])
_CHART: tuple[tuple[str, str, str, str], ...] = (
    ("1000", "Kas", "FIN", "001"),
    ("1100", "Bank", "FIN", "001"),
    ("1300", "Debiteuren", "DEB", "002"),
    ("1510", "Af te dragen btw hoog", "AF19", "003"),
    ("1511", "Af te dragen btw laag", "AF6", "003"),
    ("1515", "Af te dragen btw overig", "AFOVERIG", "003"),
    ("1520", "Voorbelasting", "VOOR", "003"),
    ("1600", "Crediteuren", "CRED", "002"),
    ("1700", "Te betalen nettolonen", "BAL", "002"),
    ("1710", "Af te dragen loonheffing", "BAL", "002"),
    ("1999", "Verrekeningen", "BAL", "002"),
    ("4000", "Brutolonen", "VW", "004"),
    ("8000", "Omzet advies 21%", "VW", "008"),
    ("8010", "Omzet boeken 9%", "VW", "008"),
    ("8100", "Omzet EU (ICP, 0)", "VW", "008"),
    ("8200", "Omzet verlegd (0)", "VW", "008"),
    ("8300", "Omzet buiten EU", "VW", "008"),
    ("8900", "Omzet vrijgesteld", "VW", "008"),
    ("08999", "Omzet overig", "VW", "008"),
    ("1720", "Pensioenpremie", "BAL", "002"),
    ("4010", "Sociale lasten werkgever", "VW", "004"),
)


class Refused(Exception):
    """The package's own no."""

    def __init__(self, code: str, title: str, field: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.title, self.field, self.status = code, title, field, status


class EboekhoudenSandbox(Sandbox):
    """e-Boekhouden.nl."""

    name = "eboekhouden"

    def reset(self) -> None:
        """No administrations; every unknown at our default."""
        super().reset()
        self.sessions: dict[str, Entry] = {}
        self.books = {"administrations": {}}
        self.next_id = 51_900_000
        self._tokens_left, self._refilled = 0.0, 0.0
        self.switches = {
            "session_seconds": 3600,
            "session_alone": False,  # 2: does a new session end the older ones?
            "bearer": "both",  # 2: bare | both
            "answer": "id",  # 5.2: id | text_id | list | plain | empty
            "count": "total",  # 4: total | page | none
            "order": "asc",  # 4: asc | desc
            "page_cap": 0,  # 4: fewer than asked per page
            "lag_s": 0,  # 7: how long a search misses what was written
            "ignores_filters": False,
            "bare_lists": False,
            "omit_empty": False,  # 4: empty fields left out of reads
            "text_types": False,  # 4: numbers as text
            "list_amount": "incl",  # 5.4: incl | excl
            "vat_per": "rate",  # 5.5: rate | row
            "half": "up",  # 5.5: up | even
            "vat_shown": "signed",  # 5.4: signed | unsigned | none
            "max_rows": 100,  # 5.3
            "too_long": "refuse",  # 13.2: refuse | cut | keep
            "closed_code": "MUT_131",  # 8: the real one is not known
            "closed_status": 400,
            "change_status": 405,  # 11.7
            "gone_status": 404,  # 14.14
            "paid_items": "leave",  # 6.4: leave | stay
            "credit_items": "negative",  # 6.4: negative | positive
            "zero_sum_refused": False,  # 11.13
            "reference_unique_on_7": True,  # 11.13
            "memorial_off": False,  # 14.13
            "rate_per_minute": 0,  # 4: none published; 0 is none
        }

    def seed(self) -> None:
        """Two administrations; in the first a relation and an invoice that were there before us."""
        home = self.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
        self.add_administration("groenevloer", "De Groene Vloer B.V.", OTHER_TOKEN)
        self.add_cost_centre(home, "Kantoor")
        self.add_cost_centre(home, "20 Buitendienst")
        old = self.add_relation(home, name="Bakkerij De Gouden Aar B.V.", emailAddress="info@goudenaar.example")
        self.book(
            home,
            {
                "type": 2,
                "date": "2026-01-15",
                "ledgerId": self.ledger(home, "1300"),
                "relationId": old["id"],
                "invoiceNumber": "2026-0001",
                "termOfPayment": 14,
                "inExVat": "EX",
                "description": "Factuur 2026-0001",
                "rows": [{"ledgerId": self.ledger(home, "8000"), "vatCode": "HOOG_VERK_21", "amount": Decimal(500)}],
            },
        )

    # What a test or a playground does behind the API's back.

    def add_administration(self, key: str, name: str, token: str, **facts: Any) -> Entry:
        """A new administration with the small chart and one token; `facts` replace parts of it."""
        tables = ("ledgers", "costcentres", "relations", "mutations", "items", "balances", "by_code", "by_email")
        indexes = ("by_number", "by_date", "by_reference", "relation_codes", "taken")
        home: Entry = {
            "key": key,
            "name": name,
            "guid": f"{len(self.books['administrations']) + 1:08d}-0000-4000-8000-000000000000",
            "tokens": {token: {"ends": None, "accountant": False}},
            "closed_until": "",
            "last": 0,
            **{one: {} for one in (*tables, *indexes)},
        } | facts
        for code, words, kind, group in _CHART:
            self.add_ledger(home, code, words, kind, group)
        self.books["administrations"][key] = home
        return home

    def administration(self, key: str = "waterlelie") -> Entry:
        """The books of one administration. Raises KeyError."""
        found: Entry = self.books["administrations"][key]
        return found

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id

    def add_ledger(self, home: Entry, code: str, words: str, kind: str, group: str = "008") -> int:
        """A ledger with the next id of the platform."""
        own = self._id()
        home["ledgers"][own] = {"id": own, "code": code, "description": words, "category": kind, "group": group}
        home["by_code"][code] = own
        return own

    def ledger(self, home: Entry, code: str) -> int:
        """The id of a ledger. Raises KeyError."""
        found: int = home["by_code"][code]
        return found

    def balance(self, code: str, home: Entry | None = None) -> Decimal:
        """What stands on a ledger; debit is positive."""
        home = home or self.administration()
        found: Decimal = home["balances"].get(home["by_code"][code], ZERO)
        return found

    def add_cost_centre(self, home: Entry, words: str, parent: int = 0, active: bool = True) -> int:
        """A cost centre."""
        own = self._id()
        home["costcentres"][own] = {"id": own, "description": words, "parentId": parent, "active": active}
        return own

    def add_relation(self, home: Entry, **facts: Any) -> Entry:
        """A relation; its code is made when none is given."""
        own = self._id()
        code = facts.get("code") or f"{len(home['relations']) + 1:05d}"
        made: Entry = {"type": "B", **facts, "id": own, "code": code, "_made": self.now()}
        home["relations"][own] = made
        home["relation_codes"][code.lower()] = own
        self._index_emails(home, made)
        return made

    @staticmethod
    def _index_emails(home: Entry, made: Entry) -> None:
        for name in ("emailAddress", "emailAddressInvoice", "emailAddressReminder"):
            if made.get(name):
                home["by_email"].setdefault(str(made[name]).lower(), {})[made["id"]] = None

    def mutations(self, home: Entry | None = None) -> list[Entry]:
        """All mutations that stand."""
        return list((home or self.administration())["mutations"].values())

    def pay(self, own: int, value: Decimal | None = None, on: str = "2026-05-01", home: Entry | None = None) -> Entry:
        """A payment of type 3, in full without a value."""
        home = home or self.administration()
        sale, item = home["mutations"][own], home["items"][own]
        came_in = item["total"] - item["paid"] if value is None else value
        row = {"ledgerId": sale["ledgerId"], "vatCode": "GEEN", "amount": came_in, "relationId": sale["relationId"]}
        return self.book(
            home,
            {
                "type": 3,
                "date": on,
                "ledgerId": self.ledger(home, "1100"),
                "inExVat": "EX",
                "description": "Betaling",
                "rows": [row | {"invoiceNumber": sale["invoiceNumber"]}],
            },
        )

    def settle(self, own: int, home: Entry | None = None) -> None:
        """Closes an item without a payment, as against a credit note."""
        item = (home or self.administration())["items"][own]
        item["paid"] = item["total"]

    def delete(self, own: int, home: Entry | None = None) -> None:
        """The user deletes a mutation."""
        home = home or self.administration()
        gone = home["mutations"].pop(own)
        self._post(home, gone, Decimal(-1))
        home["items"].pop(own, None)
        for name, value in (("by_number", gone["invoiceNumber"]), ("by_date", gone["date"])):
            home[name].get(value, {}).pop(own, None)
        home["taken"].pop(f"{gone['relationId']}/{gone['invoiceNumber']}", None)

    def edit(self, own: int, home: Entry | None = None, **changes: Any) -> None:
        """The user changes a mutation's facts."""
        home = home or self.administration()
        stands = home["mutations"][own]
        self._post(home, stands, Decimal(-1))
        home["by_date"].get(stands["date"], {}).pop(own, None)
        stands.update(changes)
        home["by_date"].setdefault(stands["date"], {})[own] = None
        self._reckon(stands)
        self._post(home, stands, Decimal(1))

    # The API.

    def routes(self) -> list[BaseRoute]:
        """The operations that connectors use, and the user's hands."""
        return [
            Route("/v1/session", self._session, methods=["POST", "DELETE"]),
            Route("/v1/administration", self._in(self._administrations)),
            Route("/v1/administration/linked", self._in(self._administrations)),
            Route("/v1/ledger", self._in(self._ledgers)),
            Route("/v1/ledger/{own:int}", self._in(self._ledger)),
            Route("/v1/ledger/{own:int}/balance", self._in(self._balance)),
            Route("/v1/costcenter", self._in(self._cost_centres)),
            Route("/v1/relation", self._in(self._relations), methods=["GET", "POST"]),
            Route("/v1/relation/{own:int}", self._in(self._relation), methods=["GET", "PATCH"]),
            Route("/v1/mutation", self._in(self._mutations), methods=["GET", "POST"]),
            Route("/v1/mutation/invoice/outstanding", self._in(self._outstanding)),
            Route("/v1/mutation/{own:int}", self._in(self._mutation), methods=["GET", "PATCH", "DELETE"]),
            Route("/_sandbox/hands", self._hands, methods=["POST"]),
        ]

    async def _hands(self, request: Request) -> Response:
        """`{"do": "pay" | "settle" | "delete" | "edit" | "close", "administration", "mutation", …}`."""
        asked = await json_body(request) or {}
        home = self.administration(str(asked.get("administration") or "waterlelie"))
        own = int(asked.get("mutation") or 0)
        match asked.get("do"):
            case "pay":
                self.pay(own, Decimal(str(asked["amount"])) if asked.get("amount") else None, home=home)
            case "settle":
                self.settle(own, home)
            case "delete":
                self.delete(own, home)
            case "edit":
                self.edit(own, home, **(asked.get("changes") or {}))
            case "close":
                home["closed_until"] = asked.get("until", "")
            case _:
                return json_response({"error": "do: pay, settle, delete, edit or close"}, 400)
        return json_response({"done": asked["do"]})

    def expired_answer(self) -> Response:
        """The session has ended."""
        return _no(Refused("SECURITY_010", "Not authenticated", status=401), "security")

    def error_answer(self) -> Response:
        """Something broke there."""
        return _no(Refused("ERR_001", "An error occurred", status=500), "error")

    async def _session(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.sessions.pop(self._sent(request), None)
            return Response(status_code=204)
        body = await json_body(request)
        facts = body if isinstance(body, dict) else {}
        source, token = facts.get("source"), facts.get("accessToken")
        if not source:
            return _no(Refused("API_SESSION_001", "Source is missing", "source"))
        if not isinstance(source, str) or not _SOURCE.fullmatch(source):
            return _no(Refused("API_SESSION_002", "Source is invalid", "source"))
        if not token:
            return _no(Refused("API_SESSION_003", "Access token is missing", "accessToken"))
        home = next((one for one in self.books["administrations"].values() if token in one["tokens"]), None)
        if home is None:
            return self.expired_answer()
        ends = home["tokens"][token]["ends"]
        if ends is not None and ends <= self.now():
            return _no(Refused("API_SESSION_004", "Access token is expired", "accessToken"))
        if self.switches["session_alone"]:
            self.sessions = {key: one for key, one in self.sessions.items() if one["access"] != token}
        return json_response({"token": self.open(home, token), "expiresIn": self.switches["session_seconds"]})

    def open(self, home: Entry | None = None, access: str = "") -> str:
        """A session of an administration."""
        home = home or self.administration()
        token = f"sess_{self.token()}"
        access = access or next(iter(home["tokens"]))
        ends = self.now() + self.switches["session_seconds"]
        self.sessions[token] = {"administration": home["key"], "access": access, "ends": ends}
        return token

    def _sent(self, request: Request) -> str:
        header = request.headers.get("authorization", "")
        return header.removeprefix("Bearer ") if self.switches["bearer"] == "both" else header

    def _in(self, answering: Answering) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if (wait := self._busy()) > 0:
                return self.busy_answer(wait)
            session = self.sessions.get(self._sent(request))
            if session is None or session["ends"] <= self.now():
                return self.expired_answer()
            home = self.administration(session["administration"])
            token = home["tokens"].get(session["access"])
            if token is None:
                return self.expired_answer()
            request.state.accountant = token["accountant"]
            if token["accountant"] and "/administration" not in request.url.path:
                return _no(Refused("SECURITY_002", "No administration opened", status=403), "security")
            try:
                return await answering(request, home)
            except Refused as refused:
                return _no(refused)

        return answer

    def _busy(self) -> float:
        per_minute = self.switches["rate_per_minute"]
        if not per_minute:
            return 0
        now = self.now()
        left = min(per_minute, self._tokens_left + max(now - self._refilled, 0) * per_minute / 60)
        self._refilled = now
        self._tokens_left = left - 1 if left >= 1 else left
        return 0 if left >= 1 else max((1 - left) * 60 / per_minute, 1)

    async def _administrations(self, request: Request, home: Entry) -> Response:
        if not request.state.accountant:
            raise Refused("EP_001", "Endpoint not available")
        return self._page(request, [{"guid": home["guid"], "company": home["name"]}], ())

    async def _ledgers(self, request: Request, home: Entry) -> Response:
        return self._page(request, home["ledgers"].values(), ("code", "category"))

    async def _ledger(self, request: Request, home: Entry) -> Response:
        return json_response(_there(home["ledgers"], request))

    async def _balance(self, request: Request, home: Entry) -> Response:
        one = _there(home["ledgers"], request)
        value = home["balances"].get(one["id"], ZERO)
        return json_response({"code": one["code"], "type": one["category"], "balance": value})

    async def _cost_centres(self, request: Request, home: Entry) -> Response:
        return self._page(request, home["costcentres"].values(), ("description", "parentId", "active"))

    async def _relations(self, request: Request, home: Entry) -> Response:
        if request.method == "POST":
            body = _whole(await json_body(request))
            self._check_relation(home, body, None)
            made = self.add_relation(home, **body)
            return self._made({"id": made["id"], "code": made["code"]})
        asked = request.query_params
        found: Iterable[Entry] = home["relations"].values()
        if not self.switches["ignores_filters"] and "code" in asked:
            own = home["relation_codes"].get(asked["code"].lower())
            found = [home["relations"][own]] if own else []
        elif not self.switches["ignores_filters"] and "email" in asked:
            found = [home["relations"][own] for own in home["by_email"].get(asked["email"].lower(), {})]
        seen = [
            {"id": one["id"], "type": one["type"], "code": one["code"], "name": one.get("name", "")}
            for one in found
            if one["_made"] + self.switches["lag_s"] <= self.now()
        ]
        return self._page(request, seen, ("name", "type"), shown=("id", "type", "code"))

    def _check_relation(self, home: Entry, body: Entry, stands: Entry | None) -> None:
        for name, value in body.items():
            if name in _RELATION_OTHER:
                continue
            if name not in _RELATION:
                raise Refused("SBX_UNKNOWN_FIELD", "Unknown field", name)
            if not isinstance(value, str) or len(value) > _RELATION[name]:
                raise Refused("REL_003", "Field is too long or no text", name)
        if not body.get("name"):
            raise Refused("REL_002", "Name is mandatory", "name")
        if body.get("type", "B") not in ("B", "P"):
            raise Refused("REL_001", "Relation type is invalid", "type")
        taken = home["relation_codes"].get(str(body.get("code", "")).lower())
        if taken is not None and (stands is None or taken != stands["id"]):
            raise Refused("REL_049", "Code already exists", "code")
        for name in ("emailAddress", "emailAddressInvoice", "emailAddressReminder"):
            if body.get(name) and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", body[name]):
                raise Refused("REL_023", "Email is invalid", name)
        if body.get("companyRegistrationNumber") and not body["companyRegistrationNumber"].isdecimal():
            raise Refused("REL_008", "Company registration number must be numeric", "companyRegistrationNumber")
        if body.get("iban") and not re.fullmatch(r"[A-Z]{2}\d\d[A-Z0-9]{8,30}", body["iban"]):
            raise Refused("REL_007", "Iban is invalid", "iban")

    async def _relation(self, request: Request, home: Entry) -> Response:
        one = _there(home["relations"], request)
        if request.method == "PATCH":
            body = _whole(await json_body(request))
            self._check_relation(home, body, one)
            one.update(body)
            self._index_emails(home, one)
        return json_response(self._shown({name: value for name, value in one.items() if name != "_made"}))

    async def _mutations(self, request: Request, home: Entry) -> Response:
        if request.method == "POST":
            body = _whole(await json_body(request))
            self._check(home, body)
            made = self.book(home, body)
            return self._made({"id": made["id"]})
        asked = request.query_params
        found: Iterable[Entry] = home["mutations"].values()
        if not self.switches["ignores_filters"]:
            for name, index in (("invoiceNumber", "by_number"), ("date", "by_date")):
                if name in asked:
                    known = home[index].get(asked[name], {})
                    found = [home["mutations"][own] for own in known]
                    break
        late = self.switches["lag_s"]
        seen = [one for one in found if one["_made"] + late <= self.now()] if late else list(found)
        filters = ("type", "id", "description", "invoiceNumber", "date")
        return self._page(request, seen, filters, shown=self._listed)

    def _listed(self, one: Entry) -> Entry:
        value = (
            one["_total"] if self.switches["list_amount"] == "incl" else sum((r["amount"] for r in one["rows"]), ZERO)
        )
        names = ("id", "type", "date", "invoiceNumber", "ledgerId", "entryNumber")
        return {**{name: one[name] for name in names}, "amount": value}

    def _check(self, home: Entry, body: Entry) -> None:
        if unknown := set(body) - _BODY:
            raise Refused("SBX_UNKNOWN_FIELD", "Unknown field", sorted(unknown)[0])
        kind = str(body.get("type", ""))
        if kind not in tuple("1234567") or (kind == "7" and self.switches["memorial_off"]):
            raise Refused("MUT_001", "Invalid type", "type")
        if not isinstance(body.get("date"), str) or not _is_day(body["date"]):
            raise Refused("MUT_003", "Date is missing", "date")
        if home["closed_until"] and body["date"] <= home["closed_until"]:
            raise Refused(
                self.switches["closed_code"], "De periode is afgesloten", "date", self.switches["closed_status"]
            )
        main = body.get("ledgerId")
        if not main:
            raise Refused("MUTA_001", "Ledger id is missing", "ledgerId")
        if main not in home["ledgers"]:
            raise Refused("MUT_007", "Unknown ledger for mutation", "ledgerId")
        for name, longest in (("description", 50), ("entryNumber", 50), ("invoiceNumber", 50)):
            if len(str(body.get(name) or "")) > longest:
                self._too_long(body, name, longest)
        if kind in "12":
            self._check_invoice(home, body, kind)
        if kind == "7" and "termOfPayment" in body:
            raise Refused("MUT_016", "Term of payment is prohibited", "termOfPayment")
        self._check_rows(home, body, kind)
        self._check_reference(home, body, kind)

    def _too_long(self, body: Entry, name: str, longest: int) -> None:
        if self.switches["too_long"] == "refuse" or name == "invoiceNumber":
            raise Refused("MUT_018" if name == "invoiceNumber" else "SBX_TOO_LONG", f"{name} is too long", name)
        if self.switches["too_long"] == "cut":
            body[name] = body[name][:longest]

    def _check_invoice(self, home: Entry, body: Entry, kind: str) -> None:
        if home["ledgers"][body["ledgerId"]]["category"] != {"1": "CRED", "2": "DEB"}[kind]:
            raise Refused("SBX_MAIN_CATEGORY", "Invalid ledger category for mutation", "ledgerId")
        if not body.get("invoiceNumber"):
            raise Refused("MUT_002", "Invoice number is missing", "invoiceNumber")
        if not body.get("relationId"):
            raise Refused("MUT_012", "Relation is missing", "relationId")
        if body["relationId"] not in home["relations"]:
            raise Refused("MUT_013", "Relation not found", "relationId")
        if f"{body['relationId']}/{body['invoiceNumber']}" in home["taken"]:
            raise Refused("MUT_019", "Invoice number already exists", "invoiceNumber")

    def _check_rows(self, home: Entry, body: Entry, kind: str) -> None:
        lines = body.get("rows")
        if not isinstance(lines, list) or not lines:
            raise Refused("MUT_100", "Rows are missing", "rows")
        if len(lines) > self.switches["max_rows"]:
            raise Refused("SBX_TOO_MANY_ROWS", "Too many rows", "rows")
        if body.get("inExVat") not in ("IN", "EX"):
            raise Refused("MUTA_005" if not body.get("inExVat") else "MUT_017", "In/Ex VAT", "inExVat")
        for number, row in enumerate(lines):
            self._check_row(home, row, kind, f"rows[{number}]")
        if kind == "7" and self.switches["zero_sum_refused"] and not sum((row["amount"] for row in lines), ZERO):
            raise Refused("SBX_ZERO_SUM", "Amount is zero", "rows")

    def _check_row(self, home: Entry, row: Any, kind: str, at: str) -> None:
        if not isinstance(row, dict) or set(row) - _ROW:
            raise Refused("SBX_UNKNOWN_FIELD", "Unknown field", at)
        if not row.get("ledgerId"):
            raise Refused("MUTA_004", "Ledger ID for row is missing", f"{at}.ledgerId")
        if row["ledgerId"] not in home["ledgers"]:
            raise Refused("MUT_104", "Unknown ledger for row", f"{at}.ledgerId")
        if kind in "1256" and home["ledgers"][row["ledgerId"]]["category"] in ("FIN", "CRED", "DEB"):
            raise Refused("MUT_106", "Invalid ledger category for row", f"{at}.ledgerId")
        if isinstance(row.get("amount"), bool) or not isinstance(row.get("amount"), int | Decimal):
            raise Refused("SBX_AMOUNT", "Amount is no number", f"{at}.amount")
        allowed = {"2": _SALES, "3": _SALES, "5": _SALES, "7": (*_SALES, *_PURCHASES)}.get(kind, _PURCHASES)
        if row.get("vatCode") not in allowed:
            raise Refused("SBX_VAT_CODE", "Invalid VAT code", f"{at}.vatCode")
        if "vatAmount" in row and row["vatCode"] not in ("AFW", "AFW_VERK"):
            raise Refused("SBX_VAT_AMOUNT", "VAT amount is not allowed", f"{at}.vatAmount")
        if row.get("costCenterId") and row["costCenterId"] not in home["costcentres"]:
            raise Refused("COST_011", "Cost center not found", f"{at}.costCenterId")
        if kind in "34" and not row.get("invoiceNumber"):
            raise Refused("MUT_120", "Invoice number is missing", f"{at}.invoiceNumber")

    def _check_reference(self, home: Entry, body: Entry, kind: str) -> None:
        reference = body.get("paymentReference")
        counts = kind != "7" or self.switches["reference_unique_on_7"]
        if body.get("checkPaymentReference") and counts and reference in home["by_reference"]:
            raise Refused("MUTA_008", "Payment reference already exists", "paymentReference")

    def book(self, home: Entry, body: Mapping[str, Any]) -> Entry:
        """Stores a mutation and posts it."""
        home["last"] += 1
        own = home["last"]
        made: Entry = {
            "id": own,
            "type": int(body["type"]),
            "date": body["date"],
            "description": body.get("description") or "",
            "termOfPayment": body.get("termOfPayment", 0),
            "ledgerId": body["ledgerId"],
            "relationId": body.get("relationId") or 0,
            "inExVat": body.get("inExVat", "EX"),
            "invoiceNumber": body.get("invoiceNumber") or "",
            "entryNumber": body.get("entryNumber") or "",
            "rows": [dict(row) | {"amount": cents(Decimal(row["amount"]))} for row in body["rows"]],
            "_made": self.now(),
        }
        numbers = {made["invoiceNumber"]} if made["type"] != 3 else {row.get("invoiceNumber") for row in made["rows"]}
        made["invoiceNumber"] = made["invoiceNumber"] or ",".join(sorted(filter(None, numbers)))
        self._reckon(made)
        home["mutations"][own] = made
        for name, values in (("by_number", numbers), ("by_date", {made["date"]})):
            for value in filter(None, values):
                home[name].setdefault(value, {})[own] = None
        if made["type"] in (1, 2):
            home["taken"][f"{made['relationId']}/{made['invoiceNumber']}"] = own
        if made["type"] == 2:
            home["items"][own] = {"total": made["_total"], "paid": ZERO}
        if made["type"] == 3:
            self._close(home, made)
        if body.get("paymentReference"):
            home["by_reference"][body["paymentReference"]] = own
        self._post(home, made, Decimal(1))
        return made

    def _close(self, home: Entry, payment: Entry) -> None:
        for row in payment["rows"]:
            own = home["taken"].get(f"{row.get('relationId')}/{row.get('invoiceNumber')}")
            if own in home["items"]:
                home["items"][own]["paid"] += row["amount"]

    def _reckon(self, made: Entry) -> None:
        """The VAT per code and the total, as the switches say the package rounds."""
        half = ROUND_HALF_UP if self.switches["half"] == "up" else ROUND_HALF_EVEN
        per_code: dict[str, list[Decimal]] = {}
        for row in made["rows"]:
            rate = Decimal(_RATES.get(row["vatCode"], 0))
            gross = made["inExVat"] == "IN"
            exact = row["amount"] * rate / (100 + rate if gross else 100)
            if row["vatCode"] in ("AFW", "AFW_VERK"):
                exact = Decimal(row.get("vatAmount", 0))
            per_code.setdefault(row["vatCode"], []).append(
                cents(exact, half) if self.switches["vat_per"] == "row" else exact
            )
        made["vat"] = [
            {"vatCode": code, "amount": cents(sum(values, ZERO), half)}
            for code, values in per_code.items()
            if code in _RATES or code in ("AFW", "AFW_VERK")
        ]
        entered = sum((row["amount"] for row in made["rows"]), ZERO)
        made["_total"] = entered if made["inExVat"] == "IN" else entered + sum((v["amount"] for v in made["vat"]), ZERO)

    def _post(self, home: Entry, made: Entry, sign: Decimal) -> None:
        """Debit is positive. Money in and sales credit the rows; money out and purchases debit them (5.3, 5.5)."""
        side = -sign if made["type"] in (2, 3, 5, 7) else sign
        vat = {one["vatCode"]: one["amount"] for one in made["vat"]}
        _add(home, made["ledgerId"], -side * made["_total"])
        for row in made["rows"]:
            _add(home, row["ledgerId"], side * row["amount"])
            if made["inExVat"] == "IN" and (inside := vat.get(row["vatCode"])):
                same = [one for one in made["rows"] if one["vatCode"] == row["vatCode"]]
                _add(home, row["ledgerId"], -side * (inside if row is same[0] else ZERO))
        for code, value in vat.items():
            ledgers = [
                one["id"] for one in home["ledgers"].values() if one["category"] == _VAT_LEDGER.get(code, "VOOR")
            ]
            _add(home, ledgers[0], side * value)

    async def _mutation(self, request: Request, home: Entry) -> Response:
        if request.method != "GET":
            return Response(status_code=self.switches["change_status"])
        one = home["mutations"].get(request.path_params["own"])
        if one is None:
            raise Refused("SBX_NOT_FOUND", "Mutation not found", status=self.switches["gone_status"])
        vat = [] if self.switches["vat_shown"] == "none" else one["vat"]
        if self.switches["vat_shown"] == "unsigned":
            vat = [{**line, "amount": abs(line["amount"])} for line in vat]
        whole = {name: value for name, value in one.items() if not name.startswith("_")} | {"vat": vat}
        return json_response(self._shown(whole))

    async def _outstanding(self, request: Request, home: Entry) -> Response:
        asked = request.query_params
        if asked.get("credDeb") not in ("C", "D"):
            raise Refused("SBX_CRED_DEB", "credDeb is missing", "credDeb")
        found = []
        for own, item in home["items"].items() if asked["credDeb"] == "D" else ():
            sale, left = home["mutations"][own], item["total"] - item["paid"]
            if (not left and self.switches["paid_items"] == "leave") or (
                "invoiceNumber" in asked and asked["invoiceNumber"] != sale["invoiceNumber"]
            ):
                continue
            sign = -1 if item["total"] < 0 and self.switches["credit_items"] == "positive" else 1
            found.append(
                {
                    "date": sale["date"],
                    "mutationId": own,
                    "relationId": sale["relationId"],
                    "company": home["relations"].get(sale["relationId"], {}).get("name", ""),
                    "totalAmount": sign * item["total"],
                    "paidAmount": sign * item["paid"],
                    "outstandingAmount": sign * left,
                }
            )
        return self._page(request, found, ())

    def _made(self, body: Entry) -> Response:
        match self.switches["answer"]:
            case "empty":
                return Response(status_code=201)
            case "text_id":
                return json_response({name: str(value) for name, value in body.items()}, 200)
            case "list":
                return json_response([body], 200)
            case "plain":
                return json_response(body["id"], 201)
            case _:
                return json_response(body, 201)

    def _shown(self, one: Entry) -> Entry:
        if self.switches["omit_empty"]:
            one = {name: value for name, value in one.items() if value not in ("", 0, None, [])}
        if self.switches["text_types"]:
            one = {name: str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
                   for name, value in one.items()}  # fmt: skip
        return one

    def _page(
        self,
        request: Request,
        found: Iterable[Entry],
        filters: Iterable[str],
        shown: Iterable[str] | Callable[[Entry], Entry] | None = None,
    ) -> Response:
        asked = request.query_params
        limit, offset = _whole_number(asked.get("limit", "100")), _whole_number(asked.get("offset", "0"))
        if limit is None or not 1 <= limit <= 2000:
            raise Refused("PAGE_001", "Limit is out of range", "limit")
        if offset is None or offset < 0:
            raise Refused("PAGE_002", "Offset is out of range", "offset")
        names = set(filters) if not self.switches["ignores_filters"] else set()
        tests = [(match[1], match[2] or "eq", value) for name, value in asked.items()
                 if (match := _FILTER.fullmatch(name)) and match[1] in names]  # fmt: skip
        rows = [one for one in found if all(_holds(one.get(name), how, value) for name, how, value in tests)]
        if self.switches["order"] == "desc":
            rows.reverse()
        step = min(limit, self.switches["page_cap"] or limit)
        page = rows[offset : offset + step]
        if callable(shown):
            page = [shown(one) for one in page]
        elif shown is not None:
            page = [{name: one[name] for name in shown} for one in page]
        page = [self._shown(one) for one in page]
        if self.switches["bare_lists"]:
            return json_response(page)
        count = {"total": len(rows), "page": len(page), "none": None}[self.switches["count"]]
        return json_response({"items": page, **({} if count is None else {"count": count})})


def _add(home: Entry, ledger: int, value: Decimal) -> None:
    home["balances"][ledger] = home["balances"].get(ledger, ZERO) + value


def _no(refused: Refused, kind: str = "validation") -> Response:
    body = {"type": kind, "code": refused.code, "title": refused.title, "status": refused.status,
            "traceId": "00-5a6d-01"}  # fmt: skip
    if refused.field:
        body["propertyName"] = refused.field
    return json_response(body, refused.status)


def _whole(body: Any) -> Entry:
    if not isinstance(body, dict) or not body:
        raise Refused("DATA_01", "No data")
    return body


def _there(found: Mapping[int, Entry], request: Request) -> Entry:
    one = found.get(request.path_params["own"])
    if one is None:
        raise Refused("SBX_NOT_FOUND", "Not found", status=404)
    return one


def _is_day(value: str) -> bool:
    try:
        return bool(_DAY.fullmatch(value)) and 1980 <= date.fromisoformat(value).year <= 2049
    except ValueError:
        return False


def _whole_number(value: str) -> int | None:
    return int(value) if value.lstrip("-").isdecimal() else None


def _holds(value: Any, how: str, wanted: str) -> bool:
    """Filters: texts without regard to case, `%` for many and `?` for one; numbers and dates by order."""
    said = str(value if value is not None else "").lower()
    wanted = wanted.lower()
    if how in ("like", "not_like"):
        pattern = "".join(".*" if one == "%" else "." if one == "?" else re.escape(one) for one in wanted)
        return bool(re.fullmatch(pattern, said, re.DOTALL)) == (how == "like")
    if how in ("eq", "not_eq"):
        return (said == wanted) == (how == "eq")
    left: Any = Decimal(said) if isinstance(value, int | Decimal) else said
    bounds: list[Any] = [Decimal(one) if isinstance(value, int | Decimal) else one for one in wanted.split(",")]
    match how:
        case "gt":
            return bool(left > bounds[0])
        case "gte":
            return bool(left >= bounds[0])
        case "lt":
            return bool(left < bounds[0])
        case "lte":
            return bool(left <= bounds[0])
        case "range":
            return bool(bounds[0] <= left <= bounds[-1])
        case _:
            return True


SANDBOX = EboekhoudenSandbox
