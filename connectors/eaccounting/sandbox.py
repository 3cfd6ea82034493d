"""An eAccounting of our own: identity server, API v2 and books, as the dossier says; its unknowns are switches."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from stdnum.eu import vat as eu_vat

from hub.sdk.sandbox import Grant, Sandbox, back_to, consent_page, json_body, json_response

Record = dict[str, Any]
CENT = Decimal("0.01")
SERVICE = "service:44643EB1-3F76-4C1C-A672-402AE8085934"
STATUS = {
    2000: 400, 3000: 404, 3001: 400, 3002: 400, 3003: 403, 4000: 409, 4001: 400, 4002: 400, 4003: 403, 4004: 403,
    4005: 401, 4006: 403, 4010: 429, 4026: 400, 4028: 400, 4029: 400, 4032: 400, 4033: 400, 4034: 403,
}  # fmt: skip
SCOPES = ("ea:api", "offline_access", "ea:sales", "ea:sales_readonly", "ea:accounting", "ea:accounting_readonly",
          "ea:purchase", "ea:purchase_readonly")  # fmt: skip
EU = {one.upper() for one in eu_vat.MEMBER_STATES} | {"EL"}
COLLECTIONS = {
    "customers": "customers",
    "articles": "articles",
    "customerinvoicedrafts": "drafts",
    "customerinvoices": "invoices",
    "articleaccountcodings": "codings",
    "units": "units",
    "termsofpayments": "terms",
    "fiscalyears": "years",
    "costcenters": "centres",
    "vouchers": "vouchers",
}
ACCOUNTING = ("accounts", "vouchers")
"""What the sales scope does not open (dossier 3)."""
VOUCHER: Mapping[str, tuple[type, int]] = {
    "VoucherDate": (str, 25), "VoucherText": (str, 1000), "Rows": (list, 0), "NumberSeries": (str, 5),
}  # fmt: skip
VOUCHER_ROW: Mapping[str, tuple[type, int]] = {
    "AccountNumber": (int, 0), "DebitAmount": (Decimal, 2), "CreditAmount": (Decimal, 2), "TransactionText": (str, 60),
    "CostCenterItemId1": (str, 36), "CostCenterItemId2": (str, 36), "CostCenterItemId3": (str, 36),
    "ProjectId": (str, 36), "VatCodeId": (str, 36), "VatAmount": (Decimal, 2),
}  # fmt: skip
CHART = {
    "1100": "Bank", "1710": "Af te dragen loonheffing", "1740": "Te betalen nettolonen", "4000": "Brutolonen",
    "4010": "Sociale lasten", "4999": "Nog te rubriceren", "8000": "Omzet hoog", "8005": "Omzet goederen hoog",
    "8010": "Omzet laag", "8015": "Omzet goederen laag", "8090": "Omzet nul", "8100": "Omzet EU",
    "8110": "Omzet buiten EU", "8200": "Omzet verlegd",
}  # fmt: skip
CUSTOMER: Mapping[str, tuple[type, int]] = {
    "CustomerNumber": (str, 16), "CorporateIdentityNumber": (str, 20), "Name": (str, 50), "EmailAddress": (str, 255),
    "ContactPersonName": (str, 100), "ContactPersonEmail": (str, 255), "Telephone": (str, 50), "MobilePhone": (str, 50),
    "WwwAddress": (str, 255), "InvoiceAddress1": (str, 50), "InvoiceAddress2": (str, 50), "InvoiceCity": (str, 50),
    "InvoicePostalCode": (str, 10), "InvoiceCountryCode": (str, 2), "CurrencyCode": (str, 3), "VatNumber": (str, 20),
    "TermsOfPaymentId": (str, 36), "IsPrivatePerson": (bool, 0), "IsActive": (bool, 0), "Note": (str, 4000),
    "ReverseChargeOnConstructionServices": (bool, 0), "DiscountPercentage": (Decimal, 4), "Iban": (str, 50),
    "DeliveryCity": (str, 50), "DeliveryPostalCode": (str, 10), "EmailAddresses": (list, 0),
    "CustomerLabels": (list, 0),
}  # fmt: skip
ARTICLE: Mapping[str, tuple[type, int]] = {
    "Number": (str, 40), "Name": (str, 50), "NameEnglish": (str, 50), "IsActive": (bool, 0), "CodingId": (str, 36),
    "UnitId": (str, 36), "NetPrice": (Decimal, 2), "GrossPrice": (Decimal, 2), "SendToWebshop": (bool, 0),
}  # fmt: skip
DRAFT: Mapping[str, tuple[type, int]] = {
    "CustomerId": (str, 36), "RotReducedInvoicingType": (int, 0), "EuThirdParty": (bool, 0), "InvoiceDate": (str, 25),
    "DueDate": (str, 25), "DeliveryDate": (str, 25), "Rows": (list, 0), "YourReference": (str, 100),
    "OurReference": (str, 100), "BuyersOrderReference": (str, 35), "InvoiceAddress1": (str, 50),
    "InvoiceAddress2": (str, 50), "IsCreditInvoice": (bool, 0), "ReplaceUnitPriceWhenZero": (bool, 0),
    "IsDirectDebit": (bool, 0),
}  # fmt: skip
ROW: Mapping[str, tuple[type, int]] = {
    "LineNumber": (int, 0), "ArticleId": (str, 36), "IsTextRow": (bool, 0), "Text": (str, 2000),
    "UnitPrice": (Decimal, 4), "Quantity": (Decimal, 2), "DiscountPercentage": (Decimal, 4),
    "ReversedConstructionServicesVatFree": (bool, 0), "IsDiscountInFixedAmount": (bool, 0),
    "DiscountFixedAmount": (Decimal, 2),
}  # fmt: skip
ATTACHMENT: Mapping[str, tuple[type, int]] = {
    "ContentType": (str, 50), "FileName": (str, 255), "DockumentId": (str, 36), "Data": (str, 10_000_000),
    "Url": (str, 2000),
}  # fmt: skip
ECHOED = {
    "customers": {"Id", "ChangedUtc", "TermsOfPayment", "UnpaidInvoicesAmount"},
    "articles": {"Id", "ChangedUtc", "CreatedUtc", "CodingName", "UnitName"},
    "drafts": {"Id", "CreatedUtc", "CustomerNumber", "CustomerName", "InvoiceCustomerName", "InvoiceCurrencyCode",
               "TotalAmount", "TotalVatAmount", "TotalRoundings", "IncludesVat", "SalesDocumentAttachments",
               "ReverseChargeOnConstructionServices", "ModifiedUtc"},
    "rows": {"Id", "ArticleNumber", "Amount", "VatRate", "UnitName"},
}  # fmt: skip


class Refused(Exception):
    """An answer in eAccounting's error form (dossier 2)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class EaccountingSandbox(Sandbox):
    """Visma's identity server and the books of some companies.

    For tests: `grant`, `company`, `add_customer`, `add_article`, `add_draft`, `convert`, `pay`, `delete_draft`,
    `documents`, `bearing`. `books["companies"]` holds plain dicts; change records through `put`.
    """

    name = "eaccounting"

    def reset(self) -> None:
        """Two companies with codings, units and terms, one user who may open both; no customers or documents."""
        super().reset()
        self.switches = {
            "refresh": "rotating",  # rotating | reusable (1: both documented)
            "expires_in": 3600,
            "clients": None,  # {id: secret}; None: any pair
            "rate_per_minute": 60000,
            "retry_after": False,  # a Retry-After header with the 429 (2: unknown)
            "reference_filter": "supported",  # supported | refused | ignored (5: unknown)
            "status_filter": "supported",  # supported | refused | ignored
            "order_by": "supported",  # supported | refused
            "unknown_fields": "refused",  # refused | ignored
            "required": "strict",  # strict | lenient
            "vat_percent": "percent",  # percent | fraction | text
            "dates": "date",  # date | datetime
            "empty_pages": 0,
            "page_cap": 1000,
            "lists": "envelope",  # envelope | bare
            "vat_rounding": "row",  # row | total (8.4: unknown)
            "credit_total": "positive",  # positive | negative
            "draft_total": "incl",  # incl | excl (8.4: unknown)
            "write_answer": "object",  # object | empty | id | short (rows left out but the first)
            "vies": "checksum",  # checksum | silent (the same, said without a word) | format | off
            "from_draft": True,  # whether an invoice shows CreatedFromDraftId
            "reference_kept": True,  # whether a converted invoice keeps its draft's OurReference (3.3: inferred)
            "future_dates": "accept",  # accept | refuse, on convert
            "voucher_filter": "supported",  # supported | refused | ignored, on words and on dates
            "voucher_rows": True,  # whether lists show the rows of vouchers
            "search_lag": 0,  # so many searches miss the newest document
            "error_status": {},  # {code: status}
            "sandbox_client": False,  # True: 4034
            "status_on": {},  # {part of a path: [code, message]}
        }
        self.books = {"users": {}, "tokens": {}, "refresh_tokens": {}, "companies": {}}
        self.codes: dict[str, Grant] = {}
        self._counts: dict[str, int] = {}
        self._version = 0
        self._sorted: dict[tuple[str, str, str], tuple[int, list[Record]]] = {}
        self._numbers: dict[tuple[str, str], dict[str, str]] = {}
        self._buckets: dict[str, tuple[float, float]] = {}
        self._missed = 0
        self.add_company("Vink Installatie B.V.", "7c1a0b52-9f7e-4b0e-8a53-0d1f6a3b9e01")
        self.add_company("Molenaar Bouw B.V.", "7c1a0b52-9f7e-4b0e-8a53-0d1f6a3b9e02")
        self.books["users"]["petra@vink.example"] = {"password": "", "companies": list(self.books["companies"])}

    # What tests use

    def new_id(self, kind: str) -> str:
        """The next id of a kind: a UUID in no particular order, the same in every run."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return str(UUID(bytes=hashlib.sha256(f"{kind}{self._counts[kind]}".encode()).digest()[:16], version=4))

    def now_text(self) -> str:
        """The sandbox's clock as eAccounting writes it."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def today(self) -> date:
        """The sandbox's day."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    def add_company(self, name: str, own: str = "") -> str:
        """A company with the Dutch VAT codings; its id."""
        own = own or self.new_id("company")
        books: Record = {one: {} for one in (*COLLECTIONS.values(), "accounts", "attachments", "payments")}
        self.books["companies"][own] = books
        numbers = {"Hoog": ("21", "8000"), "Laag": ("9", "8010"), "Nul": ("0", "8090")}
        for rate_name, (rate, account) in numbers.items():
            for kind in ("Diensten", "Goederen") if rate != "0" else ("Diensten",):
                self.put("codings", _coding(self.new_id("coding"), f"{kind} {rate_name}", kind, rate, account), own)
        for code, unit in (("UUR", "Uur"), ("STK", "Stuk")):
            self.put(
                "units", {"Id": self.new_id("unit"), "Name": unit, "Code": code, "Abbreviation": code.lower()}, own
            )
        for days in (14, 30):
            terms = {"Id": self.new_id("terms"), "Name": f"{days} dagen", "NumberOfDays": days,
                     "TermsOfPaymentTypeId": 0, "AvailableForSales": True, "AvailableForPurchase": True}  # fmt: skip
            self.put("terms", terms, own)
        books["settings"] = {
            "Name": name, "CountryCode": "NL", "CurrencyCode": "EUR", "CorporateIdentityNumber": "68123457",
            "Email": "administratie@vink.example", "CompanyIdentifier": own, "ProductVariant": 5, "CompanyStatus": 1,
            "TermsOfPaymentId": next(iter(books["terms"])), "UsesReverseConstructionVat": True,
            "ShowPricesExclVatPC": True, "KeepOriginalDraftDate": False, "NextCustomerNumber": 1,
            "NextCustomerInvoiceNumber": 1001, "AccountingLockedTo": None, "UsesCostCenter": True,
        }  # fmt: skip
        for year in (2025, 2026):
            self.add_year(f"{year}-01-01", f"{year}-12-31", own)
        items = [{"Id": self.new_id("item"), "Name": name, "ShortName": code, "IsActive": True}
                 for code, name in (("10", "Kantoor"), ("20", "Buitendienst"))]  # fmt: skip
        centre = {"Id": self.new_id("centre"), "Name": "Afdeling", "Number": 1, "IsActive": True, "Items": items}
        self.put("centres", centre, own)
        return own

    def add_year(self, start: str, end: str, company: str = "", chart: Mapping[str, str] = CHART) -> Record:
        """A fiscal year with a chart of its own."""
        books = self.company(company)
        year = {"Id": self.new_id("year"), "StartDate": start, "EndDate": end, "IsLockedForAccounting": False,
                "BookkeepingMethod": 0}  # fmt: skip
        books["accounts"][year["Id"]] = {
            number: {"Number": number, "Name": name, "FiscalYearId": year["Id"], "IsActive": True,
                     "IsCostCenterAllowed": number >= "4000", "IsBlockedForManualBooking": False}
            for number, name in chart.items()
        }  # fmt: skip
        return self.put("years", year, company)

    def vouchers(self, company: str = "") -> list[Record]:
        """All vouchers."""
        return list(self.company(company)["vouchers"].values())

    def posted(self, company: str = "") -> dict[str, Decimal]:
        """Debit less credit per account, over all vouchers, without accounts that stand at nothing."""
        sums: dict[str, Decimal] = {}
        for one in (row for made in self.vouchers(company) for row in made["Rows"]):
            own = str(one["AccountNumber"])
            sums[own] = sums.get(own, Decimal(0)) + one["DebitAmount"] - one["CreditAmount"]
        return {own: total for own, total in sums.items() if total}

    def company(self, own: str = "") -> Record:
        """The books of one company; without id, of the first."""
        found: Record = self.books["companies"][own or next(iter(self.books["companies"]))]
        return found

    def put(self, collection: str, record: Record, company: str = "") -> Record:
        """Stores a record under its id."""
        company = company or next(iter(self.books["companies"]))
        self.books["companies"][company][collection][record["Id"]] = record
        self._version += 1
        for name in ("CustomerNumber", "Number"):
            if collection in ("customers", "articles") and record.get(name):
                self._numbers.setdefault((company, name), {})[str(record[name])] = record["Id"]
        return record

    def grant(self, company: str = "", scopes: Iterable[str] = (*SCOPES[:3], SCOPES[4])) -> tuple[str, str]:
        """An access token and a refresh token, as after a consent."""
        company = company or next(iter(self.books["companies"]))
        access, refresh = self.token(), self.token()
        facts = {"company": company, "scopes": list(scopes), "client": ""}
        self.books["tokens"][access] = {**facts, "expires_at": self.now() + self.switches["expires_in"]}
        self.books["refresh_tokens"][refresh] = facts
        return access, refresh

    def add_customer(self, number: str = "10482", name: str = "Molen en Dijk Vastgoed B.V.", **fields: Any) -> Record:
        """A customer that was there before us."""
        record = {
            "Id": self.new_id("customer"), "CustomerNumber": number, "Name": name, "InvoicePostalCode": "1234 AB",
            "InvoiceCity": "Utrecht", "InvoiceCountryCode": "NL", "IsPrivatePerson": False, "IsActive": True,
            "CurrencyCode": "EUR", "TermsOfPaymentId": next(iter(self.company()["terms"])),
            "EmailAddress": f"info@k{number}.example", "ChangedUtc": self.now_text(),
        }  # fmt: skip
        return self.put("customers", record | fields)

    def add_article(self, number: str, rate: str = "21", **fields: Any) -> Record:
        """An article with the services' coding of a rate."""
        coding = next(one for one in self.company()["codings"].values() if one["VatRatePercent"] == Decimal(rate))
        record = {"Id": self.new_id("article"), "Number": number, "Name": f"Artikel {number}", "IsActive": True,
                  "CodingId": coding["Id"], "UnitId": next(iter(self.company()["units"])), "NetPrice": Decimal(0),
                  "GrossPrice": Decimal(0), "ChangedUtc": self.now_text()}  # fmt: skip
        return self.put("articles", record | fields)

    def add_draft(self, customer: Record, *rows: Record, company: str = "", **fields: Any) -> Record:
        """A draft made by hand."""
        body = {"CustomerId": customer["Id"], "EuThirdParty": False, "RotReducedInvoicingType": 0, "Rows": list(rows)}
        return self._draft(company or next(iter(self.books["companies"])), body | fields)

    def convert(self, draft: str, company: str = "", **keep: str) -> Record:
        """What a user does: makes the draft a real invoice."""
        return self._converted(company or next(iter(self.books["companies"])), draft, keep)

    def pay(self, invoice: str, day: str | None = "2026-11-18", *, company: str = "", left: str = "0") -> Record:
        """What a user does: registers a payment."""
        record: Record = self.company(company)["invoices"][invoice]
        paid = Decimal(left) == 0
        return self.put("invoices", record | {
            "RemainingAmount": Decimal(left), "RemainingAmountInvoiceCurrency": Decimal(left),
            "PaymentStatus": 0 if paid else 1, "PaymentDate": day if paid else None, "ModifiedUtc": self.now_text(),
        }, company)  # fmt: skip

    def delete_draft(self, draft: str, company: str = "") -> None:
        """What a user does."""
        self._version += 1
        del self.company(company)["drafts"][draft]

    def documents(self, company: str = "") -> list[Record]:
        """All drafts, then all invoices."""
        books = self.company(company)
        return [*books["drafts"].values(), *books["invoices"].values()]

    def bearing(self, words: str, company: str = "") -> list[Record]:
        """The documents whose reference holds these words."""
        return [one for one in self.documents(company) if words in str(one.get("OurReference") or "")]

    def seed(self) -> None:
        """An installer's company: customers, materials as articles, a draft and invoices, one of them paid."""
        owner = self.add_customer()
        self.add_customer("10490", "Bakkerij De Gouden Aar B.V.", EmailAddress="info@goudenaar.example")
        self.add_customer("10495", "Fien Bakker", IsPrivatePerson=True, InvoiceCity="Gouda")
        self.add_customer("10501", "Duinzicht Bouw B.V.", VatNumber="NL853746333B01",
                          ReverseChargeOnConstructionServices=True)  # fmt: skip
        hours, vessel = (
            self.add_article("UUR-MONT", Name="Monteur"),
            self.add_article("EXP-18", Name="Expansievat 18 l"),
        )
        self.add_article("BOEK-01", "9", Name="Handleiding")
        rows = [
            {"IsTextRow": True, "Text": "Werkbon 5480: lekkage", "ReversedConstructionServicesVatFree": False},
            row(hours, "2", "62.00"),
            row(vessel, "1", "48.75", DiscountPercentage=Decimal("0.1")),
        ]
        self.add_draft(owner, *rows, InvoiceDate="2026-11-10", OurReference="met de hand")
        for number in range(2):
            made = self.add_draft(owner, row(hours, f"{number + 1}", "62.00"), InvoiceDate="2026-10-05")
            invoice = self.convert(made["Id"], keepOriginalDraftDate="true")
        self.pay(invoice["Id"], "2026-10-28")

    # Consent

    def routes(self) -> list[BaseRoute]:
        """The identity server and the API."""
        return [
            Route("/connect/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/connect/token", self._token, methods=["POST"]),
            Route("/connect/revocation", self._revoke, methods=["POST"]),
            Route("/v2/{path:path}", self._api, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if wrong := self._wrong_request(asked):
            return PlainTextResponse(wrong, 400)
        email, error = "petra@vink.example", ""
        names = {books["settings"]["Name"]: own for own, books in self.books["companies"].items()}
        if request.method == "POST":
            form = await request.form()
            if form.get("consent") == "no":
                return back_to(asked["redirect_uri"], error="access_denied", state=asked["state"])
            email = str(form.get("email", "")).strip().lower()
            user = self.books["users"].get(email)
            chosen = names.get(str(form.get("company", "")).strip() or next(iter(names)))
            if user and form.get("password") and user["password"] in ("", form.get("password")):
                if chosen in user["companies"]:
                    code, facts = self.token(), {"client": asked["client_id"], "company": chosen}
                    facts["scopes"] = asked["scope"].split()
                    self.codes[code] = Grant(email, facts, asked["redirect_uri"], "", self.now() + 300)
                    return back_to(asked["redirect_uri"], state=asked["state"], code=code, scope=asked["scope"])
                error = "Kies een van uw bedrijven"
            else:
                error = "E-mailadres of wachtwoord klopt niet"
        shown = {
            "email": ("E-mailadres", "email", email if email in self.books["users"] else ""),
            "password": ("Wachtwoord", "password", "zandbak" if request.method == "GET" else ""),
            "company": ("Bedrijf", "text", next(iter(names))),
        }
        return consent_page("Inloggen bij Visma", shown, error)

    def _wrong_request(self, asked: Mapping[str, str]) -> str:
        needed = ("client_id", "response_type", "redirect_uri", "state", "scope")
        if missing := [name for name in needed if not asked.get(name)]:
            return f"missing: {', '.join(missing)}"
        clients, back = self.switches["clients"], urlsplit(asked["redirect_uri"])
        scopes = asked["scope"].split()
        checks = {
            "unknown client": clients is not None and asked["client_id"] not in clients,
            "response_type must be code": asked["response_type"] != "code",
            "invalid scope": "ea:api" not in scopes or any(one not in SCOPES for one in scopes),
            "redirect_uri must be http(s)": back.scheme not in ("http", "https") or not back.netloc,
            "prompt must let the user choose a company": "select_account" not in asked.get("prompt", "")
            and "forceselectcompany:true" not in asked.get("acr_values", ""),
            "unknown service": asked.get("acr_values", SERVICE).split("+")[0].upper() != SERVICE.upper(),
        }
        return next((words for words, wrong in checks.items() if wrong), "")

    def _client(self, request: Request) -> str:
        """The client of the Basic header; empty when it may not enter."""
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        try:
            own, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        clients = self.switches["clients"]
        own, secret = unquote(own), unquote(secret)
        known = clients is None or clients.get(own) == secret
        return own if kind.lower() == "basic" and own and secret and known else ""

    async def _token(self, request: Request) -> Response:
        client, form = self._client(request), await request.form()
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return json_response({"error": "invalid_request"}, 400)
        if not client:
            return json_response({"error": "invalid_client"}, 400)
        match form.get("grant_type"):
            case "authorization_code":
                grant = self.codes.pop(str(form.get("code")), None)
                alive = grant is not None and grant.expires_at >= self.now() and grant.data["client"] == client
                if grant is None or not alive or grant.redirect_uri != form.get("redirect_uri"):
                    return json_response({"error": "invalid_grant"}, 400)
                return self._granted(grant.data)
            case "refresh_token":
                own = str(form.get("refresh_token"))
                facts = self.books["refresh_tokens"].get(own)
                if facts is None or facts["client"] not in ("", client):
                    return json_response({"error": "invalid_grant"}, 400)
                if self.switches["refresh"] == "reusable":
                    return self._granted(facts, own)
                del self.books["refresh_tokens"][own]
                return self._granted(facts)
            case _:
                return json_response({"error": "unsupported_grant_type"}, 400)

    def _granted(self, facts: Record, refresh: str = "") -> Response:
        access, lifetime = self.token(), self.switches["expires_in"]
        self.books["tokens"][access] = {**facts, "expires_at": self.now() + lifetime}
        answer = {"access_token": access, "expires_in": lifetime, "token_type": "bearer",
                  "scope": " ".join(facts["scopes"])}  # fmt: skip
        if "offline_access" in facts["scopes"]:
            refresh = refresh or self.token()
            self.books["refresh_tokens"][refresh] = facts
            answer["refresh_token"] = refresh
        return json_response(answer)

    async def _revoke(self, request: Request) -> Response:
        if not self._client(request):
            return json_response({"error": "invalid_client"}, 400)
        self.books["refresh_tokens"].pop(str((await request.form()).get("token")), None)
        return Response("", 200)

    # The API

    def error(self, code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
        """An error in the vendor's form."""
        status = self.switches["error_status"].get(str(code), STATUS.get(code, 400))
        said = {"ErrorCode": code, "DeveloperErrorMessage": message, "ErrorId": self.new_id("error")}
        return json_response(said, status, headers)

    def expired_answer(self) -> Response:
        """The vendor's 401."""
        return self.error(4005, "Not authorized")

    def busy_answer(self, seconds: float) -> Response:
        """The vendor's 429; a header only where a fault or the switch asks for it."""
        words = f"API calls quota exceeded! maximum admitted 600 per Minute. Try again in {int(seconds)} seconds."
        return self.error(4010, words, {"Retry-After": str(int(seconds))} if seconds else None)

    def error_answer(self) -> Response:
        """The vendor's 500."""
        return json_response({"ErrorCode": 0, "DeveloperErrorMessage": "Unexpected error", "ErrorId": "0"}, 500)

    async def _api(self, request: Request) -> Response:
        path = request.path_params["path"].strip("/")
        try:
            company = self._company_of(request, path)
            return await self._dispatch(request, path, company)
        except Refused as no:
            if no.code == 4010:
                return self.error(4010, str(no), {"Retry-After": "1"} if self.switches["retry_after"] else None)
            return self.error(no.code, str(no))

    def _company_of(self, request: Request, path: str) -> str:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        facts = self.books["tokens"].get(token) if kind == "Bearer" else None
        if facts is None or facts["expires_at"] < self.now():
            raise Refused(4005, "Not authorized")
        self._take_turn(path.split("/")[0])
        if self.switches["sandbox_client"]:
            raise Refused(4034, "Not allowed with sandbox client")
        scopes = set(facts["scopes"])
        opened = {"ea:accounting"} if path.split("/")[0].lower() in ACCOUNTING else {"ea:sales"}
        if not scopes & (opened if request.method != "GET" else opened | {f"{one}_readonly" for one in opened}):
            raise Refused(4006, "No access to scopes")
        company: str = facts["company"]
        if self.company(company)["settings"]["CompanyStatus"] == 0:
            raise Refused(4004, "Company is not active")
        for part, (code, message) in self.switches["status_on"].items():
            if part in path:
                raise Refused(int(code), message)
        return company

    def _take_turn(self, endpoint: str) -> None:
        rate, now = float(self.switches["rate_per_minute"]), self.now()
        left, since = self._buckets.get(endpoint, (rate, now))
        left = min(rate, left + (now - since) * rate / 60)
        self._buckets[endpoint] = (max(left - 1, 0), now)
        if left < 1:
            raise Refused(
                4010, f"API calls quota exceeded! maximum admitted {rate:.0f} per Minute. Try again in 1 seconds."
            )

    async def _dispatch(self, request: Request, path: str, company: str) -> Response:
        name, _, rest = path.lower().partition("/")
        books = self.company(company)
        if name == "companysettings" and request.method == "GET":
            return json_response(books["settings"])
        if name == "salesdocumentattachments" and request.method == "POST":
            return self._attach(company, rest, await _object(request))
        if name == "accounts" and request.method == "GET":
            return self._accounts(request, rest, company)
        if name == "vouchers" and "/" in rest and request.method == "GET":
            return self._single("vouchers", rest.partition("/")[2], company)
        collection = COLLECTIONS.get(name)
        if collection is None:
            return Response("", 404)
        if request.method == "GET":
            return self._single(collection, rest, company) if rest else self._list(request, collection, company)
        if collection == "drafts" and rest.endswith("/convert") and request.method == "POST":
            made = self._converted(company, rest.partition("/")[0], dict(request.query_params))
            return self._written(self._shown("invoices", made), 201)
        if request.method == "DELETE" and collection == "drafts":
            if rest not in books["drafts"]:
                raise Refused(3000, "Resource not found")
            self.delete_draft(rest, company)
            return Response("", 204)
        return await self._write(request, collection, rest, company)

    async def _write(self, request: Request, collection: str, rest: str, company: str) -> Response:
        act: Callable[..., Record] | None = {
            "customers": self._customer, "articles": self._article, "drafts": self._draft,
            "vouchers": self._voucher,
        }.get(collection)  # fmt: skip
        if act is None or (request.method == "POST") == bool(rest) or (rest and collection == "vouchers"):
            return Response("", 405)
        if rest and rest not in self.company(company)[collection]:
            raise Refused(3000, "Resource not found")
        made = act(company, await _object(request), rest)
        return self._written(self._shown(collection, made), 200 if rest else 201)

    def _written(self, record: Record, status: int) -> Response:
        match self.switches["write_answer"]:
            case "empty":
                return Response("", status)
            case "id":
                return json_response({"Id": record["Id"]}, status)
            case "short":
                return json_response({**record, "Rows": (record.get("Rows") or [])[:1]}, status)
            case _:
                return json_response(record, status)

    # Reading

    def _single(self, collection: str, own: str, company: str) -> Response:
        record = self.company(company)[collection].get(own)
        if record is None:
            raise Refused(3000, "Resource not found")
        return json_response(self._shown(collection, record))

    def _list(self, request: Request, collection: str, company: str) -> Response:
        asked = request.query_params
        if unknown := [name for name in asked if name.startswith("$") and name not in ODATA]:
            raise Refused(2000, f"Unknown query option {unknown[0]}")
        page, size = _whole(asked.get("$page"), 1), _whole(asked.get("$pagesize"), 50)
        if page < 1 or not 1 <= size <= 1000:
            raise Refused(2000, "The page or page size is out of range")
        size = min(size, self.switches["page_cap"])
        found = self._matching(collection, company, asked.get("$filter", ""), asked.get("$orderby", ""))
        return self._paged(request, collection, found, page, size)

    def _accounts(self, request: Request, year: str, company: str) -> Response:
        found = self.company(company)["accounts"].get(year)
        if found is None:
            raise Refused(3001, "Fiscal year does not exist")
        page, size = _whole(request.query_params.get("$page"), 1), _whole(request.query_params.get("$pagesize"), 50)
        return self._paged(request, "accounts", list(found.values()), page, min(size, self.switches["page_cap"]))

    def _paged(self, request: Request, collection: str, found: list[Record], page: int, size: int) -> Response:
        asked = request.query_params
        if since := asked.get("modifiedSinceUtc"):
            found = [one for one in found if str(one.get("ModifiedUtc", "")) >= since]
        shown = [self._shown(collection, one) for one in found[(page - 1) * size : page * size]]
        if collection == "vouchers" and not self.switches["voucher_rows"]:
            shown = [{name: value for name, value in one.items() if name != "Rows"} for one in shown]
        if self.switches["lists"] == "bare":
            return json_response(shown)
        meta = {
            "CurrentPage": page, "PageSize": size, "TotalNumberOfResults": len(found),
            "TotalNumberOfPages": -(-len(found) // size) if found else self.switches["empty_pages"],
            "ServerTimeUtc": self.now_text(),
        }  # fmt: skip
        return json_response({"Meta": meta, "Data": shown})

    def _matching(self, collection: str, company: str, condition: str, order: str) -> list[Record]:
        records = self.company(company)[collection]
        fast = re.fullmatch(r"(CustomerNumber|Number) eq '((?:[^']|'')*)'", condition)
        if fast and collection in ("customers", "articles"):
            own = self._numbers.get((company, fast[1]), {}).get(fast[2].replace("''", "'"))
            return [records[own]] if own in records else []
        if order and self.switches["order_by"] == "refused":
            raise Refused(2000, f"Ordering by {order} is not supported")
        found = self._in_order(collection, company, order)
        if collection in ("drafts", "invoices", "vouchers") and self._missed < self.switches["search_lag"]:
            self._missed += 1
            newest = max(records.values(), key=lambda one: one["CreatedUtc"], default=None)
            found = [one for one in found if one is not newest]
        return [one for one in found if test(one)] if (test := self._test(condition)) else found

    def _in_order(self, collection: str, company: str, order: str) -> list[Record]:
        records: Record = self.company(company)[collection]
        kept = self._sorted.get((collection, company, order))
        if kept and kept[0] == self._version and len(kept[1]) == len(records):
            return kept[1]
        name, _, way = order.partition(" ")
        found = list(records.values())
        if name:
            found.sort(key=lambda one: str(one.get(name) or ""), reverse=way == "desc")
        self._sorted[(collection, company, order)] = (self._version, found)
        return found

    def _test(self, condition: str) -> Callable[[Record], bool] | None:
        if not condition:
            return None
        for field, switch in (
            ("OurReference", "reference_filter"),
            ("PaymentStatus", "status_filter"),
            ("Voucher", "voucher_filter"),
        ):
            if field in condition and self.switches[switch] != "supported":
                if self.switches[switch] == "ignored":
                    return None
                raise Refused(2000, f"Could not find a property named '{field}'")
        if match := re.fullmatch(r"contains\((\w+),'((?:[^']|'')*)'\)", condition):
            name, part = match[1], match[2].replace("''", "'").lower()
            return lambda one: part in str(one.get(name) or "").lower()
        if " and " in condition:
            tests = [self._test(part) for part in condition.split(" and ")]
            return lambda one: all(test(one) for test in tests if test is not None)
        if match := re.fullmatch(r"(\w+) (eq|ne|gt|ge|lt|le) (?:'((?:[^']|'')*)'|(\S+))", condition):
            name, op = match[1], match[2]
            wanted: Any = match[3].replace("''", "'") if match[3] is not None else _literal(match[4])
            return lambda one: _compares(one.get(name), op, wanted)
        raise Refused(2000, f"Syntax error in filter: {condition}")

    def _shown(self, collection: str, record: Record) -> Record:
        if collection == "codings" and self.switches["vat_percent"] != "percent":
            rate = record["VatRatePercent"]
            if self.switches["vat_percent"] == "fraction":
                return {**record, "VatRatePercent": rate / 100}
            return {name: value for name, value in record.items() if name != "VatRatePercent"}
        if collection == "vouchers":
            dated = {"VoucherDate": f"{record['VoucherDate']}T00:00:00"} if self.switches["dates"] == "datetime" else {}
            return {**record, **dated}
        if collection not in ("drafts", "invoices"):
            return record
        shown = record
        if self.switches["dates"] == "datetime":
            dates = {n: f"{record[n]}T00:00:00" for n in ("InvoiceDate", "DueDate", "PaymentDate") if record.get(n)}
            shown = {**shown, **dates}
        if record["IsCreditInvoice"] and self.switches["credit_total"] == "negative":
            shown = {**shown, **{n: -abs(record[n]) for n in TOTALS if n in record}}
        if collection == "drafts" and self.switches["draft_total"] == "excl":
            shown = {**shown, "TotalAmount": shown["TotalAmount"] - shown["TotalVatAmount"]}
        return shown

    # Writing

    def _checked(
        self, body: Record, fields: Mapping[str, tuple[type, int]], echoed: Iterable[str] = ()
    ) -> None:  # fmt: skip
        for name, value in body.items():
            if name not in fields:
                if name not in echoed and self.switches["unknown_fields"] == "refused":
                    raise Refused(2000, f"The field {name} is unknown.")
            elif value is not None:
                _typed(name, value, *fields[name])

    def _required(self, body: Record, names: Sequence[str], lenient: Sequence[str] = ()) -> None:
        for name in names:
            absent = body.get(name) is None or body.get(name) == ""
            if absent and not (name in lenient and self.switches["required"] == "lenient"):
                raise Refused(2000, f"The {name} field is required.")

    def _customer(self, company: str, body: Record, own: str = "") -> Record:
        self._checked(body, CUSTOMER, ECHOED["customers"])
        required = ("Name", "InvoicePostalCode", "InvoiceCity", "TermsOfPaymentId", "IsPrivatePerson", "IsActive")
        self._required(body, required, ("IsActive",))
        books = self.company(company)
        if body["TermsOfPaymentId"] not in books["terms"]:
            raise Refused(3000, "TermsOfPayment not found")
        number = str(body.get("CustomerNumber") or "")
        taken = self._numbers.get((company, "CustomerNumber"), {}).get(number)
        if taken and taken != own and taken in books["customers"]:
            raise Refused(4000, f"CustomerNumber {number} already exists")
        self._vies(str(body.get("VatNumber") or ""))
        if body.get("ReverseChargeOnConstructionServices") and not body.get("VatNumber"):
            raise Refused(2000, "VatNumber must be set when ReverseChargeOnConstructionServices is true")
        if not number:
            number = str(books["settings"]["NextCustomerNumber"])
            books["settings"]["NextCustomerNumber"] += 1
        blank = {"CurrencyCode": books["settings"]["CurrencyCode"], "InvoiceCountryCode": "NL"}
        kept = {name: value for name, value in body.items() if name in CUSTOMER and value is not None}
        record = {**blank, **kept, "Id": own or self.new_id("customer"), "CustomerNumber": number,
                  "ChangedUtc": self.now_text(), "TermsOfPayment":
                  books["terms"][body["TermsOfPaymentId"]]}  # fmt: skip
        return self.put("customers", record, company)

    def _vies(self, number: str) -> None:
        way = self.switches["vies"]
        if not number or way == "off":
            return
        if not re.fullmatch(r"[A-Z]{2}[A-Z0-9]{8,12}", number) or (way != "format" and not eu_vat.is_valid(number)):
            words = f"The field VatNumber is invalid: {number} is not known to VIES."
            raise Refused(2000, "" if way == "silent" else words)

    def _article(self, company: str, body: Record, own: str = "") -> Record:
        self._checked(body, ARTICLE, ECHOED["articles"])
        self._required(body, ("IsActive", "Number", "Name", "CodingId", "UnitId"))
        books = self.company(company)
        if body["CodingId"] not in books["codings"] or body["UnitId"] not in books["units"]:
            raise Refused(3000, "Coding or unit not found")
        taken = self._numbers.get((company, "Number"), {}).get(body["Number"])
        if taken and taken != own:
            raise Refused(4000, f"Article number {body['Number']} already exists")
        rate = books["codings"][body["CodingId"]]["VatRatePercent"]
        net, gross = Decimal(body.get("NetPrice") or 0), Decimal(body.get("GrossPrice") or 0)
        if abs(_cents(net * (1 + rate / 100)) - gross) > CENT:
            raise Refused(2000, "NetPrice and GrossPrice do not fit the VAT rate of the coding")
        record = {**body, "Id": own or self.new_id("article"), "ChangedUtc": self.now_text()}
        return self.put("articles", record, company)

    def _draft(self, company: str, body: Record, own: str = "") -> Record:
        self._checked(body, DRAFT, ECHOED["drafts"])
        flags = ("EuThirdParty", "RotReducedInvoicingType")
        self._required(body, ("CustomerId", *flags), flags)
        books = self.company(company)
        customer = books["customers"].get(body["CustomerId"])
        if customer is None:
            raise Refused(3000, "Customer not found")
        if not customer["IsActive"]:
            raise Refused(4002, "The customer is not active")
        if body.get("RotReducedInvoicingType") not in (0, None):
            raise Refused(2000, "RotReducedInvoicingType is not available in this country")
        rows, net, vat = self._rows(books, customer, body.get("Rows") or [])
        kept = {name: value for name, value in body.items() if name in DRAFT and value is not None}
        before = books["drafts"].get(own, {})
        record = {
            "OurReference": None, "YourReference": None, "DueDate": None, "IsCreditInvoice": False, **kept,
            "Id": own or self.new_id("draft"), "CreatedUtc": before.get("CreatedUtc") or self.now_text(),
            "InvoiceDate": (kept.get("InvoiceDate") or self.today().isoformat())[:10],
            "CustomerNumber": customer["CustomerNumber"], "InvoiceCustomerName": customer["Name"],
            "InvoiceCurrencyCode": customer["CurrencyCode"], "IncludesVat": False, "Rows": rows,
            "TotalAmount": net + vat, "TotalVatAmount": vat, "TotalRoundings": Decimal(0),
            "SalesDocumentAttachments": before.get("SalesDocumentAttachments", []),
        }  # fmt: skip
        return self.put("drafts", record, company)

    def _rows(self, books: Record, customer: Record, given: Sequence[Any]) -> tuple[list[Record], Decimal, Decimal]:
        rows, nets, by_row = [], dict[Decimal, Decimal](), Decimal(0)
        for at, one in enumerate(given, 1):
            made = self._row(books, customer, one, at)
            rows.append(made)
            if not made["IsTextRow"]:
                rate = Decimal(made["VatRate"])
                nets[rate] = nets.get(rate, Decimal(0)) + made["Amount"]
                by_row += _cents(made["Amount"] * rate / 100)
        by_total = sum((_cents(net * rate / 100) for rate, net in nets.items()), Decimal(0))
        vat = by_row if self.switches["vat_rounding"] == "row" else by_total
        return rows, sum(nets.values(), Decimal(0)), vat

    def _row(self, books: Record, customer: Record, given: Any, at: int) -> Record:
        if not isinstance(given, dict):
            raise Refused(2000, "Rows must be objects")
        self._checked(given, ROW, ECHOED["rows"])
        flags = ("IsTextRow", "ReversedConstructionServicesVatFree")
        self._required(given, flags, flags)
        base: Record = {"LineNumber": at, "ArticleId": None, **given, "Id": self.new_id("row")}
        base["IsTextRow"] = bool(given.get("IsTextRow"))
        if base["IsTextRow"]:
            return base
        article = books["articles"].get(given.get("ArticleId") or "")
        if article is None:
            raise Refused(3000 if given.get("ArticleId") else 2000, "ArticleId is required for rows that are no text")
        price, quantity = Decimal(given.get("UnitPrice") or 0), Decimal(given.get("Quantity") or 0)
        domestic = customer["InvoiceCountryCode"] == "NL" and customer["CurrencyCode"] == "EUR"
        if domestic and price != _cents(price):
            raise Refused(2000, "The field UnitPrice may have 2 decimals.")
        discount = Decimal(given.get("DiscountPercentage") or 0)
        if not 0 <= discount <= 1:
            raise Refused(2000, "The field DiscountPercentage must be between 0 and 1.")
        reverse = bool(given.get("ReversedConstructionServicesVatFree"))
        if reverse and not customer.get("ReverseChargeOnConstructionServices"):
            raise Refused(2000, "ReversedConstructionServicesVatFree is not allowed for this customer.")
        rate = Decimal(0) if reverse else _rate(customer, books["codings"][article["CodingId"]])
        amount = _cents(price * quantity * (1 - discount))
        return base | {"Text": given.get("Text") or article["Name"], "ArticleNumber": article["Number"],
                       "Amount": amount, "VatRate": rate, "Quantity": quantity, "UnitPrice": price,
                       "DiscountPercentage": discount}  # fmt: skip

    def _voucher(self, company: str, body: Record, _: str = "") -> Record:
        self._checked(body, VOUCHER)
        self._required(body, ("VoucherDate", "VoucherText", "Rows"))
        books, on = self.company(company), str(body["VoucherDate"])[:10]
        year = next((one for one in books["years"].values() if one["StartDate"] <= on <= one["EndDate"]), None)
        if year is None:
            raise Refused(3001, "Fiscal year does not exist")
        if year["IsLockedForAccounting"] or on <= str(books["settings"]["AccountingLockedTo"] or ""):
            raise Refused(4026, "The voucher is in a locked period")
        rows = [self._voucher_row(books, year["Id"], one) for one in body["Rows"]]
        if sum((one["DebitAmount"] - one["CreditAmount"] for one in rows), Decimal(0)):
            raise Refused(2000, "The voucher does not balance")
        record = {
            "Id": self.new_id("voucher"), "VoucherDate": on, "VoucherText": body["VoucherText"], "Rows": rows,
            "NumberAndNumberSeries": f"A{len(books['vouchers']) + 1}", "NumberSeries": "A", "VoucherType": 0,
            "CreatedUtc": self.now_text(), "ModifiedUtc": self.now_text(),
        }  # fmt: skip
        return self.put("vouchers", record, company)

    def _voucher_row(self, books: Record, year: str, given: Any) -> Record:
        if not isinstance(given, dict):
            raise Refused(2000, "A row must be an object")
        self._checked(given, VOUCHER_ROW)
        self._required(given, ("AccountNumber",))
        sides = [Decimal(given.get(name) or 0) for name in ("DebitAmount", "CreditAmount")]
        if min(sides) < 0 or all(sides) or max(sides) > 1_000_000_000:
            raise Refused(2000, "DebitAmount and CreditAmount must be between 0 and 1000000000, one of them 0")
        account = books["accounts"][year].get(str(given["AccountNumber"]))
        if account is None or not account["IsActive"]:
            raise Refused(3002, f"Account {given['AccountNumber']} not found")
        if account["IsBlockedForManualBooking"]:
            raise Refused(4002, f"Account {given['AccountNumber']} is blocked for manual booking")
        for number in (1, 2, 3):
            own = given.get(f"CostCenterItemId{number}")
            items = [
                item["Id"] for one in books["centres"].values() if one["Number"] == number for item in one["Items"]
            ]
            if own and (not account["IsCostCenterAllowed"] or own not in items):
                raise Refused(2000, f"CostCenterItemId{number} is not allowed on account {given['AccountNumber']}")
        return {**given, "Id": self.new_id("row"), "DebitAmount": sides[0], "CreditAmount": sides[1]}

    def _converted(self, company: str, own: str, keep: Mapping[str, str]) -> Record:
        books = self.company(company)
        draft = books["drafts"].get(own)
        if draft is None:
            raise Refused(3000, "Resource not found")
        kept = keep.get("keepOriginalDraftDate", "").lower() == "true" or books["settings"]["KeepOriginalDraftDate"]
        day = date.fromisoformat(draft["InvoiceDate"])
        if not kept and day < self.today():
            day = self.today()
        if day > self.today() and self.switches["future_dates"] == "refuse":
            raise Refused(4002, "The invoice date lies in the future")
        locked = books["settings"]["AccountingLockedTo"]
        if locked and day.isoformat() <= locked:
            raise Refused(4026, "The voucher date lies in a locked period")
        number = books["settings"]["NextCustomerInvoiceNumber"]
        books["settings"]["NextCustomerInvoiceNumber"] += 1
        total = draft["TotalAmount"]
        due = draft["DueDate"] or (day + timedelta(days=30)).isoformat()
        invoice = {
            **draft, "Id": self.new_id("invoice"), "InvoiceNumber": number, "InvoiceDate": day.isoformat(),
            "DueDate": due[:10], "CurrencyCode": draft["InvoiceCurrencyCode"], "TotalAmountInvoiceCurrency": total,
            "RemainingAmount": total, "RemainingAmountInvoiceCurrency": total, "PaymentStatus": 1,
            "PaymentDate": None, "CreditedBy": [], "CreatedUtc": self.now_text(), "ModifiedUtc": self.now_text(),
        }  # fmt: skip
        if not self.switches["reference_kept"]:
            invoice["OurReference"] = None
        if self.switches["from_draft"]:
            invoice["CreatedFromDraftId"] = own
        del books["drafts"][own]
        return self.put("invoices", invoice, company)

    def _attach(self, company: str, kind: str, body: Record) -> Response:
        self._checked(body, ATTACHMENT)
        self._required(body, ("ContentType", "FileName", "DockumentId"))
        self._required(body, ("Data",) if not body.get("Url") else ())
        collection = {"customerinvoicedraft": "drafts", "customerinvoice": "invoices"}.get(kind)
        if collection is None:
            raise Refused(3000, "Resource not found")
        record = self.company(company)[collection].get(body["DockumentId"])
        if record is None:
            raise Refused(3000, "Document not found")
        try:
            size = len(base64.b64decode(body.get("Data") or "", validate=True))
        except binascii.Error:
            raise Refused(2000, "Data is not base64") from None
        made = {"Id": self.new_id("attachment"), "DocumentId": record["Id"], "OriginalFilename": body["FileName"],
                "DocumentType": 1 if collection == "drafts" else 2, "DocumentSize": size}  # fmt: skip
        self.put("attachments", made, company)
        self.put(collection, {**record, "SalesDocumentAttachments": [made["Id"]]}, company)
        return json_response(made, 200 if collection == "drafts" else 201)


ODATA = ("$page", "$pagesize", "$filter", "$orderby", "$select", "$top", "$skip")
TOTALS = ("TotalAmount", "TotalVatAmount", "TotalAmountInvoiceCurrency", "RemainingAmount",
          "RemainingAmountInvoiceCurrency")  # fmt: skip


def row(article: Record, quantity: str, price: str, **fields: Any) -> Record:
    """A priced row of a draft."""
    return {"IsTextRow": False, "ArticleId": article["Id"], "Quantity": Decimal(quantity), "UnitPrice": Decimal(price),
            "ReversedConstructionServicesVatFree": False} | fields  # fmt: skip


def _coding(own: str, name: str, kind: str, rate: str, account: str) -> Record:
    return {
        "Id": own, "Name": name, "NameEnglish": name, "Type": "Service" if kind == "Diensten" else "Goods",
        "VatRate": f"{rate}%", "VatRatePercent": Decimal(rate), "IsActive": True,
        "DomesticSalesSubjectToVatAccountNumber": account if kind == "Diensten" else f"{account[:3]}5",
        "DomesticSalesVatExemptAccountNumber": "8090",
        "DomesticSalesSubjectToReversedConstructionVatAccountNumber": "8200",
        "ForeignSalesVatExemptWithinEuAccountNumber": "8100", "ForeignSalesVatExemptOutsideEuAccountNumber": "8110",
    }  # fmt: skip


def _rate(customer: Record, coding: Record) -> Decimal:
    """The VAT of a row: the article's, unless the customer is abroad (dossier 3.4)."""
    country = str(customer.get("InvoiceCountryCode") or "NL").upper()
    if country != "NL" and (country not in EU or customer.get("VatNumber")):
        return Decimal(0)
    rate: Decimal = coding["VatRatePercent"]
    return rate


async def _object(request: Request) -> Record:
    if "application/json" not in request.headers.get("content-type", ""):
        raise Refused(2000, "Content-Type must be application/json")
    body = await json_body(request)
    if not isinstance(body, dict):
        raise Refused(2000, "The body must be a JSON object")
    return body


def _typed(name: str, value: Any, kind: type, size: int) -> None:
    if kind is Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise Refused(2000, f"The field {name} must be a number.")
        if Decimal(value) != Decimal(value).quantize(Decimal(1).scaleb(-size)):
            raise Refused(2000, f"The field {name} may have {size} decimals.")
    elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused(2000, f"The field {name} must be of type {kind.__name__}.")
    elif isinstance(value, str) and len(value) > size:
        raise Refused(2000, f"The field {name} must be a string with a maximum length of {size}.")


def _whole(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not given.isdecimal():
        raise Refused(2000, f"{given} is not a number")
    return int(given)


def _literal(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    try:
        return Decimal(word)
    except InvalidOperation:
        return word.lower()


def _compares(value: Any, op: str, wanted: Any) -> bool:
    if isinstance(wanted, Decimal) and not isinstance(wanted, bool):
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            return op == "ne"
        value = Decimal(value)
    elif isinstance(wanted, str):
        value = str(value or "")
    match op:
        case "eq":
            return bool(value == wanted)
        case "ne":
            return bool(value != wanted)
        case "gt":
            return bool(value > wanted)
        case "ge":
            return bool(value >= wanted)
        case "lt":
            return bool(value < wanted)
        case _:
            return bool(value <= wanted)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


SANDBOX = EaccountingSandbox
