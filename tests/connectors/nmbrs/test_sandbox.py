"""The sandbox holds clients to the dossier: it refuses what Nmbrs refuses."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from connectors.nmbrs.sandbox import OWNER, SOAP11, SOAP12, SUBSCRIPTION, TOKEN, NmbrsSandbox

SPACE = "https://api.nmbrs.nl/soap/v3/CompanyService"
SIGNED = f"<Username>{OWNER}</Username><Token>{TOKEN}</Token>"


@pytest.fixture
async def client(box: NmbrsSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(box.app), base_url="http://sandbox") as made:
        yield made


async def soap(
    client: httpx.AsyncClient, header: str, body: str, space: str = SOAP11, **headers: str
) -> httpx.Response:
    """A call as somebody else's client makes it."""
    kind = "text/xml; charset=utf-8" if space == SOAP11 else f'application/soap+xml; action="{SPACE}/List_GetAll"'
    asked = f'<s:Header>{header}</s:Header><s:Body><{body} xmlns="{SPACE}"/></s:Body>'
    content = f'<s:Envelope xmlns:s="{space}">{asked}</s:Envelope>'
    sent = {"Content-Type": kind, "SOAPAction": f'"{SPACE}/{body}"', **headers}
    return await client.post(
        "/soap/v3/CompanyService.asmx", content=content, headers={k: v for k, v in sent.items() if v}
    )


def signed(domain: str = "vandermeulen", space: str = SPACE) -> str:
    return f'<AuthHeaderWithDomain xmlns="{space}">{SIGNED}<Domain>{domain}</Domain></AuthHeaderWithDomain>'


@pytest.mark.parametrize("version", [SOAP11, SOAP12])
async def test_both_versions_are_served(client: httpx.AsyncClient, version: str) -> None:
    found = await soap(client, signed(), "List_GetAll", version)
    assert found.status_code == 200
    assert "<ID>50211</ID>" in found.text
    assert version in found.text


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "1001"),
        (signed("anders"), "2043"),
        (signed(space="https://api-sandbox.nmbrs.nl/soap/v3/CompanyService"), "1001"),
        (f'<AuthHeaderWithDomain xmlns="{SPACE}">{SIGNED}</AuthHeaderWithDomain>', "1001"),
        (signed().replace(TOKEN, "x"), "1001"),
    ],
)
async def test_a_header_that_is_not_right_is_refused(client: httpx.AsyncClient, header: str, words: str) -> None:
    found = await soap(client, header, "List_GetAll")
    assert (found.status_code, f"---&gt; {words}:" in found.text) == (500, True)


async def test_the_header_of_the_older_version_serves_where_no_domain_is_demanded(
    client: httpx.AsyncClient, box: NmbrsSandbox
) -> None:
    header = f'<AuthHeader xmlns="{SPACE}">{SIGNED}</AuthHeader>'
    assert (await soap(client, header, "List_GetAll")).status_code == 200
    box.switches["domain_required"] = True
    assert "1001" in (await soap(client, header, "List_GetAll")).text


async def test_a_call_without_action_or_with_another_s_is_refused(client: httpx.AsyncClient) -> None:
    assert "valid action parameter" in (await soap(client, signed(), "List_GetAll", SOAPAction="")).text
    wrong = await soap(client, signed(), "List_GetAll", SOAPAction=f'"{SPACE}/Run_GetList"')
    assert "did not recognize" in wrong.text
    assert "9999" in (await soap(client, signed(), "Run_GetList")).text, "without its parameters"


async def consented(client: httpx.AsyncClient, **asked: str) -> str:
    """A code for a client without PKCE."""
    query = {"response_type": "code", "client_id": "hub", "redirect_uri": "http://hub/cb", "state": "s",
             "scope": "offline_access company.info.read", **asked}  # fmt: skip
    page = await client.post("/connect/authorize", params=query, data={"email": OWNER, "consent": "yes"})
    return parse_qs(urlsplit(page.headers["location"]).query)["code"][0]


async def test_a_refresh_token_is_used_once_and_its_reuse_ends_the_grant(client: httpx.AsyncClient) -> None:
    basic = httpx.BasicAuth("hub", "secret")
    grant = {"grant_type": "authorization_code", "code": await consented(client), "redirect_uri": "http://hub/cb"}
    first = (await client.post("/connect/token", data=grant, auth=basic)).json()
    assert (await client.post("/connect/token", data=grant, auth=basic)).json() == {"error": "invalid_grant"}
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await client.post("/connect/token", data=refresh, auth=basic)).json()
    assert (await client.post("/connect/token", data=refresh, auth=basic)).status_code == 400
    later = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    assert (await client.post("/connect/token", data=later, auth=basic)).json() == {"error": "invalid_grant"}
    assert (await client.post("/connect/token", data=later)).json() == {"error": "invalid_client"}


async def test_a_scope_that_does_not_exist_fails_the_whole_request(client: httpx.AsyncClient) -> None:
    query = {"response_type": "code", "client_id": "hub", "redirect_uri": "http://hub/cb", "scope": "openid"}
    assert "Invalid scope" in (await client.get("/connect/authorize", params=query)).text


async def test_rest_asks_for_its_key_its_scope_and_a_page_of_at_most_a_hundred(
    client: httpx.AsyncClient, box: NmbrsSandbox
) -> None:
    signed_in = {"Authorization": f"Bearer {box.grant()[0]}", "X-Subscription-Key": SUBSCRIPTION}
    assert (await client.get("/api/companies", headers=signed_in)).json()["pagination"]["totalRecords"] == 4
    for headers, query, code in (
        ({**signed_in, "X-Subscription-Key": "x"}, {}, 401),
        ({"X-Subscription-Key": SUBSCRIPTION}, {}, 401),
        (signed_in, {"pageSize": "101"}, 400),
    ):
        assert (await client.get("/api/companies", headers=headers, params=query)).status_code == code


async def test_scenarios_are_played_by_name(client: httpx.AsyncClient, box: NmbrsSandbox) -> None:
    runs = len(box.books["runs"])
    assert (await client.post("/_sandbox/scenario/removed")).json() == {"played": "removed"}
    assert len(box.books["runs"]) == runs - 1
    assert (await client.post("/_sandbox/scenario/onzin")).status_code == 400
