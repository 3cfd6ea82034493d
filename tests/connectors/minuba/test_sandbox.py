"""The sandbox does what the dossier says Minuba does, and says no to what nobody was seen to ask."""

import base64
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2 as httpx
import pytest

from connectors.minuba import CONNECTOR
from connectors.minuba.sandbox import OWNER, MinubaSandbox, hours
from tests.connectors.support import InProcess

OAUTH = CONNECTOR.manifest.auth[0].oauth
assert OAUTH is not None
BACK = "https://hub.example/oauth/callback?x=1"
ASKED = {
    "client_id": "hub", "redirect_uri": BACK, "scope": " ".join(OAUTH.scopes), "state": "s+/=&1",
    "response_type": "code", "response_mode": OAUTH.response_mode,
}  # fmt: skip
CLIENT = "Basic " + base64.b64encode(b"hub:secret").decode() if OAUTH.token_request_auth == "basic" else ""


@pytest.fixture
async def web(box: MinubaSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=InProcess(app=box.app), base_url="http://sandbox") as client:
        yield client


def posted(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where a form_post page goes, and with what."""
    (action,) = re.findall(r'method="post" action="([^"]+)"', page.text)
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', page.text)
    return unescape(action), {name: unescape(value) for name, value in fields}


async def consent(web: httpx.AsyncClient, **form: str) -> tuple[str, dict[str, str]]:
    given = {"email": OWNER, "password": "x", "consent": "yes"} | form
    return posted(await web.post("/oauth2/authorize", params=ASKED, data=given))


async def token(web: httpx.AsyncClient, sign: str = CLIENT, **form: str) -> httpx.Response:
    return await web.post("/oauth2/token", data=form, headers={"Authorization": sign})


async def traded(web: httpx.AsyncClient) -> Any:
    _, fields = await consent(web)
    got = await token(web, grant_type="authorization_code", code=fields["code"], redirect_uri=BACK)
    assert got.status_code == 200
    return got.json()


async def ask(web: httpx.AsyncClient, path: str, access: str, **headers: str) -> httpx.Response:
    given = {"Authorization": f"Bearer {access}", "Accept": "application/json"} | headers
    return await web.get(f"/api/1/{path}", headers=given)


async def test_the_consent_comes_back_as_a_posted_form_with_the_state_as_it_was(web: httpx.AsyncClient) -> None:
    page = await web.get("/oauth2/authorize", params=ASKED)
    assert 'name="consent"' in page.text
    where, fields = await consent(web)
    assert (where, fields["state"], set(fields)) == (BACK, ASKED["state"], {"code", "state"})


async def test_a_refused_consent_comes_back_as_an_error(web: httpx.AsyncClient) -> None:
    _, fields = await consent(web, consent="no")
    assert fields == {"error": "access_denied", "state": ASKED["state"]}


async def test_only_an_administrator_may_consent(box: MinubaSandbox, web: httpx.AsyncClient) -> None:
    box.books["users"]["svend@molenaar-installatie.example"] = {"name": "Svend", "role": "Worker", "password": ""}
    _, fields = await consent(web, email="svend@molenaar-installatie.example")
    assert fields["error"] == "access_denied"


async def test_an_unknown_user_is_asked_again(web: httpx.AsyncClient) -> None:
    form = {"email": "wie@dan.example", "password": "x", "consent": "yes"}
    page = await web.post("/oauth2/authorize", params=ASKED, data=form)
    assert 'role="alert"' in page.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "all"},
        {"response_mode": "query"},
        {"response_type": "token"},
        {"state": ""},
        {"redirect_uri": "app:x"},
    ],
    ids=str,
)
async def test_another_question_than_was_seen_is_refused(web: httpx.AsyncClient, wrong: dict[str, str]) -> None:
    assert (await web.get("/oauth2/authorize", params=ASKED | wrong)).status_code == 400


async def test_the_token_answer_has_the_form_that_was_seen(web: httpx.AsyncClient) -> None:
    got = await traded(web)
    assert set(got) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (got["expires_in"], got["scope"]) == (3599, "Administrator")
    assert (await ask(web, "Client?include=addresses", got["access_token"])).status_code == 200


async def test_a_code_works_once_for_its_own_client_and_address(box: MinubaSandbox, web: httpx.AsyncClient) -> None:
    _, fields = await consent(web)
    grant = {"grant_type": "authorization_code", "code": fields["code"]}
    assert (await token(web, **grant, redirect_uri="https://elders.example")).json()["error"] == "invalid_grant"
    assert (await token(web, **grant, redirect_uri=BACK)).json()["error"] == "invalid_grant"
    box.switches["clients"] = {"hub": "other"}
    assert (await token(web, **grant, redirect_uri=BACK)).json()["error"] == "invalid_client"


@pytest.mark.parametrize("sign", ["", "Bearer x", "Basic !!", "Basic " + base64.b64encode(b"hub:").decode()])
async def test_the_token_question_is_signed_by_basic(web: httpx.AsyncClient, sign: str) -> None:
    assert (await token(web, sign, grant_type="refresh_token", refresh_token="x")).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("switches", "given", "old_works"),
    [
        ({}, True, False),
        ({"refresh_rotates": False}, True, True),
        ({"refresh_in_answer": False}, False, True),
    ],
    ids=str,
)
async def test_a_refresh_rotates_keeps_or_says_nothing(
    box: MinubaSandbox, web: httpx.AsyncClient, switches: dict[str, Any], given: bool, old_works: bool
) -> None:
    box.switches |= switches
    old = (await traded(web))["refresh_token"]
    answer = (await token(web, grant_type="refresh_token", refresh_token=old)).json()
    assert ("refresh_token" in answer) is given
    assert (await ask(web, "Client", answer["access_token"])).status_code == 200
    again = await token(web, grant_type="refresh_token", refresh_token=old)
    assert (again.status_code == 200) is old_works


async def test_a_token_expires(box: MinubaSandbox, web: httpx.AsyncClient) -> None:
    access = (await traded(web))["access_token"]
    now = box.now()
    box.now = lambda: now + 3600
    assert (await ask(web, "Client", access)).status_code == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Order?state=completed&forAllUsers=true&include=client,addresses", 200),
        ("Order?state=COMPLETED", 400),
        ("Order?state=invoiced", 400),
        ("Order?limit=10", 400),
        ("Order?include=lines", 400),
        ("Orders", 404),
        ("Client?include=addresses", 200),
        ("Client/1", 404),
        ("File?orderId=1", 200),
        ("Invoice?state=approved&forAllUsers=true&include=client,lines", 200),
    ],
)
async def test_paths_answer_as_they_were_seen_to(
    box: MinubaSandbox, web: httpx.AsyncClient, path: str, status: int
) -> None:
    assert (await ask(web, path, box.grant()[0])).status_code == status


async def test_orders_show_their_state_in_capitals_and_embed_on_request(
    box: MinubaSandbox, web: httpx.AsyncClient
) -> None:
    box.seed()
    path = "Order?state=completed&forAllUsers=true&include=client,addresses"
    (order,) = (await ask(web, path, box.grant()[0])).json()["orders"]
    assert (order["state"], order["client"]["name"]) == ("COMPLETED", "Molen en Dijk Vastgoed B.V.")
    assert order["addresses"][0]["addressType"] == "CONTACT"


async def test_without_for_all_users_only_one_s_own_is_seen(box: MinubaSandbox, web: httpx.AsyncClient) -> None:
    box.add_order("new", owner="svend@molenaar-installatie.example")
    access = box.grant()[0]
    assert (await ask(web, "Order?state=new", access)).json() == {"orders": []}
    assert len((await ask(web, "Order?state=new&forAllUsers=true", access)).json()["orders"]) == 1


async def test_nothing_can_be_written_and_json_must_be_accepted(box: MinubaSandbox, web: httpx.AsyncClient) -> None:
    access = box.grant()[0]
    sent = await web.post(
        "/api/1/Client", json={}, headers={"Authorization": f"Bearer {access}", "Accept": "application/json"}
    )
    assert sent.status_code == 405
    assert (await ask(web, "Client", access, Accept="text/html")).status_code == 406


async def test_too_many_calls_a_minute_are_refused(box: MinubaSandbox, web: httpx.AsyncClient) -> None:
    box.switches["rate_per_minute"] = 30
    access, now = box.grant()[0], box.now()
    box.now = lambda: now
    statuses = [(await ask(web, "Client", access)).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_approval_is_one_way_and_gives_the_number(box: MinubaSandbox) -> None:
    draft = box.add_invoice(state="draft")
    assert draft["invoiceNumber"] is None
    assert box.approve(draft["id"])["invoiceNumber"]
    for act in (box.approve, box.reject):
        with pytest.raises(ValueError, match="draft"):
            act(draft["id"])


def test_work_on_an_order_changes_no_invoice(box: MinubaSandbox) -> None:
    order = box.add_order()
    invoice = box.add_invoice(hours("1", "62"), orderIds=[order["id"]])
    before = dict(invoice)
    box.change("orders", order["id"], description="Anders", state="closed")
    assert box.books["invoices"][invoice["id"]] == before


def test_two_sandboxes_hold_the_same_books() -> None:
    one, other = MinubaSandbox(), MinubaSandbox()
    for box in (one, other):
        box.now = lambda: 1_790_000_000.0
        box.seed()
    assert one.books == other.books
