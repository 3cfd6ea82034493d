"""Customers go by their number, whole, and are never emptied."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.accounting.chart import Master
from hub.accounting.documents import Address
from hub.sdk.connector import Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.eaccounting.conftest import CUSTOMERS, client, key

Encode = Callable[..., Payload]
NEW = {"number": "20777", "name": "Houtwerf Noord B.V."}


def customer_key(source_id: str = "20777") -> Any:
    return key(source_id, "customers")


def numbered(box: EaccountingSandbox, number: str) -> list[dict[str, Any]]:
    return [one for one in box.company()["customers"].values() if one["CustomerNumber"] == number]


async def test_a_new_customer_goes_with_everything_that_is_required(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    receipt = await CUSTOMERS.write(http, encode(client(**NEW, phone="030 123")), customer_key())

    [made] = numbered(box, "20777")
    wanted = {
        "Name": "Houtwerf Noord B.V.", "InvoiceAddress1": "Voorbeeldkade 12", "InvoicePostalCode": "1234 AB",
        "InvoiceCity": "Utrecht", "InvoiceCountryCode": "NL", "CorporateIdentityNumber": "00000000",
        "EmailAddress": "administratie@molenendijk.example", "VatNumber": "NL853746333B01", "IsPrivatePerson": False,
        "IsActive": True, "Telephone": "030 123",
    }  # fmt: skip
    assert wanted.items() <= made.items()
    assert made["TermsOfPayment"]["NumberOfDays"] == 14
    assert (receipt.ref, receipt.label, receipt.warnings) == (made["Id"], "20777 Houtwerf Noord B.V.", ())


async def test_a_long_name_is_shortened_and_told(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    name = "Stichting tot Behoud van Molens en Waterwerken in het Land van Maas en Waal"

    receipt = await CUSTOMERS.write(http, encode(client(number="1", name=name)), customer_key())

    [made] = numbered(box, "1")
    assert made["Name"] == "Stichting tot Behoud van Molens en Waterwerken in"
    assert receipt.warnings == (f"{name} -> {made['Name']}",)


@pytest.mark.parametrize(
    ("home", "expected"),
    [
        ({"postal_code": "", "city": "Gouda"}, "eaccounting.postal_code_missing"),
        ({"postal_code": "2801 AB", "city": ""}, "eaccounting.city_missing"),
        ({}, "eaccounting.address_incomplete"),
    ],
)
def test_an_incomplete_address_asks_with_a_choice(
    master: Master, encode: Encode, home: dict[str, str], expected: str
) -> None:
    booking = client(**NEW, address=Address(**home))

    found = CUSTOMERS.validate(booking, master, EaccountingSettings())
    filled = encode(booking, EaccountingSettings(missing_address="placeholder"))["body"]

    assert [(one.key, one.field) for one in found] == [(expected, "missing_address")]
    assert filled["InvoicePostalCode"] == (home.get("postal_code") or "00000")
    assert filled["InvoiceCity"] == (home.get("city") or "Onbekend")


@pytest.mark.parametrize(
    ("given", "country", "sent"),
    [
        ("NL853746333B01", "NL", "NL853746333B01"),
        ("nl 8537.46.333.b01", "NL", "NL853746333B01"),
        ("853746333B01", "", "NL853746333B01"),
        ("0428759497", "BE", "BE0428759497"),
        ("EL094259216", "GR", "EL094259216"),
        ("GB980780684", "GB", None),
        ("", "NL", None),
    ],
)
def test_vat_numbers_go_as_vies_knows_them(encode: Encode, given: str, country: str, sent: str | None) -> None:
    home = Address(postal_code="1", city="X", country=country)

    assert encode(client(vat_number=given, address=home))["body"].get("VatNumber") == sent


@pytest.mark.parametrize(("chosen", "home", "given", "asked"), [
    ("ask", "NL", "NL123", True), ("abroad", "NL", "NL123", False), ("abroad", "BE", "NL123", True),
    ("abroad", "", "NL123", False), ("leave_out", "BE", "NL123", False), ("ask", "NL", "NL123456789B01", True),
])  # fmt: skip
def test_a_vat_number_that_cannot_be_right_is_asked_about_or_left_out_and_told(
    master: Master, encode: Encode, chosen: Any, home: str, given: str, asked: bool
) -> None:
    address = Address(postal_code="1", city="X", country=home)
    booking = client(vat_number=given, address=address)
    settings = EaccountingSettings(invalid_vat_number=chosen)

    found = [(one.key, one.field) for one in CUSTOMERS.validate(booking, master, settings)]

    assert found == ([("eaccounting.vat_number_invalid", "invalid_vat_number")] if asked else [])
    if not asked:
        payload = encode(booking, settings)
        assert "VatNumber" not in payload["body"]
        assert payload["told"] == [f"{given} -> -"]


async def test_wrong_check_digits_are_for_eaccounting_to_judge(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    box.switches["vies"] = "format"

    receipt = await CUSTOMERS.write(http, encode(client(**NEW, vat_number="NL123456789B01")), customer_key())

    assert [one["VatNumber"] for one in numbered(box, "20777")] == ["NL123456789B01"]
    assert receipt.warnings == ()


@pytest.mark.parametrize("vies", ["checksum", "silent"])
async def test_a_refused_vat_number_stays_behind_at_home_and_is_told(
    http: Http, box: EaccountingSandbox, encode: Encode, vies: str
) -> None:
    box.switches["vies"] = vies

    receipt = await CUSTOMERS.write(http, encode(client(**NEW, vat_number="NL123456789B01")), customer_key())

    [made] = numbered(box, "20777")
    assert not made.get("VatNumber")
    assert receipt.warnings == ("NL123456789B01 -> -",)


async def test_a_vat_number_that_vies_refuses_is_asked_about_where_vat_depends_on_it(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    home = Address(postal_code="1", city="X", country="BE")
    payload = encode(client(**NEW, vat_number="BE0428759498", address=home))

    with pytest.raises(RecordRejected) as caught:
        await CUSTOMERS.write(http, payload, customer_key())

    assert (caught.value.key, caught.value.field) == ("eaccounting.vat_number_refused", "invalid_vat_number")
    assert numbered(box, "20777") == []


async def test_a_refused_vat_number_never_empties_the_one_that_stands(
    http: Http, box: EaccountingSandbox, encode: Encode, customer: str
) -> None:
    stood = "NL853746333B01"
    box.company()["customers"][customer]["VatNumber"] = stood
    assert CUSTOMERS.update is not None

    receipt = await CUSTOMERS.update(
        http, encode(client(name="Anders", vat_number="NL123456789B01")), customer_key("10482"), customer
    )

    stands = box.company()["customers"][customer]
    assert (stands["Name"], stands["VatNumber"]) == ("Anders", stood)
    assert receipt.warnings == (f"NL123456789B01 -> {stood}",)


def test_a_private_person_has_no_company_numbers(encode: Encode) -> None:
    body = encode(client(is_person=True))["body"]

    assert body["IsPrivatePerson"] is True
    assert {"VatNumber", "CorporateIdentityNumber"}.isdisjoint(body)


async def test_the_number_alone_says_who_stands_there(http: Http, box: EaccountingSandbox, customer: str) -> None:
    assert CUSTOMERS.match is not None
    same = await CUSTOMERS.match(http, client(name="Heel anders", emails=()))
    other = await CUSTOMERS.match(http, client(number="99", emails=("info@k10482.example",)))

    assert [one.ref for one in same] == [customer]
    assert other == []
    assert box.calls["GET /v2/customers"] == 1, "listed once"


async def test_many_customers_are_asked_one_by_one(http: Http, box: EaccountingSandbox, customer: str) -> None:
    box.switches["page_cap"] = 2
    for number in range(5):
        box.add_customer(f"5000{number}")
    assert CUSTOMERS.match is not None

    found = await CUSTOMERS.match(http, client())

    assert [one.ref for one in found] == [customer]
    assert box.calls["GET /v2/customers"] == 2


def test_two_customers_with_one_address_are_two(settings: EaccountingSettings) -> None:
    claims = {CUSTOMERS.claim(client(number=number, source_id=source), settings)
              for number, source in (("1", "a"), ("2", "b"), ("", "c"), ("", "d"))}  # fmt: skip

    assert len(claims) == 4


async def test_a_customer_without_number_gets_one_of_our_key_and_is_found_by_it(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    payload = encode(client(number=""))
    box.fault("lost", method="POST", path="/customers")
    with pytest.raises(OutcomeUnknown):
        await CUSTOMERS.write(http, payload, customer_key())

    found = await CUSTOMERS.find(http, customer_key(), payload)

    assert found is not None
    assert [one["Id"] for one in numbered(box, f"H{customer_key().mark}")] == [found.ref]


async def test_a_number_that_was_taken_meanwhile_is_that_customer(
    http: Http, box: EaccountingSandbox, encode: Encode, customer: str
) -> None:
    receipt = await CUSTOMERS.write(http, encode(client()), customer_key("10482"))

    assert (receipt.ref, receipt.existed) == (customer, True)
    assert len(box.company()["customers"]) == 1


@pytest.mark.parametrize("answer", ["empty", "id"])
async def test_an_answer_without_the_card_is_enough(
    http: Http, box: EaccountingSandbox, encode: Encode, answer: str
) -> None:
    box.switches["write_answer"] = answer

    receipt = await CUSTOMERS.write(http, encode(client(**NEW)), customer_key())

    assert [one["Id"] for one in numbered(box, "20777")] == [receipt.ref]


async def test_an_update_fills_in_and_empties_nothing(
    http: Http, box: EaccountingSandbox, encode: Encode, customer: str
) -> None:
    before = box.put("customers", {
        **box.company()["customers"][customer], "Note": "belt graag", "WwwAddress": "molen.example", "IsActive": False,
        "TermsOfPaymentId": list(box.company()["terms"])[1],
    })  # fmt: skip
    home = Address(street="Nieuwekade 1", country="NL")
    chosen = EaccountingSettings(missing_address="placeholder")
    assert CUSTOMERS.update is not None

    await CUSTOMERS.update(http, encode(client(address=home), chosen), customer_key("10482"), customer)

    after = box.company()["customers"][customer]
    assert (after["InvoiceAddress1"], after["VatNumber"]) == ("Nieuwekade 1", "NL853746333B01")
    kept = ("Note", "WwwAddress", "IsActive", "TermsOfPaymentId", "InvoicePostalCode", "InvoiceCity", "CustomerNumber")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


async def test_an_update_that_is_not_wanted_writes_nothing(
    http: Http, box: EaccountingSandbox, encode: Encode, customer: str
) -> None:
    payload = encode(client(name="Anders"), EaccountingSettings(customer_changes="never"))
    assert CUSTOMERS.update is not None

    receipt = await CUSTOMERS.update(http, payload, customer_key("10482"), customer)

    assert receipt.ref == customer
    assert not [call for call in box.calls if call.startswith("PUT")]


def test_everything_that_is_wrong_with_a_customer_is_told_at_once(master: Master) -> None:
    home = Address(postal_code="12345678901", country="Nederland")
    booking = client(number="1" * 17, vat_number="NL1", address=home)

    found = CUSTOMERS.validate(booking, master, EaccountingSettings())

    assert [one.key.removeprefix("eaccounting.") for one in found] == [
        "city_missing", "postal_code_too_long", "country_unknown", "customer_number_too_long", "vat_number_invalid",
    ]  # fmt: skip
