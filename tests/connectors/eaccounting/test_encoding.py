"""Invoices in eAccounting's words: the dossier's own draft, and every kind of line."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.eaccounting import CONNECTOR, company
from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.chart import Master
from hub.accounting.documents import InvoiceLine, VatClass, VatTreatment
from hub.kit.json import dumps
from hub.sdk.connector import Payload
from hub.sdk.errors import RecordRejected
from hub.sdk.http import Http
from tests.connectors.eaccounting.conftest import HIGH, HOME, ICP, INVOICES, LOW, REVERSE, line, sale

GOLDEN = Path(__file__).parent / "golden"
Encode = Callable[..., Payload]


def keys(caught: pytest.ExceptionInfo[RecordRejected]) -> list[str]:
    return [one.key for one in caught.value.findings]


def priced(payload: Payload) -> list[dict[str, Any]]:
    return [row for row in payload["body"]["Rows"] if not row["IsTextRow"]]


@pytest.mark.parametrize(
    ("name", "booking"),
    [
        ("draft", sale()),
        ("credit", sale(line("Monteur", "-62.00", "-13.02", quantity="-1", unit_price="62.00"), number="20261188")),
        ("reverse_charge", sale(line("Montage", "500.00", kind=REVERSE, quantity="1", unit_price="500"))),
        ("abroad", sale(line("Kabel", "12.35", kind=ICP, quantity="100", unit_price="0.1235"))),
    ],
)
def test_an_invoice_becomes_the_draft_on_file(name: str, booking: Any, encode: Encode) -> None:
    made = json.loads(dumps(encode(booking)))

    assert made == json.loads((GOLDEN / f"{name}.json").read_text())


def test_the_articles_of_a_draft_are_the_material_s_own_and_the_default_of_its_rate(
    encode: Encode, box: EaccountingSandbox
) -> None:
    made = encode()
    own = next(one for one in box.company()["articles"].values() if one["Number"] == "EXP-18")

    assert [row["ArticleId"] for row in priced(made)] == ["number HUB-21", own["Id"]]
    assert made["articles"]["HUB-21"]["NetPrice"] == made["articles"]["HUB-21"]["GrossPrice"] == 0


def test_a_discount_is_a_fraction_in_as_few_decimals_as_make_the_amount(encode: Encode) -> None:
    made = priced(encode(sale(line("Vat", "43.88", "9.21", quantity="1", unit_price="48.75"))))[0]

    assert (made["UnitPrice"], made["DiscountPercentage"]) == (Decimal("48.75"), Decimal("0.1"))


@pytest.mark.parametrize(
    ("quantity", "price", "net"),
    [("3", "0.125", "0.38"), ("0.333", "100", "33.30"), ("2", "50", "100.01"), ("1", "-10", "5.00")],
)
def test_what_two_decimals_cannot_say_is_one_times_the_net_amount(
    encode: Encode, quantity: str, price: str, net: str
) -> None:
    vat = (Decimal(net) * 21 / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP")
    made = priced(encode(sale(line("Schroef", net, str(vat), quantity=quantity, unit_price=price))))[0]

    assert (made["Quantity"], made["UnitPrice"], made["DiscountPercentage"]) == (1, Decimal(net), 0)
    assert made["Text"].startswith("Schroef (")


def test_every_row_and_the_draft_have_their_required_flags(encode: Encode) -> None:
    body = encode()["body"]

    assert (body["EuThirdParty"], body["RotReducedInvoicingType"], body["ReplaceUnitPriceWhenZero"]) == (
        False,
        0,
        False,
    )
    assert all({"IsTextRow", "ReversedConstructionServicesVatFree", "LineNumber"} <= set(row) for row in body["Rows"])


def test_long_words_go_on_in_text_rows_and_the_subject_goes_first(encode: Encode) -> None:
    made = encode(sale(line("x" * 4100, "10", "2.10"), subject="Onderhoud"))["body"]["Rows"]

    assert [len(row["Text"]) for row in made] == [9, 2000, 2000, 100]
    assert [row["IsTextRow"] for row in made] == [True, False, True, True]


def test_credit_rows_keep_their_signs_when_that_is_chosen(encode: Encode) -> None:
    booking = sale(line("Monteur", "-62.00", "-13.02", quantity="-1", unit_price="62.00"))

    made = encode(booking, EaccountingSettings(credit_rows="negative"))

    assert (made["body"]["IsCreditInvoice"], priced(made)[0]["Quantity"]) == (True, -1)


def test_a_discount_line_on_an_invoice_stays_negative(encode: Encode) -> None:
    made = priced(
        encode(sale(line("Werk", "100", "21"), line("Korting", "-10", "-2.10", quantity="1", unit_price="-10")))
    )

    assert made[1]["UnitPrice"] == -10


def test_each_rate_has_a_default_article_of_its_own(encode: Encode) -> None:
    zero = VatClass(id="0", label="0%", percentage=Decimal(0), treatment=VatTreatment.standard)
    made = encode(sale(line("a", "10", "2.10", HIGH), line("b", "10", "0.90", LOW), line("c", "10", "0", zero)))

    assert list(made["articles"]) == ["HUB-21", "HUB-9", "HUB-0"]


def test_a_line_s_ledger_account_chooses_the_coding_that_posts_on_it(encode: Encode, box: EaccountingSandbox) -> None:
    goods = next(one for one in box.company()["codings"].values() if one["Name"] == "Goederen Hoog")

    made = encode(sale(line("Vat", "10", "2.10"), account="8005"))

    assert made["articles"] == {"HUB-21-8005": made["articles"]["HUB-21-8005"]}
    assert made["articles"]["HUB-21-8005"]["CodingId"] == goods["Id"]


async def test_a_coding_chosen_in_the_settings_is_used_and_an_old_default_article_of_another_is_not(
    http: Http, box: EaccountingSandbox
) -> None:
    goods = next(one for one in box.company()["codings"].values() if one["Name"] == "Goederen Hoog")
    box.add_article("HUB-21")
    master = await company.master(http, HOME)

    made = INVOICES.encode(sale(customer=goods["Id"]), master, EaccountingSettings(article_coding_high=goods["Id"]))

    assert [card["CodingId"] for card in made["articles"].values()] == [goods["Id"]]
    assert "HUB-21" not in made["articles"]


@pytest.mark.parametrize("way", ["percent", "fraction", "text"])
async def test_rates_are_read_in_every_spelling(http: Http, box: EaccountingSandbox, way: str) -> None:
    box.switches["vat_percent"] = way

    known = company.company_of(await company.master(http, HOME))

    assert {one.rate for one in known.codings} == {Decimal(21), Decimal(9), Decimal(0)}


def test_everything_that_is_wrong_is_told_at_once(encode: Encode, box: EaccountingSandbox) -> None:
    odd = VatClass(id="6", label="6%", percentage=Decimal(6), treatment=VatTreatment.standard)

    with pytest.raises(RecordRejected) as caught:
        encode(sale(line("oud", "100", "6", odd), line("vat", "10", "0.90", LOW, article="EXP-18")))

    assert keys(caught) == ["eaccounting.coding_missing", "eaccounting.article_other_vat"]


def test_several_codings_that_fit_equally_ask_to_choose(box: EaccountingSandbox, settings: EaccountingSettings) -> None:
    codings = tuple(
        company.Coding(id=f"0000000{at}-0000-4000-8000-000000000000", name=f"Omzet {at}", rate=Decimal(21),
                       service=False, accounts={})
        for at in (1, 2)
    )  # fmt: skip
    extra = {"company": company.Company(codings=codings).model_dump_json()}

    found = INVOICES.validate(sale(), Master(administration=HOME, extra=extra), settings)

    assert [(one.key, one.field) for one in found] == [("eaccounting.coding_choose", "article_coding_high")]


@pytest.mark.parametrize(
    ("one", "account"),
    [
        (line("Monteur", "62", "13.02"), "8000"),
        (line("Boek", "10", "0.90", LOW), "8010"),
        (line("Boek", "10", "0.90", LOW, article="EXP-18"), "8000"),
        (line("Montage", "500", kind=REVERSE), "8200"),
        (line("Advies", "500", kind=ICP), "8100"),
        (line("oud", "100", "6", VatClass(id="6", percentage=Decimal(6), treatment=VatTreatment.standard)), ""),
    ],
)
def test_a_line_without_account_ends_up_where_its_article_s_coding_posts(
    one: InvoiceLine, account: str, master: Master, settings: EaccountingSettings
) -> None:
    assert INVOICES.account is not None
    assert INVOICES.account(one, master, settings) == account


def test_vat_that_no_way_of_rounding_makes_is_a_finding(encode: Encode) -> None:
    with pytest.raises(RecordRejected) as caught:
        encode(sale(line("Werk", "100", "20.50")))

    assert keys(caught) == ["eaccounting.vat_differs"]


@pytest.mark.parametrize("vat", ["0.06", "0.07"])
def test_vat_rounded_per_row_or_over_the_total_is_both_right(encode: Encode, vat: str) -> None:
    third = str(Decimal(vat) - Decimal("0.04"))
    lines = [line("a", "0.11", "0.02"), line("b", "0.11", "0.02"), line("c", "0.11", third)]

    assert encode(sale(*lines))["total"] == Decimal("0.33") + Decimal(vat)


async def test_reverse_charge_that_is_off_in_the_company_is_a_finding(http: Http, box: EaccountingSandbox) -> None:
    box.company()["settings"]["UsesReverseConstructionVat"] = False
    master = await company.master(http, HOME)

    found = INVOICES.validate(sale(line("Montage", "500", kind=REVERSE)), master, EaccountingSettings())

    assert [one.key for one in found] == ["eaccounting.reverse_charge_off"]


def test_an_invoice_of_words_alone_is_a_finding(encode: Encode) -> None:
    with pytest.raises(RecordRejected) as caught:
        encode(sale(line("alleen tekst", "0", kind=None)))

    assert keys(caught) == ["eaccounting.no_rows"]


def test_a_preview_needs_no_customer_yet(master: Master, settings: EaccountingSettings) -> None:
    assert INVOICES.encode(sale(customer="0"), master, settings)["body"]["CustomerId"] == ""


def test_the_settings_choose_from_lists_that_are_there() -> None:
    assert {"article_codings", "payment_terms"} <= set(CONNECTOR.options)
