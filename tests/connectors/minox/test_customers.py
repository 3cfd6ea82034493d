"""Debtors are made once, found by key or e-mail, and completed without emptying what a user typed."""

from typing import Any

import pytest

from connectors.minox import customers, unclear
from connectors.minox.sandbox import MinoxSandbox
from connectors.minox.settings import MinoxSettings
from hub.accounting.chart import Master
from hub.sdk.connector import Existing, Payload
from hub.sdk.errors import OutcomeUnknown
from hub.sdk.http import Http
from tests.connectors.minox.conftest import HOME, debtor, key

KEY = key("organization:2", "customers")
MARK = customers.external_id(KEY)


@pytest.fixture
def payload(master: Master, settings: MinoxSettings) -> Payload:
    return customers.encode(debtor("Riet & Zn", "info+fact@riet.example", phone="020-1234567"), master, settings)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unclear, "READ_BACK_S", (0.0,))


@pytest.mark.parametrize("answer", ["object", "id", "empty", "text"])
@pytest.mark.parametrize("form", ["object", "collection", "array"])
@pytest.mark.parametrize("missing", ["404", "empty", "400"])
@pytest.mark.parametrize("filtered", [True, False])
async def test_a_debtor_is_made_once_whatever_the_answer(
    box: MinoxSandbox, http: Http, payload: Payload, answer: str, form: str, missing: str, filtered: bool
) -> None:
    box.switches |= {
        "customer_answer": answer,
        "by_email": form,
        "search_missing": missing,
        "search_filter": filtered,
    }
    assert await customers.find(http, KEY, payload) is None
    receipt = await customers.write(http, payload, KEY)
    assert (receipt.ref, receipt.label) == ("10001", "10001 Riet & Zn")
    found = await customers.find(http, KEY, payload)
    assert found is not None
    assert found.ref == "10001"
    made = box.customers_of()[1]
    assert made["externalid"] == MARK
    assert len(box.customers_of()) == 2


async def test_a_search_that_lags_leaves_the_outcome_unknown(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    box.switches |= {"customer_answer": "empty", "search_lag_s": 60}
    with pytest.raises(OutcomeUnknown):
        await customers.write(http, payload, KEY)
    box.switches["search_lag_s"] = 0
    found = await customers.find(http, KEY, payload)
    assert found is not None
    assert found.ref == "10001"


@pytest.mark.parametrize("kind", ["lost", "error", "html", "malformed"])
async def test_a_lost_answer_is_unknown_and_can_be_looked_up(
    box: MinoxSandbox, http: Http, payload: Payload, kind: Any
) -> None:
    box.fault(kind, method="POST", path="/customer")
    with pytest.raises(OutcomeUnknown):
        await customers.write(http, payload, KEY)
    assert (await customers.find(http, KEY, payload) is not None) == (kind in ("lost", "error"))


async def test_a_failing_read_back_never_says_that_nothing_happened(
    box: MinoxSandbox, http: Http, payload: Payload
) -> None:
    box.switches["customer_answer"] = "empty"
    box.fault("busy", path="by_externalid", after=1, seconds=30)
    with pytest.raises(OutcomeUnknown):
        await customers.write(http, payload, KEY)
    assert len(box.customers_of()) == 2


async def test_a_debtor_that_was_there_is_matched_by_email(http: Http, box: MinoxSandbox) -> None:
    booking = debtor("Houtwerf", "Administratie@houtwerf-noord.example".lower())
    (found,) = await customers.match(http, booking)
    assert (found.ref, found.mark) == ("10000", "")
    assert await customers.match(http, debtor("Niemand", "niemand@x.example")) == []
    assert await customers.match(http, debtor("Zonder adres")) == []


async def test_every_debtor_that_shares_an_address_is_named(box: MinoxSandbox, http: Http) -> None:
    twin = {"addresses": box.customers_of()[0]["addresses"], "vat": {}}
    box.add_customer(HOME, twin)
    for form in ("object", "collection", "array"):
        box.switches["by_email"] = form
        found = await customers.match(http, debtor("Houtwerf", "administratie@houtwerf-noord.example"))
        assert sorted(one.ref for one in found) == ["10000", "10001"]


async def test_an_update_completes_and_empties_nothing(
    box: MinoxSandbox, http: Http, master: Master, settings: MinoxSettings
) -> None:
    stands = box.customers_of()[0]
    stands["memo"] = {"active": True, "text": "Belt altijd"}
    stands["addresses"][0]["contact_name"] = "I. de Graaf"
    stands["addresses"].append({"address_type": "delivery", "name": "Loods 4"})
    stands["search"] = [{"id": "key1", "value": "EIGEN"}]
    booking = debtor("Houtwerf Noord Groep B.V.", "nieuw@houtwerf-noord.example")
    payload = customers.encode(booking, master, settings)
    for switch in ("replace", "merge"):
        box.switches["patch_arrays"] = switch
        receipt = await customers.update(http, payload, KEY, "10000")
        assert receipt.ref == "10000"
    home = stands["addresses"][0]
    assert (home["name"], home["contact_name"]) == ("Houtwerf Noord Groep B.V.", "I. de Graaf")
    assert [one["email_address"] for one in home["email_addresses"]] == [
        "administratie@houtwerf-noord.example",
        "nieuw@houtwerf-noord.example",
    ]
    assert stands["addresses"][1] == {"address_type": "delivery", "name": "Loods 4"}
    assert stands["memo"]["text"] == "Belt altijd"
    assert stands["search"] == [{"id": "key1", "value": "EIGEN"}]
    assert stands["vat"]["vat_registration_number"] == "NL800543210B01"
    patches = sum(count for call, count in box.calls.items() if call.startswith("PATCH"))
    assert patches == 1, "an update without a difference writes nothing"


async def test_adopting_sets_our_key_and_nothing_else(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    before = {name: value for name, value in box.customers_of()[0].items() if name != "externalid"}
    receipt = await customers.adopt(http, payload, KEY, Existing(ref="10000"))
    assert receipt.existed
    after = box.customers_of()[0]
    assert after["externalid"] == MARK
    assert {name: value for name, value in after.items() if name != "externalid"} == before
    found = await customers.find(http, KEY, payload)
    assert found is not None
    assert found.ref == "10000"


async def test_the_key_of_another_program_is_left_alone(box: MinoxSandbox, http: Http, payload: Payload) -> None:
    box.customers_of()[0]["externalid"] = "webshop-7"
    receipt = await customers.adopt(http, payload, KEY, Existing(ref="10000"))
    assert receipt.ref == "10000"
    assert box.customers_of()[0]["externalid"] == "webshop-7"


@pytest.mark.parametrize("links", ["relative", "token", "none"])
async def test_all_debtors_are_listed(box: MinoxSandbox, http: Http, links: str) -> None:
    box.switches |= {"links": links, "page_size": 3}
    for number in range(7):
        entry = {"email_address_type": "invoice", "email_address": f"D{number}@x.example"}
        box.add_customer(HOME, {"addresses": [{"name": f"D{number}", "email_addresses": [entry]}], "externalid": ""})
    found = [one async for page in customers.index(http, HOME, None, MinoxSettings()) for one in page]
    assert len(found) == 8
    assert found[-1] == Existing(ref="10007", label="10007 D6", emails=("d6@x.example",))


async def test_lists_without_addresses_are_completed_one_by_one(box: MinoxSandbox, http: Http) -> None:
    box.switches["hidden_fields"] = ["addresses"]
    found = [one async for page in customers.index(http, HOME, None, MinoxSettings()) for one in page]
    assert found[0].emails == ("administratie@houtwerf-noord.example",)
    assert len(await customers.match(http, debtor("Houtwerf", "administratie@houtwerf-noord.example"))) == 1


async def test_a_search_that_hides_our_key_is_not_taken_for_absence(
    box: MinoxSandbox, http: Http, payload: Payload
) -> None:
    await customers.write(http, payload, KEY)
    box.switches["hidden_fields"] = ["externalid"]
    found = await customers.find(http, KEY, payload)
    assert found is not None
    assert found.ref == "10001"
    box.switches |= {"search_filter": False, "by_email": "array"}
    with pytest.raises(OutcomeUnknown):
        await customers.find(http, KEY, payload)


async def test_an_address_with_signs_of_its_own_is_asked_whole(box: MinoxSandbox, http: Http) -> None:
    email = "o'neil+a/b?c#d%20@x.example"
    entry = {"email_address_type": "invoice", "email_address": email}
    box.add_customer(HOME, {"addresses": [{"name": "O'Neil", "email_addresses": [entry]}]})
    assert [one.ref for one in await customers.match(http, debtor("O'Neil", email))] == ["10001"]
