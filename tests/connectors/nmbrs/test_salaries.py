"""A run's payment file as a salary batch: any version of PAIN.001, and everything that is no such file."""

from datetime import date
from decimal import Decimal

import pytest

from connectors.nmbrs.markup import Unreadable
from connectors.nmbrs.salaries import batch

FILE = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}"><CstmrCdtTrfInitn>
<GrpHdr><MsgId>M</MsgId></GrpHdr>
<PmtInf><PmtInfId>P</PmtInfId><CtrlSum>{total}</CtrlSum>{day}<Dbtr><Nm>Waterlelie B.V.</Nm></Dbtr>
<DbtrAcct><Id><IBAN>nl63 VBLD 0417 0003 01</IBAN></Id></DbtrAcct>
<CdtTrfTxInf><PmtId><EndToEndId>A-1</EndToEndId></PmtId><Amt><InstdAmt Ccy="EUR">1500.25</InstdAmt></Amt>
<Cdtr><Nm>Zoë &amp; Co</Nm></Cdtr><CdtrAcct><Id><IBAN>NL91 ABNA 0417 1643 00</IBAN></Id></CdtrAcct>
<RmtInf><Ustrd>Salaris maart</Ustrd></RmtInf></CdtTrfTxInf>
<CdtTrfTxInf><PmtId><EndToEndId>A-2</EndToEndId></PmtId><Amt><InstdAmt Ccy="EUR">1480.00</InstdAmt></Amt>
<Cdtr><Nm>B</Nm></Cdtr><CdtrAcct><Id><IBAN>NL44RABO0123456789</IBAN></Id></CdtrAcct></CdtTrfTxInf>
</PmtInf></CstmrCdtTrfInitn></Document>"""
THIRD = "<ReqdExctnDt>2026-03-25</ReqdExctnDt>"
NINTH = "<ReqdExctnDt><Dt>2026-03-25</Dt></ReqdExctnDt>"
EARLIEST = date(2026, 1, 1)


def read(version: str = "03", day: str = THIRD, total: str = "2980.25") -> object:
    return batch(FILE.format(version=version, day=day, total=total), "1", "1:2026:3-3:3", "2026-03 run 3", EARLIEST)


def test_both_versions_that_banks_take_read_the_same() -> None:
    third, ninth = read(), read("09", NINTH)
    assert third == ninth
    assert third.date == date(2026, 3, 25)  # type: ignore[attr-defined]
    assert third.debtor_iban == "NL63VBLD0417000301"  # type: ignore[attr-defined]
    assert [(one.reference, one.name, one.iban, one.amount) for one in third.orders] == [  # type: ignore[attr-defined]
        ("A-1", "Zoë & Co", "NL91ABNA0417164300", Decimal("1500.25")),
        ("A-2", "B", "NL44RABO0123456789", Decimal("1480.00")),
    ]


def test_the_stated_sum_is_kept_and_not_made_anew() -> None:
    assert read(total="2980.24").total == Decimal("2980.24")  # type: ignore[attr-defined]


def test_a_file_without_a_day_asks_for_the_earliest() -> None:
    assert read(day="").date == EARLIEST  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        "<Document/>",
        "<html><body>502</body></html>",
        FILE[:300],
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Document>&e;</Document>',
        FILE.format(version="03", day=THIRD, total="2980.25").replace("1500.25", "1.500,25"),
    ],
)
def test_what_is_no_payment_file_is_refused(text: str) -> None:
    with pytest.raises((Unreadable, ValueError)):
        batch(text, "1", "1:2026:3-3:3", "2026-03 run 3", EARLIEST)
