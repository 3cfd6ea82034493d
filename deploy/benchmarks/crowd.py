"""A thousand combis that are due in the same slot, on one worker; and how soon another goes on when it is killed."""

import asyncio
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text

from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Child, Packages, Stage
from hub.engine.schedule import Schedule

PATIENCE_S = 1200


async def same_slot(stage: Stage) -> list[Row]:
    """Installed combis (not measured), then a slot with a first invoice for each, an idle one, and a death half-way."""
    combis = 100 if stage.quick else 1000
    packages = await stage.packages(1, 2, combis)
    made = await stage.combis(packages, Schedule.every_15_minutes)
    worker = await _worker(stage, packages)
    await due(stage, made[:1])
    await drained(stage)
    await _installed(stage, made[0])
    await packages.ask("/bench/add?count=1")
    rows = await _slot(stage, worker[0], made, books=True, note="an invoice and its debtor booked for each")
    rows += await _slot(stage, worker[0], made, books=False, note="nothing new anywhere")
    other = await _worker(stage, packages)
    gap, held = await _killed(stage, packages, made, worker, other)
    await packages.child.end()
    return [
        *rows,
        Row("from SIGKILL of a worker to its combis going on", gap, "s", "<=", 60,
            f"{held} runs were in its hands; the last of them is what is shown"),
    ]  # fmt: skip


async def _slot(stage: Stage, worker: Child, made: Sequence[UUID], *, books: bool, note: str) -> list[Row]:
    """One slot of all combis: how long one worker takes, what it costs, and how late each run really started."""
    kind = "first invoices" if books else "idle"
    before = worker.cpu_s()
    slot = await due(stage, made)
    began = time.monotonic()
    seconds = await drained(stage) - began
    spent = 1000 * (worker.cpu_s() - before) / len(made)
    delays = await _delays(stage, slot, len(made), books)
    return [
        Row(f"{len(made):,} combis due in one slot, {kind}: drained in", seconds, "s",
            note=f"one worker, {note}; {len(made) / seconds:.1f} runs a second, worker CPU {spent:.1f} ms a run"),
        Row(f"start delay, {kind}, 95th percentile", delays[int(0.95 * len(delays))], "s", "<=", 60,
            f"median {delays[len(delays) // 2]:.1f} s, longest {delays[-1]:.1f} s"),
    ]  # fmt: skip


async def _installed(stage: Stage, pattern: UUID) -> None:
    """Gives every other combi the positions and master data of one that ran: as if its first run were behind it."""
    async with stage.hub.database.system() as session:
        values = {"pattern": pattern}
        await session.execute(
            text(
                """INSERT INTO position (organisation_id, combi_id, stream, cursor, moved_at)
                SELECT c.organisation_id, c.id, replace(p.stream, o.tenant || '/1', t.tenant || '/1'), p.cursor, now()
                FROM position p JOIN combi f ON f.id = p.combi_id JOIN connection o ON o.id = f.target_connection_id
                CROSS JOIN combi c JOIN connection t ON t.id = c.target_connection_id
                WHERE p.combi_id = :pattern AND c.id <> :pattern AND c.schedule = 'every_15_minutes'"""
            ),
            values,
        )
        await session.execute(
            text(
                """INSERT INTO masterdata (organisation_id, connection_id, administration, value, fetched_at)
                SELECT c.organisation_id, t.id, t.tenant || '/1', jsonb_set(m.value, '{administration}',
                  to_jsonb(t.tenant || '/1')), m.fetched_at
                FROM combi f JOIN masterdata m ON m.connection_id = f.target_connection_id
                CROSS JOIN combi c JOIN connection t ON t.id = c.target_connection_id
                WHERE f.id = :pattern AND c.id <> :pattern AND c.schedule = 'every_15_minutes'"""
            ),
            values,
        )


async def _worker(stage: Stage, packages: Packages) -> tuple[Child, str]:
    child = await stage.child("work", "worker", packages=packages)
    return child, (await child.told())["name"]


async def due(stage: Stage, combis: Sequence[UUID]) -> datetime:
    """Now as everybody's slot. Gives that slot."""
    async with stage.hub.database.system() as session:
        # One short transaction: the sweep sees all of them or none.
        found = await session.execute(
            text("UPDATE combi SET slot = now() WHERE id = ANY(:ids) RETURNING now()"), {"ids": list(combis)}
        )
        return cast(datetime, found.scalars().first())


async def _left(stage: Stage) -> int:
    """Combis that are due and runs that have not ended."""
    async with stage.hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT (SELECT count(*) FROM run WHERE finished_at IS NULL)
                  + (SELECT count(*) FROM combi WHERE slot <= clock_timestamp() AND deleted_at IS NULL)"""
            )
        )
        return int(found.scalar_one())


async def drained(stage: Stage) -> float:
    """Waits until nothing is left; gives the moment. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while await _left(stage):  # noqa: ASYNC110 - the rows are looked at, nobody rings
            await asyncio.sleep(0.25)
    return time.monotonic()


async def _delays(stage: Stage, slot: datetime, combis: int, books: bool) -> list[float]:
    """Seconds from the planned slot to the start of each combi's run, in order. Each booked something, or nothing."""
    async with stage.hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT extract(epoch FROM started_at - slot) AS delay, counts FROM run
                WHERE slot = :slot AND outcome < 2060
                  AND (coalesce((counts->'invoices'->>'booked')::int, 0) > 0) = :books"""
            ),
            {"slot": slot, "books": books},
        )
        rows = list(found)
    if len(rows) != combis:
        raise RuntimeError(f"{combis - len(rows)} of {combis} runs did not do what was measured")
    return sorted(float(row.delay) for row in rows)


async def _killed(
    stage: Stage, packages: Packages, combis: Sequence[UUID], first: tuple[Child, str], second: tuple[Child, str]
) -> tuple[float, int]:
    """Kills the first worker while it holds runs; seconds until the last of them is in other hands, and how many."""
    await packages.ask("/bench/add?count=1")
    slot = await due(stage, combis)
    held: set[Any] = set()
    async with asyncio.timeout(PATIENCE_S):
        while not held:
            await asyncio.sleep(0.1)
            held = {row.id for row in await _held(stage) if row.lease_owner.startswith(first[1])}
    await first[0].end(signal.SIGKILL)
    killed = time.monotonic()
    held = {row.id for row in await _held(stage) if row.lease_owner.startswith(first[1])}
    async with asyncio.timeout(PATIENCE_S):
        while any(row.id in held and row.lease_owner.startswith(first[1]) for row in await _held(stage)):  # noqa: ASYNC110
            await asyncio.sleep(0.25)
    gap = time.monotonic() - killed
    await drained(stage)
    await _booked_since(stage, slot, len(combis))
    await second[0].end()
    return gap, len(held)


async def _booked_since(stage: Stage, slot: datetime, combis: int) -> None:
    """Each combi has a new invoice in its books. A run's counts do not tell: what a killed worker counted is lost."""
    async with stage.hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT count(DISTINCT i.combi_id) FROM item i JOIN delivery d ON d.id = i.delivery_id
                WHERE i.flow = 'invoices' AND i.status = 'booked' AND d.recorded_at >= :slot"""
            ),
            {"slot": slot},
        )
        booked = int(found.scalar_one())
    if booked != combis:
        raise RuntimeError(f"{combis - booked} of {combis} combis did not book what was due")


async def _held(stage: Stage) -> list[Any]:
    async with stage.hub.database.system() as session:
        found = await session.execute(
            text("SELECT id, lease_owner FROM run WHERE finished_at IS NULL AND lease_owner IS NOT NULL")
        )
        return list(found)
