"""What the worker's clock does for notifications: notice news in the rows, deliver webhooks, mail a digest."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from hub.catalogue.service import title
from hub.engine import outcome as outcomes
from hub.engine import recipe as recipes
from hub.engine.hub import Hub
from hub.engine.models import Item
from hub.kit import json, text
from hub.kit.clock import Clock
from hub.kit.database import HubSession
from hub.kit.mail import MailNotSent
from hub.notifications import repository, service
from hub.notifications.address import Refused, checked
from hub.runs.sentences import sentence
from hub.sdk.http import new_client

RETRIES = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""How long after a failed try the next one comes, as Standard Webhooks advises; then it is given up."""
TIMEOUT_S = 20.0
IN_HAND = timedelta(minutes=2)
BATCH = 20
MOST_ITEMS = 100
"""How many documents of one run are told one by one; `run.finished` holds the counts of all."""
OVERLAP = timedelta(minutes=2)
"""Rows that were committed late are seen again; events are told once."""

_log = structlog.get_logger(__name__)


def _floor(clock: Clock) -> UUID:
    """The smallest id of a run that may still finish now: ids begin with the millisecond they were made."""
    return UUID(int=int((clock.now() - repository.RESTING).timestamp() * 1000) << 80)


async def collect(hub: Hub) -> None:
    """Turns what happened since the last look into events for the endpoints that listen."""
    now = hub.clock.now()
    async with hub.database.system() as session:
        since, mark = await repository.mark(session, "webhooks", now)
        since -= OVERLAP
        for run in await repository.finished_runs(session, since, _floor(hub.clock), heard=True):
            await _tell_run(session, hub, run)
        for row in await repository.in_trouble(session, since):
            await _tell_trouble(session, hub, row)
        mark.at = now


async def _tell_run(session: HubSession, hub: Hub, run: RowMapping) -> None:
    known = outcomes.OUTCOMES.get(run["outcome"] or 0)
    data = {
        "run_id": run["id"],
        "combi_id": run["combi_id"],
        "outcome": run["outcome"],
        "name": known.name if known else "",
        "good": bool(known and known.good),
        "mode": run["mode"],
        "trigger": run["trigger"],
        "counts": run["counts"],
        "finished_at": run["finished_at"],
    }
    organisation = run["organisation_id"]
    await service.emit(session, hub.clock, organisation, "run.finished", f"run.finished:{run['id']}", data)
    began = run["started_at"] or run["finished_at"]
    for item in await repository.touched_items(session, run["combi_id"], began, MOST_ITEMS):
        kind = "item.unknown" if item.status == "unknown" else "item.finding"
        subject = f"{kind}:{item.id}:{item.updated_at.isoformat()}"
        await service.emit(session, hub.clock, organisation, kind, subject, _item_data(item))


def _item_data(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.id,
        "combi_id": item.combi_id,
        "flow": item.flow,
        "number": item.number,
        "status": item.status,
        "findings": [finding.get("key") for finding in item.findings],
    }


async def _tell_trouble(session: HubSession, hub: Hub, row: RowMapping) -> None:
    kind = "combi.attention" if row["kind"] == "combi" else "connection.needs_reauth"
    data = {f"{row['kind']}_id": row["id"], "reason": (row["reason"] or {}).get("key")}
    subject = f"{kind}:{row['id']}:{row['updated_at'].isoformat()}"
    await service.emit(session, hub.clock, row["organisation_id"], kind, subject, data)


async def deliver_due(hub: Hub, transport: Any = None) -> int:
    """Notices what is new and sends what is due, at least once each; gives how many were tried."""
    await collect(hub)
    now = hub.clock.now()
    async with hub.database.system() as session:
        due = await repository.claim_due(session, now, now + IN_HAND, BATCH)
    if due:
        async with new_client(transport, TIMEOUT_S) as client:
            await asyncio.gather(*(_deliver(hub, client, row) for row in due))
    return len(due)


async def _deliver(hub: Hub, client: Any, row: RowMapping) -> None:
    status: int | None = None
    error = ""
    if not row["enabled"]:
        error = "endpoint disabled"
    else:
        try:
            status = await _post(hub, client, row)
        except Refused as refusal:
            error = refusal.code
        except Exception as failure:
            error = type(failure).__name__
    await _settle(hub, row, status, error)


async def _post(hub: Hub, client: Any, row: RowMapping) -> int:
    place = await checked(row["url"], private=service.private_allowed(hub))
    now = hub.clock.now()
    body = json.dumps(row["payload"])
    previous = row["previous_secret"] if row["previous_until"] and row["previous_until"] > now else None
    secrets = service.opened(hub, row["organisation_id"], row["endpoint_id"], row["secret"], previous)
    headers = {
        "Host": place.host,
        "Content-Type": "application/json",
        "webhook-id": str(row["id"]),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": service.signatures(secrets, str(row["id"]), now, body),
    }
    async with asyncio.timeout(TIMEOUT_S + 5):
        request = client.build_request(
            "POST", place.url, content=body.encode(), headers=headers, extensions={"sni_hostname": place.name}
        )
        response = await client.send(request, stream=True)
        await response.aclose()  # the status says all; a body of any length stays unread
    return int(response.status_code)


async def _settle(hub: Hub, row: RowMapping, status: int | None, error: str) -> None:
    now = hub.clock.now()
    taken = status is not None and 200 <= status < 300
    tries = row["attempts"]
    over = taken or status == 410 or not row["enabled"] or tries > len(RETRIES)
    next_at = None
    if not over:
        wait = RETRIES[tries - 1]
        next_at = now + wait * random.uniform(0.9, 1.1)  # noqa: S311 - spreads tries, guards nothing
    async with hub.database.system() as session:
        await repository.settle(
            session,
            row["id"],
            status=status,
            error=error or ("" if taken else f"status {status}"),
            next_at=next_at,
            delivered_at=now if taken else None,
        )
        if status == 410 or (over and not taken and row["enabled"]):
            await repository.disable(session, row["endpoint_id"], "410" if status == 410 else "failing", now)


async def digest(hub: Hub) -> int:
    """Mails the members of an organisation once when combis of it newly need a human; gives the number of mails."""
    now = hub.clock.now()
    async with hub.database.system() as session:
        since, mark = await repository.mark(session, "digest", now)
        runs = await repository.finished_runs(session, since - OVERLAP, _floor(hub.clock), heard=False)
        needy = await repository.needy(session, list({run["combi_id"] for run in runs}))
        await repository.forget(session, [one["id"] for one in needy if not _reason(one) and one["told"]])
        news: dict[UUID, list[RowMapping]] = defaultdict(list)
        for one in needy:
            if (reason := _reason(one)) and reason != one["told"]:
                news[one["organisation_id"]].append(one)
        sent = [await _mail(session, hub, organisation, combis) for organisation, combis in news.items()]
        mark.at = now
    return sum(sent)


def _reason(row: RowMapping) -> str:
    """Why a combi needs a human; empty when it does not."""
    if row["deleted_at"] is not None:
        return ""
    if row["status"] == "attention":
        return f"attention:{(row['reason'] or {}).get('key', '')}"
    return "items" if row["parked"] else ""


async def _mail(session: HubSession, hub: Hub, organisation_id: UUID, combis: Sequence[RowMapping]) -> int:
    """One mail per member about all these combis. What cannot be sent now is news at the next look."""
    sent = 0
    for address, language in await repository.readers(session, organisation_id):
        lines = "\n\n".join(_paragraph(hub, combi, language) for combi in combis)
        subject = text.sentence("mail.attention.subject", language, {"count": len(combis)})
        body = text.sentence("mail.attention.body", language, {"lines": lines, "url": f"{hub.config.base_url}/combis"})
        try:
            await hub.mailer.send(address, subject, body)
            sent += 1
        except (MailNotSent, ValueError):
            _log.warning("digest_not_sent", organisation_id=str(organisation_id))
    if sent:
        for combi in combis:
            await repository.tell(session, combi["id"], organisation_id, _reason(combi), hub.clock.now())
    return sent


def _paragraph(hub: Hub, combi: RowMapping, language: str) -> str:
    known = recipes.all_recipes().get(combi["recipe"])
    name = combi["name"] or (f"{title(known.source)} → {title(known.target)}" if known else combi["recipe"])
    if combi["status"] == "attention":
        reason = combi["reason"] or {}
        why = sentence(str(reason.get("key", "")), reason.get("values"), language) if reason else ""
    else:
        why = text.sentence("mail.attention.items", language, {"count": combi["parked"]})
    return f"{name}\n{why}\n{hub.config.base_url}/combis/{combi['id']}"
