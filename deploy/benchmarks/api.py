"""Requests per second of two lists with a million documents stored, beside a bare route over the same pool."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from deploy.benchmarks import instant
from deploy.benchmarks.load import CALLERS
from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Stage
from hub.kit.ids import new_id
from hub.organisations.access import key_hash
from hub.organisations.models import ApiKey

KEY = "hub_bench_0123456789abcdef0123456789abcdef"
COMBIS = 100


async def lists(stage: Stage) -> list[Row]:
    """`GET /v1/combis` and `GET /v1/combis/{id}/items`, each against the bare route."""
    items = 20_000 if stage.quick else 1_000_000
    combis = await _stored(stage, items)
    seconds = 3 if stage.quick else 10
    rows = []
    for name, paths in (
        ("GET /v1/combis", ["/v1/combis"]),
        ("GET /v1/combis/{id}/items", [f"/v1/combis/{combi}/items" for combi in combis]),
    ):
        ours = await _loaded(stage, "hub", seconds, paths)
        bare = await _loaded(stage, "bare", seconds, paths)
        rows += [
            Row(name, ours["rate"], "/s", note=f"p99 {ours['p99_ms']:.0f} ms, {CALLERS} callers, {items:,} items"),
            Row("bare route, one indexed select", bare["rate"], "/s", note=f"p99 {bare['p99_ms']:.0f} ms"),
            Row("the API beside it", ours["rate"] / bare["rate"], "", ">=", 0.5),
        ]
    return rows


async def _loaded(stage: Stage, what: str, seconds: float, paths: Sequence[str]) -> dict[str, float]:
    server = await stage.child("serving", what)
    port = (await server.told())["port"]
    load = await stage.child("load", port, KEY, seconds, *paths)
    told = await load.told()
    await load.end()
    await server.end()
    return told


async def _stored(stage: Stage, items: int) -> list[UUID]:
    """One organisation with combis, a key without a limit, and the documents, most of them booked."""
    sides = [(name, "key", "api", {"secret": "secret"}) for name in (instant.SOURCE, instant.TARGET)]
    instant.register(0)
    first = await stage.combi("simplicate-minox", ("simplicate", *sides[0][1:]), ("minox", *sides[1][1:]), {})
    hub = stage.hub
    async with hub.database.system() as session:
        organisation: UUID = (
            await session.execute(text("SELECT organisation_id FROM combi WHERE id = :id"), {"id": first})
        ).scalar_one()
        session.add(
            ApiKey(id=new_id(hub.clock), organisation_id=organisation, prefix="bench", hash=key_hash(KEY),
                   per_minute=10_000_000, created_at=hub.clock.now())
        )  # fmt: skip
        await session.execute(
            text(
                """INSERT INTO combi SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid()))).*
                FROM combi c, generate_series(2, :combis) WHERE c.id = :first"""
            ),
            {"combis": COMBIS, "first": first},
        )
        await session.execute(
            text(
                """INSERT INTO item (id, organisation_id, combi_id, flow, source_id, administration, status, number,
                  date, party, amount, currency, raw, fingerprint, findings, target_ref, target_label, tried_version,
                  attempts, forced, note, attach, created_at, updated_at)
                SELECT gen_random_uuid(), c.organisation_id, c.id, 'invoices', 'invoice:' || n, '41207/3',
                  CASE WHEN n % 100 < 97 THEN 'booked' WHEN n % 100 < 99 THEN 'finding' ELSE 'ignored' END,
                  'F2026-' || n, date '2026-01-01' + n % 300, 'Klant ' || n % 100 || ' B.V.', 121.00, 'EUR',
                  jsonb_build_object('id', n, 'lines', repeat('regel ', 40)), md5(n::text),
                  CASE WHEN n % 100 BETWEEN 97 AND 98
                    THEN '[{"key": "no_account", "values": {"revenue_group": "Advies", "line": "Advies"}}]'::jsonb
                    ELSE '[]' END, gen_random_uuid()::text, 'VERK ' || n, 1, 1, false, '', false, now(), now()
                FROM (SELECT * FROM combi WHERE organisation_id = :organisation) c,
                  generate_series(1, :each) AS n"""
            ),
            {"organisation": organisation, "each": items // COMBIS},
        )
        found = await session.execute(
            text("SELECT id FROM combi WHERE organisation_id = :organisation"), {"organisation": organisation}
        )
        combis = list(found.scalars())
    # What the server does by itself after so many rows, done before anything is measured and not meanwhile.
    async with hub.database.engine.connect() as connection:
        await connection.execute(text("ALTER TABLE item SET (autovacuum_enabled = off)"))
        for work in ("VACUUM (ANALYZE) item, combi, connection", "CHECKPOINT"):
            await connection.execute(text(work))
    return combis
