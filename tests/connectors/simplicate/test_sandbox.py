"""The sandbox is as strict as the dossier says Simplicate is."""

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from connectors.simplicate.sandbox import SimplicateSandbox
from tests.connectors.simplicate.conftest import SECRETS

VERIFIER = "v" * 86
QUIRK = base64.b64encode(hashlib.sha256(VERIFIER.encode()).hexdigest().encode()).decode()
STANDARD = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
ASKED = {
    "client_id": "hub", "response_type": "code", "redirect_uri": "https://hub.example/oauth/callback?a=1",
    "state": "st", "scope": "all", "code_challenge": QUIRK, "code_challenge_method": "S256",
}  # fmt: skip
HEADERS = {"Authentication-Key": SECRETS["authentication_key"], "Authentication-Secret": "s" * 32}


@pytest.fixture
async def web(box: SimplicateSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=box.app), base_url="http://box") as client:
        yield client


async def code(web: httpx.AsyncClient, **changes: str) -> str:
    form = {"email": "anna@waterlinie.example", "password": "x", "consent": "yes"}
    answer = await web.post("/oauth/authorize", params=ASKED | changes, data=form)
    back = urlsplit(answer.headers["location"])
    assert parse_qs(back.query)["state"] == ["st"]
    return parse_qs(back.query)["code"][0]


async def exchange(web: httpx.AsyncClient, **changes: str) -> httpx.Response:
    body = {
        "grant_type": "authorization_code", "redirect_uri": ASKED["redirect_uri"], "client_id": "hub",
        "client_secret": "geheim", "code_verifier": VERIFIER,
    }  # fmt: skip
    return await web.post("/oauth/token", json=body | changes)


async def test_consent_gives_a_key_and_secret_that_open_the_api(web: httpx.AsyncClient) -> None:
    given = await code(web)
    assert re.fullmatch("[A-Za-z0-9]{32}", given)
    grant = (await exchange(web, code=given)).json()
    headers = {
        "Authentication-Key": grant["authentication_key"], "Authentication-Secret": grant["authentication_secret"],
    }  # fmt: skip
    answer = await web.get("/waterlinie/api/v2/users/user", headers=headers)
    assert answer.json()["data"]["email"] == "anna@waterlinie.example"
    assert (await exchange(web, code=given)).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "wrong", [{"code_verifier": "w" * 86}, {"redirect_uri": "https://elders.example/"}, {"client_id": "ander"}]
)
async def test_a_code_is_worth_nothing_to_another(web: httpx.AsyncClient, wrong: dict[str, str]) -> None:
    answer = await exchange(web, code=await code(web), **wrong)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


async def test_the_pkce_quirk_is_demanded_unless_switched(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    assert (await exchange(web, code=await code(web, code_challenge=STANDARD))).status_code == 400
    box.switches["pkce"] = "standard"
    assert (await exchange(web, code=await code(web, code_challenge=STANDARD))).status_code == 200


async def test_a_form_is_no_token_request(web: httpx.AsyncClient) -> None:
    assert (await web.post("/oauth/token", data={"code": await code(web)})).status_code == 400


async def test_known_clients_are_checked_when_given(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    box.switches["clients"] = {"hub": "goed"}
    assert (await exchange(web, code=await code(web))).json() == {"error": "invalid_client"}
    assert (await exchange(web, code=await code(web), client_secret="goed")).status_code == 200


async def test_refusing_consent_returns_with_an_error(web: httpx.AsyncClient) -> None:
    answer = await web.post("/oauth/authorize", params=ASKED, data={"consent": "no"})
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == ["access_denied"]


@pytest.mark.parametrize("missing", ["state", "code_challenge", "scope", "redirect_uri"])
async def test_an_incomplete_authorisation_request_is_refused(web: httpx.AsyncClient, missing: str) -> None:
    asked = {name: value for name, value in ASKED.items() if name != missing}
    assert (await web.get("/oauth/authorize", params=asked)).status_code == 400


async def test_a_new_token_may_end_the_earlier_one(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    box.switches["new_token_ends_earlier"] = True
    first = (await exchange(web, code=await code(web))).json()["authentication_key"]
    await exchange(web, code=await code(web))
    assert first not in box.books["keys"]
    assert SECRETS["authentication_key"] in box.books["keys"]


async def ask(web: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    return await web.get(f"/waterlinie/api/v2/{path}", headers=HEADERS | headers)


@pytest.mark.parametrize(
    ("path", "status"),
    [("invoices/invoice", 200), ("sales/sale", 400), ("invoices/invoice/invoice:weg", 404), ("invoices/x", 400)],
)
async def test_paths_answer_as_the_package_does(web: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await ask(web, path)).status_code == status


async def test_no_key_no_answer(web: httpx.AsyncClient) -> None:
    assert (await web.get("/waterlinie/api/v2/users/user")).status_code == 401


async def test_an_expired_key_is_simply_invalid(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    box.books["keys"]["k" * 32]["expires_at"] = box.now() - 1
    assert (await ask(web, "users/user")).status_code == 401


async def test_a_user_without_the_module_is_forbidden(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    box.books["keys"]["k" * 32]["email"] = "cleo@waterlinie.example"
    assert (await ask(web, "invoices/invoice")).status_code == 403


async def test_too_many_calls_a_minute_are_refused(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    box.switches["rate_per_minute"] = 60
    statuses = [(await ask(web, "users/user")).status_code for _ in range(14)]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses[10:]


async def test_a_large_limit_is_cut_silently_and_metadata_comes_on_request(
    box: SimplicateSandbox, web: httpx.AsyncClient
) -> None:
    box.fill(130)
    answer = (await ask(web, "invoices/invoice?limit=500&metadata=count,limit,offset")).json()
    assert len(answer["data"]) == 100
    assert answer["metadata"] == {"count": 130, "limit": 100, "offset": 0}
    assert "metadata" not in (await ask(web, "invoices/invoice")).json()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q[invoice_number]=F2026-0412", 1),
        ("q[invoice_number]=F2026-04*", 9),
        ("q[invoice_number]=null", 1),
        ("q[date]=*", 11),
        ("q[date][ge]=2026-03-20", 4),
        ("q[date][ge]=2026-03-20&q[date][lt]=2026-03-25", 2),
        ("q[organization.name]=*schelde*", 1),
        ("q[invoice_number][in]=F2026-0412,F2026-0413", 2),
        ("q[updated_at][ge]=2999-12-31 00:00:00", 0),
    ],
)
async def test_filters_do_what_they_say(box: SimplicateSandbox, web: httpx.AsyncClient, query: str, count: int) -> None:
    box.seed()
    answer = await ask(web, f"invoices/invoice?{query}&metadata=count")
    assert answer.json()["metadata"]["count"] == count


async def test_select_takes_parts_and_all_of_a_part(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    invoice = box.add_invoice()
    (shown,) = (await ask(web, "invoices/invoice?select=id,organization.name,status.")).json()["data"]
    assert shown == {
        "id": invoice["id"], "organization": {"name": invoice["organization"]["name"]}, "status": invoice["status"],
    }  # fmt: skip


async def test_the_experimental_header_changes_datetimes(box: SimplicateSandbox, web: httpx.AsyncClient) -> None:
    path = f"invoices/invoice/{box.add_invoice(updated_at='2026-03-09 09:14:40')['id']}"
    assert (await ask(web, path)).json()["data"]["updated_at"] == "2026-03-09 09:14:40"
    answer = await ask(web, path, **{"X-Experimental-ISO-8601": "true"})
    assert answer.json()["data"]["updated_at"] == "2026-03-09T09:14:40+01:00"


@pytest.mark.parametrize(
    "change",
    [{"amount": "1210"}, {"amount": True}, {"payment_date": "2026-03-01"}, {"invoice_id": "x"}, {"date": "morgen"}],
)
async def test_a_wrong_payment_is_refused_and_books_nothing(
    box: SimplicateSandbox, web: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    body = {"invoice_id": box.add_invoice()["id"], "date": "2026-03-21", "amount": 1210} | change
    answer = await web.post("/waterlinie/api/v2/invoices/payment", json=body, headers=HEADERS)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["type"] == "Validation"
    assert not box.books["payments"]


async def test_a_payment_lowers_what_is_outstanding_and_pays_at_nothing(
    box: SimplicateSandbox, web: httpx.AsyncClient
) -> None:
    invoice = box.add_invoice()["id"]
    for amount in (1000, 210):
        body = {"invoice_id": invoice, "date": "2026-03-21", "amount": amount}
        await web.post("/waterlinie/api/v2/invoices/payment", json=body, headers=HEADERS)
        left = box.books["invoices"][invoice]
        assert left["status"]["name"] == ("label_Paid" if amount == 210 else "label_Sended")
    assert left["total_outstanding"] == 0


def test_lines_round_half_to_even_and_the_total_is_the_books() -> None:
    box = SimplicateSandbox()
    invoice = box.add_invoice(lines=[("Uren", "2.25", "124.50", "hoog", "8000")] * 2)
    assert (invoice["total_excluding_vat"], invoice["total_vat"]) == (Decimal("560.25"), Decimal("117.65"))


def test_a_webhook_is_signed_over_its_raw_body() -> None:
    headers, body = SimplicateSandbox().signed_event({"event": "x"}, "geheim")
    signature = hmac.new(b"geheim", body, hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == f"sha256={signature}"


def test_two_sandboxes_hold_the_same_books() -> None:
    first, second = SimplicateSandbox(), SimplicateSandbox()
    first.seed()
    second.seed()
    assert first.books["invoices"].keys() == second.books["invoices"].keys()
