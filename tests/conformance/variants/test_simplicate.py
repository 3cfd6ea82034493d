"""The Simplicate connector against a Simplicate by another hand: the same documents, and no payment twice."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import stamina

from connectors.simplicate import CONNECTOR
from hub.accounting.booking import PaymentBooking
from hub.accounting.chart import Master
from hub.accounting.documents import Customer, Payment, SalesInvoice
from hub.kit import json
from hub.sdk.connector import Cursor, Key, Payload, Since
from hub.sdk.errors import ConfigError, OutcomeUnknown, RecordRejected, TransientError, VendorError
from hub.sdk.http import Http
from tests.conformance.variants.other_simplicate import PROFILE, OtherSimplicate, invoice, organization
from tests.connectors.support import connected

SETTINGS = CONNECTOR.settings()
INVOICES, CUSTOMERS, PAYMENTS = (
    CONNECTOR.sources["invoices"],
    CONNECTOR.sources["customers"],
    CONNECTOR.targets["payments"],
)
SECRETS = {"authentication_key": "k" * 32, "authentication_secret": "s" * 32}


@pytest.fixture(autouse=True)
def _without_waiting() -> Any:
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@asynccontextmanager
async def desk(**choices: Any) -> AsyncIterator[tuple[OtherSimplicate, Http]]:
    box = OtherSimplicate(**choices)
    facts: Any = {"way": 1, "fields": {"domain": "waterlinie"}}
    async with connected(CONNECTOR, box, "/{domain}/api/v2", SECRETS, **facts) as http:  # type: ignore[arg-type]
        yield box, http


def each(name: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


READS = [
    *each("envelope", ["full", "bare", "no_errors", "empty_errors", "errors_object"]),
    *each("empty", ["null", "{}"]),
    *each("cap", [2, 3, 5, 50, 99]),
    *each("metadata", ["never", "asked", "always", "strings", "total_only", "page"]),
    *each("filters", ["work", "ignored", "400", "422"]),
    *each("sort", ["works", "ignored", "newest"]),
    *each("numbers", ["number", "string", "six"]),
    *each("moments", ["plain", "iso", "iso_utc", "iso_fraction", "missing", "null"]),
    *each("days", ["plain", "moment", "iso"]),
    *each("status", ["string", "label", "object", "plain_object", "missing"]),
    *each("absent", ["omit", "null", "empty"]),
    {"cap": 5, "metadata": "page"},
    {"cap": 5, "sort": "ignored", "filters": "ignored"},
    {"cap": 2, "envelope": "bare"},
    {"moments": "iso_utc", "filters": "ignored"},
    {"filters": "ignored", "known": ()},
    {"filters": "nothing", "known": ("date", "created_at")},
]


async def read(
    http: Http, cursor: Cursor | None = None, start: date | None = None
) -> tuple[dict[str, Any], Cursor | None]:
    found: dict[str, Any] = {}
    async for page in INVOICES.read(http, Since(cursor, start), SETTINGS):
        found |= {INVOICES.key(raw): raw for raw in page.records}
        cursor = page.cursor or cursor
    return found, json.loads(json.dumps(cursor))


@pytest.mark.parametrize("choices", READS, ids=str)
@pytest.mark.parametrize("many", [0, 1, 12])
async def test_every_invoice_is_read_and_means_the_same(choices: dict[str, Any], many: int) -> None:
    expected = INVOICES.map(invoice(1), SETTINGS)
    async with desk(**choices) as (box, http):
        box.add(*(invoice(number) for number in range(1, many + 1)))
        found, _ = await read(http)

    assert set(found) == set(box.invoices)
    for raw in found.values():
        made = INVOICES.map(raw, SETTINGS)
        assert isinstance(made, SalesInvoice)
        assert isinstance(expected, SalesInvoice)
        alike = {"source_id": expected.source_id, "number": expected.number}
        assert made.model_copy(update=alike).fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("choices", READS, ids=str)
async def test_what_changed_is_read_again(choices: dict[str, Any]) -> None:
    async with desk(**choices) as (box, http):
        box.add(*(invoice(number, at=f"2026-03-09 09:{number:02}:00") for number in range(1, 13)))
        _, cursor = await read(http)
        changed = f"invoice:{2:032x}"
        box.invoices[changed] |= {"updated_at": "2026-03-10 11:00:00", "subject": "anders"}
        box.add(invoice(13, at="2026-03-10 11:05:00"))
        found, cursor = await read(http, cursor)
        assert {changed, f"invoice:{13:032x}"} <= set(found)
        assert found[changed]["subject"] == "anders"
        idle = len(box.calls)
        await read(http, cursor)
        assert len(box.calls) - idle <= (8 if "cap" in choices else 3)


@pytest.mark.parametrize("choices", READS, ids=str)
async def test_what_comes_to_an_empty_package_is_read_and_read_again_when_it_changes(choices: dict[str, Any]) -> None:
    async with desk(**choices) as (box, http):
        _, cursor = await read(http)
        _, cursor = await read(http, cursor)
        box.add(invoice(1), invoice(2))
        found, cursor = await read(http, cursor)
        assert set(found) == set(box.invoices)
        box.invoices[f"invoice:{1:032x}"]["updated_at"] = "2026-03-10 11:00:00"
        box.add(invoice(3, at="2026-03-10 11:05:00"))
        found, cursor = await read(http, cursor)
        assert {f"invoice:{1:032x}", f"invoice:{3:032x}"} <= set(found)


@pytest.mark.parametrize("choices", READS, ids=str)
async def test_documents_before_the_start_are_not_needed_and_later_ones_are_not_missed(choices: dict[str, Any]) -> None:
    async with desk(**choices) as (box, http):
        box.add(*(invoice(number, date=f"2026-0{1 + number // 4}-09") for number in range(1, 13)))
        found, _ = await read(http, start=date(2026, 2, 1))

    wanted = {own for own, one in box.invoices.items() if one["date"] >= "2026-02-01"}
    assert wanted <= set(found)


CREDIT = [*each("numbers", ["number", "string", "six"]), *each("absent", ["omit", "null", "empty"])]


@pytest.mark.parametrize("choices", CREDIT, ids=str)
async def test_a_credit_note_keeps_its_sign(choices: dict[str, Any]) -> None:
    async with desk(**choices) as (box, http):
        box.add(invoice(1, credit=True))
        found, _ = await read(http)
        (made,) = (INVOICES.map(raw, SETTINGS) for raw in found.values())

    assert isinstance(made, SalesInvoice)
    assert (made.total, made.total_net, made.total_vat, made.is_credit) == (-1900, -1600, -300, True)


@pytest.mark.parametrize(
    "choices",
    [*each("single", ["object", "list"]), *each("absent", ["omit", "null", "empty"]), {"envelope": "bare"}],
    ids=str,
)
async def test_a_relation_means_the_same_however_it_is_sent(choices: dict[str, Any]) -> None:
    expected = CUSTOMERS.map(organization(), SETTINGS)
    assert CUSTOMERS.fetch is not None
    async with desk(**choices) as (box, http):
        box.add(organization(url="", note=None))
        raw = await CUSTOMERS.fetch(http, "organization:1")
        assert await CUSTOMERS.fetch(http, "organization:2") is None
        listed = [one async for page in CUSTOMERS.read(http, Since(None, None), SETTINGS) for one in page.records]

    assert raw is not None
    assert isinstance(expected, Customer)
    for one in (raw, *listed):
        made = CUSTOMERS.map(one, SETTINGS)
        assert isinstance(made, Customer)
        assert made.fingerprint() == expected.fingerprint()


@pytest.mark.parametrize("users", ["404", "403", "400", "object", "list", "all"])
@pytest.mark.parametrize("base", ["empty", "text", "true", "object", "404"])
@pytest.mark.parametrize("envelope", ["full", "bare"])
async def test_who_is_connected_is_known_by_the_domain_in_every_form(users: str, base: str, envelope: str) -> None:
    async with desk(users=users, base=base, envelope=envelope) as (_, http):
        found = await CONNECTOR.identify(http)
        (company,) = await CONNECTOR.options["companies"](http, {})

    assert (found.tenant, found.name) == ("waterlinie", "Waterlinie B.V.")
    assert found.email == ("anna@waterlinie.example" if users in ("object", "list") else "")
    assert (company.value, company.label) == (PROFILE, "Waterlinie B.V.")


PAYS = [
    *each("post", ["id", "201", "empty", "204", "object", "list", "bare", "string", "null_data", "nested"]),
    *each("filters", ["work", "ignored", "400", "422"]),
    {"filters": "nothing"},
    *each("links", ["invoice_id", "nested"]),
    {"links": "nested", "filters": "nothing"},
    *each("outstanding", ["lowers", "string"]),
    *each("numbers", ["number", "string", "six"]),
    *each("envelope", ["full", "bare", "no_errors", "empty_errors"]),
    *each("sort", ["works", "ignored", "newest"]),
    {"cap": 2, "filters": "ignored"},
    {"cap": 2, "filters": "400", "sort": "ignored"},
    {"empty": "null"},
    {"empty": "{}"},
    {"single": "list"},
]
KEY = Key("minox:41207", "payments", "invoice:1", "simplicate:waterlinie")


def payment(amount: str = "1900", number: int = 1, credit: bool = False) -> Payload:
    said = Payment(
        source_id=f"10017/{number}",
        invoice=f"invoice:{number:032x}",
        number=f"F2026-{number:04}",
        date=date(2026, 3, 21),
        amount=Decimal(amount),
        currency="EUR",
        reference="VERK 20260001",
    )
    booking = PaymentBooking(payment=said, administration="41207/3")
    stored: Payload = json.loads(json.dumps(PAYMENTS.encode(booking, Master(administration="-"), SETTINGS)))
    return stored


async def paid(http: Http, payload: Payload, own: Key = KEY) -> Any:
    """Written as the engine does: an unknown outcome is looked up after a while, and only absence sends again."""
    for _ in range(3):
        try:
            return await PAYMENTS.write(http, payload, own)
        except OutcomeUnknown:
            found = await PAYMENTS.find(http, own, payload)
            if found is not None:
                return found
    raise AssertionError("it was never found")


@pytest.mark.parametrize("choices", PAYS, ids=str)
@pytest.mark.parametrize("lose", [0, 1])
async def test_a_payment_stands_once_whatever_is_answered(choices: dict[str, Any], lose: int) -> None:
    async with desk(**choices, lose=lose) as (box, http):
        box.add(*(invoice(number) for number in range(1, 8)))
        for number in range(2, 8):
            await paid(http, payment(number=number), replace(KEY, source_id=f"invoice:{number}"))
        await paid(http, payment())
        again = await PAYMENTS.write(http, payment(), KEY)
        found = await PAYMENTS.find(http, KEY, payment())

        assert len(box.payments) == 7
        assert again.existed or again.ref
        assert found is not None
        assert found.ref == f"payment:{6:032x}"
        assert all(one["total_outstanding"] == 0 for one in box.invoices.values())


@pytest.mark.parametrize("choices", [*PAYS, {"outstanding": "stays"}], ids=str)
async def test_a_payment_that_landed_is_found_even_if_nothing_else_shows_it(choices: dict[str, Any]) -> None:
    """Neither the filter on payments nor that a payment lowers what is outstanding is documented."""
    async with desk(**choices, lose=1) as (box, http):
        box.outstanding = "stays"
        box.add(invoice(1))
        await paid(http, payment())

        assert len(box.payments) == 1


async def test_a_search_that_lags_is_saved_by_what_is_outstanding() -> None:
    async with desk(lag=99, lose=1) as (box, http):
        box.add(invoice(1))
        receipt = await paid(http, payment())

        assert receipt.existed
        assert len(box.payments) == 1


def test_a_search_that_lags_a_minute_is_waited_for() -> None:
    assert CONNECTOR.manifest.targets["payments"].settle_s > 60


async def test_what_is_outstanding_must_be_said_before_anything_is_written() -> None:
    async with desk(outstanding="missing") as (box, http):
        box.add(invoice(1))
        with pytest.raises(RecordRejected):
            await PAYMENTS.write(http, payment(), KEY)

        assert box.payments == {}


async def test_a_credit_note_whose_outstanding_has_no_sign_is_not_taken_for_settled() -> None:
    async with desk() as (box, http):
        box.add(invoice(1, credit=True, total_outstanding=Decimal(1900)))
        with pytest.raises(RecordRejected):
            await PAYMENTS.write(http, payment("-1900"), KEY)

        assert box.payments == {}


@pytest.mark.parametrize("errors", ["object", "text", "message", "single"])
async def test_the_packages_own_words_are_kept_in_every_form(errors: str) -> None:
    async with desk(errors=errors) as (box, http):
        box.add(invoice(1))
        payload = {**payment(), "amount": Decimal(1900), "extra": "x"}
        with pytest.raises(RecordRejected) as refused:
            await PAYMENTS.write(http, payload, KEY)

    assert refused.value.words == "invoice_id is invalid"


@pytest.mark.parametrize("errors", ["object", "text", "message", "single", "html"])
async def test_no_error_ever_escapes_as_something_else(errors: str) -> None:
    async with desk(errors=errors, users="404", base="404", filters="400") as (box, http):
        box.add(invoice(1))
        await read(http)
        with pytest.raises(VendorError):
            await PAYMENTS.write(http, {**payment(), "extra": "x"}, KEY)


async def test_a_list_without_its_data_moves_no_cursor() -> None:
    async with desk(empty="missing") as (_, http):
        with pytest.raises(TransientError):
            await read(http)


async def test_a_domain_where_nothing_may_be_read_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(users="403", base="404") as (_, http):
        monkeypatch.setattr(type(http), "url", lambda self, path, endpoint="API": f"http://sandbox/elsewhere{path}")
        with pytest.raises(ConfigError) as wrong:
            await CONNECTOR.identify(http)

    assert wrong.value.field == "domain"
