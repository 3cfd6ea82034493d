"""The description of the API: kept equal to what is served, and closed to other organisations."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from hub import app
from hub.batches.models import FileBatch
from hub.connections.models import InstallLink
from hub.engine.models import ItemStatus
from hub.kit.ids import new_id
from hub.notifications.models import WebhookDelivery, WebhookEndpoint
from hub.organisations.models import Membership, User
from tests.combis.stage import Stage, Tenant, ours, stage, theirs

__all__ = ["ours", "stage", "theirs"]

DESCRIBED: dict[str, Any] = app.openapi()
SPEC = Path(__file__).parent.parent / "openapi.yaml"
OPERATIONS = [
    (method, path)
    for path, operations in DESCRIBED["paths"].items()
    for method in operations
    if path.startswith("/v1/")
]
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("put", "/v1/combis/{combi_id}/mappings/{table}"): {"entries": []},
    ("post", "/v1/items/{item_id}/resolve"): {"outcome": "absent"},
    ("post", "/v1/combis/{combi_id}/items/retry"): {"status": "finding"},
    ("patch", "/v1/members/{member_id}"): {"role": "reader"},
}


def test_the_file_equals_what_is_served() -> None:
    assert yaml.safe_load(SPEC.read_text()) == DESCRIBED, "write it anew: .venv/bin/python -m hub.app > openapi.yaml"


async def test_it_is_served_as_it_stands_in_the_file(ours: Tenant) -> None:
    assert (await ours.api.get("/openapi.json")).json() == yaml.safe_load(SPEC.read_text())


def test_it_is_openapi_3_1_and_every_operation_has_a_name_and_words() -> None:
    names = [one["operationId"] for operations in DESCRIBED["paths"].values() for one in operations.values()]
    assert DESCRIBED["openapi"].startswith("3.1")
    assert len(names) == len(set(names))
    for path, operations in DESCRIBED["paths"].items():
        for method, one in operations.items():
            assert one.get("description"), f"{method} {path}"
            if path.startswith("/v1/"):
                assert one["responses"]["default"] == {"$ref": "#/components/responses/Problem"}


async def _theirs(stage: Stage, theirs: Tenant) -> dict[str, str]:
    """One of everything that another organisation has, by the name of its path parameter."""
    combi = await stage.combi(theirs)
    item = stage.item(combi, "SECRET-1", status=ItemStatus.finding)
    run = stage.run(combi, finished_at=stage.clock.now(), outcome=2000)
    facts: dict[str, Any] = {"organisation_id": theirs.id, "created_at": stage.clock.now()}
    endpoint = WebhookEndpoint(
        id=new_id(stage.clock), url="https://secret-1.example", secret=b"x", updated_at=stage.clock.now(), **facts
    )
    delivery = WebhookDelivery(id=new_id(stage.clock), endpoint_id=endpoint.id, type="SECRET-1", subject="x", **facts)
    link = InstallLink(id=new_id(stage.clock), name="SECRET-1", source="simplicate", target="minox", **facts)
    person = User(id=new_id(stage.clock), email=f"{new_id(stage.clock)}@secret-1.example", created_at=stage.clock.now())
    member = Membership(id=new_id(stage.clock), user_id=person.id, **facts)
    batch = FileBatch(
        id=new_id(stage.clock), combi_id=combi.id, target="finmaster:SECRET-1", stream="journals", number=1, year=2026,
        made_on=stage.clock.today(), recipe="loket-finmaster", **facts,
    )  # fmt: skip
    await stage.put(item, run, endpoint, delivery, link, person, member, batch)
    return {
        "combi_id": str(combi.id),
        "item_id": str(item.id),
        "run_id": str(run.id),
        "connection_id": str(theirs.source),
        "key_id": str(theirs.key_id),
        "endpoint_id": str(endpoint.id),
        "delivery_id": str(delivery.id),
        "link_id": str(link.id),
        "member_id": str(member.id),
        "batch_id": str(batch.id),
    }


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_nothing_of_another_organisation_is_found(
    stage: Stage, ours: Tenant, theirs: Tenant, method: str, path: str
) -> None:
    ids = await _theirs(stage, theirs)
    names = {part[1:-1] for part in path.split("/") if part.startswith("{")}
    others = {"name": "simplicate", "recipe_id": "simplicate-minox", "field": "journal", "table": "ledger_accounts",
              "form": "csv"}  # fmt: skip
    assert names <= ids.keys() | others.keys(), "say what another organisation has of this"

    answer = await ours.api.request(method, path.format_map(others | ids), json=BODIES.get((method, path), {}))

    assert "SECRET-1" not in answer.text.upper()
    assert not any(one in answer.text for one in (ids["combi_id"], ids["item_id"], ids["run_id"], str(theirs.source)))
    if names - set(others):
        assert answer.status_code == 404, answer.text
        assert answer.json()["code"] == "not_found"
    else:
        assert answer.status_code < 500, answer.text


async def test_a_file_of_another_organisation_is_not_had_by_way_of_a_combi_of_ones_own(
    stage: Stage, ours: Tenant, theirs: Tenant
) -> None:
    ids = await _theirs(stage, theirs)
    facts = {"recipe": "loket-finmaster", "settings": {"administrations": {"a": "SECRET-1"}}}
    mine = await stage.combi(ours, **facts)

    listed = await ours.api.get(f"/v1/combis/{mine.id}/batches")
    fetched = await ours.api.get(f"/v1/combis/{mine.id}/batches/{ids['batch_id']}/csv")

    assert listed.json() == {"data": [], "waiting": 0}
    assert fetched.status_code == 404


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_nobody_gets_in_without_a_key(ours: Tenant, method: str, path: str) -> None:
    del ours.api.headers["Authorization"]
    names = {part[1:-1] for part in path.split("/") if part.startswith("{")}

    answer = await ours.api.request(method, path.format_map(dict.fromkeys(names, str(UUID(int=7)))), json={})

    assert answer.status_code == 401, answer.text
