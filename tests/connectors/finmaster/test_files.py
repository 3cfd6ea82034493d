"""Files for who imports by hand: the memorial file in any layout, and an audit file that keeps to its standard."""

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.finmaster import files, journals
from connectors.finmaster.settings import FinmasterSettings
from hub.accounting.chart import Master
from hub.sdk.connector import Batch, Filed
from tests.connectors.finmaster.conftest import HOME, MONTH, TYPED, booking, key

HERE = Path(__file__).parent
SCHEMA = etree.XMLSchema(etree.parse(HERE / "xaf_3_2.xsd"))
NAMES = {"x": files.NAMESPACE}
BLANK = Master(administration=HOME, name="Bakkerij De Gouden Korst B.V.")


def batch(*bookings: Any, **chosen: Any) -> Batch:
    """A batch of entries as they are kept when nothing of FinMaster can be read."""
    settings = FinmasterSettings(**{"finmaster_journal": "90", **chosen})
    documents = tuple(
        Filed(journals.reference(key(f"run-{at}")), journals.encode(one, BLANK, settings))
        for at, one in enumerate(bookings or (booking(),))
    )
    return Batch(7, 2026, date(2026, 10, 1), TYPED, settings, documents)


def rows(made: Batch, delimiter: str = ";") -> list[list[str]]:
    content = files.memorial(made).content.decode()
    return list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))


def audit(made: Batch) -> Any:
    """The audit file, valid."""
    found = etree.fromstring(files.audit_file(made).content)
    SCHEMA.assertValid(found)
    return found


def texts(found: Any, path: str) -> Sequence[str]:
    return [str(one.text) for one in found.findall(path, NAMES)]


@pytest.mark.parametrize(("form", "name"), [("csv", "memoriaal.csv"), ("xaf", "auditfile.xaf")])
def test_the_month_is_its_golden_file(form: str, name: str) -> None:
    made = files.FILES.formats[form](batch())
    assert made.content == (HERE / "golden" / name).read_bytes()
    assert made.name == f"memoriaal-GK2026-2026-0007.{form}"


def test_the_memorial_file_is_the_dossiers_proposal() -> None:
    content = files.memorial(batch()).content
    assert content.startswith(
        b"dagboek;boekdatum;periode;referentie;rekening;kostenplaats;omschrijving;debet;credit\r\n90;30-09-2026;9;HUB-"
    )
    assert [row[4:] for row in rows(batch())[1:3]] == [
        ["40100", "WIN", "Brutolonen", "8250,00", ""],
        ["40100", "BAK", "Brutolonen", "12400,50", ""],
    ]


def test_separator_decimal_dates_and_ends_are_chosen() -> None:
    made = batch(
        finmaster_separator="tab",
        finmaster_decimal="point",
        finmaster_date="yyyymmdd",
        finmaster_line_end="lf",
        finmaster_header=False,
        finmaster_columns=("date", "account", "amount", "side", "entry", "year", "line"),
    )
    assert b"\r" not in files.memorial(made).content
    assert rows(made, "\t")[0] == ["20260930", "40100", "8250.00", "D", "Loonjournaal 2026-09 run 10", "2026", "1"]
    assert rows(made, "\t")[7] == ["20260930", "15200", "8123.60", "C", "Loonjournaal 2026-09 run 10", "2026", "8"]


def test_columns_without_account_or_amounts_are_refused() -> None:
    for columns in (("date", "debit", "credit"), ("account", "debit"), ("account", "amount")):
        with pytest.raises(ValueError, match="columns"):
            FinmasterSettings(finmaster_columns=columns)


@pytest.mark.parametrize("words", ["=1+1", "+31612345678", "-5", "@SUM(A1)", "\t=1", " =cmd|' /C calc'!A0"])
def test_no_word_is_run_as_a_formula(words: str) -> None:
    lines = [("40100", "10", "0", "WIN", words), ("15100", "0", "10", "", "Netto")]
    (_, first, _) = rows(batch(booking(*lines)))
    assert not first[6].lstrip().startswith(("=", "+", "-", "@"))


def test_separators_quotes_and_line_ends_in_words_stay_in_their_cell() -> None:
    words = 'Toeslag; "nacht"\r\nregel 2'
    lines = [("40100", "10", "0", "WIN", words), ("15100", "0", "10", "", "Netto")]
    (_, first, _) = rows(batch(booking(*lines)))
    assert (len(first), first[6]) == (9, 'Toeslag; "nacht" regel 2')


def test_an_encoding_without_a_sign_shows_that_it_lacks() -> None:
    lines = [("40100", "10", "0", "", "Café ✓"), ("15100", "0", "10", "", "Netto")]
    content = files.memorial(batch(booking(*lines), finmaster_encoding="windows-1252")).content
    assert "Café ?" in content.decode("windows-1252")


def test_leading_zeros_and_every_cent_are_kept() -> None:
    lines = [("0400", "0.10", "0", "007", "Bruto"), ("0170", "0", "0.10", "", "Netto")]
    made = batch(booking(*lines))
    assert [row[4] for row in rows(made)[1:]] == ["0400", "0170"]
    assert [row[7:] for row in rows(made)[1:]] == [["0,10", ""], ["", "0,10"]]
    found = audit(made)
    assert texts(found, ".//x:ledgerAccount/x:accID") == ["0170", "0400"]
    assert texts(found, ".//x:trLine/x:costID") == ["007"]


def test_the_audit_file_says_what_was_booked() -> None:
    found = audit(batch(booking(), booking(day="2026-08-31")))
    (count, debit, credit) = [texts(found, f".//x:transactions/x:{one}")[0] for one in
                              ("linesCount", "totalDebit", "totalCredit")]  # fmt: skip
    assert (count, debit, credit) == (str(2 * len(MONTH)), "54932.38", "54932.38")
    sides = dict.fromkeys("DC", Decimal(0))
    for line in found.iterfind(".//x:trLine", NAMES):
        sides[line.findtext("x:amntTp", namespaces=NAMES)] += Decimal(line.findtext("x:amnt", namespaces=NAMES))
    assert sides == {"D": Decimal(debit), "C": Decimal(credit)}
    assert texts(found, ".//x:periods/x:period/x:periodNumber") == ["8", "9"]
    assert texts(found, ".//x:transaction/x:trDt") == ["2026-09-30", "2026-08-31"]
    assert texts(found, ".//x:header/*") == ["2026", "2026-01-01", "2026-12-31", "EUR", "2026-10-01", "Combihub"]


def test_a_broken_fiscal_year_bears_the_year_in_which_it_ends() -> None:
    made = batch(booking(), finmaster_year_start=7)
    body = made.documents[0].payload["body"]
    assert (body["boekjaar"], body["periode"]) == (2027, 3)
    found = audit(Batch(1, body["boekjaar"], made.made_on, made.company, made.settings, made.documents))
    assert texts(found, ".//x:header/*")[:3] == ["2027", "2026-07-01", "2027-06-30"]


@pytest.mark.parametrize("words", ["<b>&amp;</b>", "null\x00 bel\x07 half\ud800", "emoji 🥐", "x" * 2000])
def test_every_word_makes_a_valid_audit_file(words: str) -> None:
    lines = [("40100", "10", "0", "K" * 20, words), ("15100", "0", "10", "", words)]
    made = batch(booking(*lines, description=words))
    found = audit(Batch(1, 2026, made.made_on, {**TYPED, "company": words}, made.settings, made.documents))
    assert len(texts(found, ".//x:trLine")) == 2


def test_the_schema_can_say_no() -> None:
    found = etree.fromstring(files.audit_file(batch()).content)
    for path in (".//x:ledgerAccount", ".//x:period", ".//x:taxRegIdent", ".//x:trLine/x:docRef"):
        broken = etree.fromstring(etree.tostring(found))
        for parent in broken.iter():
            for one in parent.findall(path.removeprefix(".//").split("/")[-1], NAMES):
                parent.remove(one)
        assert not SCHEMA.validate(broken), path
