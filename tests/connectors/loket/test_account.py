"""Who is connected, and what is said beforehand of rights that are missing."""

import pytest

from connectors.loket import CONNECTOR
from connectors.loket.sandbox import OWNER, RIGHTS, LoketSandbox
from hub.sdk.connector import Identity
from hub.sdk.errors import ConfigError, ReauthRequired
from hub.sdk.http import Answer, Http
from tests.connectors.support import connected


async def identity(box: LoketSandbox, user: str = OWNER, **fields: str) -> Identity:
    """After a consent of its own."""
    secrets = {"access_token": box.grant(user)[0]}
    async with connected(CONNECTOR, box, "/v2", secrets, fields=fields) as http:
        return await CONNECTOR.identify(http)


async def test_the_only_employer_is_who_is_connected(box: LoketSandbox) -> None:
    box.seed()
    found = await identity(box)
    assert (found.tenant, found.name) == ("7c1f3a52-8f1e-4f0c-9b55-3f0e6e4d2a10", "Bakkerij De Gouden Korst B.V.")
    assert (found.email, found.user) == ("api@goudenkorst.example", "Dalen, M van")


async def test_with_several_employers_it_is_their_provider_and_a_known_one_stays(box: LoketSandbox) -> None:
    box.seed()
    bakery = next(iter(box.books["employers"]))
    other = box.add_employer("Molen Dijk B.V.")
    found = await identity(box)
    assert found.tenant == box.books["provider"]["id"]
    assert found.marks == tuple(sorted((bakery, other["id"])))
    assert (await identity(box, tenant=bakery)).tenant == bakery


async def test_a_user_sees_only_their_own_employer(box: LoketSandbox) -> None:
    box.seed()
    other = box.add_employer("Molen Dijk B.V.")
    box.add_administration(other, "Molen maand")
    box.books["users"]["molen"] = {"name": "Molen", "email": "", "password": "", "sees": [other["id"]]}
    assert (await identity(box, "molen")).tenant == other["id"]


async def test_a_user_without_employer_is_told_so(box: LoketSandbox) -> None:
    with pytest.raises(ConfigError) as said:
        await identity(box)
    assert said.value.key == "loket.no_employer"


@pytest.mark.parametrize(
    ("right", "key"),
    [
        ("Raadplegen werkgever", "loket.no_right_employers"),
        ("Raadplegen administratie", "loket.no_right_administrations"),
        ("Raadplegen journaaloutput", "loket.no_right_runs"),
    ],
)
async def test_each_missing_right_has_its_sentence(box: LoketSandbox, right: str, key: str) -> None:
    box.seed()
    box.switches["rights"].remove(right)
    with pytest.raises(ConfigError) as said:
        await identity(box)
    assert said.value.key == key
    assert "rechten" in said.value.words


@pytest.mark.parametrize("form", ["2019", "2018"])
async def test_the_list_of_activities_tells_of_results_before_there_is_a_run(
    box: LoketSandbox, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add_administration()
    box.switches["authorizations"] = form
    monkeypatch.setitem(RIGHTS, "GetJournalRunResultsByJournalRunId", "Inhoud journaaloutput")
    with pytest.raises(ConfigError) as said:
        await identity(box)
    assert said.value.key == "loket.no_right_results"
    box.month(next(iter(box.books["administrations"].values())), 2026, 1)
    with pytest.raises(ConfigError) as said:
        await identity(box)
    assert said.value.key == "loket.no_right_results"


async def test_a_list_of_activities_that_may_not_be_read_holds_nobody_up(box: LoketSandbox) -> None:
    box.seed()
    box.switches["authorizations"] = "refused"
    assert (await identity(box)).name == "Bakkerij De Gouden Korst B.V."


async def test_an_administration_without_runs_that_answers_not_found_is_no_obstacle(box: LoketSandbox) -> None:
    home = box.add_administration()
    box.switches["no_runs"] = 404
    assert (await identity(box)).tenant == home["employer"]


async def test_a_missing_module_is_named(box: LoketSandbox) -> None:
    box.seed()
    box.switches["module_940"] = False
    with pytest.raises(ConfigError) as said:
        await identity(box)
    assert said.value.key == "loket.no_module"


async def test_companies_are_the_payroll_administrations_of_the_employer(box: LoketSandbox, http: Http) -> None:
    box.seed()
    box.add_administration(name="Oude administratie", endDate="2024-12-31", clientNumber=4000)
    labels = [one.label for one in await CONNECTOR.options["companies"](http, {})]
    assert labels == ["De Gouden Korst maand (5127)", "Oude administratie (4000) · t/m 2024-12-31"]

    other = box.add_employer("Molen Dijk B.V.")
    box.add_administration(other, "Molen maand", clientNumber=7000)
    labels = [one.label for one in await CONNECTOR.options["companies"](http, {})]
    assert "Molen Dijk B.V. · Molen maand (7000)" in labels
    chosen = await CONNECTOR.options["companies"](http, {"loket_employer": other["id"].upper()})
    assert [one.label for one in chosen] == ["Molen Dijk B.V. · Molen maand (7000)"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {"message": "Authorization has been denied for this request."}, "reauth", "denied"),
        (403, {"message": 'Insufficient rights for this request, reason "x"'}, "config", "Insufficient"),
        (400, {"messages": [{"type": "BrokenBusinessRule", "description": "Geen resultaten"}]}, "rejected", "Geen"),
        (409, {"messages": {"description": "Bezig"}, "content": {}}, "rejected", "Bezig"),
        (404, {}, "rejected", ""),
    ],
)
def test_a_refusal_means_what_its_status_says(status: int, body: object, kind: str, words: str) -> None:
    assert CONNECTOR.refusal is not None
    found = CONNECTOR.refusal(Answer(status, body, True))
    assert found is not None
    assert (found.kind, words in found.words) == (kind, True)


async def test_a_revoked_consent_asks_for_a_new_one(box: LoketSandbox) -> None:
    box.seed()
    async with connected(CONNECTOR, box, "/v2", {"access_token": "gone"}) as http:
        with pytest.raises(ReauthRequired):
            await CONNECTOR.identify(http)


async def test_a_user_that_is_not_told_is_no_obstacle(box: LoketSandbox) -> None:
    box.seed()
    box.switches["user_fields"] = False
    assert (await identity(box)).email == ""
