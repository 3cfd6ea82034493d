"""Secrets of connections stay where they are sealed: in no log line and in no column that can be read."""

import io
import logging

from sqlalchemy import text

from hub.kit import log
from tests.engine.world import World


async def test_no_secret_stands_in_a_log_line_or_a_readable_column(world: World) -> None:
    written = _listen()
    world.simplicate.add_invoice("F2026-0412", organization=world.simplicate.add_organization())
    world.simplicate.add_invoice("zonder cijfers", organization=world.simplicate.add_organization("Ander B.V."))
    world.minox.fault("lost", method="PUT")
    world.minox.fault("expired", method="GET")
    world.simplicate.fault("html", times=4)

    await world.run(await world.combi(note_success=True))

    assert "run_finished" in written.getvalue()
    secrets = [
        *world.simplicate.books["keys"],
        *(one["secret"] for one in world.simplicate.books["keys"].values()),
        *world.minox.tokens,
        *world.minox.refreshes,
    ]
    assert len(secrets) >= 7, "keys of Simplicate, and a grant of Minox that was renewed"
    stored = await _columns(world)
    assert "F2026-0412" in stored
    for secret in secrets:
        assert secret not in written.getvalue()
        assert secret not in stored


def _listen() -> io.StringIO:
    log.set_up("json", logging.DEBUG)
    root = logging.getLogger()
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
    return written


async def _columns(world: World) -> str:
    """Every row of every table, as text."""
    async with world.hub.database.system() as session:
        tables = await session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        parts = []
        for (table,) in tables.all():
            rows = await session.execute(text(f'SELECT t::text FROM "{table}" t'))
            parts.extend(row[0] for row in rows)
    return "\n".join(parts)
