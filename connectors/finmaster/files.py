"""Booked entries as files: a memorial file in the customer's own layout, and an audit file XAF 3.2 (dossier 2.2, 4)."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree

from connectors.finmaster.settings import FinmasterSettings, own
from hub.accounting.money import ZERO
from hub.sdk.connector import Batch, File, Filed, Files, Payload

NAMESPACE = "http://www.auditfiles.nl/XAF/3.2"
_SEPARATORS = {"semicolon": ";", "comma": ",", "tab": "\t"}
_DATES = {"dd-mm-yyyy": "%d-%m-%Y", "yyyy-mm-dd": "%Y-%m-%d", "yyyymmdd": "%Y%m%d"}
_LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}
_HEADERS = {
    "journal": "dagboek",
    "date": "boekdatum",
    "year": "boekjaar",
    "period": "periode",
    "reference": "referentie",
    "account": "rekening",
    "cost_centre": "kostenplaats",
    "description": "omschrijving",
    "debit": "debet",
    "credit": "credit",
    "amount": "bedrag",
    "side": "dc",
    "line": "regel",
    "entry": "boeking",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_ID, _DESCRIPTION = 35, 999
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def memorial(batch: Batch) -> File:
    """The delimited file: a row per line, columns, separator, decimal mark, dates and line ends as chosen (8.5).

    No word starts as a formula: an apostrophe goes in front, so that a spreadsheet runs nothing. Codes and amounts
    are the entry's own.
    """
    chosen = own(batch.settings)
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter=_SEPARATORS[chosen.finmaster_separator], lineterminator=_LINE_ENDS[chosen.finmaster_line_end]
    )
    if chosen.finmaster_header:
        writer.writerow([_HEADERS[name] for name in chosen.finmaster_columns])
    for entry in batch.documents:
        for line in entry.payload["body"]["regels"]:
            writer.writerow([_CELLS[name](entry, line, chosen) for name in chosen.finmaster_columns])
    content = out.getvalue().encode(chosen.finmaster_encoding, "replace")
    return File(f"{_stem(batch)}.csv", content, f"text/csv; charset={chosen.finmaster_encoding}")


def _stem(batch: Batch) -> str:
    return f"memoriaal-{batch.company['administration']}-{batch.year}-{batch.number:04d}"


def _day(entry: Filed, settings: FinmasterSettings) -> str:
    return date.fromisoformat(entry.payload["body"]["boekdatum"]).strftime(_DATES[settings.finmaster_date])


def _money(amount: str, settings: FinmasterSettings) -> str:
    """Empty for nothing: one side of a line stays open."""
    if not Decimal(amount):
        return ""
    return amount.replace(".", ",") if settings.finmaster_decimal == "comma" else amount


def _words(words: str | None) -> str:
    told = words or ""
    return f"'{told}" if told.lstrip()[:1] in _FORMULA[:4] or told[:1] in _FORMULA else told


def _side(line: Mapping[str, str]) -> tuple[str, str]:
    return (line["debet"], "D") if Decimal(line["debet"]) else (line["credit"], "C")


_Cell = Callable[[Filed, Mapping[str, str], FinmasterSettings], str]
_CELLS: Mapping[str, _Cell] = {
    "journal": lambda entry, _line, _: _words(entry.payload["body"]["dagboek"]),
    "date": lambda entry, _line, chosen: _day(entry, chosen),
    "year": lambda entry, _line, _: str(entry.payload["body"]["boekjaar"]),
    "period": lambda entry, _line, _: str(entry.payload["body"]["periode"]),
    "reference": lambda entry, _line, _: _words(entry.reference),
    "account": lambda _, line, __: _words(line["rekening"]),
    "cost_centre": lambda _, line, __: _words(line["kostenplaats"]),
    "description": lambda _, line, __: _words(line["omschrijving"]),
    "debit": lambda _, line, chosen: _money(line["debet"], chosen),
    "credit": lambda _, line, chosen: _money(line["credit"], chosen),
    "amount": lambda _, line, chosen: _money(_side(line)[0], chosen),
    "side": lambda _, line, __: _side(line)[1],
    "line": lambda _, line, __: str(line["regel"]),
    "entry": lambda entry, _line, _: _words(entry.payload["body"]["omschrijving"]),
}


def audit_file(batch: Batch) -> File:
    """The audit file of one fiscal year: header, company, the accounts used, the entries (8.6)."""
    root = ElementTree.Element("auditfile", {"xmlns": NAMESPACE})
    payloads = [entry.payload for entry in batch.documents]
    header = ElementTree.SubElement(root, "header")
    first, last = _fiscal_year(batch)
    for name, told in (
        ("fiscalYear", str(batch.year)),
        ("startDate", first.isoformat()),
        ("endDate", last.isoformat()),
        ("curCode", "EUR"),
        ("dateCreated", batch.made_on.isoformat()),
        ("softwareDesc", "Combihub"),
    ):
        _add(header, name, told)
    company = ElementTree.SubElement(root, "company")
    _add(company, "companyIdent", _id(batch.company["administration"]))
    _add(company, "companyName", batch.company["company"][:_DESCRIPTION])
    _add(company, "taxRegistrationCountry", "NL")
    _add(company, "taxRegIdent", batch.company["tax_number"][:30])
    _ledger(company, payloads)
    _periods(company, payloads)
    _transactions(company, batch)
    content = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return File(f"{_stem(batch)}.xaf", content, "application/xml")


def _fiscal_year(batch: Batch) -> tuple[date, date]:
    """The twelve months that start in the chosen month; a broken year bears the year in which it ends."""
    start = own(batch.settings).finmaster_year_start
    first = date(batch.year - (1 if start > 1 else 0), start, 1)
    return first, date.fromordinal(date(first.year + 1, start, 1).toordinal() - 1)


def _add(parent: ElementTree.Element, name: str, told: str) -> ElementTree.Element:
    """An element with text; characters that XML cannot hold are left out."""
    made = ElementTree.SubElement(parent, name)
    made.text = _NOT_XML.sub("", told)
    return made


def _id(told: str) -> str:
    return told[:_ID]


def _ledger(company: ElementTree.Element, payloads: Sequence[Payload]) -> None:
    ledger = ElementTree.SubElement(company, "generalLedger")
    used = {number: facts for payload in payloads for number, facts in payload["accounts"].items()}
    for number in sorted(used):
        account = ElementTree.SubElement(ledger, "ledgerAccount")
        _add(account, "accID", _id(number))
        _add(account, "accDesc", (used[number]["name"] or number)[:_DESCRIPTION])
        _add(account, "accTp", used[number]["type"])


def _lines(payloads: Iterable[Payload]) -> list[Mapping[str, str]]:
    return [line for payload in payloads for line in payload["body"]["regels"]]


def _periods(company: ElementTree.Element, payloads: Sequence[Payload]) -> None:
    listed = ElementTree.SubElement(company, "periods")
    for number, days in sorted({payload["body"]["periode"]: payload["period"] for payload in payloads}.items()):
        period = ElementTree.SubElement(listed, "period")
        _add(period, "periodNumber", str(number))
        _add(period, "startDatePeriod", days[0])
        _add(period, "endDatePeriod", days[1])


def _transactions(company: ElementTree.Element, batch: Batch) -> None:
    lines = _lines(entry.payload for entry in batch.documents)
    made = ElementTree.SubElement(company, "transactions")
    _add(made, "linesCount", str(len(lines)))
    _add(made, "totalDebit", f"{sum((Decimal(line['debet']) for line in lines), ZERO):.2f}")
    _add(made, "totalCredit", f"{sum((Decimal(line['credit']) for line in lines), ZERO):.2f}")
    for code in sorted({entry.payload["body"]["dagboek"] for entry in batch.documents}):
        journal = ElementTree.SubElement(made, "journal")
        _add(journal, "jrnID", _id(code))
        _add(journal, "desc", "Memoriaal")
        _add(journal, "jrnTp", "M")
        for entry in batch.documents:
            if entry.payload["body"]["dagboek"] == code:
                _transaction(journal, entry)


def _transaction(journal: ElementTree.Element, entry: Filed) -> None:
    body = entry.payload["body"]
    made = ElementTree.SubElement(journal, "transaction")
    _add(made, "nr", _id(entry.reference))
    _add(made, "desc", body["omschrijving"])
    _add(made, "periodNumber", str(body["periode"]))
    _add(made, "trDt", body["boekdatum"])
    _add(made, "sourceID", "Combihub")
    for line in body["regels"]:
        amount, side = _side(line)
        row = ElementTree.SubElement(made, "trLine")
        _add(row, "nr", str(line["regel"]))
        _add(row, "accID", _id(line["rekening"]))
        _add(row, "docRef", entry.reference)
        _add(row, "effDate", body["boekdatum"])
        _add(row, "desc", line["omschrijving"])
        _add(row, "amnt", amount)
        _add(row, "amntTp", side)
        if line["kostenplaats"]:
            _add(row, "costID", _id(line["kostenplaats"]))


FILES = Files(year=lambda payload: int(payload["body"]["boekjaar"]), formats={"csv": memorial, "xaf": audit_file})
