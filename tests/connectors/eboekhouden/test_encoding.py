"""What is sent to e-Boekhouden.nl, and what is refused before it is sent."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.eboekhouden import customers, invoices
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.booking import SalesBooking
from hub.accounting.chart import Master
from hub.accounting.documents import VatClass, VatTreatment
from hub.kit import json
from hub.sdk.errors import RecordRejected
from tests.connectors.eboekhouden.conftest import HIGH, HOME, ICP, LOW, debtor, sale

GOLDEN = Path(__file__).parent / "golden"
PLAIN = ("8000", "1200.00", "252.00", HIGH)


def golden(name: str) -> object:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def keys(booking: SalesBooking, master: Master, **chosen: Any) -> list[str]:
    settings = EboekhoudenSettings.model_validate(chosen)
    return [finding.key.removeprefix("eboekhouden.") for finding in invoices.validate(booking, master, settings)]


def body(booking: SalesBooking, master: Master, **chosen: Any) -> dict[str, Any]:
    settings = EboekhoudenSettings.model_validate(chosen)
    return dict(json.loads(json.dumps(invoices.encode(booking, master, settings)["body"])))


@pytest.mark.parametrize(
    ("name", "booking"),
    [
        ("sales_invoice", sale(PLAIN, customer="70220915")),
        ("credit_note", sale(("8000", "-100.00", "-21.00", HIGH), number="F2026-0150", customer="70220915")),
        (
            "mixed_with_discount",
            sale(
                ("8000", "100.00", "21.00", HIGH),
                ("8010", "90.00", "8.10", LOW),
                ("8010", "-10.00", "-0.90", LOW),
                ("8100", "250.00", "0.00", ICP),
                number="F2026-0151",
                customer="70220915",
                cost_centre="Kantoor",
            ),
        ),
        (
            "including_vat",
            sale(("8000", "0.33", "0.07", HIGH), ("8010", "10.02", "2.11", HIGH), customer="70220915"),
        ),
    ],
)
def test_an_invoice_becomes_a_mutation(name: str, booking: SalesBooking, master: Master) -> None:
    payload = invoices.encode(booking, master, EboekhoudenSettings())
    assert json.loads(json.dumps(payload["body"])) == golden(name)
    assert (payload["total"], payload["administration"]) == (booking.invoice.total, HOME)


@pytest.mark.parametrize(
    ("treatment", "percentage", "label", "code"),
    [
        (VatTreatment.standard, 21, "", "HOOG_VERK_21"),
        (VatTreatment.standard, 9, "", "LAAG_VERK_9"),
        (None, 21, "", "HOOG_VERK_21"),
        (VatTreatment.reverse_charge, 21, "", "VERL_VERK"),
        (VatTreatment.reverse_charge, 0, "", "VERL_VERK"),
        (VatTreatment.reverse_charge, None, "", "VERL_VERK"),
        (VatTreatment.reverse_charge, 9, "", "VERL_VERK_L9"),
        (VatTreatment.icp, 0, "ICP", "BI_EU_VERK_D"),
        (VatTreatment.icp, 0, "ICP leveringen goederen", "BI_EU_VERK"),
        (VatTreatment.export, 0, "", "BU_EU_VERK"),
        (VatTreatment.exempt, None, "", "GEEN"),
    ],
)
def test_a_vat_class_has_its_code(
    treatment: VatTreatment | None, percentage: int | None, label: str, code: str, master: Master
) -> None:
    rate = None if percentage is None else Decimal(percentage)
    known = VatClass(id="x", label=label, percentage=rate, treatment=treatment)
    charged = code in ("HOOG_VERK_21", "LAAG_VERK_9") and rate
    line = ("8000", "100.00", f"{rate:.2f}" if charged else "0.00", known)

    assert [row["vatCode"] for row in body(sale(line), master)["rows"]] == [code]


@pytest.mark.parametrize(
    ("treatment", "percentage"),
    [(None, 0), (None, None), (VatTreatment.standard, 0), (VatTreatment.standard, 19), (VatTreatment.standard, None)],
)
def test_a_class_that_cannot_be_told_is_named(
    treatment: VatTreatment | None, percentage: int | None, master: Master
) -> None:
    rate = None if percentage is None else Decimal(percentage)
    vague = VatClass(id="v9", label="Btw vreemd", percentage=rate, treatment=treatment)
    line = ("8000", "100.00", f"{rate or 0:.2f}", vague)
    (finding,) = invoices.validate(sale(line, line), master, EboekhoudenSettings())

    assert (finding.key, finding.field) == ("eboekhouden.vat_class_unclear", "sales_vat_codes")
    assert finding.values["vat_class"] == "Btw vreemd"


def test_the_setting_goes_before_what_we_would_choose(master: Master) -> None:
    odd = VatClass(id="de19", label="Duitse btw", percentage=Decimal(19), treatment=VatTreatment.standard)
    line = ("8000", "100.00", "19.00", odd)
    (row,) = body(sale(line), master, sales_vat_codes={"Duitse btw": "AFW_VERK"})["rows"]

    assert (row["vatCode"], row["amount"], row["vatAmount"]) == ("AFW_VERK", 100, 19)
    assert keys(sale(PLAIN), master, sales_vat_codes={"21": "GEEN"}) == ["vat_on_uncharged"]


def test_what_the_class_does_not_say_the_setting_does(master: Master) -> None:
    line = ("8100", "100.00", "0.00", ICP)
    assert body(sale(line), master, icp_supply="goods")["rows"][0]["vatCode"] == "BI_EU_VERK"


@pytest.mark.parametrize(
    ("booking", "found"),
    [
        (sale(PLAIN), []),
        (sale(("1100", "100.00", "21.00", HIGH)), ["account_category"]),
        (sale(("1300", "100.00", "21.00", HIGH)), ["account_category"]),
        (sale(("8999", "100.00", "21.00", HIGH)), ["account_unknown"]),
        (sale(PLAIN, number="F" * 51), ["number_too_long"]),
        (sale(PLAIN, currency="USD"), ["other_currency"]),
        (sale(PLAIN, date=date(1979, 12, 31)), ["date_refused"]),
        (sale(PLAIN, customer="HOUT"), ["relation_unknown"]),
        (sale(("8100", "100.00", "21.00", ICP)), ["vat_on_uncharged"]),
        (sale(("8000", "100.00", "21.00", None)), ["vat_class_missing"]),
        (sale(("8000", "100.00", "20.00", HIGH)), ["vat_differs"]),
        (sale(("8000", "0.00", "0.00", HIGH)), ["no_amounts"]),
        (sale(("8000", "50.00", "10.50", HIGH), ("8000", "-50.00", "-10.50", HIGH)), ["no_amounts"]),
        (
            sale(("1100", "100.00", "21.00", None), currency="USD", number="F" * 51),
            ["number_too_long", "other_currency", "account_category", "vat_class_missing"],
        ),
    ],
)
def test_all_that_is_wrong_is_found_before_sending(booking: SalesBooking, found: list[str], master: Master) -> None:
    assert keys(booking, master) == found
    if found:
        with pytest.raises(RecordRejected) as refused:
            invoices.encode(booking, master, EboekhoudenSettings())
        assert len(refused.value.findings) == len(found)


def test_a_cent_of_rounding_is_shown_when_asked_for(master: Master) -> None:
    lines = (("8000", "0.33", "0.07", HIGH), ("8010", "10.02", "2.11", HIGH))
    assert keys(sale(*lines), master) == []
    assert keys(sale(*lines), master, vat_difference="ask") == ["vat_differs"]


def test_a_cost_centre_is_left_out_asked_for_or_never_used(box: EboekhoudenSandbox, master: Master) -> None:
    office = next(iter(box.administration()["costcentres"]))
    known, unknown = sale(PLAIN, cost_centre="Kantoor"), sale(PLAIN, cost_centre="Magazijn")

    assert body(known, master)["rows"][0]["costCenterId"] == office
    assert "costCenterId" not in body(unknown, master)["rows"][0]
    assert "costCenterId" not in body(known, master, cost_centre_use="never")["rows"][0]
    assert keys(unknown, master, cost_centre_use="required") == ["cost_centre_unknown"]
    assert keys(known, master, cost_centre_use="required") == []


@pytest.mark.parametrize(
    ("facts", "days"),
    [({}, 30), ({"due_date": None}, 14), ({"due_date": date(2026, 3, 1)}, 0), ({"due_date": date(2126, 3, 1)}, 9999)],
)
def test_a_payment_term_is_always_sent(facts: dict[str, Any], days: int, master: Master) -> None:
    assert body(sale(PLAIN, **facts), master)["termOfPayment"] == days


def test_words_are_cut_with_the_number_first(master: Master) -> None:
    booking = sale(PLAIN)
    long = booking.invoice.customer.model_copy(update={"name": "Stichting \n" + "Lang " * 30})
    words = body(sale(PLAIN, customer="1", number="F2026-0143"), master)["description"]
    cut = invoices.encode(
        booking.model_copy(update={"invoice": booking.invoice.model_copy(update={"customer": long})}),
        master,
        EboekhoudenSettings(),
    )["body"]["description"]

    assert words == "Factuur F2026-0143 Houtwerf Noord B.V."
    assert cut.startswith("Factuur F2026-0143 Stichting Lang")
    assert len(cut) <= 50


def test_a_debtor_becomes_a_relation(master: Master) -> None:
    payload = customers.encode(
        debtor(
            "Houtwerf Noord B.V.",
            "administratie@houtwerf-noord.example",
            contact="Jorien Veldkamp",
            phone="050-1234567",
            iban="NL91 ABNA 0417 1643 00",
            payment_days=30,
        ),
        master,
        EboekhoudenSettings(),
    )
    assert json.loads(json.dumps(payload["body"])) == golden("relation")


@pytest.mark.parametrize(
    ("facts", "absent"),
    [
        ({"iban": "NL91ABNA0417164301"}, "iban"),
        ({"emails": ("geen adres",)}, "emailAddress"),
        ({"emails": ("a" * 150 + "@b.nl",)}, "emailAddress"),
        ({"chamber_of_commerce": "HRB 1234"}, "companyRegistrationNumber"),
        ({"vat_number": "N" * 51}, "vatNumber"),
    ],
)
def test_what_would_make_the_relation_refused_is_left_out(facts: dict[str, Any], absent: str, master: Master) -> None:
    made = customers.encode(debtor(**facts), master, EboekhoudenSettings())["body"]

    assert absent not in made
    assert made["name"] == "Houtwerf Noord B.V."


def test_a_long_name_is_cut(master: Master) -> None:
    made = customers.encode(debtor("Lang " * 40, is_person=True), master, EboekhoudenSettings())["body"]

    assert len(made["name"]) <= 100
    assert made["type"] == "P"
