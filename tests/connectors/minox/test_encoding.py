"""What is sent to Minox, and what is refused before it is sent."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.minox import CONNECTOR, customers, invoices
from connectors.minox.administration import sales_journal
from connectors.minox.sandbox import MinoxSandbox
from connectors.minox.settings import MinoxSettings
from hub.accounting.booking import SalesBooking
from hub.accounting.chart import Journal, Master
from hub.accounting.documents import Finding, Label
from hub.kit import json
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Http
from tests.connectors.minox.conftest import HIGH, HOME, ICP, LOW, debtor, key, sale

GOLDEN = Path(__file__).parent / "golden"
PLAIN = ("8000", "1200.00", "252.00", HIGH)


def golden(name: str) -> object:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def found(booking: SalesBooking, master: Master, settings: MinoxSettings) -> list[str]:
    return [finding.key for finding in invoices.validate(booking, master, settings)]


@pytest.mark.parametrize(
    ("name", "booking", "chosen"),
    [
        ("sales_entry", sale(PLAIN), {}),
        ("credit_note", sale(("8000", "-100.00", "-21.00", HIGH), number="F2026-0150"), {}),
        (
            "mixed_with_discount",
            sale(
                ("8000", "100.00", "21.00", HIGH),
                ("8010", "90.00", "8.10", LOW),
                ("8010", "-10.00", "-0.90", LOW),
                number="F2026-0151",
            ),
            {},
        ),
        ("gross", sale(PLAIN), {"vat_entry": "gross"}),
    ],
)
def test_an_invoice_becomes_its_booking_lines(
    name: str, booking: SalesBooking, chosen: dict[str, str], master: Master
) -> None:
    payload = invoices.encode(booking, master, MinoxSettings.model_validate(chosen))
    assert json.loads(json.dumps(payload["lines"])) == golden(name)
    assert payload["total"] == booking.invoice.total
    assert payload["administration"] == HOME


def test_a_debtor_becomes_a_customer(master: Master, settings: MinoxSettings) -> None:
    booking = debtor("Houtwerf Noord B.V.", "administratie@houtwerf-noord.example", contact="I. de Graaf")
    payload = customers.encode(booking, master, settings)
    assert payload["body"] == golden("customer")
    assert payload["journal"] == "VERK"


def test_a_debtor_without_vat_number_still_sends_vat(master: Master, settings: MinoxSettings) -> None:
    payload = customers.encode(debtor(vat_number=""), master, settings)
    assert payload["body"]["vat"] == {"active": False, "vat_registration_number": ""}
    assert "email_addresses" not in payload["body"]["addresses"][0]


def test_an_icp_invoice_is_booked_without_vat(master: Master, settings: MinoxSettings) -> None:
    payload = invoices.encode(sale(("8100", "500.00", "0", ICP)), master, settings)
    assert [line["credit"] for line in payload["lines"]] == [0, Decimal("500.00")]


def test_lines_are_merged_per_account_when_only_then_the_vat_is_the_invoices(
    master: Master, settings: MinoxSettings
) -> None:
    rounded_per_line = [("8000", "10.03", "2.11", HIGH)] * 3
    payload = invoices.encode(sale(*rounded_per_line), master, settings)
    assert [line["credit"] for line in payload["lines"]] == [0, *[Decimal("10.03")] * 3]
    rounded_as_a_whole = [*rounded_per_line[:2], ("8000", "10.03", "2.10", HIGH)]
    payload = invoices.encode(sale(*rounded_as_a_whole), master, settings)
    assert [line["credit"] for line in payload["lines"]] == [0, Decimal("30.09")]
    assert payload["total"] == Decimal("36.41")


def test_vat_that_minox_would_compute_differently_is_a_finding_with_the_difference(
    master: Master, settings: MinoxSettings
) -> None:
    booking = sale(("8000", "100.00", "21.05", HIGH))
    (finding,) = invoices.validate(booking, master, settings)
    assert finding.key == "minox.vat_differs"
    assert finding.values["difference"] == "-0.05"
    with pytest.raises(RecordRejected) as refused:
        invoices.encode(booking, master, settings)
    assert refused.value.findings == (finding,)


@pytest.mark.parametrize(
    ("booking", "expected"),
    [
        (sale(PLAIN, date=date(2027, 1, 4)), ["minox.fiscal_year_missing"]),
        (sale(("8999", "1200.00", "252.00", HIGH)), ["minox.account_unknown"]),
        (sale(("8010", "1200.00", "252.00", HIGH)), ["minox.account_other_vat"]),
        (sale(("8000", "500.00", "0", ICP)), ["minox.account_other_vat"]),
        (sale(("8900", "100.00", "21.00", HIGH)), ["minox.account_without_vat"]),
        (sale(PLAIN, number="concept"), ["minox.number_without_digits"]),
        (sale(PLAIN, number="2147483648"), ["minox.number_too_large"]),
        (sale(PLAIN, currency="USD"), ["minox.other_currency"]),
        (
            sale(("8999", "1.00", "0.21", HIGH), ("8010", "1.00", "0.21", HIGH), currency="USD", number="-"),
            ["minox.number_without_digits", "minox.other_currency", "minox.account_unknown", "minox.account_other_vat"],
        ),
    ],
)
def test_everything_that_minox_would_refuse_is_found_at_once(
    booking: SalesBooking, expected: list[str], master: Master, settings: MinoxSettings
) -> None:
    assert found(booking, master, settings) == expected


def test_two_percentages_are_named(master: Master, settings: MinoxSettings) -> None:
    (finding,) = invoices.validate(sale(("8010", "1200.00", "252.00", HIGH)), master, settings)
    assert dict(finding.values) == {
        "account": "8010",
        "name": "Omzet boeken 9%",
        "charged": "21",
        "set_up": "9",
    }
    assert finding.field == "ledger_accounts"


async def test_a_blocked_account_and_a_cost_centre_account_are_findings(
    box: MinoxSandbox, http: Http, settings: MinoxSettings
) -> None:
    ledger = box.administration(HOME)["ledger_accounts"]
    ledger["8000"]["blocked"] = {"active": True, "reason": "oud"}
    ledger["8010"]["cost_type"] = {"id": 1, "description": "Afdeling", "type": ""}
    assert CONNECTOR.master is not None
    master = await CONNECTOR.master(http, HOME)
    booking = sale(PLAIN, ("8010", "100.00", "9.00", LOW))
    assert found(booking, master, settings) == ["minox.account_blocked", "minox.cost_centre_needed"]
    line = booking.lines[1].model_copy(update={"cost_centre": Label(id="10", label="Kantoor")})
    payload = invoices.encode(sale(("8010", "100.00", "9.00", LOW), lines=(line,)), master, settings)
    assert payload["lines"][1]["cost_center"] == {"id": 10}


@pytest.mark.parametrize(
    ("printed", "how", "expected"),
    [
        ("F2026-0412", "all_digits", "20260412"),
        ("0007", "all_digits", "7"),
        ("2026-1234567890", "last_9", "234567890"),
        ("concept", "all_digits", None),
    ],
)
def test_a_printed_number_becomes_a_whole_number(printed: str, how: str, expected: str | None) -> None:
    chosen = MinoxSettings.model_validate({"invoice_number": how})
    assert invoices.claim(sale(PLAIN, number=printed), chosen) == expected


def test_the_description_is_cut_after_the_number(master: Master, settings: MinoxSettings) -> None:
    booking = sale(PLAIN)
    customer = booking.invoice.customer.model_copy(update={"name": "Zeer lange naam " * 10})
    long = booking.model_copy(update={"invoice": booking.invoice.model_copy(update={"customer": customer})})
    payload = invoices.encode(long, master, settings)
    assert payload["lines"][0]["description"].startswith("Factuur F2026-0143 Zeer lange naam")
    assert len(payload["lines"][0]["description"]) <= 50


@pytest.mark.parametrize(
    ("journals", "chosen", "expected"),
    [
        ([("VERK", "Verkoop", "sales"), ("MEMO", "Memoriaal", "general")], "", "VERK"),
        ([("VRK", "Verkoopboek", "7"), ("INK", "Inkoop", "8")], "", "VRK"),
        ([("V1", "Verkoop NL", "sales"), ("V2", "Verkoop EU", "sales")], "", "minox.journal_choose"),
        ([("V1", "Verkoop NL", "sales"), ("V2", "Verkoop EU", "sales")], "V2", "V2"),
        ([("ZZZZ", "Iets", "x")], "", "minox.journal_choose"),
        ([("VERK", "Verkoop", "sales")], "WEG", "minox.journal_unknown"),
    ],
)
def test_the_journal_is_the_chosen_one_or_the_only_one_for_sales(
    journals: list[tuple[str, str, str]], chosen: str, expected: str
) -> None:
    known = [Journal(id=one, name=name, kind=kind) for one, name, kind in journals]
    result = sales_journal(known, chosen)
    assert (result.key if isinstance(result, Finding) else result.id) == expected
    assert not isinstance(result, Finding) or result.field == "journal"


def test_our_key_on_a_debtor_is_short_and_lower_case() -> None:
    mark = customers.external_id(key("organization:1", "customers"))
    assert mark == mark.lower()
    assert len(mark) <= 60
    assert customers.marks(key("organization:1", "customers")) == (mark,)
