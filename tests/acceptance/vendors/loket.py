"""A server of Loket.nl, from its dossier alone: what is documented or seen is kept to, the unknown is a habit."""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tests.acceptance.vendors.house import Vendor, World, answer

CLIENT = ("5d0c0f6e-2f0b-4a55-9a6e-0c1f7a7b9e11", "loket-secret")
LOGIN_PAGE = """<form method="post"><input name="gebruikersnaam"><input name="wachtwoord" type="password">
<button name="akkoord" value="ja">Toestaan</button></form>"""
LABELS = {
    0: "Staat klaar voor journaliseren",
    1: "Geen journaal resultaten",
    2: "Fout bij aanmaken",
    3: "Verwijderd door gebruiker",
    4: "Journaal gereed",
    5: "Wordt geëxporteerd",
    6: "Exporteren mislukt",
    7: "Journaal geëxporteerd",
}
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda one, other: one == other,
    "ge": lambda one, other: one >= other,
    "le": lambda one, other: one <= other,
}
Line = tuple[str, str, str, str]
"""Ledger account, debit, credit, cost centre."""
WAGES: tuple[Line, ...] = (
    ("4000", "20650.50", "0", "BAK"),
    ("4050", "3923.60", "0", "WIN"),
    ("01700", "0", "8123.60", ""),
    ("1710", "0", "16450.50", ""),
)
NAMES = {"4000": "Brutolonen", "4050": "Sociale lasten", "01700": "Loonheffing", "1710": "Nettolonen"}


class Refused(Exception):
    """A no with its status."""

    def __init__(self, status: int, words: str = "") -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Office(World):
    """One user of Loket.nl with one employer and its payroll administrations."""

    user: str = ""
    employer: str = ""
    name: str = ""
    access: dict[str, float] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    administrations: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    marks: list[dict[str, Any]] = field(default_factory=list)

    def administration(self, name: str) -> str:
        """A new payroll administration."""
        own = str(uuid4())
        self.administrations[own] = name
        return own

    def journal(
        self,
        administration: str,
        year: int,
        period: int,
        lines: Sequence[Line] = WAGES,
        *,
        status: int = 4,
        payroll_run: str = "",
        test_year: bool = False,
    ) -> str:
        """A journal run, of a payroll run that is new unless told; gives its id."""
        own, others = str(uuid4()), [one for one in self.runs.values() if one["_place"] == administration]
        first = date(year, period, 1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        if self.habit("four_weeks"):
            first = date.fromisocalendar(year, 1, 1) + timedelta(weeks=4 * (period - 1))
            last = first + timedelta(days=27)
        payroll_runs = {one["payrollRun"]["payrollRunId"]: one for one in others}
        before = payroll_runs.get(payroll_run)
        approved = before["payrollRun"]["sequenceNumberApproved"] if before else len(payroll_runs) + 1
        zone = self.habit("zone", "")
        self.runs[own] = {
            "_place": administration,
            "id": own,
            "sequenceNumber": len(others) + 1,
            "journalRunStatus": {"key": status, "value": LABELS[status]},
            "methodOfCreation": {"key": 2, "value": "Individueel"},
            "payrollRun": {
                "payrollRunId": payroll_run or str(uuid4()),
                "sequenceNumberApproved": approved,
                "payrollPeriod": {
                    "year": year,
                    "periodNumber": period,
                    "periodStartDate": first.isoformat(),
                    "periodEndDate": last.isoformat(),
                    "testYear": test_year,
                },
            },
            "requestTime": f"2026-09-24T10:12:41{zone}",
            "processingFinishedTime": f"2026-09-24T10:13:05{zone}",
            "removeTime": None,
            "removedBy": None,
        }
        self.lines[own] = [self._line(at, one) for at, one in enumerate(lines, 11)]
        return own

    def _nobody(self) -> dict[str, Any] | None:
        return {"key": 0, "code": "", "description": ""} if self.habit("empty_centre") else None

    def _line(self, at: int, line: Line) -> dict[str, Any]:
        account, debit, credit, centre = line
        return {
            "generalLedgerAccount": {"key": at, "code": account, "description": NAMES.get(account, account)},
            "debetAmount": Decimal(debit),
            "creditAmount": Decimal(credit),
            "costCenter": {"key": at, "code": centre, "description": centre} if centre else self._nobody(),
            "costUnit": None,
            "payrollComponent": None,
        }

    def undo(self, run: str) -> str:
        """A user takes a run back; gives its payroll run."""
        self.runs[run]["journalRunStatus"] = {"key": 3, "value": LABELS[3]}
        self.runs[run]["removeTime"] = "2026-09-24T11:00:00"
        return str(self.runs[run]["payrollRun"]["payrollRunId"])

    def status(self, run: str) -> int:
        """Where a run stands."""
        return int(self.runs[run]["journalRunStatus"]["key"])


class Loket(Vendor):
    """The vendor: all users, and the host where one logs in."""

    def __init__(self) -> None:
        self.offices: dict[str, Office] = {}
        self.codes: dict[str, tuple[Office, str]] = {}

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        return {
            "HUB_ENDPOINTS__LOKET__API": f"{url}/v2",
            "HUB_ENDPOINTS__LOKET__AUTHORIZE": f"{url}/oauth/authorize",
            "HUB_ENDPOINTS__LOKET__TOKEN": f"{url}/oauth/token",
            "HUB_OAUTH__LOKET__CLIENT_ID": CLIENT[0],
            "HUB_OAUTH__LOKET__CLIENT_SECRET": CLIENT[1],
        }

    def open(self, user: str, name: str, **habits: Any) -> Office:
        """A new user with an employer."""
        self.offices[user] = Office(habits, user=user, employer=str(uuid4()), name=name)
        return self.offices[user]

    def world_of(self, request: Request) -> Office | None:
        """By the token."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return next((one for one in self.offices.values() if token in one.access), None)

    async def handle(self, request: Request) -> Response:
        """Pages to log in, the token host, or the API."""
        if request.url.path == "/oauth/authorize":
            return await self._authorize(request)
        if request.url.path == "/oauth/token":
            return await self._token(request)
        office = self.world_of(request)
        if office is None or office.access[request.headers["authorization"].removeprefix("Bearer ")] < time.time():
            return answer({"message": "Authorization has been denied for this request."}, 401)
        if "version=2018-01-01" not in request.headers.get("accept", ""):
            return answer({"message": "Accept"}, 406)
        try:
            return self._api(office, request, await request.json() if request.method == "PATCH" else {})
        except Refused as no:
            if no.status == 403:
                return answer({"message": f'Insufficient rights for this request, reason "{no}"'}, 403)
            if office.habit("plain_errors"):
                return HTMLResponse(str(no), no.status)
            broken: dict[str, Any] = {
                "code": 412,
                "id": None,
                "type": "BrokenBusinessRule",
                "description": str(no),
                "properties": [],
            }
            return answer({"version": {}, "messages": [broken], "content": {}}, no.status)

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if request.method == "GET":
            return HTMLResponse(LOGIN_PAGE)
        form = await request.form()
        office = self.offices.get(str(form.get("gebruikersnaam")))
        if office is None or asked["scope"] != "all" or asked["client_id"] != CLIENT[0]:
            told = urlencode({"error": "access_denied", "state": asked["state"]})
            return RedirectResponse(f"{asked['redirect_uri']}?{told}", 302)
        code = secrets.token_hex(8)
        self.codes[code] = (office, asked["redirect_uri"])
        told = urlencode({"state": asked["state"], "code": code})
        return RedirectResponse(f"{asked['redirect_uri']}?{told}", 302)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return answer({"error": "invalid_client"}, 400)
        office = None
        if form.get("grant_type") == "authorization_code":
            office, back = self.codes.pop(form.get("code", ""), (None, ""))
            office = office if back == form.get("redirect_uri") else None
        elif form.get("grant_type") == "refresh_token":
            office = next((one for one in self.offices.values() if form.get("refresh_token") in one.refresh), None)
            if office is not None and not office.habit("old_refresh_lives"):
                office.refresh.remove(form["refresh_token"])
        if office is None:
            return answer({"error": "INVALID_GRANT" if self.codes else "invalid_grant"}, 400)
        life = office.habit("life", 3599)
        access, refresh = secrets.token_urlsafe(20).replace(".", ""), secrets.token_hex(6)
        office.access[access] = time.time() + life
        office.refresh.add(refresh)
        granted = {"access_token": access, "token_type": "bearer", "expires_in": life, "refresh_token": refresh}
        if office.habit("life_as_text"):
            granted["expires_in"] = str(life)
        return answer({**granted, "two_factor_state": "None"})

    def _api(self, office: Office, request: Request, body: Any) -> Response:
        path = request.url.path.removeprefix("/v2/")
        runs = "providers/employers/payrolladministrations/journalruns/"
        if path == "user":
            if office.habit("no_user"):
                raise Refused(403, "no")
            return self._detail(office, {"id": str(uuid4()), "emailAddress": f"{office.user}@kantoor.example"})
        if path == "providers":
            return self._list(office, request, [{"id": "3b7e5b0a-3c44-4b8e-9d0b-6d2f5a1c9e77", "name": "Buro"}])
        if path == "providers/employers":
            return self._list(office, request, [{"id": self._id(office, office.employer), "companyName": office.name}])
        if path == f"providers/employers/{office.employer}/authorizations":
            return self._authorizations(office, request)
        if path == f"providers/employers/{office.employer}/payrolladministrations":
            found = [
                {"id": self._id(office, own), "name": name, "clientNumber": 5127 + at, "endDate": None}
                for at, (own, name) in enumerate(office.administrations.items())
            ]
            return self._list(office, request, found)
        if path.startswith(runs):
            return self._one_run(office, request, path.removeprefix(runs), body)
        found_place = re.fullmatch(r"providers/employers/payrolladministrations/([^/]+)/journalruns", path)
        if found_place and found_place[1].lower() in office.administrations:
            return self._runs(office, request, found_place[1].lower())
        raise Refused(404, "not found")

    def _authorizations(self, office: Office, request: Request) -> Response:
        names = ["GetJournalRunsByPayrollAdministrationId", "GetJournalRunResultsByJournalRunId"]
        if office.habit("no_authorizations"):
            raise Refused(403, "client may not")
        return self._list(office, request, [{"id": str(uuid4()), "description": name} for name in names])

    def _runs(self, office: Office, request: Request, administration: str) -> Response:
        found = [one for one in office.runs.values() if one["_place"] == administration]
        asked = request.query_params.get("filter")
        if asked and office.habit("filter") == "refused":
            raise Refused(400, "filter")
        if asked and office.habit("filter") == "nothing":
            found = []
        elif asked and office.habit("filter") != "ignored":
            parts = re.fullmatch(r"payrollRun\.payrollPeriod\.year (\w+) (\d+)", asked)
            if parts is None:
                raise Refused(400, "filter")
            year = int(parts[2])
            found = [one for one in found if COMPARE[parts[1]](one["payrollRun"]["payrollPeriod"]["year"], year)]
        if "orderBy" in request.query_params and office.habit("no_order"):
            raise Refused(400, "orderBy")
        if not office.habit("no_order"):
            found = sorted(found, key=lambda one: one["sequenceNumber"])
        if request.query_params.get("orderBy", "").startswith("-"):
            found.reverse()
        return self._list(office, request, [self._shown(office, one) for one in found])

    def _shown(self, office: Office, run: dict[str, Any]) -> dict[str, Any]:
        shown = {name: one for name, one in run.items() if name != "_place"}
        shown["id"] = self._id(office, run["id"])
        payroll_run = dict(run["payrollRun"])
        payroll_run["payrollRunId"] = self._id(office, payroll_run["payrollRunId"])
        if office.habit("no_payroll_run_id"):
            del payroll_run["payrollRunId"]
        if office.habit("text_keys"):
            status = run["journalRunStatus"]
            shown["journalRunStatus"] = {"key": str(status["key"]), "value": status["value"]}
        if office.habit("omits"):
            shown = {name: one for name, one in shown.items() if one is not None}
        return {**shown, "payrollRun": payroll_run, "newField": {"later": True}}

    def _one_run(self, office: Office, request: Request, rest: str, body: Any) -> Response:
        own, _, what = rest.partition("/")
        run = office.runs.get(own.lower())
        if run is None:
            raise Refused(404, "not found")
        if request.method == "PATCH":
            return self._mark(office, run, body)
        if what == "results":
            if "pageNumber" in request.query_params and office.habit("strict_results"):
                raise Refused(400, "pageNumber")
            if office.status(run["id"]) < 4:
                raise Refused(int(office.habit("no_results", 400)), "De journaalrun heeft geen resultaten")
            return self._list(office, request, [self._respelt(office, one) for one in office.lines[run["id"]]])
        return self._detail(office, self._shown(office, run))

    def _respelt(self, office: Office, line: dict[str, Any]) -> dict[str, Any]:
        if office.habit("text_numbers"):
            line = {name: str(one) if isinstance(one, Decimal) else one for name, one in line.items()}
        if office.habit("omits"):
            line = {name: one for name, one in line.items() if one is not None}
        if office.habit("null_zero"):
            line = {name: None if one == 0 and name.endswith("Amount") else one for name, one in line.items()}
        return line

    def _mark(self, office: Office, run: dict[str, Any], body: Any) -> Response:
        if office.habit("may_not_mark"):
            raise Refused(403, "User doesn't have rechten")
        if body.get("action") != "MarkAsProcessed" or len(body.get("message") or "") > 255:
            raise Refused(400, "action")
        if office.status(run["id"]) not in (4, 5, 6):
            raise Refused(409, "De status laat dit niet toe")
        run["journalRunStatus"] = {"key": 7, "value": LABELS[7]}
        office.marks.append({"run": run["id"], **body})
        return answer(... if office.habit("empty_patch") else {"version": {}, "messages": [], "content": {}})

    def _id(self, office: Office, own: str) -> str:
        return own.upper() if office.habit("upper_ids") else own

    def _list(self, office: Office, request: Request, found: Sequence[Any]) -> Response:
        page, size = int(request.query_params.get("pageNumber", "1")), int(office.habit("page", 250))
        size = min(size, int(request.query_params.get("pageSize", size)))
        shown = list(found[(page - 1) * size : page * size])
        embedded: Any = shown[0] if office.habit("single") and len(found) == 1 else shown
        pages = -(-len(found) // size)
        facts = {"currentPage": page, "pageSize": size, "totalPages": pages, "totalSize": len(found)}
        if office.habit("no_totals"):
            del facts["totalPages"]
        return answer({**facts, "version": {"resourceVersion": "2018-01-01"}, "messages": None, "_embedded": embedded})

    def _detail(self, office: Office, content: Any) -> Response:
        if office.habit("paged_detail"):
            return answer({"currentPage": 1, "totalPages": 1, "messages": [], "content": content})
        return answer({"version": {}, "messages": [], "content": content})
