"""A payroll combi by the API alone: the check table, a chosen run, its posting, the history and the reconciliation."""

from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest

from hub.app import create_app
from hub.config import Config
from hub.engine import registry
from hub.kit.embedded import Services
from hub.organisations.access import key_hash
from hub.organisations.models import ApiKey
from tests.engine.payroll import Payroll, a_payroll


@pytest.fixture
async def payroll(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Payroll]:
    """Two runs and empty books."""
    async with a_payroll(config, services) as made:
        made.runs.add("1")
        made.runs.add("2", ("4999", "Pensioen", "5", "0", "100"), ("0170", "Netto lonen", "0", "5"))
        yield made
        registry._extra.clear()


@pytest.fixture
async def api(payroll: Payroll) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of the organisation."""
    prefix = f"live{payroll.organisation.hex}"
    async with payroll.hub.database.system() as session:
        session.add(
            ApiKey(
                id=payroll.organisation,
                organisation_id=payroll.organisation,
                prefix=prefix,
                hash=key_hash(f"hub_{prefix}_secret"),
                created_at=payroll.clock.now(),
            )
        )
    headers = {"Authorization": f"Bearer hub_{prefix}_secret", "Accept-Language": "nl"}
    transport = httpx.ASGITransport(app=create_app(payroll.hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test", headers=headers) as client:
        yield client


async def test_a_run_is_chosen_checked_booked_and_accounted_for(payroll: Payroll, api: httpx.AsyncClient) -> None:
    place = f"/v1/combis/{await payroll.combi(selection='chosen')}"
    table = (await api.get(f"{place}/mappings/ledger_accounts")).json()["suggestions"]
    assert [(one["source"], one["target"], one["origin"], one["known"]) for one in table] == [
        ("0170", "0170", "same_code", True),
        ("4000", "4000", "same_code", True),
        ("4999", "", "none", False),
    ]
    checked = (await api.post(f"{place}/check")).json()
    (finding,) = checked["findings"]
    assert finding["sentence"] == (
        "Deze grootboekrekeningen bestaan niet in Loon B.V. of zijn geblokkeerd: 4999 Pensioen. "
        "Kies rekeningen bij de koppeltabel, of maak ze aan."
    )
    entries = {"entries": [{"source": "4999", "target": "4010"}]}
    assert (await api.put(f"{place}/mappings/ledger_accounts", json=entries)).status_code == 200
    table = (await api.get(f"{place}/mappings/ledger_accounts")).json()["suggestions"]
    assert ("4999", "4010", "table", True) in [
        (one["source"], one["target"], one["origin"], one["known"]) for one in table
    ]
    shown = (await api.post(f"{place}/preview")).json()["documents"]
    assert [one["posting"][0]["cost_centre"] for one in shown] == ["", "100"]

    run = (await api.post(f"{place}/runs", json={"documents": ["512:2"]})).json()
    assert run["documents"] == ["512:2"]
    await payroll.finish(run["id"])

    listed = (await api.get(f"{place}/items?flow=journals")).json()["data"]
    assert [
        (one["number"], one["period"], one["date"], one["amount"], one["status"], one["administration"],
         one["target_label"])
        for one in listed
    ] == [
        ("2026-03 run 2", "2026-03", "2026-03-25", "5.00", "booked", "1", "Memoriaal M1"),
        ("2026-03 run 1", "2026-03", "2026-03-25", "1000.00", "ignored", "1", ""),
    ]  # fmt: skip
    detail = (await api.get(f"/v1/items/{listed[0]['id']}")).json()
    assert [(one["account"], one["debit"], one["credit"], one["cost_centre"]) for one in detail["posting"]] == [
        ("4010", "5.00", "0.00", "100"),
        ("0170", "0.00", "5.00", ""),
    ]
    waiting = (await api.get(f"/v1/items/{listed[1]['id']}")).json()
    assert waiting["findings"][0]["sentence"].startswith("Loonjournaalpost 2026-03 run 1 is nog niet gekozen")
    assert len(waiting["posting"]) == 2

    retried = await api.post(f"/v1/items/{listed[1]['id']}/retry")
    assert (retried.status_code, retried.json()["status"]) == (200, "waiting")
    month = (await api.get(f"{place}/reconciliation?month=2026-03")).json()
    (administration,) = month["administrations"]
    assert (administration["administration"], administration["source"]["count"]) == ("books:1", 2)
    assert (administration["delivered"]["total"], administration["balanced"]) == ("5.00", False)


async def test_what_vanished_is_no_longer_counted_at_the_source(payroll: Payroll, api: httpx.AsyncClient) -> None:
    combi = await payroll.combi()
    await payroll.table(combi, "ledger_accounts", **{"4999": "4010"})
    await payroll.run(combi)
    del payroll.runs.runs["512:2"]
    await payroll.run(combi)
    (one,) = (await api.get(f"/v1/combis/{combi}/reconciliation?month=2026-03")).json()["administrations"]
    assert (one["source"]["total"], one["delivered"]["total"]) == ("1000.00", "1005.00")
    assert [(each["kind"], each["number"]) for each in one["differences"]] == [("only_in_target", "2026-03 run 2")]


@pytest.mark.parametrize("documents", [[], [""], "512:2", ["x"] * 1001])
async def test_a_list_of_documents_is_a_list_of_source_ids(
    payroll: Payroll, api: httpx.AsyncClient, documents: object
) -> None:
    place = f"/v1/combis/{await payroll.combi()}"
    assert (await api.post(f"{place}/runs", json={"documents": documents})).status_code == 422
