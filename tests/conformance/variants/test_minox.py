"""The Minox connector against a Minox by another hand: nothing twice, nothing lost, nothing concluded from silence."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from connectors.minox import CONNECTOR, administration, unclear
from connectors.minox.settings import MinoxSettings
from hub.accounting.booking import Booking
from hub.accounting.chart import Master
from hub.kit import json
from hub.sdk.connector import Gone, Key, OpenItem, Payload, Receipt, Settled, StillOpen
from hub.sdk.errors import OutcomeUnknown, ReauthRequired, RecordRejected, TransientError
from hub.sdk.http import Http
from tests.conformance.variants.other_minox import OtherMinox
from tests.connectors.minox.conftest import HIGH, HOME, ICP, debtor, key, sale
from tests.connectors.support import connected

SETTINGS = MinoxSettings()
INVOICES, CUSTOMERS = CONNECTOR.targets["invoices"], CONNECTOR.targets["customers"]
MAIL = "administratie@houtwerf-noord.example"


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unclear, "READ_BACK_S", (0.0, 0.0, 0.0))


@dataclass
class Desk:
    """A connection with the master data read over it."""

    box: OtherMinox
    http: Http
    master: Master

    def said(self, booking: Booking, kind: str = "invoices") -> Payload:
        stored: Payload = json.loads(json.dumps(CONNECTOR.targets[kind].encode(booking, self.master, SETTINGS)))
        return stored

    async def customer(self, *, at_most: int = 3) -> str:
        """The debtor, written as the engine does: an unknown outcome is looked up, and only absence sends again."""
        payload, own = self.said(debtor("Houtwerf Noord B.V.", MAIL), "customers"), key("organization:1", "customers")
        for _ in range(at_most):
            try:
                return (await CUSTOMERS.write(self.http, payload, own)).ref
            except OutcomeUnknown:
                for _ in range(9):  # The package has had its time to show it.
                    found = await CUSTOMERS.find(self.http, own, payload)
                    if found is not None:
                        return found.ref
        raise AssertionError("it was never found")

    async def items(self) -> list[OpenItem]:
        return [one async for page in CONNECTOR.settlements["invoices"].read(self.http, HOME, SETTINGS) for one in page]

    async def fate(self, receipt: Receipt) -> Settled | StillOpen | Gone:
        """What the engine would conclude: the listing first, and who is missing there is asked about."""
        listed = [one for one in await self.items() if one.open_item == receipt.open_item]
        if listed:
            assert len(listed) == 1
            return Settled() if listed[0].balance == 0 else StillOpen()
        return await CONNECTOR.settlements["invoices"].confirm(self.http, HOME, receipt)


@asynccontextmanager
async def desk(**choices: Any) -> AsyncIterator[Desk]:
    box = OtherMinox(**choices)
    client = {"client_id": "hub", "client_secret": "secret"}
    async with connected(CONNECTOR, box, "/api/1", {"access_token": "t" * 32}, oauth_client=client) as http:  # type: ignore[arg-type]
        assert CONNECTOR.master is not None
        yield Desk(box, http, await CONNECTOR.master(http, HOME))


def each(name: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


LISTS = [
    *each("lists", ["bare", "collection", "data", "single"]),
    *each("paging", ["cursor", "number", "path", "absolute", "rels", "top", "null", "self"]),
    *each("ids", [int, str]),
    *each("money", [int, str]),
    *each("dates", ["", "T00:00:00.000Z", "T00:00:00+01:00"]),
]


@pytest.mark.parametrize("choices", LISTS, ids=str)
async def test_master_data_is_the_same_however_it_is_listed(choices: dict[str, Any]) -> None:
    async with desk(**choices) as at:
        identity = await CONNECTOR.identify(at.http)

    assert identity.tenant == "41207"
    assert [one.number for one in at.master.accounts or ()] == ["1300", "1510", "8000", "8100", "8900"]
    assert [at.master.by_number[one].vat_percentage for one in ("8000", "8100", "8900")] == [21, 0, None]
    assert [(one.year, str(one.start), str(one.end)) for one in at.master.fiscal_years or ()] == [
        (2026, "2026-01-01", "2026-12-31")
    ]


@pytest.mark.parametrize("vat", [1, "1", True, [{"id": 1}]])
def test_a_vat_code_in_another_form_is_not_taken_for_none(vat: object) -> None:
    assert not administration.account({"id": 8000, "vat": vat}).vat_known


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_first_login_whose_token_reaches_nobody_is_asked_again(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk() as at:
        monkeypatch.setattr(at.http, "fields", {})
        at.box.inspect = status
        with pytest.raises(ReauthRequired):
            await CONNECTOR.identify(at.http)


@pytest.mark.parametrize("status", [404, 405, 410])
async def test_the_older_form_of_inspection_is_tried_with_the_client_s_own_name(status: int) -> None:
    async with desk(inspect=status, inspect_get=True) as at:
        assert (await CONNECTOR.identify(at.http)).tenant == "41207"


async def test_a_page_that_comes_twice_is_no_end_of_a_list() -> None:
    async with desk() as at:
        at.box.paging = "deaf"
        with pytest.raises(TransientError):
            await at.items()


ANSWERS = [
    *each("put", ["204", "empty", "lines", "object", "collection", "text", "null", "true", "warned"]),
    *each("batch", ["array", "collection", "object"]),
    *each("batch_missing", ["404", "410", "empty", "204", "object"]),
    {"put": "lines", "vat_lines": False},
    {"put": "lines", "account_type": False},
    {"put": "lines", "money": int, "ids": int, "dates": ""},
]


@pytest.mark.parametrize("choices", ANSWERS, ids=str)
@pytest.mark.parametrize("net", ["1200.00", "-100.00"])
async def test_a_booking_stands_once_whatever_is_answered(choices: dict[str, Any], net: str) -> None:
    own, vat = key("invoice:1"), f"{Decimal(net) * 21 / 100:.2f}"
    async with desk(**choices) as at:
        payload = at.said(sale(("8000", net, vat, HIGH), customer="10017"))
        assert await INVOICES.find(at.http, own, payload) is None
        receipt = await INVOICES.write(at.http, payload, own)
        again = await INVOICES.write(at.http, payload, own)
        found = await INVOICES.find(at.http, own, payload)

        assert list(at.box.batches) == [str(own.uuid)]
        total = Decimal(net) + Decimal(vat)
        assert receipt.total in (total, None)
        assert found is not None
        assert (found.total, found.ref, found.open_item) == (total, str(own.uuid), "10017/20260143")
        assert again.fingerprint == receipt.fingerprint
        assert receipt.fingerprint in ("", found.fingerprint), "hands would be suspected that were not there"


@pytest.mark.parametrize("choices", ANSWERS, ids=str)
async def test_a_changed_booking_is_put_under_its_own_uuid(choices: dict[str, Any]) -> None:
    own = key("invoice:1")
    assert INVOICES.update is not None
    async with desk(**choices) as at:
        first = at.said(sale(("8000", "1200.00", "252.00", HIGH), customer="10017"))
        second = at.said(sale(("8100", "1300.00", "0.00", ICP), customer="10017"))
        receipt = await INVOICES.write(at.http, first, own)
        await INVOICES.update(at.http, second, own, receipt.ref)
        found = await INVOICES.find(at.http, own, second)

        assert len(at.box.batches) == 1
        assert found is not None
        assert found.total == Decimal("1300.00")


DEBTORS = [
    *each("post", ["201", "204", "empty", "id", "bare_id", "list", "collection", "text", "no_id"]),
    *each("missing", ["404", "empty", "[]", "{}", "collection", "null", "204"]),
    *each("found", ["object", "list", "collection"]),
    *[{"post": "204", "lag": lag} for lag in (1, 3, 5)],
    {"post": "204", "lag": 5, "missing": "[]"},
    {"post": "204", "lag": 5, "missing": "null", "found": "object"},
    *each("ids", [int, str]),
]


@pytest.mark.parametrize("choices", DEBTORS, ids=str)
async def test_a_debtor_is_made_once_whatever_is_answered(choices: dict[str, Any]) -> None:
    async with desk(**choices) as at:
        ref = await at.customer()

        assert ref == "10000"
        assert len(at.box.customers) == 1


@pytest.mark.parametrize("missing", ["404", "empty", "[]", "{}", "collection", "null", "204"])
@pytest.mark.parametrize("found", ["object", "list", "collection"])
async def test_debtors_are_matched_by_email_in_every_form(missing: str, found: str) -> None:
    assert CUSTOMERS.match is not None
    booking = debtor("Houtwerf Noord B.V.", MAIL)
    async with desk(missing=missing, found=found) as at:
        assert await CUSTOMERS.match(at.http, booking) == []
        await at.customer()
        assert [one.ref for one in await CUSTOMERS.match(at.http, booking)] == ["10000"]
        at.box.customers[10001] = dict(at.box.customers[10000], externalid="other")
        assert sorted(one.ref for one in await CUSTOMERS.match(at.http, booking)) == ["10000", "10001"]


async def test_a_debtor_that_bears_our_key_already_is_never_made_again() -> None:
    """Our own data may be lost, and a customer without an e-mail address cannot be matched by it."""
    own = key("organization:1", "customers")
    async with desk() as at:
        payload = at.said(debtor("Houtwerf Noord B.V."), "customers")
        first = await CUSTOMERS.write(at.http, payload, own)
        second = await CUSTOMERS.write(at.http, payload, own)

        assert len(at.box.customers) == 1
        assert (second.ref, second.existed) == (first.ref, True)


async def test_a_refusal_within_a_success_is_told_and_nothing_is_sent_again() -> None:
    async with desk(post="error") as at:
        with pytest.raises(RecordRejected) as refused:
            await at.customer()

        assert refused.value.words == "postcode ongeldig"
        assert at.box.customers == {}


def test_a_search_that_lags_a_minute_is_waited_for() -> None:
    assert CONNECTOR.manifest.targets["customers"].settle_s > 60


@pytest.mark.parametrize("patch", ["204", "object", "empty", "text"])
@pytest.mark.parametrize("arrays", ["replace", "by_id", "append"])
async def test_an_update_loses_nothing_and_comes_to_rest(patch: str, arrays: str) -> None:
    own = key("organization:1", "customers")
    assert CUSTOMERS.update is not None
    async with desk(patch=patch, patch_arrays=arrays) as at:
        ref = await at.customer()
        at.box.customers[10000]["addresses"][0]["extended_name"] = "t.a.v. de directie"
        at.box.customers[10000]["memo"] = {"active": True, "text": "bellen"}
        payload = at.said(debtor("Houtwerf Noord B.V.", MAIL, "facturen@houtwerf.example"), "customers")
        for _ in range(3):
            assert (await CUSTOMERS.update(at.http, payload, own, ref)).ref == ref
        stands = at.box.customers[10000]

        assert stands["memo"]["text"] == "bellen"
        assert stands["addresses"][0]["extended_name"] == "t.a.v. de directie"
        assert "facturen@houtwerf.example" in str(stands)
        assert len(stands["addresses"]) <= 2, "it grows with every update"


ITEMS = [
    *each("paid", ["404", "zero", "listed", "both"]),
    *[{"paid": paid, "account": "id"} for paid in ("404", "zero", "both")],
    *[{"paid": paid, "money": int, "ids": int} for paid in ("404", "zero", "both")],
    *[{"paid": paid, "credit": 1} for paid in ("404", "zero", "both")],
    *[{"paid": paid, "status_filter": False} for paid in ("404", "zero")],
    *[{"paid": paid, "lists": "collection"} for paid in ("404", "zero")],
    *[{"paid": paid, "lists": "single"} for paid in ("404", "zero")],
    *[{"paid": paid, "put": "lines", "account_type": False} for paid in ("404", "zero")],
    *[{"paid": "404", "batch": batch} for batch in ("collection", "object")],
]


@pytest.mark.parametrize("choices", ITEMS, ids=str)
@pytest.mark.parametrize("net", ["1200.00", "-100.00"])
async def test_only_a_paid_booking_is_called_paid(choices: dict[str, Any], net: str) -> None:
    vat = f"{Decimal(net) * 21 / 100:.2f}"
    total = Decimal(net) + Decimal(vat)
    async with desk(**choices) as at:
        payload = at.said(sale(("8000", net, vat, HIGH), customer="10017"))
        receipt = await INVOICES.write(at.http, payload, key("invoice:1"))
        assert isinstance(await at.fate(receipt), StillOpen)
        listed = [one for one in await at.items() if one.open_item == receipt.open_item]
        assert [abs(one.total) for one in listed] == [abs(total)]
        at.box.pay("10017", 20260143, total / 2)
        assert isinstance(await at.fate(receipt), StillOpen)
        at.box.pay("10017", 20260143, total)
        assert isinstance(await at.fate(receipt), Settled)


@pytest.mark.parametrize("missing", ["404", "410", "empty", "204", "object"])
async def test_a_deleted_booking_is_never_called_paid(missing: str) -> None:
    async with desk(batch_missing=missing) as at:
        payload = at.said(sale(("8000", "1200.00", "252.00", HIGH), customer="10017"))
        receipt = await INVOICES.write(at.http, payload, key("invoice:1"))
        at.box.batches.clear()

        assert not isinstance(await at.fate(receipt), Settled)


@pytest.mark.parametrize("paid", ["zero", "both", "listed"])
async def test_a_balance_of_nothing_without_what_was_paid_proves_nothing(paid: str) -> None:
    async with desk(paid=paid, paid_field=False) as at:
        payload = at.said(sale(("8000", "1200.00", "252.00", HIGH), customer="10017"))
        receipt = await INVOICES.write(at.http, payload, key("invoice:1"))
        assert isinstance(await at.fate(receipt), StillOpen)


@pytest.mark.parametrize("choices", [*LISTS, {"vat_lines": False}], ids=str)
async def test_what_stands_there_is_listed_for_adoption(choices: dict[str, Any]) -> None:
    assert INVOICES.index is not None
    assert CUSTOMERS.index is not None
    own: Key = key("invoice:1")
    async with desk(**choices) as at:
        ref = await at.customer()
        payload = at.said(sale(("8000", "1200.00", "252.00", HIGH), customer=ref))
        await INVOICES.write(at.http, payload, own)
        entries = [one async for page in INVOICES.index(at.http, HOME, None, SETTINGS) for one in page]
        debtors = [one async for page in CUSTOMERS.index(at.http, HOME, None, SETTINGS) for one in page]

    assert [(one.ref, one.number, one.total, str(one.date)) for one in entries] == [
        (str(own.uuid), "20260143", Decimal("1452.00"), "2026-03-12")
    ]
    assert [(one.ref, one.emails) for one in debtors] == [("10000", (MAIL,))]
