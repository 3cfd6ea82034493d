"""What the records of the dossier mean, and what is said of records that cannot be read."""

from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.simplicate import CONNECTOR
from connectors.simplicate.invoices import treatment
from connectors.simplicate.settings import SimplicateSettings
from hub.accounting.documents import Customer, Ignored, SalesInvoice
from hub.accounting.money import decimal
from hub.kit import json
from hub.sdk.errors import Malformed

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = SimplicateSettings()
INVOICES = ["invoice_mixed_rates", "invoice_credit", "invoice_eu_service", "invoice_rounded"]


def raw(golden: str, /, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((GOLDEN / f"{golden}.json").read_text(encoding="utf-8"))
    return record | changes


def invoice(name: str = "invoice_mixed_rates", settings: SimplicateSettings = SETTINGS, **changes: Any) -> SalesInvoice:
    found = CONNECTOR.sources["invoices"].map(raw(name, **changes), settings)
    assert isinstance(found, SalesInvoice)
    return found


def customer(golden: str = "organization", /, **changes: Any) -> Customer:
    found = CONNECTOR.sources["customers"].map(raw(golden, **changes), SETTINGS)
    assert isinstance(found, Customer)
    return found


def ignored(settings: SimplicateSettings = SETTINGS, **changes: Any) -> Ignored:
    found = CONNECTOR.sources["invoices"].map(raw("invoice_mixed_rates", **changes), settings)
    assert isinstance(found, Ignored)
    return found


def wrongs(**changes: Any) -> list[str]:
    with pytest.raises(Malformed) as caught:
        CONNECTOR.sources["invoices"].map(raw("invoice_mixed_rates", **changes), SETTINGS)
    return sorted(finding.key.removeprefix("simplicate.") for finding in caught.value.findings)


@pytest.mark.parametrize("name", [*INVOICES, "organization", "person"])
def test_a_record_of_the_dossier_maps_to_its_golden_document(name: str) -> None:
    stream = CONNECTOR.sources["invoices" if name in INVOICES else "customers"]
    found = stream.map(raw(name), SETTINGS)
    golden = GOLDEN / f"{name}.document.json"
    assert json.loads(found.model_dump_json()) == json.loads(golden.read_text(encoding="utf-8"))


def test_the_rounding_difference_stands_on_the_first_line_and_the_vat_difference_on_the_largest_group() -> None:
    first, second = invoice("invoice_rounded").lines
    assert (first.net, second.net) == (Decimal("280.13"), Decimal("280.12"))
    assert first.vat + second.vat == Decimal("117.65")


def test_a_vat_difference_goes_to_the_group_with_most_vat() -> None:
    found = invoice(total_vat=Decimal("300.02"), total_including_vat=Decimal("1900.02"))
    assert [str(line.vat) for line in found.lines] == ["288.77", "27.00", "-15.75"]


def test_numbers_as_strings_and_as_numbers_are_the_same_invoice() -> None:
    changed = raw("invoice_mixed_rates")
    for line in changed["invoice_lines"]:
        line.update({name: decimal(line[name]) for name in ("amount", "price", "total_vat")})
        line["vat_class"]["percentage"] = decimal(line["vat_class"]["percentage"])
    changed.update({name: f"{changed[name]}.000000" for name in ("total_excluding_vat", "total_vat")})
    changed["payment_term"]["days"] = 14
    changed["status"] = "Sent"
    found = CONNECTOR.sources["invoices"].map(changed, SETTINGS)
    assert isinstance(found, SalesInvoice)
    assert found.fingerprint() == invoice().fingerprint()


@pytest.mark.parametrize("absent", ["total_excluding_vat", "total_vat", "total_including_vat"])
def test_a_total_that_is_left_out_follows_from_the_other_two(absent: str) -> None:
    changes: dict[str, Any] = {absent: None}
    assert invoice(**changes).fingerprint() == invoice().fingerprint()


@pytest.mark.parametrize("status", ["Concept", {"name": "label_Concept"}, {"name": "label_concept", "id": "x"}])
def test_a_concept_is_not_booked_in_whatever_form_its_status_comes(status: object) -> None:
    assert ignored(status=status).reason.key == "simplicate.concept"


@pytest.mark.parametrize("number", [None, "", "  "])
def test_an_invoice_without_number_is_a_concept(number: str | None) -> None:
    found = ignored(invoice_number=number)
    assert (found.reason.key, found.noted) == ("simplicate.concept", False)


@pytest.mark.parametrize("status", [{"name": "label_Paid"}, {"name": "label_Expired"}, "Overdue", None, {}])
def test_every_other_status_with_a_number_is_a_sent_invoice(status: object) -> None:
    assert invoice(status=status).number == "F2026-0412"


def test_the_ignore_marker_sets_an_invoice_aside_and_says_so_on_the_timeline() -> None:
    found = ignored(SimplicateSettings(ignore_marker="#NIETBOEKEN"), reference="PO 1 #nietboeken")
    assert (found.reason.key, found.number, found.noted) == ("simplicate.ignored_by_marker", "F2026-0412", True)


def test_without_a_marker_nothing_is_set_aside() -> None:
    assert invoice(settings=SimplicateSettings(ignore_marker=" "), subject="")


def test_a_malformed_invoice_lists_all_that_is_wrong() -> None:
    lines = [{"amount": "veel", "price": "NaN", "total_vat": True, "vat_class": {"percentage": "hoog"}}]
    found = wrongs(
        invoice_lines=lines, date="gisteren", organization=None, organization_id="", total_vat="x",
        my_organization_profile=None, my_organization_profile_id=None,
    )  # fmt: skip
    assert found == ["customer_missing", "date_unreadable", "field_missing", *["number_unreadable"] * 5]


def test_totals_that_differ_more_than_rounding_are_refused_with_the_numbers() -> None:
    with pytest.raises(Malformed) as caught:
        invoice(total_excluding_vat=Decimal("1600.04"), total_vat=Decimal("300.04"))
    values = [dict(finding.values) for finding in caught.value.findings]
    assert [finding.key for finding in caught.value.findings] == ["simplicate.net_differs", "simplicate.vat_differs"]
    assert (values[0]["total"], values[0]["lines"]) == ("1600.04", "1600.00")


@pytest.mark.parametrize("lines", [None, [], {}, "x"])
def test_an_invoice_without_lines_is_a_finding(lines: object) -> None:
    assert wrongs(invoice_lines=lines) == ["lines_missing"]


@pytest.mark.parametrize("lines", [[None], ["x"], [{}]])
def test_lines_that_are_no_lines_are_findings(lines: object) -> None:
    assert "field_missing" in wrongs(invoice_lines=lines)


def test_a_line_of_words_only_is_not_booked() -> None:
    lines = [*raw("invoice_mixed_rates")["invoice_lines"], {"description": "Met dank", "amount": None, "price": ""}]
    assert len(invoice(invoice_lines=lines).lines) == 3


@pytest.mark.parametrize("amount", ["1e999999", "9" * 40, "-1e13"])
def test_an_amount_of_a_size_that_no_invoice_has_is_a_finding(amount: str) -> None:
    lines = raw("invoice_mixed_rates")["invoice_lines"]
    assert wrongs(invoice_lines=[lines[0] | {"amount": amount}, *lines[1:]]) == ["number_unreadable"]


@pytest.mark.parametrize("date", ["0000-00-00", "1970-01-01", None, ""])
def test_a_zero_date_is_no_date(date: str | None) -> None:
    assert wrongs(date=date) == ["field_missing"]


@pytest.mark.parametrize("date", ["2026-03-09 00:00:00", "2026-03-09T00:00:00+01:00"])
def test_a_date_with_a_time_is_its_day(date: str) -> None:
    assert str(invoice(date=date).date) == "2026-03-09"


@pytest.mark.parametrize(
    ("percentage", "words", "meant"),
    [
        ("21", "ICP", "standard"),
        ("0", "ICP diensten (btw verlegd)", "icp"),
        ("0", "Levering EU", "icp"),
        ("0", "VV Btw verlegd", "reverse_charge"),
        ("0", "Export buiten EU", "export"),
        ("0", "Vrijgesteld van btw", "exempt"),
        ("0", "V0 0% btw", None),
    ],
)
def test_a_rate_of_zero_means_what_its_words_suggest_or_nothing(percentage: str, words: str, meant: str | None) -> None:
    assert treatment(Decimal(percentage), words) == meant


def test_the_general_address_goes_before_the_fixed_invoicing_address() -> None:
    assert customer().emails == ("info@goudenaar.example", "facturen@goudenaar.example")
    debtor = raw("organization")["debtor"] | {"send_email_type": "contact"}
    assert customer(debtor=debtor).emails == ("info@goudenaar.example",)


@pytest.mark.parametrize("different", [True, "1", 1, "true"])
def test_post_goes_to_the_postal_address_when_there_is_another(different: object) -> None:
    postal = {"line_1": "Postbus 44", "postal_code": "3430 AA", "locality": "Nieuwegein", "country_code": "NL"}
    assert customer(has_different_postal_address=different, postal_address=postal).address.street == "Postbus 44"
    assert customer(has_different_postal_address="0", postal_address=postal).address.street == "Oudegracht 12"


def test_hostile_words_do_not_reach_a_document() -> None:
    found = customer(name="<script>alert(1)</script>Bakker &lt;3\x00", email="geen adres", debtor=None)
    assert (found.name, found.emails) == ("alert(1)Bakker <3", ())


def test_a_relation_without_a_name_is_a_finding() -> None:
    with pytest.raises(Malformed):
        customer(name="")


def test_private_persons_stay_out_when_the_settings_say_so() -> None:
    found = CONNECTOR.sources["customers"].map(raw("person"), SimplicateSettings(persons=False))
    assert isinstance(found, Ignored)


@pytest.mark.parametrize("stream", ["invoices", "customers"])
@pytest.mark.parametrize("record", [{}, {"id": None}, {"id": ""}, {"id": True}])
def test_a_record_without_an_id_has_no_key(stream: str, record: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        CONNECTOR.sources[stream].key(record)


NONSENSE = st.recursive(
    st.none()
    | st.booleans()
    | st.text(max_size=8)
    | st.sampled_from(["1e999999", "-0", "9" * 40, "0000-00-00", 3, {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "days"]), inner),
    max_leaves=4,
)
FIELDS = sorted({*raw("invoice_mixed_rates"), *raw("organization"), *raw("person"), "person", "postal_address"})
LINE_FIELDS = ["amount", "price", "total_vat", "vat_class", "revenue_group", "description"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FIELDS), NONSENSE, max_size=4), st.sampled_from(["invoices", "customers"]))
def test_nonsense_in_any_field_is_read_or_told_and_never_a_crash(nonsense: dict[str, Any], stream: str) -> None:
    for golden in INVOICES if stream == "invoices" else ["organization", "person"]:
        record = raw(golden, **{name: value for name, value in nonsense.items() if name != "id"})
        with suppress(Malformed):
            CONNECTOR.sources[stream].map(record, SimplicateSettings(ignore_marker="x"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(LINE_FIELDS), NONSENSE, min_size=1))
def test_nonsense_in_a_line_is_read_or_told_and_never_a_crash(nonsense: dict[str, Any]) -> None:
    lines = raw("invoice_mixed_rates")["invoice_lines"]
    with suppress(Malformed):
        invoice(invoice_lines=[lines[0] | nonsense, *lines[1:]])
