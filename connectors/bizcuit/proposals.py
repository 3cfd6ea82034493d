"""Payment proposals: offered once under our reference, approved and paid by people over there (dossier 5, 6)."""

import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from stdnum import iban as ibans

from connectors.bizcuit.account import bank_accounts, by_file, masked, said
from connectors.bizcuit.settings import own
from hub.accounting.booking import Booking, SalaryBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding, PaymentOrder
from hub.sdk.connector import Key, Payload, Progress, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

PATH = "/sandbox/payment_proposals"
"""Outside `/openapi`, so that nobody takes it for Bizcuit's own (5.3)."""
OVER = ("executed", "rejected", "failed", "withdrawn", "emptied", "expired")
STATES = ("offered", "approved", "sent", *OVER)
NAME, REMITTANCE, REFERENCE = 70, 140, 35
CONFLICT = 409
_ALLOWED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")


def sepa(words: str, longest: int) -> str:
    """A text in the characters that banks pass on, accents taken off, anything else a space (5.1)."""
    plain = unicodedata.normalize("NFKD", words.replace("ß", "ss").replace("ø", "o").replace("Ø", "O"))
    kept = "".join(one if one in _ALLOWED else " " for one in plain if not unicodedata.combining(one))
    return " ".join(kept.split())[:longest].rstrip()


def reference(key: Key) -> str:
    """Our key as the proposal bears it: unique and stable per payroll run."""
    return f"LOON-{key.mark}"


def validate(booking: Booking, _: Master, settings: Settings) -> list[Finding]:
    """There is an account to pay from; everything else is a law of every salary batch."""
    salaries = _salaries(booking)
    account = ibans.compact(own(settings).debtor_iban or salaries.batch.debtor_iban)
    if not account:
        return [Finding(key="bizcuit.account_missing", values={}, field="debtor_iban")]
    if not ibans.is_valid(account):
        return [Finding(key="bizcuit.iban_wrong", values={"account": masked(account)}, field="debtor_iban")]
    return []


def _salaries(booking: Booking) -> SalaryBooking:
    if not isinstance(booking, SalaryBooking):
        raise TypeError(f"expected SalaryBooking, got {type(booking).__name__}")
    return booking


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The proposal as our contract has it (5.1, 8.3), without our reference; amounts are text."""
    salaries, chosen = _salaries(booking), own(settings)
    if problems := validate(booking, master, settings):
        raise RecordRejected(problems[0].key, findings=problems)
    batch = salaries.batch
    return {
        "body": {
            "debtorIban": ibans.compact(chosen.debtor_iban or batch.debtor_iban),
            "requestedExecutionDate": salaries.date.isoformat(),
            "description": sepa(batch.description or f"Salarissen {batch.number}", REMITTANCE),
            "batchBooking": chosen.batch_booking,
            "numberOfLines": len(batch.orders),
            "controlSum": f"{batch.total:.2f}",
            "lines": [_line(order) for order in batch.orders],
        },
        "debtorName": sepa(batch.debtor_name, NAME),
    }


def _line(order: PaymentOrder) -> Mapping[str, str]:
    return {
        "endToEndId": sepa(order.reference, REFERENCE).strip("/"),
        "creditorName": sepa(order.name, NAME) or "-",
        "creditorIban": ibans.compact(order.iban),
        "amount": f"{order.amount:.2f}",
        "remittance": sepa(order.remittance, REMITTANCE),
        "purpose": order.purpose,
    }


async def find(http: Http, key: Key, payload: Payload) -> Receipt | None:
    """The proposal that bears our reference. By file nothing stands anywhere before it is recorded with us."""
    if by_file(http):
        return None
    body = await http.get(PATH, {"clientReference": reference(key)}, absent=(404,))
    listed = body.get("payment_proposals", [body]) if isinstance(body, Mapping) else body or []
    ours = [one for one in listed if isinstance(one, Mapping) and said(one, "clientReference") == reference(key)]
    refs = {said(one, "proposalRef") for one in ours}
    if len(refs) > 1:
        raise OutcomeUnknown("bizcuit.reference_twice", proposals=", ".join(sorted(refs)))
    return _receipt(ours[0], payload, key, existed=True) if ours else None


async def write(http: Http, payload: Payload, key: Key) -> Receipt:
    """Offers the proposal; never approves it. By file nothing is sent: it waits for the next file.

    Raises RecordRejected when the account to pay from is not linked: before anything is offered (6).
    """
    total = Decimal(payload["body"]["controlSum"])
    if by_file(http):
        return Receipt(reference(key), f"PAIN.001 · {reference(key)}", total, filed=True)
    account = payload["body"]["debtorIban"]
    linked = await bank_accounts(http)
    if account not in linked:
        raise RecordRejected("bizcuit.account_unknown", field="debtor_iban", account=masked(account))
    if not linked[account]:
        raise RecordRejected("bizcuit.account_link_inactive", field="debtor_iban", account=masked(account))
    try:
        answer = await http.write("POST", PATH, {"clientReference": reference(key), **payload["body"]})
    except RecordRejected as refused:
        if refused.key == "not_found":
            raise RecordRejected("bizcuit.no_interface") from refused
        taken = refused.exchange is not None and refused.exchange.status == CONFLICT
        stands = await find(http, key, payload) if taken and not refused.key.startswith("bizcuit.") else None
        if stands is None:
            raise
        # An offer whose answer was lost, found by no search until now: the day in it may have been another (5.3).
        return stands
    if not said(answer, "proposalRef"):
        raise OutcomeUnknown("bizcuit.unclear_answer")
    return _receipt(answer, payload, key)


def _receipt(told: Mapping[str, Any], payload: Payload, key: Key, *, existed: bool = False) -> Receipt:
    """The total as it is told; the sum that we sent when it tells none: the reference bears one content only (5.3)."""
    ref = said(told, "proposalRef") or reference(key)
    stated = said(told, "controlSum") or (payload.get("body") or {}).get("controlSum")
    return Receipt(ref=ref, label=ref, total=Decimal(stated) if stated else None, existed=existed)


async def progress(http: Http, ref: str) -> Progress | None:
    """How far people are with a proposal: `approved` is not paid (4.3, 5.2). None: not told, or no known word."""
    if by_file(http):
        return None
    told = await http.get(f"{PATH}/{ref}", absent=(404,))
    state = said(told, "state").lower() if isinstance(told, Mapping) else ""
    if state not in STATES:
        return None
    lines = told.get("lines")
    out = [one for one in lines or [] if isinstance(one, Mapping) and said(one, "state") in ("removed", "rejected")]
    return Progress(state, over=state in OVER, removed=tuple(said(one, "endToEndId") for one in out))
