"""The sandbox behaves as the dossier says Loket.nl does."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from connectors.loket.sandbox import EXPORTED, FAILED, QUEUED, READY, LoketSandbox, days_of

BACK = "https://hub.example/oauth/callback"
ASKED = {"client_id": "hub", "redirect_uri": BACK, "response_type": "code", "scope": "all", "state": "s1"}


def browser(box: LoketSandbox, token: str = "") -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(box.app), base_url="http://sandbox", headers=headers)


async def consent(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post("/authorize", params=ASKED, data={"user": "api.goudenkorst.fin", "password": "x", **form})


async def token(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post("/token", data={"client_id": "hub", "client_secret": "geheim", **form})


async def test_consent_gives_a_code_that_works_once(box: LoketSandbox) -> None:
    async with browser(box) as client:
        assert "Loket.nl" in (await client.get("/authorize", params=ASKED)).text
        back = await consent(client, consent="yes")
        query = parse_qs(urlsplit(back.headers["location"]).query)
        assert query["state"] == ["s1"]
        asked = {"grant_type": "authorization_code", "code": query["code"][0], "redirect_uri": BACK}
        granted = (await token(client, **asked)).json()
        assert (granted["token_type"], granted["expires_in"], granted["two_factor_state"]) == ("bearer", 3599, "None")
        again = await token(client, **asked)
        assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


async def test_a_refusal_and_a_wrong_code_come_back(box: LoketSandbox) -> None:
    async with browser(box) as client:
        assert "error=access_denied" in (await consent(client, consent="no")).headers["location"]
        box.switches["totp"] = "123456"
        assert "De code is onjuist" in (await consent(client, consent="yes", totp="1")).text
        assert "code=" in (await consent(client, consent="yes", totp="123456")).headers["location"]


@pytest.mark.parametrize(
    ("rotates", "old", "status"), [(True, "refused", 400), (True, "valid", 200), (False, "refused", 200)]
)
async def test_refresh_tokens_rotate_or_stay(box: LoketSandbox, rotates: bool, old: str, status: int) -> None:
    box.switches |= {"refresh_rotates": rotates, "old_refresh": old}
    _, refresh = box.grant()
    async with browser(box) as client:
        first = (await token(client, grant_type="refresh_token", refresh_token=refresh)).json()
        assert (first["refresh_token"] == refresh) is not rotates
        assert (await token(client, grant_type="refresh_token", refresh_token=refresh)).status_code == status


async def test_an_access_token_ends(box: LoketSandbox) -> None:
    access, _ = box.grant()
    moment = box.now()
    box.now = lambda: moment + 3600
    async with browser(box, access) as client:
        answer = await client.get("/v2/user")
    assert (answer.status_code, answer.json()) == (401, {"message": "Authorization has been denied for this request."})


@pytest.fixture
async def seeded(box: LoketSandbox) -> LoketSandbox:
    box.seed()
    return box


async def ask(box: LoketSandbox, path: str, **query: Any) -> httpx.Response:
    async with browser(box, box.grant()[0]) as client:
        return await client.get(f"/v2/providers/employers/{path}", params=query)


async def test_filters_and_order_are_the_dossiers(seeded: LoketSandbox) -> None:
    home = next(iter(seeded.books["administrations"]))
    path = f"payrollAdministrations/{home.upper()}/JournalRuns"
    asked = {
        "filter": "payrollRun.payrollPeriod.year eq 2026 and journalRunStatus.key eq 4",
        "orderBy": "-sequenceNumber",
    }
    found = (await ask(seeded, path, **asked)).json()["_embedded"]
    numbers = [one["sequenceNumber"] for one in found]
    assert numbers == sorted(numbers, reverse=True)
    assert {one["journalRunStatus"]["key"] for one in found} == {READY}
    several = {"filter": "sequenceNumber lt 2 or sequenceNumber ge 12"}
    assert {one["sequenceNumber"] for one in (await ask(seeded, path, **several)).json()["_embedded"]} == {
        1,
        12,
        13,
        14,
    }
    assert (await ask(seeded, path, filter="year")).status_code == 400


async def test_pages_say_how_many_there_are(seeded: LoketSandbox) -> None:
    seeded.switches["page_size"] = 4
    home = next(iter(seeded.books["administrations"]))
    body = (await ask(seeded, f"payrolladministrations/{home}/journalruns", pageNumber=2)).json()
    assert (body["currentPage"], body["pageSize"], body["totalPages"], body["totalSize"]) == (2, 4, 4, 14)


@pytest.mark.parametrize("status", [QUEUED, FAILED])
async def test_a_run_without_results_answers_a_broken_rule(box: LoketSandbox, status: int) -> None:
    run = box.month(box.add_administration(), 2026, 1, status=status)
    answer = await ask(box, f"payrolladministrations/journalruns/{run['id']}/results")
    assert (answer.status_code, answer.json()["messages"][0]["type"]) == (400, "BrokenBusinessRule")


async def test_marking_is_for_runs_with_results_and_once(box: LoketSandbox) -> None:
    run = box.month(box.add_administration(), 2026, 1)
    path = f"/v2/providers/employers/payrolladministrations/journalruns/{run['id']}"
    async with browser(box, box.grant()[0]) as client:
        first = await client.patch(path, json={"action": "MarkAsProcessed", "application": {"key": 31}})
        second = await client.patch(path, json={"action": "MarkAsProcessed"})
    assert (first.status_code, second.status_code, run["status"]) == (200, 409, EXPORTED)


async def test_a_payroll_run_has_one_journal_run_at_a_time(box: LoketSandbox) -> None:
    run = box.month(box.add_administration(), 2026, 1)
    with pytest.raises(ValueError, match="has a journal run"):
        box.journalise(box.books["payroll_runs"][run["payrollRun"]])
    assert box.again(run)["sequenceNumber"] == 2


def test_periods_are_months_or_weeks() -> None:
    assert [one.isoformat() for one in days_of("Maand", 2028, 2)] == ["2028-02-01", "2028-02-29"]
    assert [one.isoformat() for one in days_of("4 weken", 2026, 13)] == ["2026-11-30", "2026-12-27"]
    assert [one.isoformat() for one in days_of("Week", 2026, 53)] == ["2026-12-28", "2027-01-03"]
