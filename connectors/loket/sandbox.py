"""A Loket.nl of our own: login with consent, employers, payroll administrations, journal runs with results and marking.

What the dossier marks unknown or inferred is a switch, with our default in `reset()`.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Grant, Sandbox, back_to, consent_page, json_body, json_response

Record = dict[str, Any]
OWNER = "api.goudenkorst.fin"
STATUSES = (
    "Staat klaar voor journaliseren",
    "Geen journaal resultaten",
    "Fout bij aanmaken",
    "Verwijderd door gebruiker",
    "Journaal gereed",
    "Wordt geëxporteerd",
    "Exporteren mislukt",
    "Journaal geëxporteerd",
)
QUEUED, NOTHING, FAILED, REMOVED, READY, EXPORTING, EXPORT_FAILED, EXPORTED = range(8)
RIGHTS = {
    "GetEmployersByUserId": "Raadplegen werkgever",
    "GetPayrollAdministrationsByEmployerId": "Raadplegen administratie",
    "GetJournalRunsByPayrollAdministrationId": "Raadplegen journaaloutput",
    "GetJournalRunByJournalRunId": "Raadplegen journaaloutput",
    "GetJournalRunResultsByJournalRunId": "Raadplegen journaaloutput",
    "GetJournalRunErrorsByJournalRunId": "Raadplegen journaaloutput",
    "GetJournalRunExportAuditTrailByJournalRunId": "Raadplegen journaaloutput",
    "PatchJournalRunByJournalRunId": "Exporteren journaalrun",
}
"""Activity -> the right it needs; which right goes with which activity is inferred (dossier 1.5, 7)."""
_CONDITION = re.compile(r"\s*([\w.]+)\s+(eq|ne|lk|gt|ge|lt|le)\s+('(?:[^']|'')*'|[\w.+-]+)\s*", re.IGNORECASE)
_ORDER = re.compile(r"-?\w+(,-?\w+)*")


class Refused(Exception):
    """A no with its status: `message` of a 401 or 403, a broken rule of a 400 or 409."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


class LoketSandbox(Sandbox):
    """One provider with its employers. For tests: `grant`, `add_employer`, `add_administration`, `add_payroll_run`,
    `journalise`, `undo`, `set_status`, `fill`. `books` holds dicts by id."""

    name = "loket"

    def reset(self) -> None:
        """A provider, one user who sees every employer, and nothing else."""
        super().reset()
        self.switches = {
            "clients": None,  # {id: secret}; None: any pair
            "totp": "",  # a code that the login asks for
            "expires_in": 3599,  # None: left out
            "refresh_rotates": True,  # False: the old one stays valid and is given again
            "old_refresh": "refused",  # refused | valid, after it rotated
            "rights": sorted({*RIGHTS.values()}),  # the rights of the user
            "no_activities": [],  # what this client may not do although the user may: 403
            "module_940": True,  # False: 403 with the module as reason
            "shut_administrations": [],  # the ids of those whose runs this user may not see: 403
            "no_runs": 200,  # 404: an administration without runs is not found instead of an empty list
            "authorizations": "2019",  # 2019: {id, description} | 2018: {name} | refused
            "user_fields": True,  # False: /user says nothing but an id
            "page_size": 250,  # the largest page that is given
            "results_page": True,  # False: results have no paging fields
            "empty_pages": 0,  # totalPages of an empty list: 0 | 1
            "filter": "works",  # works | ignored | refused | hides (answers nothing to a nested field)
            "order": "works",  # works | ignored | refused
            "numbers": "number",  # number | text | comma
            "absent": "null",  # null | omit
            "envelope": "full",  # full | bare: a list without paging | object: one record is no list
            "status_form": "object",  # object | key | value | text_key
            "ids": "lower",  # lower | upper
            "zone": "",  # suffix of every date-time: "" | Z | +01:00
            "payroll_run_id": True,  # False: left out
            "results_refused": 400,  # status for a run without results
            "application_needed": False,  # a PATCH without application is refused
            "mark_twice": 409,  # 409 | 200, of a PATCH on an exported run
            "mark_answer": "content",  # content | empty | 204
            "unauthorised_call": 0,  # the n-th API call from now answers 401, once
            "rate_per_minute": 60_000,
        }
        self.books = {
            "provider": {"id": _guid("provider", "1"), "name": "Salarisburo Noord"},
            "users": {
                OWNER: {"name": "Dalen, M van", "email": "api@goudenkorst.example", "password": "", "sees": None}
            },
            "employers": {},
            "administrations": {},
            "payroll_runs": {},
            "runs": {},
            "audit": [],
        }
        self.codes: dict[str, Grant] = {}
        self.tokens: dict[str, Grant] = {}
        self.refreshes: dict[str, Grant] = {}
        self.counts: dict[str, int] = {}
        self._bucket: tuple[float, float] | None = None

    # --- what tests and the demo use

    def grant(self, user: str = OWNER) -> tuple[str, str]:
        """An access and a refresh token."""
        grant = Grant(user)
        return self._access(grant), self._refresh(grant)

    def new_id(self, kind: str) -> str:
        """The next id of a kind: a GUID, the same in every run."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return _guid(kind, str(self.counts[kind]))

    def moment(self) -> str:
        """The sandbox's clock."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def add_employer(self, name: str = "Bakkerij De Gouden Korst B.V.", **fields: Any) -> Record:
        """An employer."""
        return self._put("employers", {
            "id": self.new_id("employer"), "employerNumber": 41873 + len(self.books["employers"]), "companyName": name,
            "chamberOfCommerceNumber": "71234509", "legalForm": {"key": 1, "value": "B.V."}, "branch": None,
            "address": {"street": "Molenweg", "houseNumber": 14, "postalCode": "7811AB", "city": "Emmen"}, **fields,
        })  # fmt: skip

    def add_administration(
        self, employer: Record | None = None, name: str = "De Gouden Korst maand", kind: str = "Maand", **fields: Any
    ) -> Record:
        """A payroll administration; `kind` is Maand, 4 weken or Week."""
        owner = employer or next(iter(self.books["employers"].values()), None) or self.add_employer()
        keys = {"Maand": 1, "4 weken": 3, "Week": 4}
        return self._put("administrations", {
            "id": self.new_id("administration"), "employer": owner["id"],
            "clientNumber": 5127 + len(self.books["administrations"]), "name": name, "shortName": name[:12],
            "startDate": "2020-01-01", "endDate": None, "payrollPeriodType": {"key": keys[kind], "value": kind},
            "payrollTaxesNumber": "712345099L01", **fields,
        })  # fmt: skip

    def add_payroll_run(
        self, administration: Record, year: int, period: int, *, test_year: bool = False, **fields: Any
    ) -> Record:
        """An approved payroll run; a second one in the same period is a correction run."""
        others = [one for one in self.books["payroll_runs"].values()
                  if one["administration"] == administration["id"] and one["year"] == year]  # fmt: skip
        first, last = days_of(administration["payrollPeriodType"]["value"], year, period)
        return self._put("payroll_runs", {
            "id": self.new_id("payrollrun"), "administration": administration["id"], "year": year,
            "sequenceNumberApproved": len(others) + 1, "periodNumber": period, "periodStartDate": first.isoformat(),
            "periodEndDate": last.isoformat(), "testYear": test_year, **fields,
        })  # fmt: skip

    def journalise(self, payroll_run: Record, *lines: Record, status: int = READY, **fields: Any) -> Record:
        """A journal run of a payroll run; without lines those of a believable payroll."""
        others = [one for one in self.books["runs"].values() if one["administration"] == payroll_run["administration"]]
        if fields.pop("strict", True) and any(
            one["payrollRun"] == payroll_run["id"] and one["status"] not in (FAILED, REMOVED) for one in others
        ):
            raise ValueError("this payroll run has a journal run")
        return self._put("runs", {
            "id": self.new_id("journalrun"), "administration": payroll_run["administration"],
            "payrollRun": payroll_run["id"], "sequenceNumber": len(others) + 1, "status": status,
            "requestTime": self.moment(), "processingFinishedTime": self.moment() if status else None,
            "removeTime": None, "lines": [dict(one) for one in lines or payroll()], "errors": [], **fields,
        })  # fmt: skip

    def month(self, administration: Record, year: int, period: int, *lines: Record, **fields: Any) -> Record:
        """An approved payroll run with its journal run, at once."""
        return self.journalise(self.add_payroll_run(administration, year, period), *lines, **fields)

    def undo(self, run: Record) -> Record:
        """The user takes a journal run back: it stays in the list as removed."""
        run.update(status=REMOVED, removeTime=self.moment())
        return run

    def again(self, run: Record, *lines: Record, **fields: Any) -> Record:
        """Takes a run back and makes a new one, with a new id, of the same payroll run."""
        self.undo(run)
        return self.journalise(self.books["payroll_runs"][run["payrollRun"]], *(lines or run["lines"]), **fields)

    def set_status(self, run: Record, status: int) -> Record:
        """Any of the eight statuses, as Loket.nl's own processing would set it."""
        run.update(status=status, processingFinishedTime=self.moment() if status else None)
        return run

    def fill(self, administrations: int, years: int, *, last: int = 2026, periods: int = 12) -> None:
        """Many administrations of one employer with all months of their years, for measurements."""
        employer = self.add_employer("Werkgever Groot B.V.")
        for at in range(administrations):
            made = self.add_administration(employer, f"Administratie {at + 1}")
            for year in range(last - years + 1, last + 1):
                for period in range(1, periods + 1):
                    self.month(made, year, period)

    def seed(self) -> None:
        """The bakery of the dossier: months, four weeks, a correction, every status, a test year."""
        seed(self)

    def _put(self, collection: str, record: Record) -> Record:
        self.books[collection][record["id"]] = record
        return record

    # --- consent and tokens (dossier 1)

    def routes(self) -> list[BaseRoute]:
        """The authorisation host and the API."""
        return [
            Route("/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/token", self._token, methods=["POST"]),
            Route("/v2/{path:path}", self._api, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        asked, known = request.query_params, self.switches["clients"]
        back = urlsplit(asked.get("redirect_uri", ""))
        if asked.get("response_type") != "code" or asked.get("scope") != "all" or not back.netloc:
            return PlainTextResponse("invalid_request", 400)
        if not asked.get("client_id") or (known and asked["client_id"] not in known):
            return PlainTextResponse("unauthorized_client", 400)
        if request.method == "GET":
            return self._login("")
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        state = asked.get("state", "")
        if form.get("consent") != "yes":
            return back_to(asked["redirect_uri"], error="access_denied", state=state)
        user = self.books["users"].get(form.get("user", "").strip())
        if user is None or not form.get("password") or user["password"] not in ("", form["password"]):
            return self._login("Gebruikersnaam of wachtwoord is onjuist")
        if self.switches["totp"] and form.get("totp") != self.switches["totp"]:
            return self._login("De code is onjuist")
        code = self.token()
        self.codes[code] = Grant(form["user"].strip(), {}, asked["redirect_uri"], expires_at=self.now() + 300)
        return back_to(asked["redirect_uri"], state=state, code=code)

    def _login(self, error: str) -> Response:
        shown = {
            "user": ("Gebruikersnaam", "text", escape(next(iter(self.books["users"])))),
            "password": ("Wachtwoord", "password", "zandbak"),
        }
        if self.switches["totp"]:
            shown["totp"] = ("Code", "text", "")
        return consent_page("Loket.nl", shown, error)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        known = self.switches["clients"]
        if not form.get("client_id") or (known and known.get(form["client_id"]) != form.get("client_secret")):
            return json_response({"error": "invalid_client"}, 400)
        match form.get("grant_type"):
            case "authorization_code":
                grant = self.codes.pop(form.get("code", ""), None)
                if grant and (grant.expires_at < self.now() or form.get("redirect_uri") != grant.redirect_uri):
                    grant = None
            case "refresh_token":
                grant = self.refreshes.get(form.get("refresh_token", ""))
            case _:
                return json_response({"error": "unsupported_grant_type"}, 400)
        if grant is None or grant.user not in self.books["users"]:
            return json_response({"error": "invalid_grant"}, 400)
        return json_response(self._granted(grant, form.get("refresh_token", "")))

    def _granted(self, grant: Grant, used: str) -> Record:
        rotates = not used or self.switches["refresh_rotates"]
        if used and rotates and self.switches["old_refresh"] == "refused":
            del self.refreshes[used]
        answer: Record = {"access_token": self._access(grant), "token_type": "bearer"}
        if self.switches["expires_in"]:
            answer["expires_in"] = self.switches["expires_in"]
        return answer | {"refresh_token": self._refresh(grant) if rotates else used, "two_factor_state": "None"}

    def _access(self, grant: Grant) -> str:
        token = self.token()
        self.tokens[token] = Grant(grant.user, expires_at=self.now() + float(self.switches["expires_in"] or 3599))
        return token

    def _refresh(self, grant: Grant) -> str:
        token = self.token()
        self.refreshes[token] = Grant(grant.user)
        return token

    # --- the API (dossier 2-4)

    def expired_answer(self) -> Response:
        """The documented 401."""
        return json_response({"message": "Authorization has been denied for this request."}, 401)

    def busy_answer(self, seconds: float) -> Response:
        """A 429; whether Loket.nl has one is unknown."""
        return json_response(
            {"message": "Too many requests"}, 429, {"Retry-After": str(int(seconds))} if seconds else None
        )

    def error_answer(self) -> Response:
        """A 500; its body is not documented."""
        return json_response({"message": "An error has occurred."}, 500)

    async def _api(self, request: Request) -> Response:
        try:
            user = self._user(request)
            return self._route(request, user, await json_body(request) if request.method == "PATCH" else None)
        except Refused as no:
            return self._no(no)

    def _no(self, no: Refused) -> Response:
        match no.status:
            case 401:
                return self.expired_answer()
            case 403:
                return json_response({"message": f'Insufficient rights for this request, reason "{no}"'}, 403)
            case 404:
                return Response("", 404)
            case 429:
                return self.busy_answer(1)
            case status:
                broken: Record = {"code": 412, "id": None, "type": "BrokenBusinessRule", "description": str(no)}
                broken["properties"] = []
                return json_response({"version": _VERSION, "messages": [broken], "_embedded": []}, status)

    def _user(self, request: Request) -> str:
        if self.switches["unauthorised_call"]:
            self.switches["unauthorised_call"] -= 1
            if not self.switches["unauthorised_call"]:
                raise Refused(401)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.tokens.get(token)
        if kind.lower() != "bearer" or grant is None or grant.expires_at < self.now():
            raise Refused(401)
        self._take_turn()
        return grant.user

    def _take_turn(self) -> None:
        rate, now = float(self.switches["rate_per_minute"]), self.now()
        room = max(5.0, rate / 6)
        left, since = self._bucket or (room, now)
        left = min(room, left + (now - since) * rate / 60)
        self._bucket = (max(left - 1, 0), now)
        if left < 1:
            raise Refused(429)

    def _route(self, request: Request, user: str, body: Any) -> Response:
        steps = [one.lower() for one in request.path_params["path"].strip("/").split("/")]
        below = "/".join(steps).removeprefix("providers/employers").strip("/").split("/")
        reading = request.method == "GET"
        match below:
            case ["user"] if reading:
                return self._detail(self._who(user))
            case ["providers"] if reading:
                return self._list(request, [self.books["provider"]])
            case [""] if reading and steps == ["providers", "employers"]:
                self._may("GetEmployersByUserId")
                return self._list(request, self._seen(user))
            case [employer, "authorizations"] if reading:
                self._employer(user, employer)
                return self._authorizations(request)
            case [employer, "payrolladministrations"] if reading:
                self._may("GetPayrollAdministrationsByEmployerId")
                owner = self._employer(user, employer)
                found = [one for one in self.books["administrations"].values() if one["employer"] == owner["id"]]
                return self._list(request, [_without(one, "employer") for one in found])
            case ["payrolladministrations", "journalruns", run, *rest]:
                return self._one_run(request, self._run(user, run), rest, body)
            case ["payrolladministrations", administration, "journalruns"] if reading:
                self._may("GetJournalRunsByPayrollAdministrationId", module=True)
                return self._runs(request, self._administration(user, administration))
            case _:
                raise Refused(404)

    def _may(self, activity: str, *, module: bool = False) -> None:
        if module and not self.switches["module_940"]:
            raise Refused(403, "Employer doesn't have the module Journaliseren 940.")
        if activity in self.switches["no_activities"]:
            raise Refused(403, "Client may not perform the activity.")
        if RIGHTS[activity] not in self.switches["rights"]:
            raise Refused(403, "User doesn't have rechten to perform activity for the given Id.")

    def _who(self, user: str) -> Record:
        own = self.books["users"][user]
        found: Record = {"id": _guid("user", user)}
        if self.switches["user_fields"]:
            found |= {"formattedName": own["name"], "emailAddress": own["email"]}
        return found

    def _seen(self, user: str) -> list[Record]:
        sees = self.books["users"][user]["sees"]
        return [one for own, one in self.books["employers"].items() if sees is None or own in sees]

    def _employer(self, user: str, wanted: str) -> Record:
        return _found(self._seen(user), wanted)

    def _administration(self, user: str, wanted: str) -> Record:
        seen = {one["id"] for one in self._seen(user)}
        return _found((one for one in self.books["administrations"].values() if one["employer"] in seen), wanted)

    def _run(self, user: str, wanted: str) -> Record:
        run = _found(self.books["runs"].values(), wanted)
        self._administration(user, run["administration"])
        return run

    def _authorizations(self, request: Request) -> Response:
        if self.switches["authorizations"] == "refused":
            raise Refused(403, "Client may not perform the activity.")
        may = [name for name, right in RIGHTS.items() if right in self.switches["rights"]]
        if self.switches["authorizations"] == "2018":
            return self._list(request, [{"name": name} for name in may])
        return self._list(request, [{"id": _guid("activity", name), "description": name} for name in may])

    def _runs(self, request: Request, administration: Record) -> Response:
        found = [one for one in self.books["runs"].values() if one["administration"] == administration["id"]]
        if administration["id"] in self.switches["shut_administrations"]:
            raise Refused(403, "User doesn't have rechten to perform activity for the given Id.")
        if not found and self.switches["no_runs"] == 404:
            raise Refused(404)
        shown = [self._shown(one) for one in found]
        return self._list(request, self._ordered(request, self._filtered(request, shown)))

    def _shown(self, run: Record) -> Record:
        payroll_run = self.books["payroll_runs"][run["payrollRun"]]
        inner: Record = {"sequenceNumberApproved": payroll_run["sequenceNumberApproved"]}
        if self.switches["payroll_run_id"]:
            inner = {"payrollRunId": payroll_run["id"], **inner}
        names = ("year", "periodNumber", "periodStartDate", "periodEndDate", "testYear")
        person = {"id": _guid("user", "m"), "initials": "M", "prefix": "van", "lastName": "Dalen",
                  "formattedName": "Dalen, M van"}  # fmt: skip
        zone = self.switches["zone"]
        times = {name: f"{run[name]}{zone}" if run[name] else None
                 for name in ("requestTime", "processingFinishedTime", "removeTime")}  # fmt: skip
        return {
            "id": run["id"], "sequenceNumber": run["sequenceNumber"], "journalRunStatus": self._status(run["status"]),
            "methodOfCreation": {"key": 2, "value": "Individueel"},
            "payrollRun": {**inner, "payrollPeriod": {name: payroll_run[name] for name in names}},
            "requestedBy": person, **times, "removedBy": person if run["removeTime"] else None,
        }  # fmt: skip

    def _status(self, status: int) -> Any:
        match self.switches["status_form"]:
            case "key":
                return status
            case "value":
                return {"value": STATUSES[status]}
            case "text_key":
                return {"key": str(status), "value": STATUSES[status]}
            case _:
                return {"key": status, "value": STATUSES[status]}

    def _one_run(self, request: Request, run: Record, rest: Sequence[str], body: Any) -> Response:
        match (request.method, list(rest)):
            case ("GET", []):
                self._may("GetJournalRunByJournalRunId", module=True)
                return self._detail(self._shown(run))
            case ("GET", ["results"]):
                self._may("GetJournalRunResultsByJournalRunId", module=True)
                return self._results(request, run)
            case ("GET", ["errors"]):
                self._may("GetJournalRunErrorsByJournalRunId", module=True)
                return self._list(request, run["errors"])
            case ("GET", ["exportaudittrail"]):
                self._may("GetJournalRunExportAuditTrailByJournalRunId", module=True)
                return self._list(request, [one for one in self.books["audit"] if one["run"] == run["id"]])
            case ("PATCH", []):
                self._may("PatchJournalRunByJournalRunId", module=True)
                return self._mark(run, body if isinstance(body, Mapping) else {})
            case _:
                raise Refused(404)

    def _results(self, request: Request, run: Record) -> Response:
        if run["status"] < READY:
            raise Refused(int(self.switches["results_refused"]), "De journaalrun heeft geen resultaten")
        way = request.query_params.get("consolidate", "BasedOnLedgerAccountConfiguration")
        if way not in ("BasedOnLedgerAccountConfiguration", "Always", "Never"):
            raise Refused(400, "consolidate")
        lines = together(run["lines"]) if way == "Always" else run["lines"]
        if way != "Never":
            lines = [one | {"payrollComponent": None} if one.get("consolidated") else one for one in lines]
        shown = [_without(one, "consolidated") for one in lines]
        if not self.switches["results_page"]:
            return json_response(self._respelt({"version": _VERSION, "messages": [], "_embedded": shown}))
        return self._list(request, shown)

    def _mark(self, run: Record, body: Mapping[str, Any]) -> Response:
        after = {"MarkAsProcessed": EXPORTED, "MarkAsProcessingFailed": EXPORT_FAILED}.get(body.get("action", ""))
        application = body.get("application")
        if after is None or len(body.get("message") or "") > 255:
            raise Refused(400, "action of message is niet geldig")
        if "application" in body and not (isinstance(application, Mapping) and isinstance(application.get("key"), int)):
            raise Refused(400, "application is niet geldig")
        if self.switches["application_needed"] and application is None:
            raise Refused(400, "application is verplicht")
        if run["status"] < READY or (run["status"] == EXPORTED and self.switches["mark_twice"] == 409):
            raise Refused(409, "De journaalrun kan niet worden gemarkeerd")
        run["status"] = after
        self.books["audit"].append({
            "id": self.new_id("audit"), "run": run["id"], "sequenceNumber": len(self.books["audit"]) + 1,
            "exportStatus": {"key": after, "value": STATUSES[after]}, "exportedOn": self.moment(),
            "exportedTo": application, "message": body.get("message"),
        })  # fmt: skip
        match self.switches["mark_answer"]:
            case "empty":
                return Response("", 200)
            case "204":
                return Response(status_code=204)
            case _:
                return json_response({"version": _VERSION, "messages": [], "content": {}})

    # --- envelopes, filter, order (dossier 2.2, 2.3)

    def _filtered(self, request: Request, found: list[Record]) -> list[Record]:
        asked = request.query_params.get("filter", "")
        if not asked or self.switches["filter"] == "ignored":
            return found
        if self.switches["filter"] == "refused":
            raise Refused(400, "filter")
        if self.switches["filter"] == "hides" and "." in asked:
            return []
        wanted = conditions(asked)
        return [one for one in found if any(all(check(one) for check in both) for both in wanted)]

    def _ordered(self, request: Request, found: list[Record]) -> list[Record]:
        asked = request.query_params.get("orderBy", "")
        if not asked or self.switches["order"] == "ignored":
            return found
        if self.switches["order"] == "refused" or not _ORDER.fullmatch(asked):
            raise Refused(400, "orderBy")
        for name in reversed(asked.split(",")):
            found = sorted(found, key=lambda one: str(_at(one, name.lstrip("-"))).zfill(12), reverse=name[0] == "-")
        return found

    def _list(self, request: Request, found: Sequence[Record]) -> Response:
        page = int(request.query_params.get("pageNumber", "1"))
        size = min(int(request.query_params.get("pageSize", "250")), int(self.switches["page_size"]))
        shown = list(found[(page - 1) * size : page * size])
        pages = -(-len(found) // size) or self.switches["empty_pages"]
        facts = {"currentPage": page, "pageSize": size, "totalPages": pages, "totalSize": len(found)}
        embedded: Any = shown[0] if self.switches["envelope"] == "object" and len(found) == 1 else shown
        if self.switches["envelope"] == "bare" and len(found) <= size:
            return json_response(self._respelt(embedded))
        return json_response(self._respelt({**facts, "version": _VERSION, "messages": [], "_embedded": embedded}))

    def _detail(self, content: Record) -> Response:
        return json_response(self._respelt({"version": _VERSION, "messages": [], "content": content}))

    def _respelt(self, found: Any) -> Any:
        """The same with numbers, ids and absent fields in the spelling that is switched on."""
        if isinstance(found, Mapping):
            kept = {name: one for name, one in found.items() if one is not None or self.switches["absent"] == "null"}
            upper = self.switches["ids"] == "upper"
            return {
                name: one.upper()
                if upper and name.lower().endswith("id") and isinstance(one, str)
                else self._respelt(one)
                for name, one in kept.items()
            }
        if isinstance(found, list):
            return [self._respelt(one) for one in found]
        if isinstance(found, Decimal) and self.switches["numbers"] != "number":
            return str(found).replace(".", ",") if self.switches["numbers"] == "comma" else str(found)
        return found


SANDBOX = LoketSandbox
_VERSION = {"obsoleteDate": None, "resourceVersion": "2018-01-01"}


def conditions(asked: str) -> list[list[Callable[[Record], bool]]]:
    """A filter as alternatives of conditions; `and` binds stronger than `or`. Raises Refused for what is no filter."""
    return [[_condition(one) for one in re.split(r"\band\b", each)] for each in re.split(r"\bor\b", asked)]


def _condition(words: str) -> Callable[[Record], bool]:
    found = _CONDITION.fullmatch(words)
    if found is None:
        raise Refused(400, f"filter: {words}")
    name, operator, literal = found[1], found[2].lower(), found[3].strip("'").lower()

    def check(record: Record) -> bool:
        have = _at(record, name)
        if have is None or literal == "null":
            return (have is None) == (literal == "null") if operator == "eq" else operator == "ne"
        mine: Any = str(have).lower()
        theirs: Any = literal
        if mine.lstrip("-").isdecimal() and theirs.lstrip("-").isdecimal():
            mine, theirs = int(mine), int(theirs)
        kept: Mapping[str, bool] = {"eq": mine == theirs, "ne": mine != theirs, "lk": str(theirs) in str(mine)}
        if operator in kept:
            return kept[operator]
        return bool({"gt": mine > theirs, "ge": mine >= theirs, "lt": mine < theirs, "le": mine <= theirs}[operator])

    return check


def _at(record: Any, name: str) -> Any:
    """A nested field by its dotted name, whatever the case."""
    for step in name.lower().split("."):
        record = (
            {str(key).lower(): one for key, one in record.items()}.get(step) if isinstance(record, Mapping) else None
        )
    return record


def _found(records: Iterable[Record], wanted: str) -> Record:
    found = next((one for one in records if one["id"].lower() == wanted.lower()), None)
    if found is None:
        raise Refused(404)
    return found


def _without(record: Mapping[str, Any], *names: str) -> Record:
    return {name: one for name, one in record.items() if name not in names}


def _guid(kind: str, name: str) -> str:
    found = hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()
    return f"{found[:8]}-{found[8:12]}-4{found[13:16]}-9{found[17:20]}-{found[20:32]}"


def days_of(kind: str, year: int, period: int) -> tuple[date, date]:
    """First and last day of a payroll period; four-weekly and weekly ones count from the ISO year's first Monday."""
    if kind == "Maand":
        first = date(year, period, 1)
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    weeks = 4 if kind == "4 weken" else 1
    first = date.fromisocalendar(year, 1, 1) + timedelta(weeks=weeks * (period - 1))
    return first, first + timedelta(weeks=weeks, days=-1)


def line(
    account: tuple[int, str, str],
    debit: str = "0",
    credit: str = "0",
    centre: tuple[int, str, str] | None = None,
    unit: tuple[int, str, str] | None = None,
    component: tuple[int, str] | None = None,
) -> Record:
    """A result line; accounts, cost centres and cost units are (key, code, description)."""

    def named(one: tuple[int, str, str] | None) -> Record | None:
        return None if one is None else {"key": one[0], "code": one[1], "description": one[2]}

    return {
        "generalLedgerAccount": named(account), "costCenter": named(centre), "costUnit": named(unit),
        "payrollComponent": None if component is None else {"key": component[0], "description": component[1]},
        "debetAmount": Decimal(debit), "creditAmount": Decimal(credit),
    }  # fmt: skip


def together(lines: Iterable[Record]) -> list[Record]:
    """Added up per account, cost centre and cost unit, each side for itself."""
    sums: dict[tuple[str, ...], Record] = {}
    for one in lines:
        names = ("generalLedgerAccount", "costCenter", "costUnit")
        place = (*((one[name] or {}).get("code", "") for name in names), str(one["debetAmount"] != 0))
        before = sums.setdefault(
            place, one | {"payrollComponent": None, "debetAmount": Decimal(0), "creditAmount": Decimal(0)}
        )
        before["debetAmount"] += one["debetAmount"]
        before["creditAmount"] += one["creditAmount"]
    return list(sums.values())


SHOP, BAKERY = (1, "WIN", "Winkel"), (2, "BAK", "Bakkerij")
WAGES, HOLIDAY, CONTRIBUTIONS, PENSION = (
    (11, "4000", "Brutolonen"),
    (12, "4010", "Vakantiegeld"),
    (13, "4050", "Sociale lasten"),
    (14, "4100", "Pensioenlasten"),
)
TAX, NET, PENSION_DUE, HOLIDAY_DUE = (
    (21, "1700", "Af te dragen loonheffing"),
    (22, "1710", "Te betalen nettolonen"),
    (23, "1720", "Af te dragen pensioen"),
    (24, "1730", "Reservering vakantiegeld"),
)


def payroll() -> list[Record]:
    """The bakery's payroll journal of one month, 27,466.19 on each side (dossier 8.4)."""
    return [
        line(WAGES, "8250.00", centre=SHOP),
        line(WAGES, "12400.50", centre=BAKERY),
        line(HOLIDAY, "660.00", centre=SHOP),
        line(HOLIDAY, "992.04", centre=BAKERY),
        line(CONTRIBUTIONS, "1567.50", centre=SHOP),
        line(CONTRIBUTIONS, "2356.10", centre=BAKERY),
        line(PENSION, "1240.05", centre=BAKERY),
        line(TAX, credit="8123.60"),
        line(NET, credit="15830.47"),
        line(PENSION_DUE, credit="1860.08"),
        line(HOLIDAY_DUE, credit="1652.04"),
    ]


def correction() -> list[Record]:
    """A correction: negative amounts, a cost unit, wage components that are not added up."""
    unit = (7, "01", "Nieuwe oven")
    return [
        line(WAGES, "-310.25", centre=BAKERY, component=(1010, "Salaris")),
        line(WAGES, "45.00", centre=BAKERY, unit=unit, component=(1020, "Overwerk")),
        line(TAX, credit="-98.15"),
        line(NET, credit="-167.10"),
    ]


def seed(box: LoketSandbox) -> None:
    """Fills the books."""
    bakery = box.add_employer(id="7c1f3a52-8f1e-4f0c-9b55-3f0e6e4d2a10")
    months = box.add_administration(bakery, clientNumber=5127, id="91d5b2c8-0a7e-4b36-8c4f-52e9f1d7a603")
    for period in range(1, 9):
        box.month(months, 2026, period)
    taken_back = box.month(months, 2026, 9, id="a4c2d8f0-6e19-4f7b-9c35-1d0b7e8a2f56")
    box.again(taken_back, id="e9b0a6c4-51d3-4c0e-8a27-6a8f2f7c3b01")
    box.month(months, 2026, 9, *correction())
    box.month(months, 2026, 10, status=EXPORTED)
    box.month(months, 2026, 11, status=QUEUED)
    box.journalise(box.add_payroll_run(months, 2027, 1, test_year=True))
