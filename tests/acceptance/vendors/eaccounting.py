"""A server of Visma eAccounting, from its dossier alone: what is documented or seen is kept to, the rest is a habit."""

import base64
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.kit import json
from tests.acceptance.vendors.house import Vendor, World, answer

CENT = Decimal("0.01")
LOGIN_PAGE = """<form method="post"><input name="username"><input name="company">
<button name="agree" value="1">Toestaan</button></form>"""
CLIENT = ("eaccounting-client", "eaccounting-secret")
RATES = {"Hoog": (Decimal(21), "8000"), "Laag": (Decimal(9), "8010"), "Nul": (Decimal(0), "8090")}
REQUIRED = {
    "customers": ("Name", "InvoiceCity", "InvoicePostalCode", "TermsOfPaymentId"),
    "articles": ("Number", "Name", "CodingId", "UnitId"),
    "customerinvoicedrafts": ("CustomerId",),
}
FLAGS = {
    "customers": ("IsPrivatePerson", "IsActive"),
    "articles": ("IsActive",),
    "customerinvoicedrafts": ("EuThirdParty", "RotReducedInvoicingType"),
}
LONGEST = {"Name": 50, "CustomerNumber": 16, "InvoiceCity": 50, "InvoicePostalCode": 10, "InvoiceAddress1": 50,
           "InvoiceAddress2": 50, "VatNumber": 20, "OurReference": 100, "YourReference": 100,
           "Number": 40}  # fmt: skip


class Refusal(Exception):
    """An error of the vendor's."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass
class Firm(World):
    """One company's books."""

    name: str = ""
    user: str = ""
    own: str = field(default_factory=lambda: str(uuid4()))
    access: dict[str, float] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    articles: dict[str, dict[str, Any]] = field(default_factory=dict)
    customerinvoicedrafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    customerinvoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    articleaccountcodings: dict[str, dict[str, Any]] = field(default_factory=dict)
    units: dict[str, dict[str, Any]] = field(default_factory=dict)
    termsofpayments: dict[str, dict[str, Any]] = field(default_factory=dict)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    looks: dict[str, int] = field(default_factory=dict)
    """How often a new document may still be missed by a list, by id."""
    number: int = 1000
    locked_to: str = ""

    def furnish(self) -> None:
        """Codings, units and terms, and a customer and an article that were there before."""
        for name, (rate, account) in RATES.items():
            own = self.new_id()
            shown = {"percent": rate, "fraction": rate / 100}.get(self.habit("rate_as", "percent"))
            self.articleaccountcodings[own] = {
                "Id": own, "Name": f"Verkoop {name}", "Type": "Service", "VatRate": f"{rate} %",
                "VatRatePercent": shown, "IsActive": True, "Rate": rate,
                "DomesticSalesSubjectToVatAccountNumber": account,
            }  # fmt: skip
        for code in ("UUR", "ST"):
            own = self.new_id()
            self.units[own] = {"Id": own, "Name": code.title(), "Code": code, "Abbreviation": code.lower()}
        for days in (14, 30):
            own = self.new_id()
            self.termsofpayments[own] = {"Id": own, "Name": f"{days} dagen", "NumberOfDays": days,
                                         "TermsOfPaymentTypeId": 0, "AvailableForSales": True}  # fmt: skip
        self.article("EXP-18")

    def new_id(self) -> str:
        """A UUID, in capitals where that is the habit."""
        return str(uuid4()).upper() if self.habit("capital_ids") else str(uuid4())

    def article(self, number: str) -> str:
        """An article that somebody made, at the high rate."""
        own = self.new_id()
        coding = next(iter(self.articleaccountcodings))
        self.articles[own] = {"Id": own, "Number": number, "Name": number, "IsActive": True, "CodingId": coding,
                              "UnitId": next(iter(self.units))}  # fmt: skip
        return own

    def customer(self, number: str, name: str, **more: Any) -> str:
        """A customer that somebody made."""
        own = self.new_id()
        self.customers[own] = {"Id": own, "CustomerNumber": number, "Name": name, "InvoiceCity": "Gouda", "Note": "oud",
                               "InvoicePostalCode": "2801 AA", "InvoiceCountryCode": "NL", "IsActive": True,
                               "TermsOfPaymentId": next(iter(self.termsofpayments)), "IsPrivatePerson": False,
                               "CurrencyCode": "EUR", **more}  # fmt: skip
        return own

    def documents(self) -> list[dict[str, Any]]:
        """All drafts and invoices."""
        return [*self.customerinvoicedrafts.values(), *self.customerinvoices.values()]

    def convert(self, own: str) -> dict[str, Any]:
        """What a user does with a draft, or we over the API."""
        draft = self.customerinvoicedrafts.get(own)
        if draft is None:
            raise Refusal(3000, "Resource was not found", 404)
        if self.locked_to and draft["InvoiceDate"] <= self.locked_to:
            raise Refusal(4026, "The period is locked")
        del self.customerinvoicedrafts[own]
        self.number += 1
        total = draft["TotalAmount"]
        made = {**draft, "Id": self.new_id(), "InvoiceNumber": self.number, "CreatedFromDraftId": own,
                "TotalAmountInvoiceCurrency": total, "RemainingAmount": total, "PaymentStatus": 1,
                "RemainingAmountInvoiceCurrency": total}  # fmt: skip
        match self.habit("traces", "both"):
            case "reference":
                del made["CreatedFromDraftId"]
            case "draft":
                made["OurReference"] = None
            case "none":
                made["OurReference"] = None
                del made["CreatedFromDraftId"]
        self.customerinvoices[made["Id"]] = made
        self.looks[made["Id"]] = self.habit("lag", 0)
        return made


class Eaccounting(Vendor):
    """The vendor: all firms, and the identity server."""

    def __init__(self) -> None:
        self.firms: dict[str, Firm] = {}
        self.codes: dict[str, tuple[Firm, str, float]] = {}

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where this vendor is and who we are there."""
        return {
            "HUB_ENDPOINTS__EACCOUNTING__API": f"{url}/v2",
            "HUB_ENDPOINTS__EACCOUNTING__AUTHORIZE": f"{url}/connect/authorize",
            "HUB_ENDPOINTS__EACCOUNTING__TOKEN": f"{url}/connect/token",
            "HUB_OAUTH__EACCOUNTING__CLIENT_ID": CLIENT[0],
            "HUB_OAUTH__EACCOUNTING__CLIENT_SECRET": CLIENT[1],
        }

    def open(self, user: str, name: str, **habits: Any) -> Firm:
        """A new firm."""
        self.firms[user] = Firm(habits, name=name, user=user)
        self.firms[user].furnish()
        return self.firms[user]

    def world_of(self, request: Request) -> Firm | None:
        """By the token."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return next((one for one in self.firms.values() if token in one.access), None)

    async def handle(self, request: Request) -> Response:
        """The identity server or the API."""
        match request.url.path:
            case "/connect/authorize":
                return await self._authorize(request)
            case "/connect/token":
                return await self._token(request)
        firm = self.world_of(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if firm is None or firm.access[token] < time.monotonic():
            return _error(4005, "Not authorized", 401)
        try:
            return await _resource(firm, request)
        except Refusal as refusal:
            firm.refused.append(f"{request.method} {request.url.path}: {refusal}")
            status = 400 if firm.habit("always_400") and refusal.status != 404 else refusal.status
            return _error(refusal.code, str(refusal), status)

    def too_many(self, world: World) -> Response | None:
        """So many calls per window, then 4010 without any header."""
        calls, seconds = world.habit("limit", (0, 0))
        since = time.monotonic() - seconds
        recent = sum(1 for call in reversed(world.calls[-200:]) if call.at > since and call.status != 429)
        words = f"API calls quota exceeded! maximum admitted {calls} per Minute. Try again in {seconds} seconds."
        return _error(4010, words, 429) if calls and recent >= calls else None

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        scopes = set(asked.get("scope", "").split())
        chooses = "select_account" in asked.get("prompt", "") or "forceselectcompany" in asked.get("acr_values", "")
        good = asked.get("client_id") == CLIENT[0] and asked.get("response_type") == "code" and chooses
        if not good or not {"ea:api", "offline_access", "ea:sales"} <= scopes:
            return HTMLResponse("<h1>invalid_request</h1>", 400)
        if request.method == "GET":
            return HTMLResponse(LOGIN_PAGE)
        form = await request.form()
        firm = self.firms.get(str(form.get("username")))
        back = {"state": asked.get("state", "")}
        if firm is None:
            return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**back, 'error': 'access_denied'})}", 302)
        code = secrets.token_urlsafe(16)
        self.codes[code] = (firm, asked["redirect_uri"], time.monotonic() + 300)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**back, 'code': code})}", 302)

    async def _token(self, request: Request) -> Response:
        expected = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization") != expected:
            return answer({"error": "invalid_client"}, 400)
        form = await request.form()
        old = str(form.get("refresh_token", ""))
        if form.get("grant_type") == "authorization_code":
            firm, back, ends = self.codes.pop(str(form.get("code")), (None, "", 0.0))
            if firm is None or form.get("redirect_uri") != back or ends < time.monotonic():
                return answer({"error": "invalid_grant"}, 400)
        else:
            firm = next((one for one in self.firms.values() if old in one.refresh), None)
            if firm is None:
                return answer({"error": "invalid_grant"}, 400)
            if fault := firm.fault_for("POST", "/connect/token"):
                return self.faulty(fault)
        access, life = secrets.token_urlsafe(24), firm.habit("life", 3600)
        firm.access[access] = time.monotonic() + life
        given: dict[str, Any] = {"access_token": access, "expires_in": life, "token_type": "bearer"}
        if old and firm.habit("reusable"):
            return answer(given | ({} if firm.habit("silent_refresh") else {"refresh_token": old}))
        firm.refresh.discard(old)
        given["refresh_token"] = secrets.token_urlsafe(24)
        firm.refresh.add(given["refresh_token"])
        return answer(given)


def _error(code: int, message: str, status: int) -> Response:
    return answer({"ErrorCode": code, "DeveloperErrorMessage": message, "ErrorId": str(uuid4())}, status)


async def _resource(firm: Firm, request: Request) -> Response:
    name, _, rest = request.url.path.removeprefix("/v2/").partition("/")
    if name in ("fiscalyears", "accounts", "costcenters") and request.method == "GET":
        return _bookkeeping(firm, name)
    if name == "companysettings":
        return answer(
            {"Name": firm.name, "CountryCode": "NL", "CurrencyCode": "EUR", "CompanyIdentifier": firm.own,
             "CorporateIdentityNumber": "12345678", "ProductVariant": 5, "CompanyStatus": 1,
             "TermsOfPaymentId": next(iter(firm.termsofpayments)), "UsesReverseConstructionVat": True}
        )  # fmt: skip
    if name == "salesdocumentattachments" and request.method == "POST":
        return _attach(firm, rest, json.loads(await request.body()))
    rows: dict[str, dict[str, Any]] | None = getattr(firm, name, None) if name.islower() else None
    if not isinstance(rows, dict) or name in ("access", "looks", "habits"):
        return _error(3000, "Resource was not found", 404)
    if request.method == "GET":
        if not rest:
            return _list(firm, name, rows, request)
        if rest.lower() not in {one.lower() for one in rows}:
            return _error(3000, "Resource was not found", 404)
        return answer(_shown(firm, name, next(row for own, row in rows.items() if own.lower() == rest.lower())))
    if name == "customerinvoicedrafts" and rest.endswith("/convert"):
        own = next((one for one in rows if one.lower() == rest.partition("/")[0].lower()), rest)
        return _written(firm, "customerinvoices", firm.convert(own), 201)
    if name not in REQUIRED or (request.method == "POST") == bool(rest) or request.method not in ("POST", "PUT"):
        return Response("", 405)
    own = next((one for one in rows if one.lower() == rest.lower()), "")
    if rest and not own:
        raise Refusal(3000, "Resource was not found", 404)
    made = _save(firm, name, rows, json.loads(await request.body()), own)
    return _written(firm, name, made, 200 if rest else 201)


def _bookkeeping(firm: Firm, name: str) -> Response:
    """Two years with a chart that has not every account of the codings."""
    if firm.habit("no_accounting"):
        raise Refusal(4006, "No access to scopes", 403)
    numbers = ("1500", "1600", "4000", "8000")
    rows: list[dict[str, Any]] = {
        "fiscalyears": [
            {"Id": f"00000000-0000-4000-8000-00000000{year}", "StartDate": f"{year}-01-01", "EndDate": f"{year}-12-31",
             "IsLockedForAccounting": False} for year in (2025, 2026)
        ],
        "accounts": [{"Number": one, "Name": f"Rekening {one}", "IsActive": True} for one in numbers],
        "costcenters": [],
    }[name]  # fmt: skip
    meta = {"CurrentPage": 1, "PageSize": 50, "TotalNumberOfPages": 1, "TotalNumberOfResults": len(rows)}
    return answer({"Meta": meta, "Data": rows})


def _written(firm: Firm, name: str, made: Mapping[str, Any], status: int) -> Response:
    match firm.habit("answers", "full"):
        case "empty":
            return answer(..., status)
        case "id":
            return answer({"Id": made["Id"]}, status)
    return answer(_shown(firm, name, made), status)


def _save(firm: Firm, name: str, rows: dict[str, dict[str, Any]], body: dict[str, Any], own: str) -> dict[str, Any]:
    missing = [one for one in REQUIRED[name] if not body.get(one)]
    missing += [] if firm.habit("lenient") else [one for one in FLAGS[name] if body.get(one) is None]
    if missing:
        raise Refusal(2000, f"The {missing[0]} field is required.")
    for field_name, longest in LONGEST.items():
        if len(str(body.get(field_name) or "")) > longest:
            raise Refusal(2000, f"The field {field_name} must be a string with a maximum length of {longest}.")
    check: Callable[[Firm, dict[str, Any], str], dict[str, Any]] = {
        "customers": _customer, "articles": _article, "customerinvoicedrafts": _draft,
    }[name]  # fmt: skip
    made = {**body, **check(firm, body, own), "Id": own or firm.new_id()}
    rows[made["Id"]] = made
    if not own:
        firm.looks[made["Id"]] = firm.habit("lag", 0)
    return made


def _customer(firm: Firm, body: dict[str, Any], own: str) -> dict[str, Any]:
    number = body.get("CustomerNumber") or str(90000 + len(firm.customers))
    if any(one["CustomerNumber"] == number and key != own for key, one in firm.customers.items()):
        raise Refusal(4000, "A customer with this number exists", 409)
    if body["TermsOfPaymentId"].lower() not in {one.lower() for one in firm.termsofpayments}:
        raise Refusal(3000, "Terms of payment were not found")
    vat = body.get("VatNumber")
    if vat and not re.fullmatch(r"[A-Z]{2}[A-Z0-9]{8,12}", vat):
        raise Refusal(2000, "VatNumber is not valid in VIES")
    if body.get("ReverseChargeOnConstructionServices") and not vat:
        raise Refusal(2000, "VatNumber must be set")
    return {"CustomerNumber": number, "CurrencyCode": body.get("CurrencyCode") or "EUR"}


def _article(firm: Firm, body: dict[str, Any], own: str) -> dict[str, Any]:
    if any(one["Number"] == body["Number"] and key != own for key, one in firm.articles.items()):
        raise Refusal(4000, "An article with this number exists", 409)
    if body.get("NetPrice") or body.get("GrossPrice"):
        raise Refusal(2000, "NetPrice and GrossPrice do not fit")
    return {}


def _draft(firm: Firm, body: dict[str, Any], own: str) -> dict[str, Any]:
    customer = _named(firm.customers, body["CustomerId"])
    if customer is None:
        raise Refusal(3000, "Customer was not found")
    net, by_row, by_rate, rows = Decimal(0), Decimal(0), dict[Decimal, Decimal](), []
    for row in body.get("Rows") or []:
        if row.get("IsTextRow"):
            rows.append({**row, "Id": str(uuid4())})
            continue
        article = _named(firm.articles, row.get("ArticleId") or "")
        if article is None:
            raise Refusal(2000, "ArticleId is required")
        quantity, price, discount = (Decimal(str(row.get(one) or 0)) for one in ("Quantity", "UnitPrice",
                                                                               "DiscountPercentage"))  # fmt: skip
        if price != price.quantize(CENT) and customer.get("InvoiceCountryCode", "NL") == "NL":
            raise Refusal(2000, "UnitPrice has too many decimals")
        if not 0 <= discount <= 1 or quantity != quantity.quantize(CENT):
            raise Refusal(2000, "DiscountPercentage or Quantity is out of range")
        reverse = bool(row.get("ReversedConstructionServicesVatFree"))
        if reverse and not customer.get("ReverseChargeOnConstructionServices"):
            raise Refusal(2000, "The customer has no reverse charge")
        abroad = customer.get("InvoiceCountryCode", "NL") not in ("NL", None) and customer.get("VatNumber")
        coding = _named(firm.articleaccountcodings, article["CodingId"])
        rate = Decimal(0) if reverse or abroad or coding is None else coding["Rate"]
        amount = (quantity * price * (1 - discount)).quantize(CENT, ROUND_HALF_UP)
        net, by_row = net + amount, by_row + (amount * rate / 100).quantize(CENT, ROUND_HALF_UP)
        by_rate[rate] = by_rate.get(rate, Decimal(0)) + amount
        rows.append({**row, "Id": str(uuid4()), "Amount": amount, "VatRate": rate})
    total = sum(((one * rate / 100).quantize(CENT, ROUND_HALF_UP) for rate, one in by_rate.items()), Decimal(0))
    vat = by_row if firm.habit("vat_by", "row") == "row" else total
    before = firm.customerinvoicedrafts.get(own, {})
    return {"Rows": rows, "TotalAmount": net + vat, "TotalVatAmount": vat, "TotalRoundings": Decimal(0),
            "InvoiceDate": str(body.get("InvoiceDate") or datetime.now(UTC))[:10],
            "IsCreditInvoice": bool(body.get("IsCreditInvoice")),
            "CreatedUtc": before.get("CreatedUtc") or datetime.now(UTC).isoformat(),
            "SalesDocumentAttachments": before.get("SalesDocumentAttachments") or []}  # fmt: skip


def _named(rows: Mapping[str, dict[str, Any]], own: str) -> dict[str, Any] | None:
    return next((row for key, row in rows.items() if key.lower() == own.lower()), None)


def _attach(firm: Firm, kind: str, body: dict[str, Any]) -> Response:
    rows = firm.customerinvoicedrafts if kind == "customerinvoicedraft" else firm.customerinvoices
    document = _named(rows, str(body.get("DockumentId")))
    if document is None or not base64.b64decode(body.get("Data") or "").startswith(b"%PDF"):
        raise Refusal(3000, "Document was not found", 404)
    made = {"Id": str(uuid4()), "DocumentId": document["Id"], "OriginalFilename": body["FileName"]}
    firm.attachments.append(made)
    document["SalesDocumentAttachments"] = [made["Id"]]
    return answer(made, 200)


def _shown(firm: Firm, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A record as this firm's API shows it."""
    found = {key: value for key, value in row.items() if key != "Rate"}
    if name in ("customerinvoicedrafts", "customerinvoices"):
        if firm.habit("draft_total") == "excl" and name == "customerinvoicedrafts":
            found["TotalAmount"] -= found["TotalVatAmount"]
        if found.get("IsCreditInvoice") and firm.habit("credit_totals") == "negative":
            found |= {key: -value for key, value in found.items() if isinstance(value, Decimal)}
        if firm.habit("date_times"):
            found |= {key: f"{found[key]}T00:00:00" for key in ("InvoiceDate", "DueDate") if found.get(key)}
    return found


def _list(firm: Firm, name: str, rows: Mapping[str, dict[str, Any]], request: Request) -> Response:
    asked = request.query_params
    found = []
    for own, row in rows.items():
        if firm.looks.get(own, 0) > 0:
            firm.looks[own] -= 1
        else:
            found.append(row)
    if condition := asked.get("$filter"):
        found = [row for row in found if _fits(firm, row, condition)]
    if order := asked.get("$orderby"):
        if firm.habit("no_order"):
            raise Refusal(2000, "$orderby is not supported")
        found.sort(key=lambda row: str(row.get(order.split()[0])))
    page, size = int(asked.get("$page", 1)), int(asked.get("$pagesize", 50))
    if size > 1000:
        raise Refusal(2000, "$pagesize is at most 1000")
    size = min(size, firm.habit("page", 1000))
    part = [_shown(firm, name, row) for row in found[(page - 1) * size : page * size]]
    if firm.habit("short_lists") and name == "customerinvoicedrafts":
        part = [{key: value for key, value in row.items() if key != "Rows"} for row in part]
    meta = {"CurrentPage": page, "PageSize": size, "TotalNumberOfPages": max(firm.habit("least_pages", 0),
            -(-len(found) // size)), "TotalNumberOfResults": len(found)}  # fmt: skip
    return answer({"Meta": meta, "Data": part})


def _fits(firm: Firm, row: Mapping[str, Any], condition: str) -> bool:
    if "OurReference" in condition or "PaymentStatus" in condition:
        match firm.habit("filters", "all"):
            case "refused":
                raise Refusal(2000, "This property cannot be filtered on")
            case "broken":
                raise Refusal(0, "Unexpected error", 500)
            case "ignored":
                return True
    if found := re.fullmatch(r"contains\((\w+),'(.*)'\)", condition):
        return found[2].replace("''", "'").lower() in str(row.get(found[1]) or "").lower()
    if found := re.fullmatch(r"(\w+) eq '(.*)'", condition):
        return str(row.get(found[1]) or "") == found[2].replace("''", "'")
    if found := re.fullmatch(r"(\w+) gt (\d+)", condition):
        return row.get(found[1]) is not None and int(row[found[1]]) > int(found[2])
    raise Refusal(2000, f"Syntax error: {condition}")
