"""What a payroll run pays to whom: Nmbrs' own payment file, a PAIN.001 of any version, read as a salary batch."""

from datetime import date
from decimal import Decimal

from lxml import etree

from connectors.nmbrs import journals, payments
from connectors.nmbrs.markup import Unreadable, child, decoded, name, parsed, words
from hub.accounting.documents import Finding, PaymentOrder, SalaryBatch
from hub.accounting.money import ZERO, decimal
from hub.sdk.connector import Raw
from hub.sdk.errors import Malformed
from hub.sdk.http import Http
from hub.sdk.settings import Settings

_Element = etree._Element


async def salaries(http: Http, raw: Raw, _: Settings) -> SalaryBatch | None:
    """The payment file of the run behind a journal; None over SOAP, which has none, and when Nmbrs made none.

    A run with several transactions has one file: it goes with the first. Raises Malformed when it cannot be read;
    nothing of what it holds stands in the finding.
    """
    if raw.get("transaction", 1) > 1:
        return None
    number = journals.shown(raw)
    file = await payments.payment_file(http, journals.source_id(raw))
    if file is None:
        return None
    try:
        return batch(
            decoded(file.content), raw["company"], journals.source_id(raw), number, date(int(raw["year"]), 1, 1)
        )
    except (Unreadable, ValueError) as error:
        values = {"number": number, "words": str(error)[:100] if isinstance(error, Unreadable) else ""}
        raise Malformed(Finding(key="nmbrs.payment_file_unreadable", values=values)) from error


def batch(text: str, company: str, source_id: str, number: str, earliest: date) -> SalaryBatch:
    """A batch from a PAIN.001, whatever its version; `earliest` when it names no day. Raises Unreadable or ValueError.

    The total is the file's own control sum where it states one: it is compared with the orders, never recomputed.
    """
    root = parsed(text)
    infos = [one for one in root.iter() if isinstance(one.tag, str) and name(one) == "pmtinf"]
    if not infos:
        raise Unreadable("no payments in it")
    debtors = {_at(info, "dbtracct", "id", "iban") for info in infos}
    days = {_at(info, "reqdexctndt", "dt") or _at(info, "reqdexctndt") for info in infos}
    if len(debtors) > 1 or len(days) > 1:
        raise Unreadable("it pays from several accounts or on several days")
    orders = tuple(_order(one) for info in infos for one in info if name(one) == "cdttrftxinf")
    stated = [_at(info, "ctrlsum") for info in infos]
    total = sum(map(decimal, stated), ZERO) if all(stated) else sum((one.amount for one in orders), ZERO)
    currencies = {_currency(one) for info in infos for one in info if name(one) == "cdttrftxinf"} or {"EUR"}
    return SalaryBatch(
        source_id=source_id,
        company=company,
        number=number,
        date=date.fromisoformat(day[:10]) if (day := days.pop()) else earliest,
        description=f"Salarissen {number}",
        currency=currencies.pop() if len(currencies) == 1 else "XXX",
        debtor_iban=debtors.pop().replace(" ", "").upper(),
        debtor_name=_at(infos[0], "dbtr", "nm"),
        total=total,
        orders=orders,
    )


def _order(transfer: _Element) -> PaymentOrder:
    amount: Decimal = decimal(_at(transfer, "amt", "instdamt"))
    return PaymentOrder(
        reference=_at(transfer, "pmtid", "endtoendid") or "NOTPROVIDED",
        name=_at(transfer, "cdtr", "nm") or "-",
        iban=_at(transfer, "cdtracct", "id", "iban").replace(" ", "").upper() or "-",
        amount=amount,
        remittance=_at(transfer, "rmtinf", "ustrd"),
        purpose=_at(transfer, "purp", "cd") or "SALA",
    )


def _currency(transfer: _Element) -> str:
    amount = child(transfer, "amt")
    found = child(amount, "instdamt") if amount is not None else None
    told = (found.get("Ccy") or "EUR") if found is not None else "EUR"
    return told if len(told) == 3 and told.isascii() and told.isalpha() and told.isupper() else "XXX"


def _at(element: _Element, *path: str) -> str:
    """The words at a path of names; empty when it leads nowhere."""
    found: _Element | None = element
    for step in path:
        found = child(found, step) if found is not None else None
    if found is not None and len(found):
        return ""
    return words(found)
