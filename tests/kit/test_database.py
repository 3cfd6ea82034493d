"""Sessions, row-level security, JSON and restarts on a real PostgreSQL."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from hub.kit import json
from hub.kit.database import Database, after_commit
from hub.kit.embedded import Services

ONE, OTHER = uuid4(), uuid4()


@pytest.fixture(scope="module", autouse=True)
async def _table(database: Database) -> AsyncIterator[None]:
    async with database.system() as session:
        for statement in (
            "create table kit_notes (organisation_id uuid not null, word text not null, body jsonb)",
            "alter table kit_notes enable row level security",
            "grant select, insert, update on kit_notes to hub_app",
            "create policy own on kit_notes using (organisation_id = current_setting('hub.organisation')::uuid)",
        ):
            await session.execute(text(statement))
    yield
    async with database.system() as session:
        await session.execute(text("drop table kit_notes"))


@pytest.fixture(autouse=True)
async def _two_notes(database: Database) -> None:
    async with database.system() as session:
        await session.execute(text("truncate kit_notes"))
    for organisation, word in ((ONE, "mine"), (OTHER, "theirs")):
        async with database.tenant(organisation) as session:
            await session.execute(
                text("insert into kit_notes values (:organisation, :word)"),
                {"organisation": organisation, "word": word},
            )


@pytest.fixture
async def narrow(database: Database) -> AsyncIterator[Database]:
    """The same database with one connection, so that what a session leaves behind shows."""
    narrow = Database(database.engine.url.render_as_string(hide_password=False), pool_size=1)
    yield narrow
    await narrow.dispose()


async def words(database: Database, organisation: UUID | None) -> list[str]:
    async with database.system() if organisation is None else database.tenant(organisation) as session:
        return [row[0] for row in await session.execute(text("select word from kit_notes order by word"))]


async def test_a_tenant_session_works_under_the_application_role(database: Database) -> None:
    async with database.tenant(ONE) as session:
        row = (await session.execute(text("select current_user, current_setting('hub.organisation')"))).one()
    assert row == ("hub_app", str(ONE))


async def test_a_query_without_a_filter_shows_one_organisation_only(database: Database) -> None:
    assert await words(database, ONE) == ["mine"]
    assert await words(database, uuid4()) == []


async def test_the_system_session_sees_every_row(database: Database) -> None:
    assert await words(database, None) == ["mine", "theirs"]


async def test_a_row_of_another_organisation_can_be_neither_written_nor_changed(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.tenant(ONE) as session:
            await session.execute(text("insert into kit_notes values (:other, 'forged')"), {"other": OTHER})
    async with database.tenant(ONE) as session:
        await session.execute(text("update kit_notes set word = 'changed'"))
    assert await words(database, None) == ["changed", "theirs"]


async def test_a_commit_halfway_stays_within_the_organisation(database: Database) -> None:
    async with database.tenant(ONE) as session:
        await session.commit()
        found = await session.execute(text("select current_user, (select count(*) from kit_notes)"))
        assert found.one() == ("hub_app", 1)
        async with session.begin_nested():
            assert (await session.execute(text("select count(*) from kit_notes"))).scalar_one() == 1


async def test_a_connection_goes_back_to_the_pool_without_its_organisation(narrow: Database) -> None:
    async with narrow.tenant(ONE):
        pass
    async with narrow.system() as session:
        row = (await session.execute(text("select current_user, current_setting('hub.organisation', true)"))).one()
    assert row in (("postgres", ""), ("postgres", None))


async def test_an_exception_rolls_back(database: Database) -> None:
    async def work() -> None:
        async with database.tenant(ONE) as session:
            await session.execute(text("update kit_notes set word = 'changed'"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await words(database, ONE) == ["mine"]


async def test_a_cancelled_task_rolls_back_and_returns_its_connection(narrow: Database) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with narrow.tenant(ONE) as session:
            await session.execute(text("update kit_notes set word = 'changed'"))
            entered.set()
            await session.execute(text("select pg_sleep(30)"))

    task = asyncio.create_task(work())
    await asyncio.wait_for(entered.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(words(narrow, ONE), 5) == ["mine"]


async def test_callbacks_run_in_order_after_the_commit_only(database: Database) -> None:
    seen: list[object] = []

    async def look() -> None:
        seen.append(await words(database, ONE))

    async def fail() -> None:
        raise RuntimeError("the bell is broken")

    async with database.tenant(ONE) as session:
        await session.execute(text("update kit_notes set word = 'changed'"))
        after_commit(session, fail)
        after_commit(session, look)
        assert seen == []
    assert seen == [["changed"]]


async def test_a_rollback_forgets_the_callbacks(database: Database) -> None:
    seen: list[str] = []

    async def note() -> None:
        seen.append("rung")

    async def work() -> None:
        async with database.tenant(ONE) as session:
            after_commit(session, note)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert seen == []


async def test_numbers_in_jsonb_stay_exact(database: Database) -> None:
    body = {"total": Decimal("1452.10"), "tiny": Decimal("0.000000000000000000123"), "count": 3, "on": date(2026, 3, 9)}
    column = text("update kit_notes set body = :body returning body, body ->> 'total'")
    async with database.tenant(ONE) as session:
        prepared = column.bindparams(bindparam("body", type_=JSONB)).columns(body=JSONB)
        stored, total = (await session.execute(prepared, {"body": body})).one()
    assert total == "1452.10"
    assert stored == {**body, "on": "2026-03-09"}
    assert isinstance(stored["total"], Decimal)
    assert isinstance(stored["count"], int)


async def test_characters_that_postgresql_refuses_are_replaced(database: Database) -> None:
    body = {"nul": "a\x00b", "escaped": "a\\u0000b", "half": "\ud83d", "whole": "\U0001f600"}
    async with database.tenant(ONE) as session:
        statement = text("update kit_notes set body = :body returning body").bindparams(bindparam("body", type_=JSONB))
        stored = (await session.execute(statement.columns(body=JSONB), {"body": body})).scalar_one()
    assert stored == {"nul": "a\ufffdb", "escaped": "a\\u0000b", "half": "?", "whole": "\U0001f600"}


def test_a_decimal_is_written_as_the_number_it_is() -> None:
    amount = Decimal("12345678901234567890.12")
    assert json.dumps([amount]) == "[12345678901234567890.12]"
    assert json.loads(json.dumps({"a": [amount]})) == {"a": [amount]}
    assert json.dumps({"at": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1)}) == (
        '{"at":"2026-01-01T00:00:00+00:00","id":"00000000-0000-0000-0000-000000000001"}'
    )


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), float("nan"), float("inf")])
def test_an_amount_that_is_no_number_is_refused(value: object) -> None:
    assert json.loads(json.dumps(["NaN", "Infinity"])) == ["NaN", "Infinity"]
    with pytest.raises(ValueError, match=r"JSON|Expecting|Extra|compliant"):
        json.dumps({"a": value})


async def restarted(services: Services, number: signal.Signals) -> None:
    """PostgreSQL gets a signal, and another one stands in its place."""
    pid = services.postgres_pid()
    assert pid is not None
    os.kill(pid, number)
    while services.postgres_pid() == pid:  # noqa: ASYNC110 - another process changes it
        await asyncio.sleep(0.05)


async def test_work_goes_on_after_postgresql_was_restarted(services: Services, database: Database) -> None:
    assert await words(database, ONE) == ["mine"]
    await restarted(services, signal.SIGINT)
    assert await words(database, ONE) == ["mine"]


async def test_a_pool_full_of_dead_connections_is_let_go_at_once(services: Services, database: Database) -> None:
    """A quiet hub finds every connection dead after a restart: more of them than it has patience for."""
    everybody = asyncio.Barrier(10)

    async def connected() -> None:
        async with database.system() as session:
            await session.execute(text("select 1"))
            await everybody.wait()

    await asyncio.gather(*(connected() for _ in range(10)))
    await restarted(services, signal.SIGKILL)
    assert await words(database, ONE) == ["mine"]


async def test_a_session_whose_connection_was_killed_fails_and_the_next_one_works(database: Database) -> None:
    async def work() -> None:
        async with database.tenant(ONE) as session:
            backend = (await session.execute(text("select pg_backend_pid()"))).scalar_one()
            async with database.system() as other:
                await other.execute(text("select pg_terminate_backend(:pid)"), {"pid": backend})
            await session.execute(text("select 1"))

    with pytest.raises(DBAPIError):
        await work()
    assert await words(database, ONE) == ["mine"]


async def test_a_commit_is_kept_also_where_the_server_would_rather_forget(database: Database) -> None:
    """The test server runs with `synchronous_commit` off."""
    async with database.system() as session:
        shown = (
            await session.execute(text("select source, setting from pg_settings where name = 'synchronous_commit'"))
        ).one()
        started = await session.scalar(text("select reset_val from pg_settings where name = 'synchronous_commit'"))
    assert (shown.source, shown.setting, started) == ("session", "on", "off")
