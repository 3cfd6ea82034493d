"""Who is connected, what may be chosen, notes on the timeline, and the package's own refusals."""

from collections.abc import Mapping
from typing import Any

import pytest

from connectors.simplicate import CONNECTOR
from connectors.simplicate.sandbox import PROFILE, SECOND_PROFILE, SimplicateSandbox
from hub.sdk.connector import Note
from hub.sdk.errors import ConfigError, ReauthRequired
from hub.sdk.http import Answer, Http
from tests.connectors.simplicate.conftest import API, SECRETS
from tests.connectors.support import connected


async def test_the_account_shows_its_user_and_company(http: Http) -> None:
    found = await CONNECTOR.identify(http)
    assert (found.tenant, found.email, found.user) == ("waterlinie", "anna@waterlinie.example", "Anna de Wit")
    assert found.name in ("Studio Waterlinie B.V.", "Waterlinie Uitgeverij B.V.")


@pytest.mark.parametrize("user", ["list", "forbidden", "missing"])
@pytest.mark.parametrize("test", ["object", "empty", "text", "missing"])
async def test_the_account_is_known_however_little_it_says(
    box: SimplicateSandbox, http: Http, user: str, test: str
) -> None:
    box.switches.update(users_user=user, base_test=test)
    found = await CONNECTOR.identify(http)
    assert found.tenant == "waterlinie"
    assert found.email == ("anna@waterlinie.example" if user == "list" else "")


async def test_a_user_without_rights_on_crm_is_still_an_account(box: SimplicateSandbox, http: Http) -> None:
    box.books["keys"]["k" * 32]["email"] = "cleo@waterlinie.example"
    found = await CONNECTOR.identify(http)
    assert (found.name, found.email) == ("waterlinie", "cleo@waterlinie.example")


async def test_wrong_keys_ask_for_consent(box: SimplicateSandbox) -> None:
    wrong = SECRETS | {"authentication_secret": "x" * 32}
    async with connected(CONNECTOR, box, API, wrong, way=1, fields={"domain": "waterlinie"}) as http:
        with pytest.raises(ReauthRequired):
            await CONNECTOR.identify(http)


async def test_a_wrong_domain_is_a_wrong_setting(box: SimplicateSandbox) -> None:
    async with connected(CONNECTOR, box, API, SECRETS, way=1, fields={"domain": "bestaatniet"}) as http:
        with pytest.raises(ConfigError) as caught:
            await CONNECTOR.identify(http)
    assert caught.value.field == "domain"


async def test_company_profiles_can_be_chosen_blocked_ones_not(box: SimplicateSandbox, http: Http) -> None:
    found = await CONNECTOR.options["companies"](http, {})
    assert {option.value: option.label for option in found} == {
        PROFILE: "Studio Waterlinie B.V.",
        SECOND_PROFILE: "Waterlinie Uitgeverij B.V.",
    }
    box.change("profiles", PROFILE, blocked="1")
    assert [option.value for option in await CONNECTOR.options["companies"](http, {})] == [SECOND_PROFILE]


async def test_a_note_stands_on_the_timeline_and_its_type_is_looked_up_once(box: SimplicateSandbox, http: Http) -> None:
    assert CONNECTOR.note is not None
    invoice = box.add_invoice()["id"]
    await CONNECTOR.note(http, Note(invoice, "Geboekt", "Boekstuk 1 & 2\n<vet>"))
    await CONNECTOR.note(http, Note(invoice, "Geboekt", "nog een"))
    (first, _) = box.messages_of(invoice)
    assert first["linked_to"] == {"invoice_id": invoice}
    assert first["content"] == "Boekstuk 1 &amp; 2<br>&lt;vet&gt;"
    assert first["messagetype_id"] == "messagetype:852d47ec82cb8055"
    assert box.calls["GET /waterlinie/api/v2/timeline/messagetype"] == 1


async def test_another_message_type_is_used_where_the_known_one_is_not_listed(
    box: SimplicateSandbox, http: Http
) -> None:
    assert CONNECTOR.note is not None
    customer = box.add_organization()["id"]
    del box.books["message_types"]["messagetype:852d47ec82cb8055"]
    await CONNECTOR.note(http, Note(customer, "Mislukt", "reden"))
    assert box.messages_of(customer)[0]["messagetype_id"] == "messagetype:19cc20aa71b45d03"


OBJECT = {"code": 400, "type": "Validation", "message": "raw", "translated_message": "Vertaald", "error_message": ""}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, {"data": None, "errors": [OBJECT]}, "rejected", "Vertaald"),
        (422, {"data": None, "errors": ["tekst", "en meer"]}, "rejected", "tekst; en meer"),
        (400, {"message": "los"}, "rejected", "los"),
        (400, {"errors": OBJECT}, "rejected", "Vertaald"),
        (400, {"errors": [{"error": OBJECT, "submitted_data": {}}]}, "rejected", "Vertaald"),
        (401, {"errors": ["nee"]}, "reauth", "nee"),
        (403, {"errors": ["nee"]}, "config", "nee"),
        (404, {"errors": ["weg"]}, "rejected", "weg"),
        (200, {"data": None, "errors": [OBJECT]}, "rejected", "Vertaald"),
        (200, {"data": None, "errors": [{"code": 401, "message": "m"}]}, "reauth", "m"),
        (200, {"data": None, "errors": [{"code": 503, "message": "m"}]}, "transient", "m"),
        (200, {"data": None, "errors": ["iets"]}, "unknown", "iets"),
        (200, {"data": [{"id": "invoice:1"}], "errors": ["iets"]}, "unknown", "iets"),
    ],
)
def test_errors_are_read_in_each_of_their_forms(status: int, body: Mapping[str, Any], kind: str, words: str) -> None:
    assert CONNECTOR.refusal is not None
    found = CONNECTOR.refusal(Answer(status, body, True))
    assert found is not None
    assert (found.kind, found.words) == (kind, words)


@pytest.mark.parametrize(
    "body",
    [
        {"data": [], "errors": None, "debug": None},
        {"data": None, "errors": []},
        {"data": {"id": "payment:1"}, "errors": ["mail niet verstuurd"]},
        [{"id": "invoice:1"}],
    ],
)
def test_a_success_is_no_refusal(body: Any) -> None:
    assert CONNECTOR.refusal is not None
    assert CONNECTOR.refusal(Answer(200, body, True)) is None
