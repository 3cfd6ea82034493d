"""What the records of our stand-in profile mean, and what is said of records that cannot be read."""

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.minuba import CONNECTOR
from connectors.minuba.reading import number
from connectors.minuba.sandbox import fixed, hours, material, totals, words
from connectors.minuba.settings import MinubaSettings
from hub.accounting.documents import Customer, Ignored, InvoiceLine, SalesInvoice
from hub.kit import json
from hub.sdk.errors import Malformed

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = MinubaSettings()
INVOICES = ["invoice_dossier", "invoice_mixed_rates", "invoice_partial_credit", "invoice_reverse_charge"]
CLIENTS = ["client_dossier", "client_danish"]


def raw(golden: str = "invoice_dossier", /, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((GOLDEN / f"{golden}.json").read_text(encoding="utf-8"))
    return record | changes


def invoice(golden: str = "invoice_dossier", chosen: MinubaSettings = SETTINGS, /, **changes: Any) -> SalesInvoice:
    found = CONNECTOR.sources["invoices"].map(raw(golden, **changes), chosen)
    assert isinstance(found, SalesInvoice)
    return found


def billed(*lines: dict[str, Any], **changes: Any) -> SalesInvoice:
    """The dossier's invoice with other lines, and totals as the sandbox reckons them."""
    return invoice(**{"lines": list(lines), **totals(lines), **changes})


def customer(golden: str = "client_dossier", /, **changes: Any) -> Customer:
    found = CONNECTOR.sources["customers"].map(raw(golden, **changes), SETTINGS)
    assert isinstance(found, Customer)
    return found


def wrongs(**changes: Any) -> list[str]:
    with pytest.raises(Malformed) as caught:
        CONNECTOR.sources["invoices"].map(raw(**changes), SETTINGS)
    return sorted(finding.key.removeprefix("minuba.") for finding in caught.value.findings)


def charged(found: SalesInvoice) -> list[InvoiceLine]:
    return [line for line in found.lines if line.net]


@pytest.mark.parametrize("name", [*INVOICES, *CLIENTS])
def test_a_record_maps_to_its_golden_document(name: str) -> None:
    found = CONNECTOR.sources["invoices" if name in INVOICES else "customers"].map(raw(name), SETTINGS)
    golden = GOLDEN / f"{name}.document.json"
    assert json.loads(found.model_dump_json()) == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", INVOICES)
def test_every_golden_invoice_adds_up_to_the_cent(name: str) -> None:
    found = invoice(name)
    assert sum(line.net for line in found.lines) == found.total_net
    assert sum(line.vat for line in found.lines) == found.total_vat
    assert found.total == found.total_net + found.total_vat


def test_net_is_after_the_discount_and_the_price_stays_the_list_price_with_all_its_decimals() -> None:
    line = billed(material("A", "3", "7.1234", discount="12.5")).lines[0]
    assert (line.quantity, line.unit_price, line.net) == (Decimal(3), Decimal("7.1234"), Decimal("18.70"))


@pytest.mark.parametrize(
    ("given", "article"),
    [("EXP-18", "EXP-18"), (" 007 ", "007"), ('K/½"é', 'K/½"é'), ("X" * 60, "X" * 60), (None, None)],
)
def test_the_material_number_is_the_article_as_it_stands(given: str | None, article: str | None) -> None:
    assert billed(material(given, "1", "10")).lines[0].article == article


def test_hours_fixed_prices_and_text_have_no_article_and_text_no_amount() -> None:
    found = billed(words("Werkbon 1"), hours("1", "62"), fixed("100"))
    assert [line.article for line in found.lines] == [None, None, None]
    assert (found.lines[0].quantity, found.lines[0].vat_class) == (None, None)


def test_a_text_line_with_nulls_for_amounts_is_text() -> None:
    line = dict.fromkeys(("quantity", "unitPrice", "discountPercent", "vatPercent")) | {
        "text": "Let op",
        "type": "text",
    }
    assert billed(line, hours("1", "62")).lines[0].quantity is None


def test_the_line_s_own_totals_are_taken_over() -> None:
    line = hours("3", "33.333") | {"totalExclVat": Decimal("99.99"), "vatAmount": Decimal("21.01")}
    given: dict[str, Any] = {
        "totalExclVat": Decimal("99.99"),
        "vatAmount": Decimal("21.01"),
        "totalInclVat": Decimal("121.00"),
    }
    assert [(one.net, one.vat) for one in invoice(lines=[line], **given).lines] == [
        (Decimal("99.99"), Decimal("21.01"))
    ]


@pytest.mark.parametrize("absent", ["totalExclVat", "vatAmount", "totalInclVat"])
def test_a_total_that_is_left_out_follows_from_the_other_two(absent: str) -> None:
    assert invoice(**{absent: None}).fingerprint() == invoice().fingerprint()


def test_spelling_of_names_numbers_and_states_changes_nothing() -> None:
    shouted: dict[str, Any] = {
        name.upper(): value for name, value in raw(state="APPROVED", totalExclVat="198,88").items()
    }
    shouted["LINES"] = [{name.title(): value for name, value in line.items()} for line in shouted["LINES"]]
    found = CONNECTOR.sources["invoices"].map(shouted, SETTINGS)
    assert isinstance(found, SalesInvoice)
    assert found.fingerprint() == invoice().fingerprint()


def test_being_paid_later_changes_nothing_of_the_document() -> None:
    assert invoice(state="PAID").fingerprint() == invoice(state="approved").fingerprint()


@pytest.mark.parametrize("state", ["draft", "DRAFT", "Kladde", "concept"])
def test_a_draft_is_not_booked(state: str) -> None:
    found = CONNECTOR.sources["invoices"].map(raw(state=state, invoiceNumber=None), SETTINGS)
    assert isinstance(found, Ignored)
    assert (found.reason.key, found.noted) == ("minuba.draft", False)


@pytest.mark.parametrize("state", ["INVOICED", "", None, 7])
def test_an_unknown_state_is_only_booked_with_its_moment_of_approval(state: object) -> None:
    assert invoice(state=state).number == "20261187"
    assert wrongs(state=state, approvedAt=None) == ["state_unknown"]


def test_a_currency_is_never_assumed() -> None:
    assert wrongs(currency=None) == ["currency_missing"]
    assert invoice(currency="dkk").currency == "DKK"
    assert invoice("invoice_dossier", MinubaSettings(invoice_currency="SEK"), currency="").currency == "SEK"
    assert wrongs(currency="kr.") == ["currency_unreadable"]


def test_a_credit_note_is_negative_in_everything_and_a_positive_one_is_shown() -> None:
    found = invoice("invoice_partial_credit")
    line = found.lines[0]
    assert found.is_credit
    assert (line.quantity, line.net, line.vat) == (Decimal(-1), Decimal("-43.88"), Decimal("-9.21"))
    assert wrongs(type="credit") == ["credit_not_negative"]
    assert wrongs(creditedInvoiceId="X") == ["credit_not_negative"]


@pytest.mark.parametrize(
    ("said", "treatment"),
    [
        ({}, None),
        ({"reverseCharge": True}, "reverse_charge"),
        ({"vatText": "Btw verlegd"}, "reverse_charge"),
        ({"vatText": "omvendt betalingspligt"}, "reverse_charge"),
        ({"vatCode": "ICP"}, "icp"),
        ({"vatType": "export"}, "export"),
        ({"vatText": "Momsfritaget, fritaget"}, "exempt"),
    ],
)
def test_zero_percent_is_only_what_is_said_of_it(said: dict[str, Any], treatment: str | None) -> None:
    (line,) = billed(hours("1", "62", 0), **said).lines
    assert line.vat_class is not None
    assert line.vat_class.percentage == 0
    assert (line.vat_class.treatment and line.vat_class.treatment.value) == treatment


def test_a_charged_rate_is_standard_whatever_words_stand_beside_it() -> None:
    (line,) = billed(hours("1", "62"), vatText="EU").lines
    assert line.vat_class is not None
    assert (line.vat_class.id, line.vat_class.treatment) == ("21", "standard")


def test_the_vat_of_a_class_is_reckoned_over_its_sum_and_the_cents_left_over_go_to_its_largest_line() -> None:
    found = billed(hours("1", "10.02"), hours("1", "0.02"), hours("1", "0.02"), hours("1", "5", 9))
    assert [str(line.vat) for line in found.lines] == ["2.11", "0.00", "0.00", "0.45"]


def test_a_cent_a_line_is_placed_and_more_is_a_finding() -> None:
    assert sum(line.net for line in invoice(totalExclVat=Decimal("198.90"), totalInclVat=Decimal("240.66")).lines) == (
        Decimal("198.90")
    )
    assert wrongs(totalExclVat=Decimal("198.91"), totalInclVat=Decimal("240.67")) == ["net_differs"]
    assert wrongs(vatAmount=Decimal("41.79"), totalInclVat=Decimal("240.67")) == ["vat_differs"]


def test_a_line_without_percentage_is_a_finding_unless_there_is_no_vat_at_all() -> None:
    line = hours("1", "62") | {"vatPercent": None}
    assert wrongs(lines=[line], **totals([hours("1", "62")])) == ["field_missing"]
    assert billed(hours("1", "62", 0) | {"vatPercent": None}).total_vat == 0


def test_a_malformed_invoice_lists_all_that_is_wrong() -> None:
    lines = [{"type": "hours", "quantity": "veel", "unitPrice": "NaN", "vatPercent": "hoog"}, "regel"]
    assert wrongs(
        lines=lines, invoiceDate="gisteren", dueDate="ooit", clientId=None, invoiceNumber="", currency="",
        totalExclVat="x",
    ) == [
        "currency_missing", "customer_missing", "date_unreadable", "date_unreadable", "field_missing", "field_missing",
        "lines_unreadable", "number_unreadable", "number_unreadable", "number_unreadable", "number_unreadable",
    ]  # fmt: skip


def test_no_lines_and_no_totals_are_findings() -> None:
    assert wrongs(lines=[]) == ["lines_missing"]
    assert wrongs(totalExclVat=None, totalInclVat=None) == ["field_missing", "field_missing"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("62,00", "62.00"),
        ("1.234,56", "1234.56"),
        ("1.234", "1.234"),
        (" -7 ", "-7"),
        (Decimal("0.1"), "0.1"),
        (3, "3"),
    ],
)
def test_numbers_in_both_spellings(given: object, found: str) -> None:
    assert number(given) == Decimal(found)


@pytest.mark.parametrize("given", [None, "", "12,3,4", "1e", True, 1.5, "NaN", "9" * 20, "12 stuks", []])
def test_what_is_no_number_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"not|large"):
        number(given)


@pytest.mark.parametrize(
    ("cvr", "country", "vat", "chamber"),
    [
        ("13585628", "DK", "DK13585628", "13585628"),
        ("DK-13585628", "", "DK13585628", "13585628"),
        ("12345678", "NL", "", "12345678"),
        ("NL855512340B01", "NL", "NL855512340B01", ""),
        ("8555.12.340.B01", "NL", "NL855512340B01", ""),
        ("BE0477472701", "BE", "BE0477472701", ""),
        ("onbekend", "NL", "", ""),
        (None, "NL", "", ""),
    ],
)
def test_company_and_vat_numbers_are_told_by_their_form(cvr: str | None, country: str, vat: str, chamber: str) -> None:
    where = {"id": "12", "addressType": "CONTACT", "country": country}
    found = customer(cvr=cvr, addresses=[where])
    assert (found.vat_number, found.chamber_of_commerce) == (vat, chamber)


def test_an_invoice_never_goes_to_a_building_site() -> None:
    assert customer("client_danish").address.city == "København K"
    site = {"id": "1", "addressType": "DELIVERY", "city": "Nordhavn"}
    assert customer("client_danish", addresses=[site]).address.city == ""
    assert customer("client_danish", addresses=[site], lastUsedBillingAddressId=1).address.city == "Nordhavn"


@pytest.mark.parametrize(
    ("term", "days"),
    [
        ("30", 30),
        (30, 30),
        ({"days": 8}, 8),
        ("Netto 14 dage", 14),
        ("Lopende maand + 30, 8 dagen", None),
        (None, None),
    ],
)
def test_a_payment_term_is_its_only_number(term: object, days: int | None) -> None:
    assert customer(paymentTerm=term).payment_days == days


def test_a_client_without_number_or_address_is_still_a_debtor() -> None:
    found = customer(clientNumber=None, addresses=None)
    assert (found.number, found.emails, found.address.city) == ("", (), "")


def test_a_client_without_name_is_malformed() -> None:
    with pytest.raises(Malformed):
        customer(name=" ")


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*raw(), "days", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*raw(), *raw("client_danish")]), JUNK)
def test_whatever_stands_in_a_field_is_a_document_or_malformed(name: str, junk: object) -> None:
    for golden, stream in (("invoice_dossier", "invoices"), ("client_danish", "customers")):
        with suppress(Malformed, ValueError if name == "id" else Malformed):
            CONNECTOR.sources[stream].map(raw(golden, **{name: junk}), SETTINGS)
