"""One combi from draft to books, driven by the API alone against both sandboxes."""

import json
from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest

from hub.app import create_app
from hub.organisations.access import key_hash
from hub.organisations.models import ApiKey
from tests.engine.conftest import no_waits, world
from tests.engine.world import ADMINISTRATION, World

__all__ = ["no_waits", "world"]


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of this world's organisation."""
    prefix = f"live{world.organisation.hex}"
    secret = f"hub_{prefix}_secret"
    async with world.hub.database.system() as session:
        session.add(
            ApiKey(
                id=world.organisation,
                organisation_id=world.organisation,
                prefix=prefix,
                hash=key_hash(secret),
                created_at=world.clock.now(),
            )
        )
    transport = httpx.ASGITransport(app=create_app(world.hub))
    headers = {"Authorization": f"Bearer {secret}", "Accept-Language": "nl"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.test", headers=headers) as client:
        yield client


async def test_a_draft_is_filled_in_checked_previewed_activated_and_run(world: World, api: httpx.AsyncClient) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    world.simplicate.add_invoice("F2026-0412", organization=owner)
    sides = {"source_connection_id": str(world.source), "target_connection_id": str(world.target)}
    made = await api.post("/v1/combis", json={"recipe": "simplicate-minox", **sides, "schedule": "manual"})
    assert made.status_code == 201, made.text
    place = made.headers["location"]

    refused = await api.post(f"{place}/activate")
    assert (refused.status_code, refused.json()["code"]) == (422, "not_ready")
    assert "company_without_administration" in {finding["key"] for finding in refused.json()["findings"]}

    choices = (await api.get(f"{place}/options/administrations")).json()
    assert ADMINISTRATION in {option["value"] for option in choices["options"]}
    chosen = {key["value"]: ADMINISTRATION for key in choices["keys"]}
    journals = await api.get(f"{place}/options/journal")
    assert journals.status_code == 200, journals.text
    settings = {"administrations": chosen, "journal": "VERK", "note_failure": False}
    patched = await api.patch(place, json={"settings": settings}, headers={"If-Match": made.headers["etag"]})
    assert patched.status_code == 200, patched.text

    preview = (await api.post(f"{place}/preview")).json()
    assert any(document["action"] == "create" and document["posting"] for document in preview["documents"])
    assert world.writes() == 0

    activated = await api.post(f"{place}/activate")
    assert (activated.status_code, activated.json().get("status")) == (200, "active"), activated.text
    run = (await api.post(f"{place}/runs")).json()
    await world.finish(run["id"])

    ended = (await api.get(f"/v1/runs/{run['id']}")).json()
    assert ended["outcome"]["code"] in (2000, 2060), ended
    booked = (await api.get(f"{place}/items?status=booked&flow=invoices&limit=200")).json()["data"]
    assert len(booked) == len(world.totals()) > 0
    detail = (await api.get(f"/v1/items/{booked[0]['id']}")).json()
    assert detail["booking"]["state"] == "recorded"
    assert (await api.get(f"{place}/mappings/ledger_accounts")).json()["suggestions"]
    reconciled = (await api.get(f"{place}/reconciliation?month={booked[0]['date'][:7]}")).json()
    assert any(one["delivered"]["count"] for one in reconciled["administrations"])
    events = await api.get(f"/v1/runs/{run['id']}/events")
    finished = next(line for line in events.text.split("\n") if line.startswith("data: "))
    assert json.loads(finished.removeprefix("data: "))["id"] == run["id"]
