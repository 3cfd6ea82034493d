"""Relations on the sandbox: made once, matched by e-mail, completed and never emptied."""

from typing import Any

import pytest

from connectors.eboekhouden import customers
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.chart import Master
from hub.sdk.connector import Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.eboekhouden.conftest import debtor, key

EMAIL = "administratie@houtwerf-noord.example"
KEY = key("organization:1", "customers")


def payload(*emails: str, **facts: Any) -> Payload:
    return customers.encode(
        debtor("Houtwerf Noord B.V.", *emails, **facts), Master(administration="-"), EboekhoudenSettings()
    )


def relations(box: EboekhoudenSandbox) -> list[dict[str, Any]]:
    return list(box.administration()["relations"].values())


def test_our_code_has_just_the_length_that_a_code_may_have() -> None:
    assert len(customers.code_of(KEY)) == 15


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"answer": "empty"},
        {"answer": "text_id"},
        {"answer": "plain"},
        {"answer": "list"},
        {"bare_lists": True},
        {"ignores_filters": True},
        {"text_types": True},
        {"page_cap": 1},
    ],
    ids=str,
)
async def test_a_relation_is_made_once_and_found(
    box: EboekhoudenSandbox, http: Http, relation: str, switches: dict[str, Any]
) -> None:
    box.switches.update(switches)
    assert await customers.find(http, KEY, payload(EMAIL)) is None
    made = await customers.write(http, payload(EMAIL), KEY)
    found = await customers.find(http, KEY, payload(EMAIL))

    assert found is not None
    assert made.ref == found.ref == str(relations(box)[-1]["id"]) != relation
    assert len(relations(box)) == 2


async def test_a_relation_whose_answer_was_lost_is_not_made_again(box: EboekhoudenSandbox, http: Http) -> None:
    box.fault("lost", method="POST")
    with pytest.raises(OutcomeUnknown):
        await customers.write(http, payload(EMAIL), KEY)
    again = await customers.write(http, payload(EMAIL), KEY)

    assert (again.existed, len(relations(box))) == (True, 1)


async def test_a_code_that_exists_and_is_not_shown_yet_is_no_second_relation(
    box: EboekhoudenSandbox, http: Http
) -> None:
    await customers.write(http, payload(EMAIL), KEY)
    box.switches["lag_s"] = 600
    with pytest.raises(OutcomeUnknown):
        await customers.write(http, payload(EMAIL), KEY)

    assert len(relations(box)) == 1


@pytest.mark.parametrize("switches", [{}, {"ignores_filters": True}, {"text_types": True}], ids=str)
async def test_a_relation_is_matched_by_any_of_its_addresses(
    box: EboekhoudenSandbox, http: Http, relation: str, switches: dict[str, Any]
) -> None:
    home = box.administration()
    box.add_relation(home, name="Anders B.V.", emailAddress="info@anders.example")
    invoiced = box.add_relation(home, name="Facturen B.V.", emailAddressInvoice="Facturen@Houtwerf.example")
    box.switches.update(switches)

    found = await customers.match(http, debtor("Houtwerf", EMAIL))
    assert [(one.ref, one.emails) for one in found] == [(relation, (EMAIL,))]
    by_invoice_address = await customers.match(http, debtor("Houtwerf", "facturen@houtwerf.example"))
    assert [one.ref for one in by_invoice_address] == [str(invoiced["id"])]
    assert await customers.match(http, debtor("Houtwerf", "")) == []
    assert await customers.match(http, debtor("Houtwerf", "niemand@houtwerf.example")) == []


async def test_relations_that_share_an_address_are_all_named_and_inactive_ones_last(
    box: EboekhoudenSandbox, http: Http, relation: str
) -> None:
    home = box.administration()
    twin = box.add_relation(home, name="Houtwerf Zuid B.V.", emailAddress=EMAIL)
    assert {one.ref for one in await customers.match(http, debtor("Houtwerf", EMAIL))} == {relation, str(twin["id"])}
    twin["inactive"] = True
    assert [one.ref for one in await customers.match(http, debtor("Houtwerf", EMAIL))] == [relation]


async def test_our_own_relation_shows_our_mark(http: Http) -> None:
    await customers.write(http, payload(EMAIL), KEY)
    (found,) = await customers.match(http, debtor("Houtwerf", EMAIL))

    assert found.mark in customers.marks(KEY)


async def test_a_change_keeps_what_we_do_not_know(box: EboekhoudenSandbox, http: Http) -> None:
    made = await customers.write(http, payload(EMAIL, phone="050-1234567"), KEY)
    stands = relations(box)[0]
    stands.update(note="Belt altijd op maandag", type="P", freeText3="Klant sinds 2011")
    await customers.update(http, payload(EMAIL, contact="Jorien Veldkamp", is_person=True), KEY, made.ref)

    assert (stands["contact"], stands["phoneNumber"], stands["type"]) == ("Jorien Veldkamp", "050-1234567", "P")
    assert (stands["note"], stands["freeText3"], stands["code"]) == (
        "Belt altijd op maandag",
        "Klant sinds 2011",
        customers.code_of(KEY),
    )


async def test_nothing_is_sent_when_nothing_differs(box: EboekhoudenSandbox, http: Http) -> None:
    made = await customers.write(http, payload(EMAIL), KEY)
    await customers.update(http, payload(EMAIL), KEY, made.ref)

    assert not [call for call in box.calls if call.startswith("PATCH")]


def test_a_change_sends_everything_along_so_that_nothing_is_reset() -> None:
    stands = {"id": 7, "type": "P", "code": "D1", "name": "Oud", "city": "Assen", "iban": "", "_x": 1}
    assert customers.changes(stands, {"name": "Nieuw"}) == {
        "type": "P",
        "code": "D1",
        "name": "Nieuw",
        "city": "Assen",
    }


async def test_a_relation_that_is_gone_is_said_so(http: Http) -> None:
    with pytest.raises(RecordRejected) as refused:
        await customers.update(http, payload(EMAIL), KEY, "70000001")
    assert refused.value.key == "eboekhouden.relation_unknown"
