"""The sandbox keeps its own books, asks for consent and refuses what eAccounting would; a run costs few calls."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from connectors.eaccounting import CONNECTOR, company
from connectors.eaccounting.sandbox import SERVICE, EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.sdk.errors import ConfigError, TransientError
from tests.connectors.eaccounting.conftest import CUSTOMERS, HOME, INVOICES, Connect, client, key, line, sale
from tests.connectors.support import NoLimit

ASKED = {
    "client_id": "hub", "redirect_uri": "https://hub.example/oauth/callback", "response_type": "code", "state": "s&t",
    "scope": "ea:api offline_access ea:sales ea:accounting", "prompt": "select_account", "acr_values": SERVICE,
}  # fmt: skip
LOGIN = {"email": "petra@vink.example", "password": "x", "company": "Molenaar Bouw B.V.", "consent": "yes"}
OWN = ("hub", "geheim")


@pytest.fixture
async def web(box: EaccountingSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(box.app), base_url="http://visma") as opened:
        yield opened


async def consent(web: httpx.AsyncClient, **changes: str) -> dict[str, list[str]]:
    answer = await web.post("/connect/authorize", params=ASKED, data=LOGIN | changes)
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["location"]).query)


async def token(web: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await web.post("/connect/token", data=form, auth=OWN)


async def exchanged(web: httpx.AsyncClient, code: str) -> httpx.Response:
    return await token(web, grant_type="authorization_code", code=code, redirect_uri=ASKED["redirect_uri"])


def test_the_manifest_asks_as_the_identity_server_wants_it() -> None:
    oauth = CONNECTOR.manifest.auth[0].oauth
    assert oauth is not None

    assert dict(oauth.authorize_params) == {"prompt": "select_account", "acr_values": SERVICE}
    assert (oauth.token_request_auth, oauth.token_body, oauth.refresh) == ("basic", "form", "rotates")
    assert " ".join(oauth.scopes) == ASKED["scope"]


async def test_a_consent_opens_the_chosen_company(web: httpx.AsyncClient, box: EaccountingSandbox) -> None:
    given = await consent(web)
    made = (await exchanged(web, given["code"][0])).json()
    again = await exchanged(web, given["code"][0])

    answer = await web.get("/v2/companysettings", headers={"Authorization": f"Bearer {made['access_token']}"})
    assert given["state"] == ["s&t"]
    assert (made["token_type"], made["expires_in"]) == ("bearer", 3600)
    assert answer.json()["Name"] == "Molenaar Bouw B.V."
    assert again.json() == {"error": "invalid_grant"}


@pytest.mark.parametrize("way", ["rotating", "reusable"])
async def test_a_refresh_token_rotates_or_not(web: httpx.AsyncClient, box: EaccountingSandbox, way: str) -> None:
    box.switches["refresh"] = way
    first = (await exchanged(web, (await consent(web))["code"][0])).json()["refresh_token"]

    second = (await token(web, grant_type="refresh_token", refresh_token=first)).json()["refresh_token"]
    reuse = await token(web, grant_type="refresh_token", refresh_token=first)

    assert (second == first, reuse.status_code) == ((False, 400) if way == "rotating" else (True, 200))


async def test_a_refused_consent_and_a_request_without_picker(web: httpx.AsyncClient) -> None:
    bare = {name: value for name, value in ASKED.items() if name not in ("prompt", "acr_values")}

    assert (await consent(web, consent="no"))["error"] == ["access_denied"]
    assert (await web.get("/connect/authorize", params=bare)).status_code == 400
    assert (await web.post("/connect/token", data={"grant_type": "refresh_token"})).status_code == 400


@pytest.mark.parametrize(("path", "body", "code"), [
    ("customers", {"Name": "x" * 51}, 2000),
    ("customers", {"Naam": "x"}, 2000),
    ("articles", {"Number": "1"}, 2000),
    ("customerinvoicedrafts", {"CustomerId": "nobody", "EuThirdParty": False, "RotReducedInvoicingType": 0}, 3000),
    ("customerinvoicedrafts", {"EuThirdParty": "nee"}, 2000),
    ("customerinvoicedrafts/nothing/convert", {}, 3000),
])  # fmt: skip
async def test_what_the_package_would_refuse_is_refused_in_its_form(
    web: httpx.AsyncClient, box: EaccountingSandbox, path: str, body: dict[str, Any], code: int
) -> None:
    signed = {"Authorization": f"Bearer {box.grant()[0]}"}

    said = (await web.post(f"/v2/{path}", json=body, headers=signed)).json()

    assert (said["ErrorCode"], set(said)) == (code, {"ErrorCode", "DeveloperErrorMessage", "ErrorId"})


async def test_the_company_is_known_by_its_key_and_shown_by_name(connect: Connect, box: EaccountingSandbox) -> None:
    async with connect() as http:
        found = await company.identify(http)
        with pytest.raises(ConfigError) as other:
            await company.master(http, "another")

    assert (found.tenant, found.name) == (HOME, "Vink Installatie B.V.")
    assert (other.value.key, other.value.field) == ("eaccounting.other_company", "administrations")


@pytest.mark.parametrize(("fact", "value", "key_of"), [
    ("CompanyStatus", 0, "company_not_active"), ("CompanyStatus", 2, "company_read_only"),
    ("ProductVariant", 3, "variant_without_sales"),
])  # fmt: skip
async def test_a_company_that_takes_no_invoices_is_said_so(
    connect: Connect, box: EaccountingSandbox, fact: str, value: int, key_of: str
) -> None:
    box.company()["settings"][fact] = value
    async with connect() as http:
        with pytest.raises(ConfigError) as caught:
            await company.identify(http)

    assert caught.value.key == f"eaccounting.{key_of}"


async def test_the_quota_without_a_header_pauses_as_long_as_its_sentence_says(
    connect: Connect, box: EaccountingSandbox
) -> None:
    box.switches["rate_per_minute"] = 1
    limiter = NoLimit()
    async with connect(limiter=limiter) as http:
        await company.identify(http)
        with pytest.raises(TransientError) as caught:
            await company.identify(http)

    assert "Try again in 1 seconds" in caught.value.words
    assert limiter.pauses == [1.0] * 3  # a short pause is waited for, twice
    assert caught.value.retry_after == 1.0


async def test_the_seed_is_a_company_at_work(box: EaccountingSandbox) -> None:
    box.reset()
    box.seed()

    assert sorted(one["PaymentStatus"] for one in box.company()["invoices"].values()) == [0, 1]
    [draft] = box.company()["drafts"].values()
    assert (draft["TotalAmount"], draft["TotalVatAmount"]) == (Decimal("203.13"), Decimal("35.25"))


async def test_an_exported_invoice_costs_little_more_than_one_call(connect: Connect, box: EaccountingSandbox) -> None:
    invoices, buyers = 200, 20
    for number in range(50):
        box.add_article(f"M-{number}")
    assert CUSTOMERS.match is not None
    async with connect() as http:
        master = await company.master(http, HOME)
        settings, refs = EaccountingSettings(), []
        for number in range(buyers):
            buyer = client(number=str(30000 + number), source_id=str(number))
            assert await CUSTOMERS.match(http, buyer) == []
            payload = CUSTOMERS.encode(buyer, master, settings)
            refs.append((await CUSTOMERS.write(http, payload, key(str(number), "customers"))).ref)
        for number in range(invoices):
            lines = line("Materiaal", "10", "2.10", article=f"M-{number % 50}"), line("Werk", "50", "10.50")
            booking = sale(*lines, number=str(number), customer=refs[number % buyers])
            await INVOICES.write(http, INVOICES.encode(booking, master, settings), key(str(number)))

    assert len(box.company()["drafts"]) == invoices
    assert box.calls.total() / invoices <= 1.3
