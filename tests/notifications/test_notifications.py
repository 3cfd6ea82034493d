"""Webhooks, install links and mail digests."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2 as httpx
import pytest
from sqlmodel import select
from standardwebhooks import Webhook

from hub.config import Config
from hub.engine.models import ItemStatus
from hub.kit.ids import new_id
from hub.notifications import address, tasks
from hub.notifications.models import WebhookDelivery, WebhookEndpoint
from hub.organisations.models import Membership, User
from tests.combis.stage import Stage, Tenant

PLACE = "http://127.0.0.1:9/hook"


@pytest.fixture
def private(stage: Stage) -> None:
    """The operator of this hub allows private addresses."""
    stage.hub.config = Config.model_construct(**{**stage.hub.config.__dict__, "sandbox": True})


class Receiver:
    """A partner's server that keeps what it is told."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.told: list[httpx.Request] = []

    def transport(self) -> httpx.MockTransport:
        async def answer(request: httpx.Request) -> httpx.Response:
            self.told.append(request)
            return httpx.Response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

        return httpx.MockTransport(answer)


async def told(stage: Stage) -> list[WebhookDelivery]:
    async with stage.hub.database.system() as session:
        return list((await session.exec(select(WebhookDelivery).order_by(WebhookDelivery.id))).all())


async def listening(tenant: Tenant, **facts: Any) -> dict[str, Any]:
    answer = await tenant.api.post("/v1/webhook-endpoints", json={"url": PLACE, **facts})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://93.184.216.34/hook", "not_https"),
        ("https://127.0.0.1/hook", "not_public"),
        ("https://10.1.2.3/hook", "not_public"),
        ("https://169.254.169.254/latest", "not_public"),
        ("https://[::1]/hook", "not_public"),
        ("https://[::ffff:10.0.0.1]/hook", "not_public"),
        ("https://[64:ff9b::a00:1]/hook", "not_public"),
        ("https://localhost/hook", "not_public"),
        ("https://2130706433/hook", "not_public"),
        ("https://user:secret@93.184.216.34/hook", "not_a_url"),
        ("https://", "not_a_url"),
        ("file:///etc/passwd", "not_https"),
    ],
)
async def test_addresses_that_lead_inside_are_refused(ours: Tenant, url: str, code: str) -> None:
    answer = await ours.api.post("/v1/webhook-endpoints", json={"url": url})

    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("url", code)]


async def test_a_public_address_is_called_by_the_address_that_was_looked_at() -> None:
    place = await address.checked("https://93.184.216.34:8443/hook?x=1")
    assert (place.url, place.host) == ("https://93.184.216.34:8443/hook?x=1", "93.184.216.34:8443")


@pytest.mark.usefixtures("private")
async def test_the_secret_is_shown_once_and_stored_sealed(stage: Stage, ours: Tenant) -> None:
    made = await listening(ours, events=["run.finished"])

    read = await ours.api.get(f"/v1/webhook-endpoints/{made['id']}")
    listed = await ours.api.get("/v1/webhook-endpoints")

    assert made["secret"].startswith("whsec_")
    assert read.json() == {name: value for name, value in made.items() if name != "secret"} == listed.json()["data"][0]
    async with stage.hub.database.system() as session:
        row = (await session.exec(select(WebhookEndpoint))).one()
    assert made["secret"].encode() not in bytes(row.secret)


@pytest.mark.usefixtures("private")
async def test_a_finished_run_is_told_once_with_a_signature_that_holds(stage: Stage, ours: Tenant) -> None:
    made = await listening(ours)
    combi = await stage.combi(ours)
    await tasks.collect(stage.hub)
    stage.clock.advance(10)
    run = stage.run(combi, finished_at=stage.clock.now(), outcome=2060, counts={"invoices": {"finding": 1}})
    parked = stage.item(combi, "F1", status=ItemStatus.finding, findings=[{"key": "account_unknown"}])
    await stage.put(run, parked)
    receiver = Receiver(204)

    await tasks.collect(stage.hub)
    await tasks.collect(stage.hub)
    tried = await tasks.deliver_due(stage.hub, receiver.transport())

    assert (tried, await tasks.deliver_due(stage.hub, receiver.transport())) == (2, 0)
    by_type = {json.loads(request.content)["type"]: request for request in receiver.told}
    assert set(by_type) == {"run.finished", "item.finding"}
    event = json.loads(by_type["run.finished"].content)
    assert (event["data"]["run_id"], event["data"]["outcome"]) == (str(run.id), 2060)
    headers = dict(by_type["run.finished"].headers)
    _verified(made["secret"], by_type["run.finished"].content, headers, stage.clock.now())
    listed = (await ours.api.get(f"/v1/webhook-endpoints/{made['id']}/deliveries")).json()["data"]
    assert [(one["last_status"], one["next_at"]) for one in listed] == [(204, None), (204, None)]


def _verified(secret: str, body: bytes, headers: dict[str, str], now: datetime) -> None:
    """The receiver's own check; the clock of the hub is not that of this machine, so the stamp is compared here."""
    assert int(headers["webhook-timestamp"]) == int(now.timestamp())
    stamp = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    expected = Webhook(secret).sign(headers["webhook-id"], stamp, body.decode())
    assert expected in headers["webhook-signature"].split(" ")


@pytest.mark.usefixtures("private")
async def test_what_is_not_taken_is_tried_again_later_and_given_up_at_last(stage: Stage, ours: Tenant) -> None:
    made = await listening(ours)
    combi = await stage.combi(ours)
    await tasks.collect(stage.hub)
    await stage.put(stage.run(combi, finished_at=stage.clock.now(), outcome=2000))
    await tasks.collect(stage.hub)
    receiver = Receiver(500)

    for _ in range(12):
        await tasks.deliver_due(stage.hub, receiver.transport())
        stage.clock.advance(timedelta(hours=27))

    (row,) = await told(stage)
    assert (len(receiver.told), row.attempts, row.next_at, row.delivered_at) == (10, 10, None, None)
    assert len({request.headers["webhook-id"] for request in receiver.told}) == 1
    assert (await ours.api.get(f"/v1/webhook-endpoints/{made['id']}")).json()["disabled_reason"] == "failing"


@pytest.mark.usefixtures("private")
async def test_a_receiver_that_is_gone_is_told_no_more(stage: Stage, ours: Tenant) -> None:
    made = await listening(ours)
    combi = await stage.combi(ours)
    await tasks.collect(stage.hub)
    await stage.put(stage.run(combi, finished_at=stage.clock.now(), outcome=2000))
    await tasks.collect(stage.hub)

    await tasks.deliver_due(stage.hub, Receiver(410).transport())

    endpoint = (await ours.api.get(f"/v1/webhook-endpoints/{made['id']}")).json()
    assert (endpoint["enabled"], endpoint["disabled_reason"]) == (False, "410")


@pytest.mark.usefixtures("private")
async def test_a_rotated_secret_overlaps_with_the_old_one_for_a_day(stage: Stage, ours: Tenant) -> None:
    made = await listening(ours)
    rotated = (await ours.api.post(f"/v1/webhook-endpoints/{made['id']}/rotate")).json()
    combi = await stage.combi(ours)
    await tasks.collect(stage.hub)
    receiver = Receiver(200)

    for days in (0, 2):
        stage.clock.advance(timedelta(days=days))
        await stage.put(stage.run(combi, finished_at=stage.clock.now(), outcome=2000))
        await tasks.collect(stage.hub)
        await tasks.deliver_due(stage.hub, receiver.transport())

    first, second = receiver.told
    assert rotated["secret"] != made["secret"]
    assert [len(request.headers["webhook-signature"].split(" ")) for request in (first, second)] == [2, 1]
    _verified(made["secret"], first.content, dict(first.headers), stage.clock.now() - timedelta(days=2))
    _verified(rotated["secret"], second.content, dict(second.headers), stage.clock.now())


@pytest.mark.usefixtures("private")
async def test_nobody_is_told_of_another_organisations_runs(stage: Stage, ours: Tenant, theirs: Tenant) -> None:
    await listening(ours)
    combi = await stage.combi(theirs)
    await tasks.collect(stage.hub)
    await stage.put(stage.run(combi, finished_at=stage.clock.now(), outcome=2000))
    await tasks.collect(stage.hub)

    assert await told(stage) == []


async def test_one_mail_tells_of_all_combis_that_newly_need_somebody(stage: Stage, ours: Tenant) -> None:
    user = User(id=new_id(stage.clock), email="anna@waterlinie.nl", language="nl", created_at=stage.clock.now())
    seat = Membership(
        id=new_id(stage.clock), organisation_id=ours.id, user_id=user.id, role="owner", created_at=stage.clock.now()
    )
    await stage.put(user, seat)
    await tasks.digest(stage.hub)
    broken = await stage.combi(ours, status="attention", reason={"key": "access_refused", "values": {}})
    parked = await stage.combi(ours)
    run = stage.run(parked, finished_at=stage.clock.now(), outcome=2060)
    await stage.put(run, stage.item(parked, "F1", status=ItemStatus.finding))

    sent = [await tasks.digest(stage.hub) for _ in range(3)]

    assert sent == [1, 0, 0]
    newest = max((stage.hub.config.data_dir / "mail").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    words = newest.read_text()
    assert "To: anna@waterlinie.nl" in words
    assert str(broken.id) in words
    assert str(parked.id) in words


async def test_an_install_link_leads_to_the_installation_of_a_pair(ours: Tenant) -> None:
    wish = {"source": "simplicate", "target": "minox", "email": "a+b@waterlinie.nl", "return_url": "https://p.nl/back"}
    made = await ours.api.post("/v1/install-links", json=wish)
    wrong = await ours.api.post("/v1/install-links", json={**wish, "target": "simplicate"})
    hostile = await ours.api.post("/v1/install-links", json={**wish, "return_url": "javascript:alert(1)"})

    body = made.json()
    assert (made.status_code, wrong.status_code, hostile.status_code) == (201, 422, 422)
    assert body["url"].startswith("http://127.0.0.1:8000/install/simplicate/minox?partner=")
    assert body["url"].endswith("email=a%2Bb%40waterlinie.nl")
    assert [one["id"] for one in (await ours.api.get("/v1/install-links")).json()["data"]] == [body["id"]]
    assert (await ours.api.delete(f"/v1/install-links/{body['id']}")).status_code == 204


@pytest.mark.usefixtures("private")
async def test_trouble_is_told_by_its_own_event(stage: Stage, ours: Tenant) -> None:
    await listening(ours, events=["combi.attention", "connection.needs_reauth", "item.unknown"])
    await tasks.collect(stage.hub)
    stage.clock.advance(10)
    now = stage.clock.now()
    reason = {"key": "access_refused", "values": {}}
    dead = await stage.connection(
        ours.id, "minox", tenant="minox-9", status="needs_reauth", reason=reason, updated_at=now
    )
    combi = await stage.combi(ours, status="attention", reason=reason)
    lost = stage.item(combi, "F1", status=ItemStatus.unknown)
    await stage.put(stage.run(combi, finished_at=now, outcome=4010), lost)

    await tasks.collect(stage.hub)

    found = {row.type: row.payload["data"] for row in await told(stage)}
    assert len(found) == 3
    assert found["combi.attention"] == {"combi_id": str(combi.id), "reason": "access_refused"}
    assert found["connection.needs_reauth"] == {"connection_id": str(dead), "reason": "access_refused"}
    assert (found["item.unknown"]["item_id"], found["item.unknown"]["number"]) == (str(lost.id), "F1")


@pytest.mark.usefixtures("private")
async def test_a_delivery_can_be_sent_again_under_the_same_id(stage: Stage, ours: Tenant) -> None:
    made = await listening(ours)
    combi = await stage.combi(ours)
    await tasks.collect(stage.hub)
    await stage.put(stage.run(combi, finished_at=stage.clock.now(), outcome=2000))
    receiver = Receiver(200)
    await tasks.deliver_due(stage.hub, receiver.transport())
    (row,) = await told(stage)

    answer = await ours.api.post(f"/v1/webhook-endpoints/{made['id']}/deliveries/{row.id}/resend")
    await tasks.deliver_due(stage.hub, receiver.transport())

    assert answer.status_code == 202
    assert [request.headers["webhook-id"] for request in receiver.told] == [str(row.id)] * 2
