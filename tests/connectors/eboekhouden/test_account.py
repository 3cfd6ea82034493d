"""Who is connected, and what the administration offers."""

import pytest

from connectors.eboekhouden import CONNECTOR, administration
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from hub.accounting.chart import Master
from hub.accounting.documents import Finding
from hub.sdk.errors import ConfigError
from hub.sdk.http import Http
from tests.connectors.eboekhouden.conftest import HOME, Connect


async def test_the_first_debtor_ledger_stands_for_the_administration(http: Http, connect: Connect) -> None:
    found = await CONNECTOR.identify(http)
    async with connect() as unknown:
        assert await CONNECTOR.identify(unknown) == found

    assert found.tenant == HOME
    assert [one.value for one in await administration.administrations(http, {})] == [HOME]


@pytest.mark.parametrize(
    "switches",
    [
        {"order": "desc"},
        {"page_cap": 4},
        {"page_cap": 4, "order": "desc"},
        {"count": "page"},
        {"count": "none"},
        {"bare_lists": True},
        {"text_types": True},
        {"omit_empty": True},
        {"ignores_filters": True},
    ],
    ids=str,
)
async def test_who_is_connected_is_the_same_however_lists_look(
    box: EboekhoudenSandbox, http: Http, connect: Connect, switches: dict[str, object]
) -> None:
    box.switches.update(switches)

    async with connect() as unknown:
        assert (await CONNECTOR.identify(unknown)).tenant == HOME
    assert len((await administration.master(http, HOME)).accounts or ()) == 21


async def test_a_debtor_ledger_that_comes_later_changes_nothing(box: EboekhoudenSandbox, connect: Connect) -> None:
    box.add_ledger(box.administration(), "1310", "Debiteuren buitenland", "DEB")
    async with connect() as unknown:
        assert (await CONNECTOR.identify(unknown)).tenant == HOME


async def test_an_accountant_s_token_is_told_apart(box: EboekhoudenSandbox, http: Http) -> None:
    next(iter(box.administration()["tokens"].values()))["accountant"] = True

    with pytest.raises(ConfigError) as told:
        await CONNECTOR.identify(http)
    assert told.value.key == "eboekhouden.accountant_token"


async def test_another_administration_than_the_token_s_is_refused(http: Http) -> None:
    with pytest.raises(ConfigError) as told:
        await administration.master(http, "51999999")
    assert told.value.field == "administrations"


async def test_ledgers_are_known_by_code_with_their_zeros_and_by_id(box: EboekhoudenSandbox, master: Master) -> None:
    assert administration.ledger_id(master, "8000") == box.ledger(box.administration(), "8000")
    assert administration.ledger_id(master, "08999") == box.ledger(box.administration(), "08999")
    assert administration.ledger_id(master, "8999") is None


async def test_revenue_accounts_come_first_and_bank_and_debtors_not_at_all(http: Http) -> None:
    offered = [one.value for one in await administration.accounts(http, {})]

    assert offered[:2] == ["08999", "4000"]
    assert {"1100", "1300", "1600"} & set(offered) == set()
    assert [one.value for one in await administration.debtor_accounts(http, {})] == ["1300"]


async def test_the_only_debtor_account_is_chosen_and_several_are_asked_about(
    box: EboekhoudenSandbox, http: Http, master: Master
) -> None:
    assert administration.debtor(master, "") == "1300"
    box.add_ledger(box.administration(), "1310", "Debiteuren buitenland", "DEB")
    grown = await administration.master(http, HOME)

    asked = administration.debtor(grown, "")
    assert isinstance(asked, Finding)
    assert (asked.key, asked.values["choices"]) == ("eboekhouden.debtor_account_choose", "1300, 1310")
    assert administration.debtor(grown, "1310") == "1310"
    assert isinstance(administration.debtor(grown, "8000"), Finding)


def test_cost_centres_go_by_name_and_by_the_code_in_front(box: EboekhoudenSandbox, master: Master) -> None:
    office, outside = (str(own) for own in box.administration()["costcentres"])

    assert administration.cost_centre(master, "kantoor") == office
    assert administration.cost_centre(master, "", "20") == outside
    assert administration.cost_centre(master, "Magazijn", "9") is None
