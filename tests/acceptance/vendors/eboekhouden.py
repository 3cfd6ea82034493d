"""A server of e-Boekhouden.nl, from its dossier alone: memorials and their master data; the unknown is a habit."""

import itertools
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.acceptance.vendors.house import Vendor, World, answer

CHART = {
    "0130": ("Rekening-courant", "BAL"), "1300": ("Debiteuren", "DEB"), "1600": ("Crediteuren", "CRED"),
    "1100": ("Rabobank", "FIN"), "1999": ("Verrekeningen", "BAL"), "1700": ("Loonheffing", "BAL"),
    "1720": ("Pensioen", "BAL"), "1830": ("Vakantiegeld", "BAL"), "2100": ("Netto lonen", "BAL"),
    "4000": ("Lonen", "VW"), "4010": ("Vakantiegeld", "VW"), "4050": ("Premies", "VW"), "4060": ("Pensioen", "VW"),
    "4070": ("Reiskosten", "VW"),
}  # fmt: skip
VAT_CODES = {
    "GEEN",
    "HOOG_VERK_21",
    "LAAG_VERK_9",
    "VERL_VERK",
    "BU_EU_VERK",
    "BI_EU_VERK",
    "BI_EU_VERK_D",
    "HOOG_INK_21",
}
KNOWN = {"type", "date", "ledgerId", "entryNumber", "description", "inExVat", "rows", "invoiceNumber", "relationId",
         "termOfPayment", "paymentReference", "checkPaymentReference"}  # fmt: skip
COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda has, wanted: has == wanted,
    "not_eq": lambda has, wanted: has != wanted,
    "gt": lambda has, wanted: has > wanted,
    "gte": lambda has, wanted: has >= wanted,
    "lt": lambda has, wanted: has < wanted,
    "lte": lambda has, wanted: has <= wanted,
    "range": lambda has, wanted: wanted.split(",")[0] <= has <= wanted.split(",")[-1],
}


class No(Exception):
    """The vendor's refusal."""

    def __init__(self, code: str, title: str, status: int = 400) -> None:
        super().__init__(f"{code} {title}")
        self.body = {"type": "validation", "code": code, "title": title, "status": status, "traceId": "00-ab-01"}
        self.status = status


@dataclass
class Administration(World):
    """One administration with its own token. Ids of ledgers and cost centres are large; mutations count from 1."""

    token: str = ""
    name: str = ""
    ledgers: dict[int, dict[str, Any]] = field(default_factory=dict)
    centres: dict[int, dict[str, Any]] = field(default_factory=dict)
    mutations: dict[int, dict[str, Any]] = field(default_factory=dict)
    born: dict[int, float] = field(default_factory=dict)
    sessions: dict[str, float] = field(default_factory=dict)
    closed_until: str = ""
    refused: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def ledger(self, code: str) -> int:
        """The id of a ledger."""
        return next(own for own, one in self.ledgers.items() if one["code"] == code)

    def balances(self) -> dict[str, Decimal]:
        """Debit less credit per ledger code: a row above zero credits its ledger and debits the main one (5.3)."""
        found: dict[str, Decimal] = {}
        for one in self.mutations.values():
            for row in one["rows"]:
                for ledger, signed in ((row["ledgerId"], -row["amount"]), (one["ledgerId"], row["amount"])):
                    code = self.ledgers[ledger]["code"]
                    found[code] = found.get(code, Decimal(0)) + signed
        return {code: total for code, total in found.items() if total}

    def by_centre(self) -> dict[str, Decimal]:
        """Debit less credit per cost centre."""
        found: dict[str, Decimal] = {}
        for row in (row for one in self.mutations.values() for row in one["rows"] if row.get("costCenterId")):
            name = self.centres[row["costCenterId"]]["description"]
            found[name] = found.get(name, Decimal(0)) - row["amount"]
        return {name: total for name, total in found.items() if total}


class Eboekhouden(Vendor):
    """The vendor: all administrations on one host, told apart by the session."""

    def __init__(self) -> None:
        self.administrations: list[Administration] = []
        self._ids = itertools.count(48_100_001, 7)

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is."""
        return {"HUB_ENDPOINTS__EBOEKHOUDEN__API": f"{url}/v1"}

    def open(self, name: str, **habits: Any) -> Administration:
        """A new administration."""
        made = Administration(habits, token=f"tok-{secrets.token_hex(8)}", name=name)
        for code, (words, category) in CHART.items():
            own = next(self._ids)
            made.ledgers[own] = {"id": own, "code": code, "description": words, "category": category, "group": "004"}
        for words in habits.get("centres", ("010 Winkel", "020 Magazijn")):
            own = next(self._ids)
            made.centres[own] = {"id": own, "description": words, "parentId": 0, "active": True}
        self.administrations.append(made)
        return made

    def world_of(self, request: Request) -> Administration | None:
        """By the session; the token itself is told in a body."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        return next((one for one in self.administrations if sent and sent in one.sessions), None)

    async def handle(self, request: Request) -> Response:
        """Sessions, or the administration's resources."""
        if request.url.path == "/v1/session":
            return await self._session(request)
        home = self.world_of(request)
        if home is None or home.sessions[request.headers["authorization"].removeprefix("Bearer ")] < time.monotonic():
            return answer(
                {"type": "security", "code": "SECURITY_010", "title": "Not authenticated", "status": 401}, 401
            )
        try:
            return await self._resource(home, request)
        except No as no:
            home.refused.append(str(no))
            return answer(no.body if home.habit("error_bodies", True) else ..., no.status)

    async def _session(self, request: Request) -> Response:
        if request.method == "DELETE":
            return answer(..., 204)
        body = await request.json()
        if not re.fullmatch(r"[A-Za-z0-9_ ]{1,10}", str(body.get("source", ""))):
            return answer({"code": "API_SESSION_002", "title": "Source", "status": 400}, 400)
        home = next((one for one in self.administrations if one.token == body.get("accessToken")), None)
        if home is None:
            return answer({"code": "SECURITY_010", "title": "Not authenticated", "status": 401}, 401)
        if home.habit("one_session"):
            home.sessions.clear()
        life, token = home.habit("life", 3600), secrets.token_urlsafe(24)
        home.sessions[token] = time.monotonic() + life
        return answer({"token": token, "expiresIn": str(life) if home.habit("life_as_text") else life})

    def too_many(self, world: World) -> Response | None:
        """So many calls per window of some seconds, then 429."""
        calls, seconds = world.habit("limit", (0, 0))
        recent = sum(1 for one in world.calls[-200:] if one.at > time.monotonic() - seconds and one.status != 429)
        return answer(..., 429, {"Retry-After": "2"}) if calls and recent >= calls else None

    async def _resource(self, home: Administration, request: Request) -> Response:
        name, _, own = request.url.path.removeprefix("/v1/").partition("/")
        if name == "administration":
            raise No("EP_001", "Not for this token")
        if name == "mutation" and request.method == "POST":
            return self._post(home, await request.json())
        if request.method != "GET":
            raise No("SBX_METHOD", "Method not allowed", home.habit("change_status", 404))
        if name == "mutation" and own.isdigit():
            one = home.mutations.get(int(own))
            if one is None:
                raise No("MUT_404", "Not found", 404)
            shown = {**one, "vat": [], "relationId": 0, "termOfPayment": 0}
            return answer([_shown(home, shown)] if home.habit("details_in_lists") else _shown(home, shown))
        rows = {"ledger": home.ledgers, "costcenter": home.centres, "mutation": home.mutations}.get(name)
        return self._list(home, request, list(rows.values()) if rows is not None and not own else [], name)

    def _list(self, home: Administration, request: Request, rows: list[dict[str, Any]], name: str) -> Response:
        asked = dict(request.query_params)
        limit, offset = int(asked.pop("limit", 100)), int(asked.pop("offset", 0))
        if not 1 <= limit <= 2000:
            raise No("PAGE_001", "Limit")
        if name == "mutation":
            lag = time.monotonic() - home.habit("lag", 0)
            rows = [one for one in rows if home.born[one["id"]] <= lag]
        for key, wanted in asked.items():
            match = re.fullmatch(r"(\w+)(?:\[(\w+)\])?", key)
            if match is None or match[1] in home.habit("ignores", ()):
                continue
            if match[1] in ("type", "date", "id", "code", "category", "description"):
                test = COMPARE[match[2] or "eq"]
                rows = [one for one in rows if test(str(one.get(match[1], "")), wanted)]
        if home.habit("descending"):
            rows = rows[::-1]
        page = rows[offset : offset + min(limit, home.habit("page", 2000))]
        if name == "mutation":
            names = ("id", "type", "date", "invoiceNumber", "ledgerId", "entryNumber")
            page = [{**{key: one[key] for key in names}, "amount": _sum(one)} for one in page]
        shown = [_shown(home, one) for one in page]
        if home.habit("bare"):
            return answer(shown)
        count = {"total": len(rows), "page": len(page)}.get(home.habit("count", "total"))
        return answer({"items": shown} | ({"count": count} if count is not None else {}))

    def _post(self, home: Administration, body: dict[str, Any]) -> Response:
        _check(home, body)
        own = next(home.numbers)
        rows = [{**row, "amount": Decimal(str(row["amount"]))} for row in body["rows"]]
        home.mutations[own] = {
            "id": own, "type": int(body["type"]), "date": body["date"], "description": body.get("description", ""),
            "ledgerId": body["ledgerId"], "inExVat": body.get("inExVat", "EX"), "invoiceNumber": "",
            "entryNumber": body.get("entryNumber", ""), "rows": rows,
        }  # fmt: skip
        home.born[own] = time.monotonic()
        said: dict[str, Any] = {
            "id": {"id": own},
            "text": {"id": str(own)},
            "list": [{"id": own}],
            "plain": own,
            "empty": ...,
        }
        return answer(said[home.habit("post", "id")], home.habit("made_status", 201))


def _sum(one: Mapping[str, Any]) -> Decimal:
    return sum((row["amount"] for row in one["rows"]), Decimal(0))


def _check(home: Administration, body: Mapping[str, Any]) -> None:
    if set(body) - KNOWN:
        raise No("DATA_01", f"Unknown {sorted(set(body) - KNOWN)}")
    if str(body.get("type")) != "7":
        raise No("MUT_001", "Only memorials here")
    if not re.fullmatch(r"(19[89]|20[0-4])\d-\d\d-\d\d", str(body.get("date", ""))):
        raise No("MUT_003", "Date")
    if body["date"] <= home.closed_until:
        raise No(home.habit("closed_code", "MUT_999"), "Niet toegestaan", home.habit("closed_status", 400))
    if body.get("ledgerId") not in home.ledgers:
        raise No("MUT_007", "Main ledger")
    if "termOfPayment" in body:
        raise No("MUT_016", "Term")
    for name in ("description", "entryNumber"):
        if len(body.get(name, "")) > 50:
            raise No("MUT_950", f"{name} too long")
    _check_rows(home, body.get("rows") or [])


def _check_rows(home: Administration, rows: list[dict[str, Any]]) -> None:
    if not rows:
        raise No("MUT_100", "Rows")
    if len(rows) > home.habit("max_rows", 100):
        raise No("MUT_951", "Too many rows")
    for row in rows:
        if row.get("ledgerId") not in home.ledgers:
            raise No("MUT_104", "Row ledger")
        if row.get("vatCode") not in VAT_CODES or not isinstance(row.get("amount"), int | float) or not row["amount"]:
            raise No("MUT_952", "Row")
        if row.get("costCenterId") is not None and row["costCenterId"] not in home.centres:
            raise No("COST_011", "Cost centre")
        if "vatAmount" in row or len(row.get("description", "")) > 200:
            raise No("MUT_953", "Row")
    if home.habit("zero_refused") and not sum(Decimal(str(row["amount"])) for row in rows):
        raise No("MUT_954", "Amount is zero")


def _shown(home: Administration, one: Mapping[str, Any]) -> dict[str, Any]:
    """Empty fields left out, numbers as text, nulls: as this vendor's habits are."""
    shown: dict[str, Any] = dict(one)
    if isinstance(shown.get("rows"), list):
        shown["rows"] = [_shown(home, row) for row in shown["rows"]]
    if home.habit("omits"):
        shown = {key: value for key, value in shown.items() if value not in ("", 0, None, [])}
    if home.habit("nulls"):
        shown = {key: None if value in ("", []) else value for key, value in shown.items()}
    if home.habit("strings"):
        shown = {key: str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
                 for key, value in shown.items()}  # fmt: skip
    return shown
