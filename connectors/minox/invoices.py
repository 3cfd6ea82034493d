"""Sales invoices as bookings: one debtor line and its revenue, VAT left to the ledger accounts (4.6, 5.3, 5.4)."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

from connectors.minox.administration import sales_journal
from connectors.minox.reading import cut
from connectors.minox.settings import MinoxSettings
from hub.accounting.booking import BookedLine, Booking, SalesBooking
from hub.accounting.chart import FiscalYear, Journal, LedgerAccount, Master
from hub.accounting.documents import Finding, VatTreatment
from hub.accounting.money import ZERO, cents
from hub.sdk.connector import Payload
from hub.sdk.errors import RecordRejected
from hub.sdk.settings import Settings

LARGEST_NUMBER = 2_147_483_647
DESCRIPTION = 50
"""No limit is known (dossier 4.6); the number stands first, so that cutting costs only the end of a name."""
_CHARGED = (None, VatTreatment.standard)


def claim(booking: Booking, settings: Settings) -> str | None:
    """The invoice number as Minox will hold it: no two invoices of an administration may share it."""
    sale, chosen = _narrowed(booking, settings)
    found = invoice_number(sale.invoice.number, chosen)
    return str(found) if found else None


def invoice_number(printed: str, settings: MinoxSettings) -> int:
    """The whole number that a printed one becomes; 0 when it holds no digit."""
    digits = "".join(one for one in printed if one in "0123456789")
    return int((digits[-9:] if settings.invoice_number == "last_9" else digits) or 0)


def _narrowed(booking: Booking, settings: Settings) -> tuple[SalesBooking, MinoxSettings]:
    return cast(SalesBooking, booking), cast(MinoxSettings, settings)


def validate(booking: Booking, master: Master, settings: Settings) -> list[Finding]:
    """All that Minox would refuse, or take and book wrongly."""
    sale, chosen = _narrowed(booking, settings)
    found = [*_document(sale, master, chosen), *_accounts(sale, master)]
    whole = sum((line.net for line in sale.lines), ZERO) == sale.invoice.total_net
    if not found and whole:
        # With lines left out (they have no account yet) there is nothing to add up.
        _, difference = _grouped(sale, master, chosen)
        found += difference
    return found


def _document(booking: SalesBooking, master: Master, settings: MinoxSettings) -> Iterable[Finding]:
    invoice = booking.invoice
    if master.fiscal_year(booking.date) is None:
        yield Finding(key="minox.fiscal_year_missing", values={"date": booking.date.isoformat()}, field="booking_date")
    book = sales_journal(master.journals, settings.journal)
    if isinstance(book, Finding):
        yield book
    wanted = invoice_number(invoice.number, settings)
    if not wanted:
        yield Finding(key="minox.number_without_digits", values={"number": invoice.number})
    elif wanted > LARGEST_NUMBER:
        yield Finding(key="minox.number_too_large", values={"number": invoice.number}, field="invoice_number")
    if invoice.currency != master.currency:
        values = {"currency": invoice.currency, "expected": master.currency}
        yield Finding(key="minox.other_currency", values=values)
    if not booking.customer.isdecimal():
        yield Finding(key="minox.customer_unknown", values={"customer": booking.customer})


def _accounts(booking: SalesBooking, master: Master) -> Iterable[Finding]:
    unique: dict[tuple[str, ...], Finding] = {}
    for line in booking.lines:
        for finding in _line(line, master):
            unique.setdefault((finding.key, *sorted(finding.values.values())), finding)
    yield from unique.values()


def _line(line: BookedLine, master: Master) -> Iterable[Finding]:
    values = {"account": line.account, "line": line.description}
    account = master.by_number.get(line.account)
    if master.accounts is not None and (account is None or account.blocked):
        key = "minox.account_blocked" if account else "minox.account_unknown"
        yield Finding(key=key, values={"account": line.account}, field="ledger_accounts")
    if account is None:
        return
    charged, set_up = _percentage(line), account.vat_percentage or ZERO
    if account.vat_known and not set_up and line.vat:
        values = {"account": line.account, "name": account.name, "vat": f"{line.vat:f}"}
        yield Finding(key="minox.account_without_vat", values=values, field="ledger_accounts")
    elif account.vat_known and charged is not None and charged != set_up:
        values = {"account": line.account, "name": account.name, "charged": _shown(charged), "set_up": _shown(set_up)}
        yield Finding(key="minox.account_other_vat", values=values, field="ledger_accounts")
    centre = line.cost_centre.id if line.cost_centre else ""
    if account.needs_cost_centre and not centre.isdecimal():
        values = {"account": line.account, "name": account.name, "cost_centre": centre}
        yield Finding(key="minox.cost_centre_needed", values=values, field="cost_centres")


def _percentage(line: BookedLine) -> Decimal | None:
    """What was charged on a line, in percent; None when it cannot be told."""
    known = line.vat_class
    if known is not None and known.percentage is not None:
        uncharged = known.treatment not in _CHARGED or (not line.vat and cents(line.net * known.percentage / 100))
        return ZERO if uncharged else known.percentage
    return ZERO if line.net and not line.vat and abs(line.net) > 1 else None


def _shown(percentage: Decimal) -> str:
    return f"{percentage.normalize():f}"


def encode(booking: Booking, master: Master, settings: Settings) -> Payload:
    """The batch of lines. Raises RecordRejected with findings when the entry would not balance to the cent."""
    sale, chosen = _narrowed(booking, settings)
    found = validate(booking, master, settings)
    book, year = sales_journal(master.journals, chosen.journal), master.fiscal_year(sale.date)
    if found or year is None or isinstance(book, Finding):
        raise RecordRejected(found[0].key, findings=found)
    invoice = sale.invoice
    grouped, _ = _grouped(sale, master, chosen)
    wanted = invoice_number(invoice.number, chosen)
    kind = "Creditnota" if invoice.is_credit else "Factuur"
    title = cut(f"{kind} {invoice.number} {invoice.customer.name}", DESCRIPTION)
    common = _common(sale, book, year, wanted)
    debtor = entry_line(sale.customer, "customer", invoice.total, title, common, invoice.total >= 0)
    if invoice.due_date is not None:
        debtor["due_date"] = invoice.due_date.isoformat()
    return {
        "administration": sale.administration,
        "customer": sale.customer,
        "invoice_number": wanted,
        "number": invoice.number,
        "journal": book.id,
        "total": cents(invoice.total),
        "vat_accounts": sorted({one.vat_account for one in master.accounts or () if one.vat_account}),
        "lines": [debtor, *(_revenue(line, master, chosen, common, title) for line in grouped)],
    }


def _common(booking: SalesBooking, book: Journal, year: FiscalYear, wanted: int) -> dict[str, Any]:
    return {
        "journal": {"id": book.id},
        "period": {"fiscal_year": year.year},
        "document_date": booking.date.isoformat(),
        "invoice_number": wanted,
    }


def _revenue(
    line: BookedLine, master: Master, settings: MinoxSettings, common: dict[str, Any], title: str
) -> dict[str, Any]:
    entered = line.net + line.vat if settings.vat_entry == "gross" else line.net
    made = entry_line(
        line.account, "ledger_account", -entered, cut(line.description, DESCRIPTION) or title, common, False
    )
    account = master.by_number.get(line.account)
    if account is not None and account.needs_cost_centre and line.cost_centre is not None:
        made["cost_center"] = {"id": int(line.cost_centre.id)}
    return made


def entry_line(
    account: str, kind: str, signed: Decimal, description: str, common: dict[str, Any], debit: bool
) -> dict[str, Any]:
    """A line from a signed amount: above zero is debit, below zero is credit, never negative (dossier 7)."""
    size = cents(abs(signed))
    debit = signed > 0 or (debit and not signed)
    return {
        "account": {"id": account, "scheme": "MINOX", "type": kind},
        "debit": size if debit else 0,
        "credit": 0 if debit else size,
        **common,
        "description": description,
    }


def _grouped(
    booking: SalesBooking, master: Master, settings: MinoxSettings
) -> tuple[Sequence[BookedLine], list[Finding]]:
    """The revenue lines of which Minox's own VAT comes to the invoice's, to the cent: as printed, else per account."""
    printed = [line for line in booking.lines if line.net or line.vat]
    differences: list[Decimal] = []
    for lines in (printed, _per_account(printed)):
        computed = sum((_computed(line, master.by_number.get(line.account), settings) for line in lines), ZERO)
        differences.append(computed - booking.invoice.total_vat)
        if not differences[-1]:
            return lines, []
    if settings.vat_entry == "gross" and abs(differences[0]) <= cents(Decimal("0.01")) * len(printed):
        return printed, []  # The total stands as it is entered; only the VAT inside it is a cent off.
    values = {
        "vat": f"{booking.invoice.total_vat:f}",
        "computed": f"{booking.invoice.total_vat + differences[0]:f}",
        "difference": f"{differences[0]:f}",
    }
    return printed, [Finding(key="minox.vat_differs", values=values)]


def _per_account(lines: Sequence[BookedLine]) -> list[BookedLine]:
    """One line per ledger account and cost centre, described by the first."""
    merged: dict[tuple[str, str], BookedLine] = {}
    for line in lines:
        place = (line.account, line.cost_centre.id if line.cost_centre else "")
        first = merged.get(place)
        merged[place] = (
            line
            if first is None
            else first.model_copy(update={"net": first.net + line.net, "vat": first.vat + line.vat})
        )
    return [line for line in merged.values() if line.net or line.vat]


def _computed(line: BookedLine, account: LedgerAccount | None, settings: MinoxSettings) -> Decimal:
    """The VAT that Minox will make of a line by its account's code; as charged where the code is not known."""
    if account is None or not account.vat_known:
        return line.vat
    percentage = account.vat_percentage or ZERO
    if settings.vat_entry == "gross":
        return cents((line.net + line.vat) * percentage / (100 + percentage))
    return cents(line.net * percentage / 100)
