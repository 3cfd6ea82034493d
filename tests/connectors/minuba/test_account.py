"""Whose account it is, though no resource tells it."""

import pytest

from connectors.minuba import CONNECTOR
from connectors.minuba.account import COMPANY
from connectors.minuba.sandbox import OWNER, MinubaSandbox
from hub.sdk.connector import Identity
from hub.sdk.errors import ReauthRequired, RecordRejected
from hub.sdk.http import Answer, Http
from tests.connectors.support import connected


async def identity(box: MinubaSandbox) -> Identity:
    """After a consent of its own."""
    async with connected(CONNECTOR, box, "/api/1", {"access_token": box.grant()[0]}) as http:
        return await CONNECTOR.identify(http)


async def test_a_readable_token_says_which_company_it_is(box: MinubaSandbox) -> None:
    box.seed()
    found = await identity(box)
    assert (found.tenant, found.name) == (box.books["account"]["id"], "Molenaar Installatie B.V.")
    assert (found.email, found.user) == (OWNER, "Jan Molenaar")
    assert box.calls == {"GET /api/1/Order": 1}


async def test_without_it_the_oldest_order_stands_for_the_account_whoever_consents(box: MinubaSandbox) -> None:
    box.seed()
    box.switches["token_form"] = "opaque"
    oldest = box.add_order("closed", created="2019-01-02T08:00:00")
    first = await identity(box)
    box.add_order("new", created="2026-11-20T08:00:00", id="00000000")
    box.add_order("closed", created="2026-11-20T08:00:00")
    assert first == await identity(box)
    assert (first.tenant, first.name) == (f"order:{oldest['id']}", f"Minuba (order {oldest['orderNumber']})")


async def test_another_account_is_another_tenant(box: MinubaSandbox) -> None:
    other = MinubaSandbox()
    for one in (box, other):
        one.switches["token_form"] = "opaque"
    box.add_order()
    other.new_id("order")
    other.add_order()
    assert (await identity(box)).tenant != (await identity(other)).tenant


async def test_an_account_without_orders_is_known_by_its_customers_and_an_empty_one_by_nothing(
    box: MinubaSandbox,
) -> None:
    box.switches["token_form"] = "opaque"
    assert (await identity(box)).tenant == COMPANY
    client = box.add_client()
    assert (await identity(box)).tenant == f"client:{client['id']}"


@pytest.mark.parametrize("token", ["a.b.c", "eyJ.eyJ.x", "..", "x" * 40, "a.W10.c", "a.MTI.c", "a.\u00e9.c"])
async def test_a_token_that_only_looks_readable_is_opaque(box: MinubaSandbox, token: str) -> None:
    access, _ = box.grant()
    box.tokens[token] = box.tokens[access]
    if token.isascii():
        async with connected(CONNECTOR, box, "/api/1", {"access_token": token}) as http:
            assert (await CONNECTOR.identify(http)).tenant == COMPANY


async def test_the_one_account_is_the_one_company(http: Http) -> None:
    (only,) = await CONNECTOR.options["companies"](http, {})
    assert (only.value, only.label) == (COMPANY, "Molenaar Installatie B.V.")


@pytest.mark.parametrize("errors", ["message", "object", "text", "empty"])
async def test_a_no_is_understood_by_its_status_in_whatever_form_it_comes(box: MinubaSandbox, errors: str) -> None:
    box.switches["errors"] = errors
    async with connected(CONNECTOR, box, "/api/1", {"access_token": "dead"}) as http:
        with pytest.raises(ReauthRequired):
            await CONNECTOR.identify(http)
    async with connected(CONNECTOR, box, "/api/1", {"access_token": box.grant()[0]}) as http:
        with pytest.raises(RecordRejected):
            await http.get("/Unknown")


def test_the_words_of_a_no_are_kept() -> None:
    refusal = CONNECTOR.refusal
    assert refusal is not None
    said = refusal(Answer(400, {"error": "bad", "error_description": "Ukendt felt"}, True))
    assert said is not None
    assert (said.words, said.kind) == ("Ukendt felt", "rejected")
    dead = refusal(Answer(401, {"message": "Udløbet"}, True))
    assert dead is not None
    assert (dead.kind, dead.key, dead.words) == ("reauth", "minuba.access_refused", "Udløbet")
    forbidden = refusal(Answer(403, {"message": "Nej"}, True))
    assert forbidden is not None
    assert (forbidden.kind, forbidden.key) == ("config", "minuba.no_rights")
    assert refusal(Answer(200, {"message": "fine"}, True)) is None
