"""A server of Nmbrs, SOAP v3 and REST, from its dossier alone: what is documented or seen is kept to, the rest is a
habit."""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import uuid4
from xml.sax.saxutils import escape

from lxml import etree
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tests.acceptance.vendors.house import Vendor, World, answer

CLIENT = ("PartnerApp_hub_x1", "geheim$*%")
KEY = "abonnement-0001"
PAGE = """<form method="post"><input name="Email"><input name="Password" type="password">
<button name="button" value="allow">Toestaan</button></form>"""
SPACE = "https://api.nmbrs.nl/soap/v3/"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SCOPES = {
    "offline_access",
    "company.info.read",
    "company.payrollsettings.read",
    "company.document.read",
    "document.read",
}
PARAMETERS = {
    "Environment_Get": [],
    "List_GetAll": [],
    "List_GetByDebtor": ["DebtorId"],
    "Company_GetCurrentPeriod": ["CompanyId"],
    "Run_GetList": ["CompanyId", "Year"],
    "Journals_GetByRunCompany_v2": ["CompanyId", "RunId", "intYear"],
    "Journals_GetByRunCostCenter_v2": ["CompanyId", "RunId", "intYear"],
    "CostCenter_GetList": ["CompanyId"],
}
ACCOUNTS = {
    4000: "Bruto lonen", 4010: "Vakantiegeld", 4050: "Sociale lasten", 4070: "Reiskosten", 4001: "Lonen nieuw",
    1700: "Loonheffing", 1830: "Res. vakantiegeld", 2100: "Nettoloon",
}  # fmt: skip
Line = tuple[str, str, str, str, str]
"""Account, cost centre, value, side, description."""


class SoapFault(Exception):
    """A fault with its business code."""


class Refusal(Exception):
    """A REST error with its code."""


@dataclass
class Payrun:
    """One run of one company."""

    company: int
    number: int
    year: int
    first: int
    last: int
    lines: list[list[Line]]
    """Per transaction."""
    description: str = ""
    locked: bool = True
    day: str = ""
    id: int = 0
    guid: str = field(default_factory=lambda: str(uuid4()))
    made: str = "2026-01-24T10:14:07"
    kind: str = "normal"


@dataclass
class Company:
    """A company of a debtor."""

    id: int
    number: int
    name: str
    debtor: int
    kind: str = "M"
    guid: str = field(default_factory=lambda: str(uuid4()))


@dataclass
class Environment(World):
    """One environment, its logins and its payroll."""

    domain: str = ""
    email: str = ""
    token: str = ""
    companies: dict[int, Company] = field(default_factory=dict)
    debtors: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Id -> number, name, guid."""
    runs: dict[int, Payrun] = field(default_factory=dict)
    tasks: dict[str, tuple[str, int]] = field(default_factory=dict)
    access: dict[str, float] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    off: set[str] = field(default_factory=set)

    def company(self, number: int, name: str, debtor: int = 1, kind: str = "M") -> Company:
        """A new company; its ids look like those of others, but for the uuid."""
        self.debtors.setdefault(debtor, (f"{debtor:04}", f"Debiteur {debtor}", str(uuid4())))
        made = Company(500 + len(self.companies), number, name, debtor, kind)
        self.companies[made.id] = made
        return made

    def run(self, company: Company, year: int, first: int, last: int, *lines: list[Line], **more: Any) -> Payrun:
        """A new run. Run ids start anew in each company: whether they are unique is not known."""
        same = [one for one in self.runs.values() if (one.company, one.year) == (company.id, year)]
        made = Payrun(company.id, len(same) + 1, year, first, last, list(lines), **more)
        made.id = 41000 + len(same) + (year - 2025) * 100
        made.day = made.day or str(date(year, min(last, 12), 25))
        self.runs[len(self.runs) + 1] = made
        return made

    def of(self, company: Company, year: int) -> list[Payrun]:
        """The runs of a company and year, the newest first where that is the habit."""
        found = [one for one in self.runs.values() if (one.company, one.year) == (company.id, year)]
        return found[::-1] if self.habit("newest_first") else found

    def journal(self, run: Payrun, centres: bool) -> str:
        """A run's journal in this vendor's spelling."""
        if not run.lines:
            return ""
        root, space = self.habit("root", "transactions"), ' xmlns="urn:nmbrs"' if self.habit("space") else ""
        made = "".join(
            f"<transaction><header>{self._header(run)}</header><lines>{self._lines(one, centres)}</lines></transaction>"
            for one in run.lines
        )
        declared = f'<?xml version="1.0" encoding="{self.habit("declares")}"?>' if self.habit("declares") else ""
        return f"{declared}<{root}{space}>{made}</{root}>"

    def _header(self, run: Payrun) -> str:
        said = {"iso": run.day, "none": ""}.get(self.habit("dates", ""), run.day.replace("-", ""))
        more = "<office>1</office><code>SAL</code><period>2026/03</period>" if self.habit("more") else ""
        return more + (f"<date>{said}</date>" if said else "")

    def _lines(self, lines: Sequence[Line], centres: bool) -> str:
        made = ""
        shown = lines if centres else _summed(lines)
        if self.habit("shuffled"):
            shown = sorted(
                shown, key=lambda one: hashlib.sha256((str(one) + secrets.token_hex(2)).encode()).hexdigest()
            )
        for at, (account, centre, value, side, words) in enumerate(shown, 1):
            dims = f"<dim1>{account}</dim1>" if account or not self.habit("no_empty") else ""
            if centres:
                dims += f"<dim2>{centre}</dim2>" if centre or not self.habit("no_empty") else ""
                dims += "<dim3/>" if self.habit("more") else ""
            amounts = [f"<value>{value}</value>", f"<debitcredit>{side}</debitcredit>"]
            ordered = "".join(amounts[::-1] if self.habit("side_first") else amounts)
            made += f'<line id="{at}" type="detail">{dims}{ordered}<description>{escape(words)}</description></line>'
        return made


def _summed(lines: Sequence[Line]) -> list[Line]:
    sums: dict[tuple[str, str, str], Decimal] = {}
    for account, _, value, side, words in lines:
        key = (account, side, words)
        sums[key] = sums.get(key, Decimal(0)) + Decimal(value)
    return [(account, "", str(total), side, words) for (account, side, words), total in sums.items()]


def wages(gross: str, *centres: str) -> list[Line]:
    """A balanced journal, its gross wages over cost centres."""
    whole = Decimal(gross)
    part = (whole / max(len(centres), 1)).quantize(Decimal("0.01"))
    holiday, tax = ((whole * Decimal(rate)).quantize(Decimal("0.01")) for rate in ("0.08", "0.3"))
    costs: list[Line] = [
        (
            "4000",
            centre,
            str(whole - part * (len(centres) - 1) if at == 0 and centres else part),
            "debit",
            "Bruto lonen",
        )
        for at, centre in enumerate(centres or ("",))
    ]
    return [
        *costs,
        ("4010", centres[0] if centres else "", str(holiday), "debit", "Res. vakantiegeld & opslag"),
        ("1830", "", str(holiday), "credit", "Res. vakantiegeld & opslag"),
        ("1700", "", str(tax), "credit", "Ingehouden loonheffing"),
        ("2100", "", str(whole - tax), "credit", "Nettoloon"),
    ]


def sums(runs: Sequence[Payrun]) -> dict[str, Decimal]:
    """Debit less credit per account over runs, without zeros."""
    found: dict[str, Decimal] = {}
    for run in runs:
        for account, _, value, side, _ in (line for one in run.lines for line in one):
            signed = Decimal(value) if side == "debit" else -Decimal(value)
            found[account] = found.get(account, Decimal(0)) + signed
    return {account: total for account, total in found.items() if total}


class Nmbrs(Vendor):
    """The vendor: all environments and the place to log in."""

    def __init__(self) -> None:
        self.environments: dict[str, Environment] = {}
        self.codes: dict[str, tuple[Environment, dict[str, str]]] = {}

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        return {
            "HUB_ENDPOINTS__NMBRS__SOAP": f"{url}/soap/v3",
            "HUB_ENDPOINTS__NMBRS__API": url,
            "HUB_ENDPOINTS__NMBRS__AUTHORIZE": f"{url}/connect/authorize",
            "HUB_ENDPOINTS__NMBRS__TOKEN": f"{url}/connect/token",
            "HUB_OAUTH__NMBRS__CLIENT_ID": CLIENT[0],
            "HUB_OAUTH__NMBRS__CLIENT_SECRET": CLIENT[1],
            "HUB_OAUTH__NMBRS__SUBSCRIPTION_KEY": KEY,
        }

    def open(self, domain: str, **habits: Any) -> Environment:
        """A new environment with one login."""
        made = Environment(habits, domain=domain, email=f"koppeling@{domain}.example", token=secrets.token_hex(16))
        self.environments[domain] = made
        return made

    def world_of(self, request: Request) -> Environment | None:
        """By the user name in the envelope, or by the token."""
        body: bytes = getattr(request, "_body", b"")
        if "/soap/" in request.url.path:
            found = re.search(rb"Username[^>]*>([^<]+)<", body)
            email = found.group(1).decode() if found else ""
            return next((one for one in self.environments.values() if one.email == email), None)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return next((one for one in self.environments.values() if token in one.access), None)

    async def handle(self, request: Request) -> Response:
        """SOAP, the pages to log in, or REST."""
        path = request.url.path
        if service := re.fullmatch(r"/soap/v3/(\w+)\.asmx", path):
            return self._soap(request, service[1], await request.body())
        if path == "/connect/authorize":
            return await self._authorize(request)
        if path == "/connect/token":
            return await self._token(request)
        try:
            return self._rest(request, path)
        except Refusal as refusal:
            code = str(refusal)
            body = {"type": "error", "httpStatus": int(code[:3]), "code": int(code), "title": f"Error_{code}"}
            return answer(body, int(code[:3]))

    # SOAP

    def _soap(self, request: Request, service: str, body: bytes) -> Response:
        world = self.world_of(request)
        habit = world.habit if world else lambda _, otherwise=None: otherwise
        try:
            root = etree.fromstring(body)
            asked = root.find(f"{{{ENVELOPE}}}Body")[0]  # type: ignore[index]
            operation = etree.QName(asked).localname
            action = request.headers.get("soapaction", "").strip('"')
            world = self._signed(root, action, f"{{{SPACE}{service}}}", operation)
            result = self._operated(world, service, operation, asked)
        except SoapFault as fault:
            return self._fault(str(fault), habit("faults", "1.1"), habit("fault_status", 500))
        shown = f'<{operation}Response xmlns="{SPACE}{service}">{result}</{operation}Response>'
        return self._enveloped(shown, 200)

    def _fault(self, code: str, version: str, status: int) -> Response:
        words = {"1001": "Invalid Authentication", "9999": "Unkown"}.get(code, "Unauthorized access")
        text = f"Server was unable to process request. ---&gt; {code}: {words}" if code.isdecimal() else code
        if version == "1.2":
            return self._enveloped(
                f"<soap:Fault><soap:Code><soap:Value>soap:Receiver</soap:Value></soap:Code><soap:Reason>"
                f'<soap:Text xml:lang="nl">{text}</soap:Text></soap:Reason></soap:Fault>',
                status,
            )
        return self._enveloped(
            f"<soap:Fault><faultcode>soap:Server</faultcode><faultstring>{text}</faultstring><detail/></soap:Fault>",
            status,
        )

    def _enveloped(self, inside: str, status: int) -> Response:
        text = f'<?xml version="1.0" encoding="utf-8"?>\n<soap:Envelope xmlns:soap="{ENVELOPE}">\n  <soap:Body>{inside}'
        return Response(f"{text}</soap:Body>\n</soap:Envelope>".encode(), status, media_type="text/xml; charset=utf-8")

    def _signed(self, root: etree._Element, action: str, space: str, operation: str) -> Environment:
        if action != f"{space[1:-1]}/{operation}":
            raise SoapFault("Server did not recognize the value of HTTP Header SOAPAction")
        header = root.find(f"{{{ENVELOPE}}}Header")
        signed = header[0] if header is not None and len(header) else None
        wanted = "AuthHeader" if operation == "Environment_Get" else "AuthHeaderWithDomain"
        if signed is None or signed.tag != space + wanted:
            raise SoapFault("1001")
        parts = [(str(one.tag).removeprefix(space), one.text or "") for one in signed]
        names = ["Username", "Token", *(["Domain"] if wanted == "AuthHeaderWithDomain" else [])]
        if [name for name, _ in parts] != names:
            raise SoapFault("1001")
        given = dict(parts)
        world = next((one for one in self.environments.values() if one.email == given["Username"]), None)
        if world is None or world.token != given["Token"]:
            raise SoapFault("1001")
        if given.get("Domain", world.domain) != world.domain:
            raise SoapFault(world.habit("wrong_domain", "2043"))
        if operation in world.off:
            raise SoapFault("1002")
        return world

    def _operated(self, world: Environment, service: str, operation: str, asked: etree._Element) -> str:
        given = [(etree.QName(one).localname, one.text or "") for one in asked]
        if operation not in PARAMETERS or [name for name, _ in given] != PARAMETERS[operation]:
            raise SoapFault("9999")
        values = dict(given)
        rows: list[tuple[str, Mapping[str, Any]]] | str
        match operation:
            case "Environment_Get":
                sub = "" if world.habit("no_subdomain") else f"<SubDomain>{world.domain}</SubDomain>"
                inside = f"<Domain>{world.domain}.nmbrs.nl</Domain>{sub}"
                return f"<Environment_GetResult>{inside}</Environment_GetResult>"
            case "List_GetAll" if service == "DebtorService":
                rows = [("Debtor", {"Id": own, "Number": number, "Name": name})
                        for own, (number, name, _) in world.debtors.items()]  # fmt: skip
            case "List_GetAll":
                rows = [("Company", _company(one)) for one in world.companies.values()]
            case "List_GetByDebtor":
                mine = [one for one in world.companies.values() if one.debtor == int(values["DebtorId"])]
                rows = [("Company", _company(one)) for one in mine]
            case _:
                rows = self._of(world, operation, values)
        if isinstance(rows, str):
            return f"<{operation}Result>{rows}</{operation}Result>"
        if not rows and world.habit("lists_vanish"):
            return ""
        gap = "\n      " if world.habit("pretty") else ""
        inside = "".join(f"{gap}<{kind}>{_fields(row, world)}</{kind}>" for kind, row in rows)
        return f"<{operation}Result>{inside}{gap}</{operation}Result>"

    def _of(self, world: Environment, operation: str, values: Mapping[str, str]) -> Any:
        company = world.companies.get(int(values["CompanyId"]))
        if company is None:
            raise SoapFault("2004")
        match operation:
            case "Company_GetCurrentPeriod":
                return f"2026-4-{company.kind}"
            case "CostCenter_GetList":
                return [("CostCenter", {"Code": "010", "Description": "Winkel", "Id": None})]
            case "Run_GetList":
                return [("RunInfo", _run(one, world)) for one in world.of(company, int(values["Year"]))]
        wanted = [one for one in world.of(company, int(values["intYear"])) if one.id == int(values["RunId"])]
        if not wanted:
            raise SoapFault("2046")
        text = world.journal(wanted[0], "CostCenter" in operation)
        if world.habit("cdata"):
            return f"<![CDATA[{text}]]>"
        return text if world.habit("as_nodes") else escape(text)

    # OAuth

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT[0] or asked.get("response_type") != "code":
            return HTMLResponse("unauthorized_client", 400)
        if not set(asked.get("scope", "").split()) <= SCOPES:
            return HTMLResponse("Invalid scope", 400)
        if request.method == "GET":
            return HTMLResponse(PAGE)
        email = str((await request.form()).get("Email"))
        world = next((one for one in self.environments.values() if one.email == email), None)
        if world is None:
            return HTMLResponse(PAGE, 401)
        code = secrets.token_urlsafe(16)
        self.codes[code] = (world, asked)
        query = urlencode({"code": code, "state": asked.get("state", ""), "scope": asked["scope"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        pair = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ") or "Og==").decode()
        if tuple(map(unquote, pair.partition(":")[::2])) != CLIENT:
            return answer({"error": "invalid_client"}, 400)
        if form.get("grant_type") == "authorization_code":
            world, asked = self.codes.pop(form.get("code", ""), (None, {}))
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            proven = base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked.get("code_challenge")
            if world is None or not proven or asked.get("redirect_uri") != form.get("redirect_uri"):
                return answer({"error": "invalid_grant"}, 400)
            scope = asked["scope"]
        else:
            token = form.get("refresh_token", "")
            found = [one for one in self.environments.values() if token in one.refresh]
            if not found:
                return answer({"error": "invalid_grant", "error_description": "used"}, 400)
            world, scope = found[0], found[0].refresh.pop(token)
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        life = world.habit("life", 3600)
        world.access[access] = time.monotonic() + life
        world.refresh[refresh] = scope
        said = str(life) if world.habit("life_as_text") else life
        body = {"access_token": access, "expires_in": said, "token_type": "Bearer", "refresh_token": refresh}
        return answer(body if world.habit("no_scope") else body | {"scope": scope})

    # REST

    def _rest(self, request: Request, path: str) -> Response:
        if request.headers.get("x-subscription-key") != KEY:
            return answer({"statusCode": 401, "message": "Access denied due to missing subscription key."}, 401)
        world = self.world_of(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if world is None or world.access.get(token, 0) < time.monotonic():
            raise Refusal("40102")
        match path.strip("/").split("/")[1:]:
            case ["companies"]:
                if world.habit("several_debtors"):
                    raise Refusal("40306")
                return self._page(request, world, [_company_row(world, one) for one in world.companies.values()])
            case ["debtors"]:
                rows = [
                    {"debtorId": guid, "number": number, "name": name} for number, name, guid in world.debtors.values()
                ]
                return self._page(request, world, rows)
            case ["debtors", debtor, "companies"]:
                mine = [one for one in world.companies.values() if world.debtors[one.debtor][2] == debtor]
                return self._page(request, world, [_company_row(world, one) for one in mine])
            case ["companies", guid, *rest]:
                company = next((one for one in world.companies.values() if one.guid == guid), None)
                if company is None:
                    raise Refusal("40303")
                return self._company(request, world, company, rest)
            case ["documents", task]:
                return self._document(world, task)
            case _:
                raise Refusal("40401")

    def _company(self, request: Request, world: Environment, company: Company, rest: list[str]) -> Response:
        year = request.query_params.get("year", "")
        match rest:
            case ["period"]:
                kinds = {"M": "month", "4W": "4-weeks", "W": "1-week"}
                return answer({"period": {"year": 2026, "period": 4}, "periodType": kinds[company.kind]})
            case ["costCenters"]:
                return self._page(
                    request, world, [{"costCenterId": str(uuid4()), "code": "010", "description": "Winkel"}]
                )
            case ["runs"]:
                return self._page(
                    request, world, [_run_row(world, one) for one in world.of(company, int(year or 2026))]
                )
            case ["runs", guid, what] if what in ("journals", "journalscostcenter"):
                if not year.isdecimal():
                    raise Refusal("40033")
                run = next((one for one in world.of(company, int(year)) if one.guid == guid), None)
                if run is None:
                    raise Refusal("40401")
                task = str(uuid4())
                world.tasks[task] = (world.journal(run, what == "journalscostcenter"), world.habit("pending", 2))
                said = {"taskId": task}
                return answer({"data": said} if world.habit("task_inside") else said)
            case _:
                raise Refusal("40401")

    def _document(self, world: Environment, task: str) -> Response:
        text, left = world.tasks.get(task, ("", -1))
        if left < 0:
            raise Refusal("40401")
        if left:
            world.tasks[task] = (text, left - 1)
            if world.habit("late_tasks") and left == world.habit("pending", 2):
                raise Refusal("40401")
            return answer("Document is being processed", 202)
        encoding = world.habit("file_encoding", "utf-8")
        return Response(text.encode(encoding), media_type=world.habit("file_type", "application/octet-stream"))

    def _page(self, request: Request, world: Environment, rows: list[dict[str, Any]]) -> Response:
        size = min(int(request.query_params.get("pageSize", 20)), world.habit("page", 100))
        if int(request.query_params.get("pageSize", 20)) > 100:
            raise Refusal("40033")
        page = int(request.query_params.get("pageNumber", 1))
        pages = max(1, -(-len(rows) // size))
        following = str(request.url.include_query_params(pageNumber=page + 1))
        facts = {
            "pageNumber": page, "pageSize": size, "totalPages": pages, "totalRecords": len(rows),
            "nextPage": following if page < pages else world.habit("last", None),
            "previousPage": None,
        }  # fmt: skip
        if world.habit("no_totals"):
            facts = {"nextPage": facts["nextPage"]}
        body: Any = {"pagination": facts, "data": rows[(page - 1) * size : page * size]}
        return Response(json.dumps(body), media_type="application/json; charset=utf-8")


def _fields(row: Mapping[str, Any], world: Environment) -> str:
    shown = ""
    for name, value in row.items():
        if value is None:
            nil = 'xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            shown += f"<{name} {nil}/>" if world.habit("nils") else ""
        else:
            shown += f"<{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{name}>"
    return shown


def _company(one: Company) -> dict[str, Any]:
    return {"ID": one.id, "Number": one.number, "Name": one.name, "Email": None, "LoonaangifteTijdvak": "Month"}


def _run(one: Payrun, world: Environment) -> dict[str, Any]:
    return {
        "ID": one.id, "Number": one.number, "Year": one.year, "PeriodStart": one.first, "PeriodEnd": one.last,
        "Description": one.description or (None if world.habit("nils") else ""), "RunAt": one.made,
        "IsLocked": one.locked,
    }  # fmt: skip


def _company_row(world: Environment, one: Company) -> dict[str, Any]:
    number = f"{one.number:03}" if world.habit("zeros") else str(one.number)
    name = one.name.upper() if world.habit("capitals") else one.name
    return {"companyId": one.guid, "number": number, "name": name, "debtorId": world.debtors[one.debtor][2]}


def _run_row(world: Environment, one: Payrun) -> dict[str, Any]:
    row: dict[str, Any] = {
        "payrollRunId": one.guid, "number": one.number, "description": one.description or None, "year": one.year,
        "periodStart": one.first, "periodEnd": one.last, "createdAt": f"{one.made}+01:00", "type": one.kind,
        "locked": one.locked,
    }  # fmt: skip
    if world.habit("texts"):
        row |= {name: str(row[name]) for name in ("number", "year", "periodStart", "periodEnd")}
    if world.habit("omits"):
        row = {name: value for name, value in row.items() if value is not None and name not in ("year", "type")}
    return row


def sunday(year: int, week: int) -> str:
    """The last day of an ISO week."""
    return str(date.fromisocalendar(year, week, 1) + timedelta(days=6))
