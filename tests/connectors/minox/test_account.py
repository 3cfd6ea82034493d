"""Who is connected, and what the administrations offer."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.minox import CONNECTOR, administration
from connectors.minox.sandbox import MinoxSandbox
from hub.sdk.errors import ConfigError, ReauthRequired, RecordRejected
from hub.sdk.http import Answer, Http
from tests.connectors.minox.conftest import HOME, Connect


@pytest.mark.parametrize("linked", ["objects", "numbers", "texts"])
async def test_the_tenant_is_the_customer_number(box: MinoxSandbox, http: Http, linked: str) -> None:
    box.switches["linked_tenants"] = linked
    identity = await administration.identify(http)
    assert identity.tenant == "41207"
    assert "41207" in identity.name


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"linked_tenants": [{"tenant_id": 41207}]}, ["41207"]),
        ({"linked_tenants": {"tenant_id": "41207"}}, ["41207"]),
        ({"linked_tenants": {"41207": {"tenant_id": 41207, "name": "W"}}}, ["41207"]),
        ({"tenants": [41207, "50001"]}, ["41207", "50001"]),
        ({"tenant_id": 41207}, ["41207"]),
        ({"linked_tenants": None}, []),
        ({}, []),
    ],
)
def test_every_shape_of_linked_tenants_is_read(answer: dict[str, Any], expected: list[str]) -> None:
    assert list(administration._tenants(answer)) == expected


async def test_a_dead_token_asks_for_consent_again(connect: Connect) -> None:
    async with connect({"access_token": "dead"}) as http:
        with pytest.raises((ReauthRequired, RecordRejected)):
            await administration.identify(http)
    async with connect({"access_token": "dead"}, fields={"tenant": "41207"}) as http:
        with pytest.raises(ReauthRequired):
            await administration.identify(http)


async def test_administrations_of_all_tenants_are_offered(box: MinoxSandbox, connect: Connect) -> None:
    box.add_administration(3, "Klant van de accountant", tenant="50001")
    access, _ = box.grant()
    box.tokens[access].data["also"] = ["50001"]
    async with connect({"access_token": access}) as http:
        offered = await administration.administrations(http, {})
    assert [one.value for one in offered] == ["41207/3", "41207/4", "50001/3"]
    assert offered[0].label == "3 · Waterlelie Advies B.V. (Waterlelie)"


@pytest.mark.parametrize("lists", ["collection", "bare"])
@pytest.mark.parametrize("links", ["relative", "absolute", "query", "token", "object", "none"])
async def test_master_data_is_read_in_every_form_of_list(box: MinoxSandbox, http: Http, lists: str, links: str) -> None:
    box.switches |= {"lists": lists, "links": links, "page_size": 5}
    master = await administration.master(http, HOME)
    assert [one.id for one in master.journals or ()] == ["VERK", "INK", "BANK", "MEMO"]
    assert [year.year for year in master.fiscal_years or ()] == [2025, 2026]
    assert len(master.accounts or ()) == 19
    assert [(one.id, one.name) for one in master.cost_centres or ()] == [("10", "Kantoor")]
    high, none = master.by_number["8000"], master.by_number["8900"]
    assert (high.vat_known, high.vat_percentage, high.vat_account) == (True, Decimal(21), "1510")
    assert (none.vat_known, none.vat_percentage) == (True, None)


def test_a_reverse_charged_code_charges_nothing_whatever_its_percentage() -> None:
    kinds = ("Verlegd binnenland - levering (1e)", "Diensten binnen de EU (ICP)", "Af te dragen (1a, 1b)")
    found = [
        administration.account({"id": 8200, "vat": {"id": 4, "type": kind, "percentage": "21"}}).vat_percentage
        for kind in kinds
    ]
    assert found == [0, 0, 21]


@pytest.mark.parametrize(
    ("row", "known", "blocked", "asks"),
    [
        ({"id": 8000}, False, False, False),
        ({"id": "8000", "vat": None, "blocked": None, "cost_type": None}, True, False, False),
        ({"id": 8000, "vat": {"id": 1}, "blocked": {"active": "1"}, "cost_type": {"id": 0}}, False, True, False),
        ({"id": 8000, "vat": {}, "blocked": True, "cost_type": {"id": "5"}}, True, True, True),
    ],
)
def test_an_account_is_read_with_keys_missing_or_null(
    row: dict[str, Any], known: bool, blocked: bool, asks: bool
) -> None:
    account = administration.account(row)
    assert (account.number, account.vat_known) == ("8000", known)
    assert (account.blocked, account.needs_cost_centre) == (blocked, asks)


async def test_choices_come_in_the_order_of_likelihood(box: MinoxSandbox, http: Http) -> None:
    box.administration(HOME)["ledger_accounts"]["8300"]["blocked"]["active"] = True
    journals = await CONNECTOR.options["journals"](http, {"administration": HOME})
    assert (journals[0].value, journals[0].label) == ("VERK", "VERK · Verkoop")
    accounts = await CONNECTOR.options["accounts"](http, {"administrations": {"profile:1": HOME, "profile:2": HOME}})
    assert (accounts[0].value, accounts[0].label) == ("8000", "8000 · Omzet advies 21%")
    assert "8300" not in [one.value for one in accounts]
    assert [one.value for one in accounts].index("490") > [one.value for one in accounts].index("8900")


async def test_an_unknown_administration_names_the_setting(http: Http) -> None:
    with pytest.raises(ConfigError) as wrong:
        await administration.master(http, "41207/99")
    assert wrong.value.field == "administrations"


async def test_a_listing_that_repeats_itself_ends(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.sdk.errors import TransientError

    async def answered(*_: object, **__: object) -> object:
        return {"links": {"next": "?next=1"}, "collection": [{"id": 3}]}

    monkeypatch.setattr(http, "get", answered)
    with pytest.raises(TransientError) as error:
        await administration.master(http, HOME)
    assert error.value.key == "minox.listing_repeats"


async def test_a_next_link_never_leads_to_another_host(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    async def answered(path: str, query: object = (), **_: object) -> object:
        asked.append((path, query))
        return {"links": {"next": "https://evil.example/api/1/tenant/41207/journal?next=9"}} if len(asked) == 1 else {}

    monkeypatch.setattr(http, "get", answered)
    await administration.fiscal_years(http, HOME)
    assert asked[1] == ("/tenant/41207/journal", (("next", "9"),))


@pytest.mark.parametrize(
    ("status", "body", "kind", "key", "words"),
    [
        (400, [{"message_code": "A", "message_type": "error", "message": "Nee"}, {"message": "Ook niet"}],
         "rejected", "minox.refused", "Nee; Ook niet"),
        (400, "Dat mag niet", "rejected", "minox.refused", "Dat mag niet"),
        (400, {"error": "invalid", "error_description": "Fout"}, "rejected", "minox.refused", "Fout"),
        (400, {"errors": [{"message": "Diep"}]}, "rejected", "minox.refused", "Diep"),
        (403, [{"message": "Alleen de hoofdgebruiker mag dit"}], "reauth", "minox.main_user_only",
         "Alleen de hoofdgebruiker mag dit"),
        (403, [{"message": "Recht ontbreekt"}], "config", "minox.no_rights", "Recht ontbreekt"),
        (409, [], "rejected", "minox.refused", ""),
    ],
)  # fmt: skip
def test_a_refusal_is_read_in_every_form(status: int, body: Any, kind: str, key: str, words: str) -> None:
    refusal = CONNECTOR.refusal
    assert refusal is not None
    found = refusal(Answer(status, body, True))
    assert found is not None
    assert (found.kind, found.key, found.words) == (kind, key, words)
    assert refusal(Answer(200, body, True)) is None
