"""Approved invoices and credit notes of Minuba by our stand-in profile, with their PDF (dossier 4.4, 5, 8.5)."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

from connectors.minuba import profile
from connectors.minuba.account import COMPANY
from connectors.minuba.listing import Query, changes, identity, listed, sums
from connectors.minuba.reading import Named, day, flag, number, text, word
from connectors.minuba.settings import own
from hub.accounting.documents import (
    Document,
    Finding,
    Ignored,
    InvoiceLine,
    Label,
    PartyRef,
    SalesInvoice,
    VatClass,
    VatTreatment,
)
from hub.accounting.money import CENT, ZERO, cents
from hub.sdk.connector import Cursor, File, Page, Raw, Since, SourceStream, Whole
from hub.sdk.errors import ConfigError, Malformed, RecordRejected, TransientError
from hub.sdk.http import Http
from hub.sdk.settings import Settings

_EVERYBODY = ("forAllUsers", "true")
_EMBEDDED = ("include", profile.INCLUDE)
_STATES = tuple(("state", state) for state in (profile.APPROVED, profile.PAID))
FORMS: Sequence[Sequence[Query]] = (
    [(state, _EVERYBODY, _EMBEDDED) for state in _STATES],
    [(state, _EVERYBODY) for state in _STATES],
    [(_EVERYBODY, _EMBEDDED)],
    [(_EVERYBODY,)],
    [(_STATES[0], _EVERYBODY)],
    [(state,) for state in _STATES],
    [()],
)
"""How the invoices may be asked for, the best first. Approved before paid: one that is paid meanwhile is not missed."""
WHOLE_FORMS = 4
"""The first so many forms ask for everybody's invoices in every state that a booked one can have."""
ONE_LIST = {0: 2, 1: 3}
"""By a form of two lists the one that asks for the same without a state."""
AGAIN_AFTER_S = 30 * 60
"""An invoice that vanished was missed twice, at least half an hour apart (dossier 3, good practice seen)."""
TREATMENTS = (
    (VatTreatment.reverse_charge, re.compile(r"verlegd|verlegging|omvendt|omvänd|reverse", re.IGNORECASE)),
    (VatTreatment.icp, re.compile(r"\b(icp|icl|intracom\w*|eu)\b", re.IGNORECASE)),
    (VatTreatment.export, re.compile(r"export|eksport|uitvoer", re.IGNORECASE)),
    (VatTreatment.exempt, re.compile(r"vrijgesteld|fritaget|exempt", re.IGNORECASE)),
)
SHOWN = {
    VatTreatment.reverse_charge: "verlegd",
    VatTreatment.icp: "ICP",
    VatTreatment.export: "export",
    VatTreatment.exempt: "vrijgesteld",
}


async def read(http: Http, since: Since, _settings: Settings) -> AsyncIterator[Page]:
    """Invoices that are new or different among all approved and paid ones; `map` judges each record."""
    cursor = since.cursor or {}
    today = (since.today or datetime.now(UTC).date()).isoformat()
    this_day = cursor.get("day") == today
    looked = this_day and bool(cursor.get("one_list")) and not since.thorough
    if looked and (same := await _unchanged(http, cursor)):
        yield Page((), cursor, _wholes(same))
        return
    form, found, filled = await _asked(http, cursor.get("form", 0))
    # One list that differs from both, while they did not change, leaves something out: it is of no use today.
    useless = (this_day and cursor.get("useless", False)) or (looked and sums(found) == cursor.get("buckets"))
    one_list = form in ONE_LIST and filled and not useless
    facts = {"form": form, "day": today, "one_list": one_list, "useless": useless}
    wholes = _wholes(frozenset(map(identity, found))) if form < WHOLE_FORMS else ()
    for page in changes(found, cursor, facts, wholes):
        yield page


def _wholes(known: frozenset[str]) -> tuple[Whole, ...]:
    """An answer without any invoice is no proof that all of them are gone: its empty forms are not known."""
    return (Whole("", known, AGAIN_AFTER_S),) if known else ()


async def _unchanged(http: Http, cursor: Cursor) -> frozenset[str]:
    """All invoices, when one list without a state shows what both lists last held and nothing else but drafts.

    Only used to learn that nothing changed: whatever it leaves out or adds has both lists asked again.
    """
    try:
        (query,) = FORMS[ONE_LIST[cursor["form"]]]
        shown = [row async for page in listed(http, profile.INVOICE, query) for row in page]
    except (RecordRejected, TransientError):
        return frozenset()
    stand = [row for row in shown if word(Named(row).value(*profile.STATE)) not in profile.DRAFT_WORDS]
    return frozenset(map(identity, stand)) if sums(stand) == cursor.get("buckets") else frozenset()


async def _asked(http: Http, known: int) -> tuple[int, list[Raw], bool]:
    """The form of the question that was understood, all invoices, and whether there were some of every state.

    Raises ConfigError when no form is understood.
    """
    refused: RecordRejected | None = None
    for form in dict.fromkeys((known if 0 <= known < len(FORMS) else 0, *range(len(FORMS)))):
        found: dict[str, Raw] = {}
        filled = True
        try:
            for query in FORMS[form]:
                rows = {identity(row): row async for page in listed(http, profile.INVOICE, query) for row in page}
                filled = filled and bool(rows)
                found.update(rows)
        except RecordRejected as error:
            refused = refused or error
            continue
        if not found and form in ONE_LIST and (more := await _beyond_states(http, form)):
            return ONE_LIST[form], more, True
        return form, list(found.values()), filled
    words = refused.words if refused else ""
    raise ConfigError("minuba.invoices_unavailable", words=words, resource=profile.INVOICE) from refused


async def _beyond_states(http: Http, form: int) -> list[Raw]:
    """All invoices without a state asked for, where one of them is approved though both states showed nothing.

    How states are written in a filter was seen of orders only (dossier 4.1).
    """
    try:
        (query,) = FORMS[ONE_LIST[form]]
        shown = {identity(row): row async for page in listed(http, profile.INVOICE, query) for row in page}
    except (RecordRejected, TransientError):
        return []
    states = {word(Named(row).value(*profile.STATE)) for row in shown.values()}
    return list(shown.values()) if states & profile.APPROVED_WORDS else []


def key(raw: Raw) -> str:
    """The invoice's id. Raises ValueError when there is none."""
    if not (found := Named(raw).text("id")):
        raise ValueError("an invoice without id")
    return found


@dataclass
class _Problems:
    """All that is wrong with one record."""

    number: str
    found: list[Finding] = field(default_factory=list)

    def add(self, key: str, setting: str | None = None, **values: object) -> None:
        said = {name: text(value)[:80] for name, value in values.items()}
        self.found.append(Finding(key=f"minuba.{key}", values={"number": self.number} | said, field=setting))

    def number_in(self, raw: Named, names: profile.Names, line: int = 0, default: Decimal | None = None) -> Decimal:
        """A number, or 0 with a finding."""
        value, where = raw.value(*names), f"{names[0]} ({line})" if line else names[0]
        if value is None and default is not None:
            return default
        try:
            return number(value)
        except ValueError:
            if value is None:
                self.add("field_missing", field=where)
            else:
                self.add("number_unreadable", field=where, value=value)
            return ZERO


def map_invoice(raw: Raw, settings: Settings) -> Document | Ignored:
    """The invoice as it was approved. Raises Malformed with everything that cannot be read."""
    invoice, source_id = Named(raw), key(raw)
    shown = invoice.text(*profile.NUMBER)
    problems = _Problems(shown or source_id)
    state = word(invoice.value(*profile.STATE))
    if state in profile.DRAFT_WORDS:
        reason = Finding(key="minuba.draft", values={"customer": _customer_name(invoice)})
        return Ignored(source_id=source_id, reason=reason)
    if state not in profile.APPROVED_WORDS and not text(invoice.value(*profile.APPROVED_AT)):
        problems.add("state_unknown", state=invoice.text(*profile.STATE))
    if not shown:
        problems.add("field_missing", field=profile.NUMBER[0])
    customer = invoice.text(*profile.CLIENT_ID) or invoice.part("client", "customer").text("id")
    if not customer:
        problems.add("customer_missing")
    on, due = _day(invoice, profile.DATE, problems, needed=True), _day(invoice, profile.DUE, problems)
    currency = _currency(invoice, own(settings).invoice_currency, problems)
    totals = _totals(invoice, problems)
    lines = _lines(invoice, totals, problems)
    if not problems.found:
        lines = _fitted(lines, totals, problems)
    if problems.found or on is None:
        raise Malformed(*problems.found)
    return SalesInvoice(
        source_id=source_id,
        company=COMPANY,
        number=shown,
        date=on,
        due_date=due,
        customer=PartyRef(source_id=customer, name=_customer_name(invoice)),
        currency=currency,
        reference=invoice.text(*profile.REFERENCE),
        subject=invoice.text(*profile.SUBJECT),
        lines=tuple(lines),
        total_net=totals.net,
        total_vat=totals.vat,
        total=totals.gross,
    )


def _customer_name(invoice: Named) -> str:
    return invoice.part("client", "customer").text("name") or invoice.text(*profile.CLIENT_NAME)


def _day(invoice: Named, names: profile.Names, problems: _Problems, *, needed: bool = False) -> date | None:
    try:
        found = day(invoice.value(*names))
    except ValueError:
        problems.add("date_unreadable", field=names[0], value=invoice.value(*names))
        return None
    if found is None and needed:
        problems.add("field_missing", field=names[0])
    return found


def _currency(invoice: Named, otherwise: str, problems: _Problems) -> str:
    """What the invoice says, else what the customer chose: never assumed (dossier 3: unknown)."""
    said = invoice.text(*profile.CURRENCY) or invoice.part("currency").text("code", "iso", "id")
    said = "EUR" if said == "€" else said.upper()
    if re.fullmatch(r"[A-Z]{3}", said):
        return said
    if said:
        problems.add("currency_unreadable", value=said)
    elif otherwise == "ask":
        problems.add("currency_missing", "invoice_currency")
    return otherwise


@dataclass(frozen=True)
class _Totals:
    net: Decimal
    vat: Decimal
    gross: Decimal


def _totals(invoice: Named, problems: _Problems) -> _Totals:
    """The three totals as printed; one that is left out follows from the other two."""
    names = {"net": profile.NET, "vat": profile.VAT, "gross": profile.GROSS}
    absent = [name for name, spellings in names.items() if invoice.value(*spellings) is None]
    net, vat, gross = (
        problems.number_in(invoice, spellings, default=ZERO if absent == [name] else None)
        for name, spellings in names.items()
    )
    match absent:
        case ["net"]:
            net = gross - vat
        case ["vat"]:
            vat = gross - net
        case ["gross"]:
            gross = net + vat
        case _:
            pass
    credit = word(invoice.value(*profile.KIND)) in profile.CREDIT_WORDS or bool(invoice.text(*profile.CREDITED))
    if credit and gross > 0:
        problems.add("credit_not_negative", total=gross)
    return _Totals(net, vat, gross)


def _lines(invoice: Named, totals: _Totals, problems: _Problems) -> list[InvoiceLine]:
    given = invoice.value(*profile.LINES)
    if not isinstance(given, list) or not given:
        problems.add("lines_missing")
        return []
    if odd := sum(not isinstance(line, dict) for line in given):
        problems.add("lines_unreadable", count=odd)
    found = [_line(invoice, Named(line), at, totals, problems) for at, line in enumerate(given, 1)]
    return _taxed(found)


@dataclass(frozen=True)
class _Line:
    """A line before the VAT of its class is shared out; `vat` None: the source does not say."""

    made: InvoiceLine
    exact: Decimal
    vat: Decimal | None


def _line(invoice: Named, raw: Named, at: int, totals: _Totals, problems: _Problems) -> _Line:
    """Net is quantity x price less the discount, half up on cents; the unit price stays the list price, unrounded.

    A line with no price and no amount is text; one without quantity (fixed price, on account) counts as one.
    """
    kind, words = word(raw.value(*profile.KIND)), raw.text(*profile.TEXT)
    wordless = raw.value(*profile.PRICE) is None and raw.value(*profile.LINE_NET) is None
    if wordless and (kind in profile.TEXT_WORDS or (words and raw.value(*profile.QUANTITY) is None)):
        return _Line(InvoiceLine(description=words, net=ZERO, vat=ZERO), ZERO, ZERO)
    net = problems.number_in(raw, profile.LINE_NET, at, ZERO) if raw.value(*profile.LINE_NET) is not None else None
    quantity = problems.number_in(raw, profile.QUANTITY, at, Decimal(1))
    price = problems.number_in(raw, profile.PRICE, at, net / quantity if net is not None and quantity else None)
    discount = problems.number_in(raw, profile.DISCOUNT, at, ZERO)
    exact = quantity * price * (100 - discount) / 100 if net is None else net
    given, rated = raw.value(*profile.LINE_VAT), raw.value(*profile.VAT_PERCENT) is not None
    made = InvoiceLine(
        description=words,
        quantity=quantity,
        unit_price=price,
        net=cents(exact),
        vat=ZERO,
        vat_class=_vat_class(invoice, raw, at, totals, problems) if exact or price or rated else None,
        revenue_group=Label(id=kind, label=raw.text(*profile.KIND)) if kind else None,
        article=raw.text(*profile.MATERIAL) or None,
    )
    return _Line(made, exact, None if given is None else cents(problems.number_in(raw, profile.LINE_VAT, at)))


def _vat_class(invoice: Named, raw: Named, at: int, totals: _Totals, problems: _Problems) -> VatClass | None:
    """By the percentage of the line; why 0 is 0 only from what is said: reverse charge exists, its field is unknown."""
    percentage = problems.number_in(
        raw if raw.value(*profile.VAT_PERCENT) is not None else invoice,
        profile.VAT_PERCENT, at, ZERO if totals.vat == 0 else None,
    )  # fmt: skip
    said = " ".join(one.text(name) for one in (raw, invoice) for name in profile.VAT_WORDS)
    treatment = next((meant for meant, pattern in TREATMENTS if pattern.search(said)), None)
    if any(flag(one.value(*profile.REVERSED)) for one in (raw, invoice)):
        treatment = VatTreatment.reverse_charge
    if treatment is None or (percentage and treatment is not VatTreatment.reverse_charge):
        treatment = VatTreatment.standard if percentage else None
    if treatment is VatTreatment.reverse_charge and totals.vat == 0:
        percentage = ZERO
    shown = f"{percentage.normalize():f}"
    if treatment in (None, VatTreatment.standard):
        return VatClass(id=shown, label=f"{shown}%", percentage=percentage, treatment=treatment)
    assert treatment is not None  # noqa: S101 - told by the line above
    return VatClass(
        id=f"{shown}-{treatment.value}", label=f"{shown}% {SHOWN[treatment]}", percentage=percentage,
        treatment=treatment,
    )  # fmt: skip


def _taxed(lines: Sequence[_Line]) -> list[InvoiceLine]:
    """The lines with their VAT: reckoned per class over the unrounded sum, the cents left over on its largest line."""
    made = [line.made for line in lines]
    groups: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        if line.vat is not None:
            made[at] = line.made.model_copy(update={"vat": line.vat})
        elif line.made.vat_class is not None:
            groups.setdefault(line.made.vat_class.id, []).append(at)
    for members in groups.values():
        rate = (made[members[0]].vat_class or VatClass(id="?")).percentage or ZERO
        shares = {at: cents(lines[at].exact * rate / 100) for at in members}
        spare = cents(sum((lines[at].exact for at in members), ZERO) * rate / 100) - sum(shares.values(), ZERO)
        shares[_largest(made, members)] += spare
        for at, share in shares.items():
            made[at] = made[at].model_copy(update={"vat": share + ZERO})  # Never -0.00.
    return made


def _fitted(lines: Sequence[InvoiceLine], totals: _Totals, problems: _Problems) -> list[InvoiceLine]:
    """The lines with up to a cent a line of rounding placed on the largest one, or findings with the numbers."""
    fitted = list(lines)
    room = CENT * max(1, sum(1 for line in lines if line.net))
    spare_net = totals.net - sum((line.net for line in lines), ZERO)
    spare_vat = totals.vat - sum((line.vat for line in lines), ZERO)
    if abs(spare_net) > room:
        problems.add("net_differs", total=totals.net, lines=totals.net - spare_net)
    if abs(spare_vat) > room:
        problems.add("vat_differs", total=totals.vat, lines=totals.vat - spare_vat)
    if problems.found:
        return fitted
    largest = _largest(fitted, range(len(fitted)))
    fitted[largest] = fitted[largest].model_copy(update={"net": fitted[largest].net + spare_net})
    taxed = _largest(fitted, [at for at, line in enumerate(fitted) if line.vat] or range(len(fitted)))
    fitted[taxed] = fitted[taxed].model_copy(update={"vat": fitted[taxed].vat + spare_vat})
    return fitted


def _largest(lines: Sequence[InvoiceLine], members: Sequence[int]) -> int:
    return max(members, key=lambda at: (abs(lines[at].net), -at))


async def attachment(http: Http, source_id: str) -> File | None:
    """The PDF of the invoice, when exactly one file hangs on it. The list is seen, the download is a guess (4.4)."""
    try:
        query = (("parentId", source_id),)
        files = [Named(row) async for page in listed(http, "File", query) for row in page]
        printed = [one for one in files if _is_pdf(one) and _belongs(one, source_id)]
        if len(printed) != 1 or not (file_id := printed[0].text("id")):
            return None
        content = await http.download(f"/File/{quote(file_id, safe='')}", accept="application/json,application/pdf")
    except RecordRejected:
        return None
    name = printed[0].text("filename", "name", "title").replace("/", "-") or f"{source_id}.pdf"
    return File(name, content) if content.lstrip().startswith(b"%PDF") else None


def _is_pdf(file: Named) -> bool:
    words = file.text("filename", "name", "title").lower()
    return words.endswith(".pdf") or "pdf" in file.text("contenttype", "mimetype", "filetype").lower()


def _belongs(file: Named, source_id: str) -> bool:
    """An ignored filter would give everybody's files."""
    return source_id == file.text("parentid", "invoiceid")


STREAM = SourceStream(document=SalesInvoice, read=read, key=key, map=map_invoice, attachment=attachment)
