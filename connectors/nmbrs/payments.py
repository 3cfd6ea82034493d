"""Nmbrs' own payment file of a run, and what it pays to whom (dossier 6: REST only, a file by task)."""

import re
from datetime import date
from decimal import Decimal

from lxml import etree

from connectors.nmbrs import journals, markup, rest
from connectors.nmbrs.account import named, transport
from connectors.nmbrs.transport import Company, Run
from hub.accounting.documents import Finding, PaymentOrder, SalaryBatch
from hub.accounting.money import ZERO, decimal
from hub.sdk.connector import File, Raw
from hub.sdk.errors import Malformed, TransientError
from hub.sdk.http import Http
from hub.sdk.reading import perhaps_day
from hub.sdk.settings import Settings

_CURRENCY = re.compile("[A-Z]{3}")


async def salaries(http: Http, raw: Raw, _: Settings) -> SalaryBatch | None:
    """What the run behind a journal pays; None over SOAP, without a file, and for a run's later transactions: the file
    is of the run as a whole, and goes with its first. Raises Malformed for a file that cannot be read."""
    if raw["transaction"] > 1 or raw["state"] != "journal":
        return None
    found = await payment_file(http, journals.source_id(raw))
    return None if found is None else batch(found, raw)


def batch(file: File, raw: Raw) -> SalaryBatch:
    """The orders of a payment file: PAIN.001 of any version, which no public source shows of Nmbrs (unknown).

    Raises Malformed when it is none, or does not hold what its own header counts.
    """
    shown = journals.shown(raw)
    try:
        root = markup.parsed(markup.decoded(file.content))
        blocks = _all(root, "pmtinf")
        orders = tuple(_order(one) for block in blocks for one in _all(block, "cdttrftxinf"))
        total = decimal(_text(root, "ctrlsum") or str(sum((one.amount for one in orders), ZERO)))
    except (markup.Unreadable, ValueError) as error:
        values = {"number": shown, "words": str(error)[:200]}
        raise Malformed(Finding(key="nmbrs.payment_file_unreadable", values=values)) from error
    counted = _text(root, "nboftxs")
    currencies = {one.get("Ccy", "EUR").strip().upper() for one in _all(root, "instdamt")}
    strange = len(currencies) > 1 or any(not _CURRENCY.fullmatch(one) for one in currencies)
    if not blocks or not orders or counted not in ("", str(len(orders))) or strange:
        values = {"number": shown, "words": f"{len(orders)} / {counted}"}
        raise Malformed(Finding(key="nmbrs.payment_file_unreadable", values=values))
    payer = blocks[0]
    end = journals.last_day(raw["kind"] or "month", raw["year"], raw["last"]) or date(raw["year"], 12, 31)
    return SalaryBatch(
        source_id=journals.source_id(raw),
        company=raw["company"],
        number=shown,
        date=perhaps_day(_text(payer, "reqdexctndt")) or end,
        description=f"Salarissen {shown}",
        currency=currencies.pop(),
        debtor_iban=_text(payer, "dbtracct", "iban").replace(" ", ""),
        debtor_name=_text(payer, "dbtr", "nm"),
        total=total,
        orders=orders,
    )


def _order(one: etree._Element) -> PaymentOrder:
    """One transfer. Raises ValueError (pydantic's too) when it names no amount, account or person."""
    amount: Decimal = decimal(_text(one, "amt", "instdamt"))
    return PaymentOrder(
        reference=_text(one, "endtoendid"),
        name=_text(one, "cdtr", "nm"),
        iban=_text(one, "cdtracct", "iban").replace(" ", ""),
        amount=amount,
        remittance=_text(one, "rmtinf", "ustrd"),
        purpose=_text(one, "purp", "cd") or "SALA",
    )


def _all(element: etree._Element, wanted: str) -> list[etree._Element]:
    return [one for one in element.iter() if markup.name(one) == wanted]


def _text(element: etree._Element, *path: str) -> str:
    """The text of the first element of this name, below those before it in the path; empty for none."""
    for name in path:
        found = _all(element, name)
        if not found:
            return ""
        element = found[0]
    return markup.words(element)


async def payment_file(http: Http, source_id: str, paid_on: date | None = None) -> File | None:
    """The payment file of the run that a journal's source id names; None when there is none, or over SOAP.

    It names employees and their accounts, so nothing of it is kept here. Raises TransientError while
    Nmbrs is still making it.
    """
    if http.way == "key":
        return None
    company, run = await _found(http, source_id)
    if company is None or run is None:
        return None
    path = f"/api/companies/{company.id}/runs/{run.id}/sepa"
    query: dict[str, str | int] = {"year": run.year}
    if paid_on is not None:
        query["paymentDate"] = paid_on.isoformat()
    task = await rest.task(http, path, query)
    async for _, made in rest.files(http, [task]):
        if not isinstance(made, bytes):
            raise made
        name = f"{source_id.replace('/', '-').replace(':', '_')}.xml"
        return File(name, made, "application/xml") if made.strip() else None
    raise TransientError("nmbrs.not_ready")


async def _found(http: Http, source_id: str) -> tuple[Company | None, Run | None]:
    value, _, rest_of_it = source_id.partition(":")
    company = (await named(http, [value])).get(value)
    if company is None:
        return None, None
    listed = await transport(http).runs(http, company.id, int(rest_of_it.partition(":")[0]))
    plain = source_id.partition(":t")[0]
    return company, next((run for key, run in journals.in_order(listed, value) if key == plain), None)
