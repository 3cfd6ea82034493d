"""Sales invoices as mutations of type 2: the debtor ledger faces one row per ledger, VAT code and cost centre (5.5)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

from connectors.eboekhouden.administration import NOT_IN_ROWS, cost_centre, debtor, ledger_id
from connectors.eboekhouden.reading import cut
from connectors.eboekhouden.settings import EboekhoudenSettings
from connectors.eboekhouden.vat import FREE, RATES, code_of, computed, near
from hub.accounting.booking import BookedLine, Booking, SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Finding
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Payload
from hub.sdk.errors import RecordRejected
from hub.sdk.settings import Settings

TYPE = 2
NUMBER, DESCRIPTION, ROW_DESCRIPTION = 50, 50, 200
MOST_ROWS = 100
"""The platform's limit over SOAP (CMUT006); REST's is not known, so the same is kept (dossier 5.3)."""
FIRST_YEAR, LAST_YEAR = 1980, 2049
LONGEST_TERM = 9999


@dataclass(frozen=True)
class Row:
    """What is booked on one ledger under one VAT code. Signs as on the invoice: positive is a sale."""

    account: str
    code: str
    centre: str
    net: Decimal
    vat: Decimal
    description: str
    lines: int = 1


def _narrowed(booking: Booking, settings: Settings) -> tuple[SalesBooking, EboekhoudenSettings]:
    return cast(SalesBooking, booking), cast(EboekhoudenSettings, settings)


def claim(booking: Booking, _: Settings) -> str | None:
    """The invoice number: the package keeps it unique per relation only, bookkeeping over the administration."""
    return cast(SalesBooking, booking).invoice.number


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """All that e-Boekhouden.nl would refuse, or take and book wrongly."""
    sale, chosen = _narrowed(booking, settings)
    found = [*_document(sale, master, chosen), *_lines(sale, master, chosen)]
    unique = list({(one.key, *sorted(one.values.items())): one for one in found}.values())
    whole = sum((line.net for line in sale.lines), ZERO) == sale.invoice.total_net
    if not unique and whole:
        # With lines left out (they have no account yet) there is nothing to add up.
        unique += _rows(sale, master, chosen)[2]
    return unique


def _document(sale: SalesBooking, master: Master, settings: EboekhoudenSettings) -> Iterable[Finding]:
    invoice = sale.invoice
    account = debtor(master, settings.debtor_account)
    if isinstance(account, Finding):
        yield account
    if len(invoice.number) > NUMBER:
        yield Finding(key="eboekhouden.number_too_long", values={"number": invoice.number})
    if invoice.currency != master.currency:
        values = {"currency": invoice.currency, "expected": master.currency}
        yield Finding(key="eboekhouden.other_currency", values=values)
    if not FIRST_YEAR <= sale.date.year <= LAST_YEAR:
        yield Finding(key="eboekhouden.date_refused", values={"date": sale.date.isoformat()}, field="booking_date")
    if not sale.customer.isdecimal():
        yield Finding(key="eboekhouden.relation_unknown", values={"relation": sale.customer})


def _lines(sale: SalesBooking, master: Master, settings: EboekhoudenSettings) -> Iterable[Finding]:
    for line in sale.lines:
        if ledger_id(master, line.account) is None:
            yield Finding(key="eboekhouden.account_unknown", values={"account": line.account}, field="ledger_accounts")
        elif (kind := master.extra.get(f"category:{line.account}", "")) in NOT_IN_ROWS:
            values = {"account": line.account, "category": kind}
            yield Finding(key="eboekhouden.account_category", values=values, field="ledger_accounts")
        if line.net or line.vat:
            yield from _vat(line, settings)
        if settings.cost_centre_use == "required" and _centre(line, master, settings) == "":
            name = line.cost_centre.label or line.cost_centre.id if line.cost_centre else ""
            yield Finding(
                key="eboekhouden.cost_centre_unknown",
                values={"cost_centre": name, "line": line.description},
                field="cost_centre_use",
            )


def _vat(line: BookedLine, settings: EboekhoudenSettings) -> Iterable[Finding]:
    code = code_of(line.vat_class, settings)
    if isinstance(code, Finding):
        yield code
    elif line.vat and code not in RATES and code not in FREE:
        label = line.vat_class.label or line.vat_class.id if line.vat_class else ""
        values = {"vat_class": label, "code": code, "vat": f"{line.vat:f}"}
        yield Finding(key="eboekhouden.vat_on_uncharged", values=values, field="sales_vat_codes")


def _centre(line: BookedLine, master: Master, settings: EboekhoudenSettings) -> str:
    if settings.cost_centre_use == "never" or line.cost_centre is None:
        return ""
    return cost_centre(master, line.cost_centre.label, line.cost_centre.id) or ""


def _rows(sale: SalesBooking, master: Master, settings: EboekhoudenSettings) -> tuple[str, list[Row], list[Finding]]:
    """`EX` or `IN`, the rows, and what is wrong with them.

    Amounts without VAT are entered when whichever way the package rounds comes to the invoice's VAT. Otherwise those
    with VAT are: what the customer owes is then right to the cent.
    """
    rows = _merged(sale, master, settings)
    sums: dict[str, list[Row]] = {}
    for row in rows:
        sums.setdefault(row.code, []).append(row)
    exact, close = True, True
    difference = ZERO
    for code, mine in sums.items():
        charged = sum((row.vat for row in mine), ZERO)
        possible = {charged} if code in FREE else computed(code, [row.net for row in mine])
        exact = exact and possible == {charged}
        close = close and near(charged, possible, sum(row.lines for row in mine))
        difference += max((one - charged for one in possible), key=abs)
    in_ex = "EX" if exact else "IN"
    rows = [row for row in rows if (row.net if exact else row.net + row.vat)]
    found: list[Finding] = []
    if not rows:
        found.append(Finding(key="eboekhouden.no_amounts", values={"number": sale.invoice.number}))
    if len(rows) > MOST_ROWS:
        values = {"rows": str(len(rows)), "most": str(MOST_ROWS)}
        found.append(Finding(key="eboekhouden.too_many_rows", values=values))
    if not exact and (not close or settings.vat_difference == "ask"):
        total = sale.invoice.total_vat
        values = {"vat": f"{total:f}", "computed": f"{total + difference:f}", "difference": f"{difference:f}"}
        found.append(Finding(key="eboekhouden.vat_differs", values=values, field="vat_difference"))
    return in_ex, rows, found


def _merged(sale: SalesBooking, master: Master, settings: EboekhoudenSettings) -> list[Row]:
    merged: dict[tuple[str, str, str], Row] = {}
    for line in sale.lines:
        code = code_of(line.vat_class, settings)
        if isinstance(code, Finding):  # A line of nothing, of which the class does not matter.
            continue
        place = (line.account, code, _centre(line, master, settings))
        first = merged.get(place)
        merged[place] = (
            Row(*place, line.net, line.vat, line.description)
            if first is None
            else replace(first, net=first.net + line.net, vat=first.vat + line.vat, lines=first.lines + 1)
        )
    return list(merged.values())


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The mutation, without our key. Raises RecordRejected with findings when it cannot be booked to the cent."""
    sale, chosen = _narrowed(booking, settings)
    found = validate(booking, master, settings)
    account = debtor(master, chosen.debtor_account)
    if found or isinstance(account, Finding):
        raise RecordRejected(found[0].key, findings=found)
    invoice = sale.invoice
    in_ex, rows, _ = _rows(sale, master, chosen)
    kind = "Creditnota" if invoice.is_credit else "Factuur"
    return {
        "administration": sale.administration,
        "total": cents(invoice.total),
        "body": {
            "type": TYPE,
            "date": sale.date.isoformat(),
            "ledgerId": ledger_id(master, account),
            "relationId": int(sale.customer),
            "invoiceNumber": invoice.number,
            "termOfPayment": _term(sale, chosen),
            "inExVat": in_ex,
            "description": cut(f"{kind} {invoice.number} {invoice.customer.name}", DESCRIPTION),
            "rows": [_row(row, in_ex, master) for row in rows],
        },
    }


def _term(sale: SalesBooking, settings: EboekhoudenSettings) -> int:
    """Days from the invoice's date; SOAP demands it of invoices, so it is always sent (dossier 5.5)."""
    due = sale.invoice.due_date
    days = settings.default_payment_term if due is None else (due - sale.date).days
    return min(max(days, 0), LONGEST_TERM)


def _row(row: Row, in_ex: str, master: Master) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ledgerId": ledger_id(master, row.account),
        "vatCode": row.code,
        "amount": cents(row.net if in_ex == "EX" else row.net + row.vat),
    }
    if row.code in FREE:
        made["vatAmount"] = cents(row.vat)
    if words := cut(row.description, ROW_DESCRIPTION):
        made["description"] = words
    if row.centre:
        made["costCenterId"] = int(row.centre)
    return made
