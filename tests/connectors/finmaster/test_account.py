"""Who is connected, by key and by file, and what the administration shows of itself."""

import pytest

from connectors.finmaster import CONNECTOR
from connectors.finmaster.sandbox import DEMO_TOKEN, FinmasterSandbox
from hub.accounting.chart import Master
from hub.sdk.errors import ConfigError, ReauthRequired
from hub.sdk.http import Http
from tests.connectors.finmaster.conftest import BY_KEY, HOME
from tests.connectors.support import connected


async def test_a_key_opens_its_administration(box: FinmasterSandbox, http: Http) -> None:
    box.add_administration("ANDER", "Molen Dijk B.V.", "finmaster_demo_molen")
    found = await CONNECTOR.identify(http)
    assert (found.tenant, found.name) == (HOME, "Bakkerij De Gouden Korst B.V.")


async def test_by_file_it_is_what_was_typed_and_the_same_administration(box: FinmasterSandbox, by_file: Http) -> None:
    found = await CONNECTOR.identify(by_file)
    assert (found.tenant, found.marks) == (HOME, (HOME,))
    assert [one.value for one in await CONNECTOR.options["administrations"](by_file, {})] == [HOME]
    assert box.calls.total() == 0


async def test_a_key_of_several_administrations_keeps_the_known_one(box: FinmasterSandbox) -> None:
    box.add_administration("AAA", "Eerste B.V.")
    secrets = {"token": DEMO_TOKEN}
    async with connected(CONNECTOR, box, "", secrets, way=BY_KEY, fields={"tenant": HOME}) as http:
        assert (await CONNECTOR.identify(http)).tenant == HOME


async def test_a_wrong_key_asks_for_another(box: FinmasterSandbox) -> None:
    async with connected(CONNECTOR, box, "", {"token": "niet de sleutel"}, way=BY_KEY) as http:
        with pytest.raises(ReauthRequired):
            await CONNECTOR.identify(http)


@pytest.mark.parametrize("names", ["dutch", "english"])
async def test_the_chart_says_what_can_be_booked_on(box: FinmasterSandbox, http: Http, names: str) -> None:
    home = box.books["administrations"][HOME]
    box.account(home, "4999", "Oud", "winst-verlies", geblokkeerd=True)
    box.account(home, "4998", "Zonder", "winst-verlies", kostenplaats="verboden")
    box.account(home, "4997", "Met", "winst-verlies", kostenplaats="verplicht")
    home["centres"]["OUD"] = {"code": "OUD", "omschrijving": "Oud", "actief": False}
    box.switches["names"] = names
    assert CONNECTOR.master is not None
    master: Master = await CONNECTOR.master(http, HOME)
    assert [one for one in ("4999", "40", "1300") if master.account(one)] == []
    assert master.account("40100") is not None
    assert (master.by_number["4998"].takes_cost_centre, master.by_number["4997"].needs_cost_centre) == (False, True)
    assert [one.id for one in master.cost_centres or ()] == ["WIN", "BAK"]
    assert master.extra["type:40100"] == "P"
    assert master.extra["type:15100"] == "B"
    assert [(one.year, one.periods) for one in master.fiscal_years or ()] == [(2025, 12), (2026, 12), (2027, 12)]


async def test_live_lists_offer_what_fits(box: FinmasterSandbox, http: Http) -> None:
    lists = {name: await ask(http, {}) for name, ask in CONNECTOR.options.items()}
    assert [one.value for one in lists["memorial_journals"]] == ["90"]
    assert [one.value for one in lists["cost_centres"]] == ["WIN", "BAK"]
    assert {"40", "1300"}.isdisjoint(one.value for one in lists["accounts"])


async def test_an_administration_out_of_reach_is_named(http: Http) -> None:
    assert CONNECTOR.master is not None
    with pytest.raises(ConfigError) as said:
        await CONNECTOR.master(http, "ANDER")
    assert (said.value.key, said.value.field) == ("finmaster.administration_unknown", "administrations")
