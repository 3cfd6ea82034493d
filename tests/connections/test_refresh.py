"""Grants kept alive: one refresh for all workers, saved before it is used, and a dead grant noticed."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from starlette.responses import HTMLResponse, JSONResponse, Response

from hub.accounting.documents import Finding
from hub.config import SecretKey
from hub.connections import repository, service
from hub.connections.clients import ConnectionClients
from hub.engine import registry
from hub.engine.clients import Link
from hub.kit.limiter import Turns
from hub.kit.secrets import KeyRing, SecretUnreadable
from hub.sdk.errors import ConfigError, ReauthRequired, TransientError
from tests.connections.house import House, connector


def another_worker(house: House, keys: KeyRing | None = None) -> ConnectionClients:
    """The same hub in another process: nothing in memory is shared."""
    one = house.clients
    return ConnectionClients(
        one.config, one.database, one.clock, keys or one.keys, Turns(house.hub.redis), one.mailer, one.client
    )


async def opened(house: House, connection: UUID, clients: ConnectionClients | None = None) -> Link:
    return await (clients or house.clients).open(await house.organisation(), connection)


async def who(link: Link) -> str:
    return (await link.connector.identify(link.http)).tenant


async def stored(house: House, connection: UUID) -> dict[str, Any]:
    async with house.hub.database.system() as session:
        found = await session.execute(text("SELECT * FROM connection WHERE id = :id"), {"id": connection})
        return dict(found.mappings().one())


def refreshes(house: House) -> int:
    return sum(call["grant_type"] == "refresh_token" for call in house.vendor.token_calls)


async def test_a_token_near_its_end_is_renewed_before_it_is_used(house: House) -> None:
    link = await opened(house, await house.connected())
    house.clock.advance(3600 - 61)
    await who(link)
    assert refreshes(house) == 0
    house.clock.advance(2)
    await who(link)
    assert refreshes(house) == 1


async def test_a_short_life_is_not_renewed_at_once(house: House) -> None:
    house.vendor.life = 60
    link = await opened(house, await house.connected())
    house.clock.advance(40)
    await who(link)
    assert refreshes(house) == 0
    house.clock.advance(10)
    await who(link)
    assert refreshes(house) == 1


async def test_twenty_users_of_an_ending_token_make_one_refresh(house: House) -> None:
    connection = await house.connected()
    workers = [another_worker(house) for _ in range(4)]
    links = [await opened(house, connection, workers[number % 4]) for number in range(20)]
    house.vendor.slow_s = 0.2
    house.clock.advance(3590)
    assert await asyncio.gather(*map(who, links)) == ["t1"] * 20
    assert refreshes(house) == 1


async def test_twenty_users_of_a_refused_token_make_one_refresh(house: House) -> None:
    connection = await house.connected()
    workers = [another_worker(house) for _ in range(4)]
    links = [await opened(house, connection, workers[number % 4]) for number in range(20)]
    house.vendor.access.clear()
    house.vendor.slow_s = 0.2
    assert await asyncio.gather(*map(who, links)) == ["t1"] * 20
    assert refreshes(house) == 1


async def test_a_rotated_token_is_stored_before_the_access_token_is_used(house: House) -> None:
    connection = await house.connected()
    link = await opened(house, connection)
    before = (await stored(house, connection))["secrets_version"]
    house.clock.advance(3590)
    seen: list[int] = []
    identify = house.vendor.person_of

    async def looked(token: str) -> Any:
        seen.append((await stored(house, connection))["secrets_version"])
        return await identify(token)

    house.vendor.person_of = looked  # type: ignore[method-assign]
    await who(link)
    assert seen == [before + 1]


async def test_a_worker_that_dies_between_refresh_and_use_loses_nothing(house: House) -> None:
    connection = await house.connected()
    house.clock.advance(3590)
    await (await opened(house, connection)).http.token()
    assert await who(await opened(house, connection, another_worker(house))) == "t1"
    assert refreshes(house) == 1


async def test_a_worker_that_is_stopped_while_it_refreshes_still_stores_the_new_token(house: House) -> None:
    connection = await house.connected()
    link = await opened(house, connection)
    house.clock.advance(3590)
    house.vendor.slow_s = 0.3
    call = asyncio.create_task(who(link))
    await asyncio.sleep(0.15)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.gather(*house.clients.refreshing)
    house.vendor.slow_s = 0
    assert await who(await opened(house, connection, another_worker(house))) == "t1"
    assert refreshes(house) == 1


async def test_a_withdrawn_grant_needs_consent_halts_combis_and_is_mailed_once(house: House) -> None:
    connection = await house.connected()
    other = await second(house)
    running, paused = await house.combi(connection, other), await house.combi(connection, other, "paused")
    house.vendor.access.clear()
    house.vendor.refresh.clear()
    links = [await opened(house, connection, another_worker(house)) for _ in range(3)]
    results = await asyncio.gather(*map(who, links), return_exceptions=True)
    assert all(isinstance(result, ReauthRequired) for result in results), results
    shown = await house.connection(connection)
    assert shown["status"] == "needs_reauth"
    assert shown["reason"]["key"] == "grant_refused"
    assert "Vend" in shown["reason"]["sentence"]
    assert (await house.combi_status(running), await house.combi_status(paused)) == ("attention", "paused")
    assert [to for to, _ in house.mails()] == ["owner@partner.nl"]
    with pytest.raises(ReauthRequired):
        await opened(house, connection)


async def test_consent_anew_resumes_what_waited_and_never_what_a_human_paused(house: House) -> None:
    connection, other = await house.connected(), await second(house)
    running, paused = await house.combi(connection, other), await house.combi(connection, other, "paused")
    await house.clients.died(await house.organisation(), connection, Finding(key="grant_refused"))
    assert await house.combi_status(running) == "attention"
    await consent(house, connection)
    assert (await house.connection(connection))["status"] == "active"
    assert (await house.combi_status(running), await house.combi_status(paused)) == ("active", "paused")


async def test_a_combi_with_two_dead_sides_waits_for_both(house: House) -> None:
    one, two = await house.connected(), await second(house)
    combi = await house.combi(one, two)
    for dead in (one, two):
        await house.clients.died(await house.organisation(), dead, Finding(key="grant_refused"))
    await consent(house, one)
    assert await house.combi_status(combi) == "attention"
    house.vendor.person = SECOND
    await consent(house, two)
    assert await house.combi_status(combi) == "active"


SECOND = {"tenant": "t2", "name": "Tweede BV"}


async def second(house: House) -> UUID:
    """A connection of another company."""
    first, house.vendor.person = house.vendor.person, SECOND
    connection = await house.connected(fields={"domain": "tweede"})
    house.vendor.person = first
    return connection


async def consent(house: House, connection: UUID) -> None:
    from tests.connections.house import follow

    async with house.api() as api, house.browser() as browser:
        url = (await api.post(f"/v1/connections/{connection}/reauthorize")).json()["authorization_url"]
        assert (await follow(browser, url)).status_code == 200


async def test_a_grant_that_was_renewed_meanwhile_is_not_called_dead(house: House) -> None:
    connection = await house.connected()
    seen = (await stored(house, connection))["secrets_version"]
    link = await opened(house, connection)
    house.clock.advance(3590)
    await who(link)
    async with house.hub.database.tenant(await house.organisation()) as session:
        marked = await service.needs_reauth(session, house.clock, connection, seen, Finding(key="grant_refused"))
    assert not marked
    assert (await house.connection(connection))["status"] == "active"


async def test_a_worker_that_lost_the_race_uses_what_the_winner_stored(house: House) -> None:
    connection = await house.connected()
    loser, winner = await opened(house, connection), await opened(house, connection, another_worker(house))
    house.clock.advance(3590)
    await who(winner)
    # The loser's refresh token is spent; asking with it would be answered with invalid_grant.
    assert await who(loser) == "t1"
    assert refreshes(house) == 1


@pytest.mark.parametrize(
    "fault",
    [HTMLResponse("<h1>Bad gateway</h1>", 502), HTMLResponse("<h1>Maintenance</h1>", 200), Response("", 429)],
)
async def test_a_token_endpoint_in_trouble_is_no_dead_grant_and_is_left_alone_for_a_while(
    house: House, fault: Response
) -> None:
    connection = await house.connected()
    link = await opened(house, connection)
    house.vendor.token_fault = fault
    house.clock.advance(3590)
    assert await who(link) == "t1"  # there is life in the old token still
    house.clock.advance(20)
    for _ in range(3):
        with pytest.raises(TransientError) as failure:
            await who(link)
        assert failure.value.retry_after
    asked = refreshes(house)
    assert asked <= 2
    house.vendor.token_fault = None
    house.clock.advance(1000)
    assert await who(link) == "t1"
    assert (await house.connection(connection))["status"] == "active"


async def test_refusals_that_nobody_can_read_end_in_consent_after_a_few(house: House) -> None:
    connection = await house.connected()
    link = await opened(house, connection)
    house.vendor.token_fault = JSONResponse({"oops": True}, 400)
    for _ in range(3):
        house.clock.advance(3700)
        with pytest.raises(TransientError):
            await who(link)
    house.clock.advance(3700)
    with pytest.raises(ReauthRequired):
        await who(link)
    assert (await house.connection(connection))["status"] == "needs_reauth"


async def test_a_wrong_client_secret_is_the_operators_trouble(house: House) -> None:
    connection = await house.connected()
    link = await opened(house, connection)
    house.vendor.token_fault = JSONResponse({"error": "invalid_client"}, 401)
    house.clock.advance(3700)
    with pytest.raises(ConfigError):
        await who(link)
    assert (await house.connection(connection))["status"] == "active"


async def test_a_refused_key_needs_a_human(house: House) -> None:
    house.vendor.access["a-plain-key"] = house.vendor.person
    async with house.api() as api:
        fields = {"domain": "acme", "access_token": "a-plain-key"}
        made = (await api.post("/v1/connections", json={"connector": "vend", "fields": fields})).json()
    link = await opened(house, UUID(made["id"]))
    assert await who(link) == "t1"
    house.vendor.access.clear()
    with pytest.raises(ReauthRequired):
        await who(link)
    assert (await house.connection(made["id"]))["status"] == "needs_reauth"


async def test_a_package_that_gives_no_refresh_tokens_needs_a_human_when_it_refuses(house: House) -> None:
    registry.add(connector(refresh="none"))
    connection = await house.connected()
    link = await opened(house, connection)
    house.clock.advance(4000)
    assert await who(link) == "t1"
    house.vendor.access.clear()
    with pytest.raises(ReauthRequired):
        await who(link)
    assert refreshes(house) == 0
    assert (await house.connection(connection))["status"] == "needs_reauth"


async def test_a_removed_connection_stops_within_half_a_minute_also_for_who_has_it_open(house: House) -> None:
    connection = await house.connected()
    link = await opened(house, connection)
    async with house.api() as api:
        assert (await api.delete(f"/v1/connections/{connection}")).status_code == 204
    house.clock.advance(timedelta(seconds=31))
    with pytest.raises(ReauthRequired):
        await who(link)
    assert (await stored(house, connection))["secrets"] is None


async def test_keys_rotate_and_old_secrets_stay_readable(house: House) -> None:
    connection = await house.connected()
    old, new = SecretKey("test", bytes(range(32))), SecretKey("newer", bytes(range(32, 64)))
    ring = KeyRing([new, old])
    assert await who(await opened(house, connection, another_worker(house, ring))) == "t1"
    assert await service.rotate_secrets(house.hub.database, ring) == 1
    assert await service.rotate_secrets(house.hub.database, ring) == 0
    assert await who(await opened(house, connection, another_worker(house, KeyRing([new])))) == "t1"
    with pytest.raises(ConfigError):
        await opened(house, connection, another_worker(house, KeyRing([old])))
    with pytest.raises(SecretUnreadable):
        await service.rotate_secrets(house.hub.database, KeyRing([SecretKey("third", bytes(32))]))


async def test_secrets_are_bound_to_their_connection(house: House) -> None:
    one, two = await house.connected(), await second(house)
    async with house.hub.database.system() as session:
        await session.execute(
            text("UPDATE connection SET secrets = (SELECT secrets FROM connection WHERE id = :one) WHERE id = :two"),
            {"one": one, "two": two},
        )
    with pytest.raises(ConfigError):
        await opened(house, two)
    async with house.hub.database.system() as session:
        assert await repository.get(session, two) is not None
