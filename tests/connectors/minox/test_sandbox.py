"""The sandbox keeps its own books and refuses what Minox would."""

import base64
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from connectors.minox.sandbox import MinoxSandbox
from tests.connectors.minox.conftest import HOME

BASE = "/api/1/tenant/41207/administration/3"
UUID = "6f0c8f2e-3a0b-4f57-9a7e-2f1f5b1d9c41"
ASKED = {"client_id": "hub", "redirect_uri": "https://hub.example/oauth/callback", "response_type": "code",
         "scope": "transaction:read transaction:write", "state": "s&t"}  # fmt: skip
LOGIN = {"customer_number": "41207", "user": "MINOX", "password": "waterlelie", "consent": "yes"}


@pytest.fixture
async def web(box: MinoxSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(box.app), base_url="http://minox") as client:
        yield client


@pytest.fixture
def signed(box: MinoxSandbox) -> dict[str, str]:
    return {"Authorization": f"Bearer {box.grant()[0]}"}


def entry(**changes: Any) -> list[dict[str, Any]]:
    """The dossier's sales entry; `changes` go on the revenue line."""
    common = {"journal": {"id": "VERK"}, "period": {"fiscal_year": 2026}, "document_date": "2026-03-12",
              "invoice_number": 20260143}  # fmt: skip
    return [
        {"account": {"id": "10000", "scheme": "MINOX", "type": "customer"}, "debit": 1452.00, "credit": 0} | common,
        {"account": {"id": "8000", "scheme": "MINOX", "type": "ledger_account"}, "debit": 0, "credit": 1200.00}
        | common
        | changes,
    ]


async def consent(web: httpx.AsyncClient, **changes: str) -> dict[str, list[str]]:
    answer = await web.post("/oauth/authorize", params=ASKED, data=LOGIN | changes)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(ASKED["redirect_uri"])
    return parse_qs(urlsplit(answer.headers["location"]).query)


@pytest.mark.parametrize("form", ["json", "data"])
async def test_a_code_becomes_tokens_that_rotate(web: httpx.AsyncClient, form: str) -> None:
    given = await consent(web)
    assert given["state"] == ["s&t"]
    client = {"client_id": "hub", "client_secret": "x"}
    body = client | {"grant_type": "authorization_code", "code": given["code"][0]}

    async def asked(body: dict[str, str]) -> httpx.Response:
        json, data = (body, None) if form == "json" else (None, body)
        return await web.post("/oauth/token", json=json, data=data)

    first = (await asked(body)).json()
    assert {"access_token", "refresh_token", "expires_in"} <= set(first)
    assert (await asked(body)).json()["error"] == "invalid_grant"
    body = client | {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert (await asked(body)).status_code == 200
    assert (await asked(body)).status_code == 400


async def test_only_the_main_user_may_consent(web: httpx.AsyncClient) -> None:
    assert (await consent(web, user="PIET"))["error"] == ["access_denied"]
    assert (await consent(web, consent="no"))["error"] == ["access_denied"]
    wrong = await web.post("/oauth/authorize", params=ASKED, data=LOGIN | {"password": "fout"})
    assert wrong.status_code == 200


async def test_another_redirect_address_gets_no_token(web: httpx.AsyncClient) -> None:
    code = (await consent(web))["code"][0]
    body = {"grant_type": "authorization_code", "client_id": "hub", "client_secret": "x", "code": code}
    answer = await web.post("/oauth/token", json=body | {"redirect_uri": "https://evil.example"})
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_inspect_wants_the_clients_own_name(box: MinoxSandbox, web: httpx.AsyncClient, method: str) -> None:
    token = box.grant()[0]
    call = {"POST": ("/api/1/inspect", {"token": token}), "GET": (f"/api/1/inspect/{token}", None)}[method]
    basic = {"Authorization": "Basic " + base64.b64encode(b"hub:x").decode()}
    answer = await web.request(method, call[0], json=call[1], headers=basic)
    assert answer.json()["linked_tenants"][0]["tenant_id"] == 41207
    assert (await web.request(method, call[0], json=call[1])).status_code == 401


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"credit": 1200.01}, "SBX_UNBALANCED"),
        ({"credit": -1200}, "SBX_AMOUNT"),
        ({"credit": "1200.00"}, "SBX_AMOUNT"),
        ({"debit": 1, "credit": 1}, "SBX_AMOUNT"),
        ({"invoice_number": "F2026"}, "SBX_INVOICE_NUMBER"),
        ({"document_date": "12-03-2026"}, "SBX_DATE"),
        ({"document_date": "2027-01-04", "period": {"fiscal_year": 2027}}, "SBX_NO_FISCAL_YEAR"),
        ({"journal": {"id": "NEE"}}, "SBX_JOURNAL"),
        ({"account": {"id": 8000, "scheme": "MINOX", "type": "ledger_account"}}, "SBX_ACCOUNT"),
        ({"account": {"id": "8999", "scheme": "MINOX", "type": "ledger_account"}}, "SBX_ACCOUNT"),
        ({"cost_center": {"id": 0}}, "SBX_ZERO_ID"),
        ({"omschrijving": "x"}, "SBX_FIELD"),
    ],
)
async def test_a_wrong_line_is_refused_and_nothing_is_stored(
    box: MinoxSandbox, web: httpx.AsyncClient, signed: dict[str, str], changes: dict[str, Any], code: str
) -> None:
    path = f"{BASE}/transaction_line_batch/{UUID}"
    answer = await web.put(path, json=entry(**changes), headers=signed)
    assert answer.status_code == 400
    assert code in [one["message_code"] for one in answer.json()]
    assert not box.batches()
    assert (await web.put(path, json=entry(), headers=signed)).status_code == 200


async def test_a_number_is_used_once_and_an_update_keeps_what_was_paid(
    box: MinoxSandbox, web: httpx.AsyncClient, signed: dict[str, str]
) -> None:
    path = f"{BASE}/transaction_line_batch/"
    await web.put(path + UUID, json=entry(), headers=signed)
    other = await web.put(path + UUID.replace("6f", "7f"), json=entry(), headers=signed)
    assert other.json()[0]["message_code"] == "SBX_DUPLICATE"
    box.pay(10000, 20260143, Decimal("452.00"))
    await web.put(path + UUID, json=entry(), headers=signed)
    item = box.receivable(10000, 20260143)
    assert item is not None
    assert item["balance"] == Decimal("1000.00")
    assert len(box.receivables()) == 1


async def test_tokens_scopes_tenants_and_limits_are_guarded(box: MinoxSandbox, web: httpx.AsyncClient) -> None:
    assert (await web.get(f"{BASE}/journal", headers={"Authorization": "Bearer no"})).status_code == 401
    few = {"Authorization": f"Bearer {box.grant(scopes=['transaction:read'])[0]}"}
    assert (await web.get(f"{BASE}/journal", headers=few)).status_code == 403
    full = {"Authorization": f"Bearer {box.grant()[0]}"}
    assert (await web.get("/api/1/tenant/1/administration", headers=full)).status_code == 403
    box.switches |= {"rate_per_minute": 10, "rate_burst": 2}
    token = {"Authorization": f"bearer {box.grant()[0]}"}
    answers = [await web.get(f"{BASE}/journal", headers=token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-rate-limit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert int(answers[2].headers["retry-after"]) > 0
    assert int(answers[2].headers["x-rate-limit-reset"]) > 1_700_000_000_000


async def test_a_debtor_without_vat_or_name_is_refused(
    box: MinoxSandbox, web: httpx.AsyncClient, signed: dict[str, str]
) -> None:
    body = {"addresses": [{"city": "Groningen"}], "externalid": "Hoofd"}
    answer = await web.post(f"{BASE}/customer", json=body, headers=signed)
    codes = {one["message_code"] for one in answer.json()}
    assert codes == {"SBX_VAT", "SBX_ADDRESS", "SBX_EXTERNALID"}
    assert len(box.customers_of(HOME)) == 1


def test_the_seed_is_a_company_with_two_administrations_and_a_known_debtor() -> None:
    box = MinoxSandbox()
    box.seed()
    assert list(box.books["tenants"]["41207"]["administrations"]) == ["3", "4"]
    (known,) = box.customers_of(HOME)
    assert known["addresses"][0]["email_addresses"][0]["email_address"] == "info@goudenaar.example"
    assert {"8000", "8010", "8100", "8200"} <= set(box.administration(HOME)["ledger_accounts"])
