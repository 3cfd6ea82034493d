"""A Bizcuit of our own: login with consent, bank accounts, statements, payment proposals and a page to approve them.

The read side is as seen (dossier 2, 3); proposals are our own contract (5) and stand outside Bizcuit's paths. What the
dossier marks unknown or inferred is a switch, with our default in `reset()`.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hub.sdk.sandbox import Grant, Sandbox, back_to, consent_page, json_body, json_response

Record = dict[str, Any]
OWNER = "sanne@waterlelie.example"
ACCOUNT, UNLINKED = "NL63VBLD0417000301", "NL45VBLD0680012245"
FIELDS = ("clientReference", "debtorIban", "requestedExecutionDate", "numberOfLines", "controlSum", "lines")
PER_PAGE = 100
LONGEST = 35


class BizcuitSandbox(Sandbox):
    """One user with bank accounts. For tests: `grant`, `add_account`, `approve`, `authorise`, `remove_line`, `expire`.

    `books`: `accounts` by id, `proposals` by ref in the order of arrival, `statements` by account.
    """

    name = "bizcuit"

    def reset(self) -> None:
        """One user without accounts."""
        super().reset()
        self.switches = {
            "clients": None,  # {id: secret}; None: any pair
            "expires_in": 3600,  # None: left out
            "refresh_token": True,  # False: none is given
            "refresh_rotates": True,
            "redirect_uri_needed": False,  # True: the token call must repeat it
            "payments_scope": False,  # True: offering needs the scope `sbx_payments`
            "answer": "full",  # full | ref: a proposal's answer holds nothing but its ref and state | sum: and its sum
            "find": "list",  # list | bare (an array) | object | absent (404 when there is none)
            "search_lags_s": 0,  # how long a search misses what was just offered
            "bank_consent": True,  # False: the bank has not allowed payments yet
            "date_shift_days": 0,  # the approver acts on another day
        }
        self.books = {
            "user": {"email": OWNER, "password": ""}, "accounts": {}, "proposals": {}, "statements": {}
        }  # fmt: skip
        self.codes: dict[str, Grant] = {}
        self.tokens: dict[str, Grant] = {}
        self.refreshes: dict[str, Grant] = {}

    def seed(self) -> None:
        """A company with one linked account and one whose link has ended."""
        self.add_account(ACCOUNT)
        self.add_account(UNLINKED, active=False)

    # --- what tests and the demo use

    def grant(self, scope: str = "openid email account_information") -> tuple[str, str]:
        """An access and a refresh token."""
        answer = self._granted(Grant(OWNER, {"scope": scope}), "")
        return answer["access_token"], answer.get("refresh_token", "")

    def add_account(self, iban: str, *, active: bool = True) -> Record:
        """A bank account."""
        own = f"ba-{301 + len(self.books['accounts'])}"
        self.books["accounts"][own] = {"id": own, "iban": iban, "active": active}
        return self.books["accounts"][own]  # type: ignore[no-any-return]

    def proposals(self) -> list[Record]:
        """All that was offered."""
        return list(self.books["proposals"].values())

    def approve(self, ref: str) -> None:
        """A person agrees; nothing is paid by that (4.3)."""
        self._move(ref, "offered", "approved")

    def remove_line(self, ref: str, reference: str) -> None:
        """The approver takes a line out; a proposal without lines is emptied (5.2)."""
        proposal = self.books["proposals"][ref]
        for line in proposal["lines"]:
            if line["endToEndId"] == reference:
                line |= {"state": "removed", "reason": "removed by approver"}
        if all(line["state"] == "removed" for line in proposal["lines"]):
            proposal["state"] = "emptied"

    def authorise(self, ref: str, *, outcome: str = "executed", rejected: Iterable[str] = ()) -> None:
        """What comes of it at the bank: executed, rejected or failed; lines may be rejected alone. Books the debit."""
        proposal = self._move(ref, "approved", outcome)
        if outcome != "executed":
            return
        paid = Decimal(0)
        for line in proposal["lines"]:
            if line["state"] == "offered":
                line["state"] = "rejected" if line["endToEndId"] in set(rejected) else "executed"
                paid += Decimal(line["amount"]) if line["state"] == "executed" else 0
        wanted = date.fromisoformat(proposal["requestedExecutionDate"])
        proposal["executionDate"] = date.fromordinal(wanted.toordinal() + self.switches["date_shift_days"]).isoformat()
        self.books["statements"].setdefault(proposal["debtorIban"], []).append(
            {"amount": f"{-paid:.2f}", "date": proposal["executionDate"], "reference": proposal["clientReference"]}
        )

    def expire(self, ref: str) -> None:
        """Nobody approved in time."""
        self._move(ref, "offered", "expired")

    def _move(self, ref: str, was: str, becomes: str) -> Record:
        proposal: Record = self.books["proposals"][ref]
        if proposal["state"] != was:
            raise ValueError(f"{ref} is {proposal['state']}, not {was}")
        proposal["state"] = becomes
        return proposal

    # --- consent (dossier 2)

    def routes(self) -> list[BaseRoute]:
        """The paths as seen, and our own under `/sandbox`."""
        return [
            Route("/auth", self._authorize, methods=["GET", "POST"]),
            Route("/openapi/oauth/token", self._token, methods=["POST"]),
            Route("/openapi/bank_accounts", self._accounts),
            Route("/openapi/bank_accounts/{own}/transactions", self._transactions),
            Route("/sandbox/payment_proposals", self._proposals, methods=["GET", "POST"]),
            Route("/sandbox/payment_proposals/{ref}", self._proposal, methods=["GET", "DELETE"]),
            Route("/approve/{ref}", self._approver, methods=["GET", "POST"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        asked, known = request.query_params, self.switches["clients"]
        if asked.get("response_type") != "code" or not urlsplit(asked.get("redirect_uri", "")).netloc:
            return PlainTextResponse("invalid_request", 400)
        if not asked.get("client_id") or (known and asked["client_id"] not in known):
            return PlainTextResponse("unauthorized_client", 400)
        if request.method == "GET":
            return self._login("")
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        state = asked.get("state", "")
        if form.get("consent") != "yes":
            return back_to(asked["redirect_uri"], error="access_denied", state=state)
        user = self.books["user"]
        if form.get("user", "").strip() != user["email"] or user["password"] not in ("", form.get("password")):
            return self._login("E-mailadres of wachtwoord is onjuist")
        code = self.token()
        grant = Grant(user["email"], {"scope": asked.get("scope", "")}, asked["redirect_uri"])
        grant.expires_at = self.now() + 300
        self.codes[code] = grant
        return back_to(asked["redirect_uri"], state=state, code=code)

    def _login(self, error: str) -> Response:
        shown = {
            "user": ("E-mailadres", "text", escape(self.books["user"]["email"])),
            "password": ("Wachtwoord", "password", "zandbak"),
        }
        return consent_page("Bizcuit", shown, error)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        known = self.switches["clients"]
        if "authorization" in request.headers or not form.get("client_id"):
            return json_response({"error": "invalid_client"}, 401)
        if known and known.get(form["client_id"]) != form.get("client_secret"):
            return json_response({"error": "invalid_client"}, 401)
        grant: Grant | None = None
        if form.get("grant_type") == "authorization_code":
            grant = self.codes.pop(form.get("code", ""), None)
            uri = form.get("redirect_uri", "" if self.switches["redirect_uri_needed"] else None)
            if grant and (grant.expires_at < self.now() or uri not in (None, grant.redirect_uri)):
                grant = None
        elif form.get("grant_type") == "refresh_token":
            grant = self.refreshes.get(form.get("refresh_token", ""))
        if grant is None:
            return json_response({"error": "invalid_grant"}, 400)
        return json_response(self._granted(grant, form.get("refresh_token", "")))

    def _granted(self, grant: Grant, used: str) -> Record:
        access, life = self.token(), self.switches["expires_in"]
        self.tokens[access] = Grant(grant.user, grant.data, expires_at=self.now() + float(life or 3600))
        claims = base64.urlsafe_b64encode(json.dumps({"email": grant.user}).encode()).decode().rstrip("=")
        answer: Record = {"access_token": access, "token_type": "Bearer", "id_token": f"e30.{claims}.c2Jv"}
        answer |= {"scope": grant.data["scope"]} | ({"expires_in": life} if life else {})
        if self.switches["refresh_token"]:
            if used and not self.switches["refresh_rotates"]:
                return answer | {"refresh_token": used}
            self.refreshes.pop(used, None)
            fresh = self.token()
            self.refreshes[fresh] = Grant(grant.user, grant.data)
            answer["refresh_token"] = fresh
        return answer

    def _who(self, request: Request) -> Grant | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.tokens.get(token) if kind.lower() == "bearer" else None
        return grant if grant and grant.expires_at > self.now() else None

    def expired_answer(self) -> Response:
        """The form is unknown."""
        return json_response({"error": "invalid_token", "message": "Log opnieuw in"}, 401)

    # --- reading (dossier 3)

    async def _accounts(self, request: Request) -> Response:
        if self._who(request) is None:
            return self.expired_answer()
        return json_response({"bank_accounts": list(self.books["accounts"].values())})

    async def _transactions(self, request: Request) -> Response:
        if self._who(request) is None:
            return self.expired_answer()
        account = self.books["accounts"].get(request.path_params["own"])
        if account is None or request.query_params.get("format") != "camt":
            return json_response({"error": "not_found", "message": "Onbekend"}, 404)
        rows = list(enumerate(self.books["statements"].get(account["iban"], []), start=1))
        after = int(request.query_params.get("after_id") or 0)
        shown = [(number, row) for number, row in rows if number > after][:PER_PAGE]
        return Response(_camt(account["iban"], shown) if shown else "", media_type="application/xml")

    # --- proposals (dossier 5: our own)

    async def _proposals(self, request: Request) -> Response:
        grant = self._who(request)
        if grant is None:
            return self.expired_answer()
        if request.method == "GET":
            return self._search(request.query_params.get("clientReference", ""))
        if self.switches["payments_scope"] and "sbx_payments" not in grant.data["scope"].split():
            return json_response({"error": "insufficient_scope", "message": "sbx_payments ontbreekt"}, 403)
        body = await json_body(request)
        if (wrong := self._wrong(body)) is not None:
            return wrong
        known = next((one for one in self.proposals() if one["clientReference"] == body["clientReference"]), None)
        if known is not None:
            same = all(known["asked"].get(name) == body.get(name) for name in FIELDS)
            refused = {"error": "reference_in_use", "message": "Dit kenmerk hoort bij een ander voorstel"}
            return self._shown(known, 200) if same else json_response(refused, 409)
        ref = f"pp-{90514 + len(self.books['proposals'])}"
        lines = [{**line, "state": "offered"} for line in body["lines"]]
        proposal = {**body, "asked": body, "proposalRef": ref, "state": "offered", "lines": lines, "at": self.now()}
        self.books["proposals"][ref] = proposal
        return self._shown(proposal, 201)

    def _wrong(self, body: Any) -> Response | None:
        if not isinstance(body, Mapping) or any(not body.get(name) for name in FIELDS):
            return json_response({"error": "incomplete", "message": "Een verplicht veld ontbreekt"}, 400)
        try:
            total = sum((Decimal(line["amount"]) for line in body["lines"]), Decimal(0))
            right = total == Decimal(body["controlSum"]) and len(body["lines"]) == body["numberOfLines"]
            ids = {line["endToEndId"] for line in body["lines"] if 0 < len(line["endToEndId"]) <= LONGEST}
            right = right and len(ids) == len(body["lines"]) and len(body["clientReference"]) <= LONGEST
            late = date.fromisoformat(body["requestedExecutionDate"]) < datetime.fromtimestamp(self.now(), UTC).date()
        except (KeyError, TypeError, ValueError, InvalidOperation):
            return json_response({"error": "malformed", "message": "Een veld heeft niet de goede vorm"}, 400)
        if not right or any(Decimal(line["amount"]) <= 0 for line in body["lines"]):
            return json_response({"error": "sums_differ", "message": "Aantal, som of kenmerken kloppen niet"}, 422)
        if late:
            return json_response({"error": "date_passed", "message": "De uitvoerdatum is voorbij"}, 422)
        account = next((one for one in self.books["accounts"].values() if one["iban"] == body["debtorIban"]), None)
        if account is None or not account["active"]:
            words = f"De bankkoppeling van …{body['debtorIban'][-4:]} is inactief in Bizcuit"
            return json_response({"error": "account_link_inactive", "message": words}, 409)
        if not self.switches["bank_consent"]:
            return json_response({"error": "consent_missing", "message": "De bank staat betalingen nog niet toe"}, 409)
        return None

    def _shown(self, proposal: Record, status: int) -> Response:
        answer = {"proposalRef": proposal["proposalRef"], "state": proposal["state"]}
        if self.switches["answer"] != "ref":
            answer["clientReference"] = proposal["clientReference"]
        if self.switches["answer"] == "sum":
            answer["controlSum"] = proposal["controlSum"]
        return json_response(answer, status)

    def _search(self, reference: str) -> Response:
        until = self.now() - self.switches["search_lags_s"]
        found = [
            {name: one[name] for name in ("proposalRef", "clientReference", "state", "controlSum")}
            for one in self.proposals()
            if one["clientReference"] == reference and one["at"] <= until
        ]
        match self.switches["find"]:
            case "bare":
                return json_response(found)
            case "object" if found:
                return json_response(found[0])
            case "absent" | "object" if not found:
                return json_response({"error": "not_found", "message": "Onbekend"}, 404)
            case _:
                return json_response({"payment_proposals": found})

    async def _proposal(self, request: Request) -> Response:
        if self._who(request) is None:
            return self.expired_answer()
        proposal = self.books["proposals"].get(request.path_params["ref"])
        if proposal is None:
            return json_response({"error": "not_found", "message": "Onbekend"}, 404)
        if request.method == "DELETE":
            if proposal["state"] != "offered":
                return json_response({"error": "too_late", "message": "Al goedgekeurd"}, 409)
            proposal["state"] = "withdrawn"
        shown = {name: proposal[name] for name in ("proposalRef", "state", "executionDate") if name in proposal}
        lines = [
            {name: line[name] for name in ("endToEndId", "state", "reason") if name in line}
            for line in proposal["lines"]
        ]
        return json_response({**shown, "lines": lines})

    async def _approver(self, request: Request) -> Response:
        ref = request.path_params["ref"]
        proposal = self.books["proposals"].get(ref)
        if proposal is None:
            return HTMLResponse("<h1>Onbekend voorstel</h1>", 404)
        if request.method == "POST":
            form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
            try:
                self._act(ref, form)
            except ValueError as error:
                return HTMLResponse(f"<p>{escape(str(error))}</p>", 409)
            return RedirectResponse(str(request.url), 303)
        return HTMLResponse(_page(proposal))

    def _act(self, ref: str, form: Mapping[str, str]) -> None:
        match form.get("do"):
            case "approve":
                self.approve(ref)
            case "remove":
                self.remove_line(ref, form.get("line", ""))
            case "executed" | "rejected" | "failed" as outcome:
                self.authorise(ref, outcome=outcome)


def _page(proposal: Record) -> str:
    rows = "".join(
        f"<tr><td>{escape(line['creditorName'])}</td><td>{escape(line['amount'])}</td><td>{line['state']}</td><td>"
        f'<form method="post"><input type="hidden" name="line" value="{escape(line["endToEndId"])}">'
        '<button name="do" value="remove">Verwijderen</button></form></td></tr>'
        for line in proposal["lines"]
    )
    buttons = "".join(
        f'<button name="do" value="{value}">{label}</button>'
        for value, label in (
            ("approve", "Goedkeuren"), ("executed", "Bank: betaald"), ("rejected", "Bank: afgewezen"),
            ("failed", "Bank: mislukt"),
        )
    )  # fmt: skip
    return (
        f'<!doctype html><html lang="nl"><meta charset="utf-8"><title>Bizcuit</title><p>Zandbak</p>'
        f"<h1>{escape(proposal['description'] or '')}</h1><p>{proposal['state']}</p><table>{rows}</table>"
        f'<form method="post">{buttons}</form></html>'
    )


def _camt(iban: str, rows: Iterable[tuple[int, Record]]) -> str:
    entries = "".join(
        f"<Ntry><NtryRef>{number}</NtryRef><Amt Ccy='EUR'>{row['amount'].lstrip('-')}</Amt><CdtDbtInd>DBIT</CdtDbtInd>"
        f"<BookgDt><Dt>{row['date']}</Dt></BookgDt><AddtlNtryInf>{escape(row['reference'])}</AddtlNtryInf></Ntry>"
        for number, row in rows
    )
    return (
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.02'><BkToCstmrStmt><Stmt><Acct><Id>"
        f"<IBAN>{iban}</IBAN></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>"
    )


SANDBOX = BizcuitSandbox
