"""Bad days: every kind of trouble on every kind of call, with right books afterwards and a clear outcome."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest

from hub.engine.models import CombiStatus, ItemStatus
from hub.engine.outcome import AT_LIMIT, CONSENT, DOWN, NOTHING, SETTING
from tests.engine.world import BrokenPipes, World

D = Decimal
READS = [
    ("simplicate", "GET", "invoices/invoice"),
    ("simplicate", "GET", "crm/organization"),
    ("minox", "GET", "/ledger_account"),
    ("minox", "GET", "/administration"),
    ("minox", "GET", "/by_email"),
    ("minox", "GET", "/transaction_lines"),
    ("minox", "GET", "/receivable"),
]
WRITES = [
    ("minox", "PUT", "/transaction_line_batch"),
    ("minox", "POST", "/customer"),
    ("simplicate", "POST", "/payment"),
]


@pytest.fixture
async def paid(world: World) -> tuple[World, UUID, list[dict[str, Any]]]:
    """Three invoices for two customers; the first is paid as soon as it is booked."""
    owners = [world.simplicate.add_organization(f"Klant {at} B.V.", email=f"k{at}@klanten.example") for at in range(2)]
    records = [world.simplicate.add_invoice(f"F2026-000{at}", organization=owners[at % 2]) for at in range(3)]
    return world, await world.combi(), records


async def settled(world: World, combi: UUID) -> None:
    """Runs until everything is done, with the first invoice paid in between."""
    await world.run(combi)
    world.clock.advance(timedelta(hours=1, minutes=1))
    for _ in range(3):
        if 20260000 in world.totals():
            debtor = next(
                line["account"]["id"]
                for lines in world.minox.batches().values()
                for line in lines
                if line["invoice_number"] == 20260000 and line["account"]["type"] == "customer"
            )
            if world.minox.receivable(debtor, 20260000)["balance"]:
                world.minox.pay(debtor, 20260000)
        await world.run(combi)
        world.clock.advance(timedelta(hours=1))


async def right(world: World, records: list[dict[str, Any]]) -> None:
    """Everything stands in both books once."""
    assert world.totals() == {20260000 + at: D("1210.00") for at in range(3)}
    assert len(world.minox.customers_of()) == 2
    assert [D(one["amount"]) for one in world.simplicate.payments_of(records[0]["id"])] == [D("1210.00")]
    assert len(world.simplicate.books["payments"]) == 1
    stuck = [one for flow in ("customers", "invoices", "payments") for one in await world.items(flow)]
    assert {one.status for one in stuck} == {ItemStatus.booked}


KINDS = ["lost", "error", "busy", "html", "malformed", "refused", "slow"]


@pytest.mark.parametrize("kind", KINDS)
async def test_trouble_with_any_read_costs_nothing_but_time(
    paid: tuple[World, UUID, list[dict[str, Any]]], kind: Any
) -> None:
    world, combi, records = paid
    for where, method, path in READS:
        times = 1 if kind == "slow" else 4
        getattr(world, where).fault(kind, method=method, path=path, times=times, seconds=0.02)
    await settled(world, combi)
    assert world.faults() == 0
    await right(world, records)


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
async def test_trouble_with_any_write_is_looked_up_before_it_is_repeated(
    paid: tuple[World, UUID, list[dict[str, Any]]], kind: Any, after: int
) -> None:
    world, combi, records = paid
    for where, method, path in WRITES:
        later = after if where == "minox" else 0
        getattr(world, where).fault(kind, method=method, path=path, after=later, seconds=0.02)
    await settled(world, combi)
    assert world.faults() == 0
    await right(world, records)


@pytest.mark.parametrize(
    ("answer", "made"), [("lines", "object"), ("empty", "id"), ("object", "empty"), ("warning", "text")]
)
async def test_every_answer_to_a_write_ends_in_the_same_books(
    paid: tuple[World, UUID, list[dict[str, Any]]], answer: str, made: str
) -> None:
    world, combi, records = paid
    world.minox.switches.update(put_answer=answer, customer_answer=made)
    await settled(world, combi)
    await right(world, records)


@pytest.mark.parametrize(
    "switches",
    [
        {"numbers": "strings", "absent": "null", "status_form": "plain"},
        {"absent": "empty", "status_form": "label", "errors_form": "text", "write_answer": "list"},
        {"metadata": False, "empty_list_as_null": True, "single_as_list": True, "write_answer": "object"},
        {"ignored_filters": ["updated_at", "date", "invoice_id"], "ignore_sort": True},
        {"refused_filters": ["updated_at"], "iso_8601": "always", "warn_on_write": True},
        {"payment_touches_invoice": False, "write_answer": "empty", "overpayment": "refuse"},
    ],
)
async def test_every_spelling_of_simplicate_ends_in_the_same_books(
    paid: tuple[World, UUID, list[dict[str, Any]]], switches: dict[str, Any]
) -> None:
    world, combi, records = paid
    world.simplicate.switches.update(switches)
    await settled(world, combi)
    await right(world, records)


@pytest.mark.parametrize(
    "switches",
    [
        {"numbers": "text", "dates": "plain", "links": "none"},
        {"lists": "bare", "by_email": "array", "search_missing": "empty", "uuid": "v4"},
        {"by_email": "collection", "search_filter": False, "batch_missing": "empty", "put_answer": "empty"},
        {"page_size": 1, "links": "query", "patch_arrays": "merge", "vat_lines": True},
        {"page_size": 1, "links": "absolute", "paid_item": "gone", "put_answer": "object"},
    ],
)
async def test_every_spelling_of_minox_ends_in_the_same_books(
    paid: tuple[World, UUID, list[dict[str, Any]]], switches: dict[str, Any]
) -> None:
    world, combi, records = paid
    world.minox.switches.update(switches)
    world.minox.fault("lost", method="PUT", path="/transaction_line_batch")
    await settled(world, combi)
    await right(world, records)


@pytest.mark.parametrize("lag", [20, 60])
async def test_a_search_that_lags_makes_no_second_debtor(
    paid: tuple[World, UUID, list[dict[str, Any]]], lag: int
) -> None:
    world, combi, records = paid
    world.minox.switches["search_lag_s"] = lag
    world.minox.fault("lost", method="POST", path="/customer")
    await settled(world, combi)
    await right(world, records)


# Grants


async def test_a_token_that_ends_in_the_middle_of_a_run_is_renewed(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, records = paid
    world.minox.fault("expired", method="PUT")
    world.minox.fault("expired", method="GET", path="/receivable")
    await settled(world, combi)
    await right(world, records)


async def test_a_dead_grant_stops_the_run_and_asks_for_consent_without_burning_retries(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, _ = paid
    world.minox.fault("expired", path="/api/", times=10**6)
    world.minox.refreshes.clear()
    run = await world.run(combi)
    assert run.outcome == CONSENT.code
    assert (await world.combi_row(combi)).status == CombiStatus.attention
    calls = world.minox.calls.total()
    world.clock.advance(86400)
    await world.engine.sweep()
    await world.engine.drain()
    assert world.minox.calls.total() == calls


async def test_a_key_that_was_withdrawn_asks_for_consent(paid: tuple[World, UUID, list[dict[str, Any]]]) -> None:
    world, combi, _ = paid
    world.simplicate.books["keys"].clear()
    assert (await world.run(combi)).outcome == CONSENT.code


async def test_a_right_that_is_missing_is_a_setting_to_correct(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, records = paid
    for grant in world.minox.tokens.values():
        grant.data["scopes"] = ["administration:read", "ledger_account:read", "journal:read"]
    run = await world.run(combi)
    assert run.outcome == SETTING.code
    assert run.reason is not None
    assert (await world.combi_row(combi)).status == CombiStatus.attention

    for grant in world.minox.tokens.values():
        grant.data["scopes"] = []
    await world.rows_changed("UPDATE combi SET status = 'active'")
    await settled(world, combi)
    await right(world, records)


# Limits and networks


async def test_a_storm_of_429_suspends_the_run_and_it_goes_on_by_itself(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, records = paid
    world.minox.fault("busy", times=8, after=4, seconds=30)
    world.simplicate.fault("busy", times=5, seconds=0)
    await settled(world, combi)
    await right(world, records)


async def test_a_limit_for_the_day_ends_the_run_until_the_package_allows_again(
    paid: tuple[World, UUID, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, combi, records = paid
    from starlette.responses import Response

    answer = Response("[]", 429, {"retry-after": "7200"}, media_type="application/json")
    monkeypatch.setattr(world.minox, "busy_answer", lambda _: answer)
    world.minox.fault("busy", path="/ledger_account")
    run = await world.run(combi)
    assert run.outcome == AT_LIMIT.code
    row = await world.combi_row(combi)
    assert row.status == CombiStatus.active
    assert row.not_before == world.clock.now() + timedelta(hours=2)
    world.clock.advance(7200)
    await world.rested()
    await settled(world, combi)
    await right(world, records)


async def test_a_package_that_is_down_ends_in_back_off_and_is_tried_again(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, records = paid
    world.minox.fault("refused", times=10**6)
    waits = []
    for _ in range(3):
        run = await world.run(combi)
        assert run.outcome == DOWN.code
        row = await world.combi_row(combi)
        assert row.not_before is not None
        waits.append(row.not_before - world.clock.now())
    assert waits == sorted(set(waits))
    assert (await world.combi_row(combi)).failures == 3
    assert (await world.combi_row(combi)).status == CombiStatus.active

    world.minox.faults.clear()
    await settled(world, combi)
    await right(world, records)
    assert (await world.combi_row(combi)).failures == 0


async def test_a_dead_network_ends_in_a_sentence_that_names_the_host(
    paid: tuple[World, UUID, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, combi, records = paid

    async def dead(_: Any, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    with monkeypatch.context() as patch:
        patch.setattr(BrokenPipes, "handle_async_request", dead)
        run = await world.run(combi)
    assert run.outcome == DOWN.code
    assert run.reason is not None
    assert run.reason["key"] == "package_unreachable"
    assert run.reason["values"]["host"]
    await settled(world, combi)
    await right(world, records)


async def test_a_network_that_dies_between_writes_leaves_no_doubt(
    paid: tuple[World, UUID, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, combi, records = paid
    whole = BrokenPipes.handle_async_request
    puts = 0

    async def dies(self: Any, request: httpx.Request) -> httpx.Response:
        nonlocal puts
        puts += request.method == "PUT"
        if request.method == "PUT" and 1 < puts < 8:
            raise httpx.ConnectError("no route", request=request)
        return await whole(self, request)

    monkeypatch.setattr(BrokenPipes, "handle_async_request", dies)
    await settled(world, combi)
    await right(world, records)


# Answers that say two things


async def test_a_success_that_speaks_of_errors_is_looked_at(paid: tuple[World, UUID, list[dict[str, Any]]]) -> None:
    world, combi, records = paid
    world.simplicate.switches["warn_on_write"] = True
    world.minox.switches["put_answer"] = "warning"
    await settled(world, combi)
    await right(world, records)
    assert "delivery.warning" in await world.log()


async def test_an_administration_that_vanished_stops_the_combi_with_the_field_to_change(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, _ = paid
    world.minox.books["tenants"]["41207"]["administrations"].pop("3")
    run = await world.run(combi)
    assert run.outcome == SETTING.code
    assert run.reason is not None
    assert run.reason["field"] == "administrations"


async def test_our_own_mistake_in_a_write_leaves_the_outcome_to_be_looked_up(
    paid: tuple[World, UUID, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, combi, records = paid
    from connectors.minox import batches

    whole = batches.receipt
    failed: list[bool] = []

    def fails_once(*facts: Any, **named: Any) -> Any:
        if not failed:
            failed.append(True)
            raise ZeroDivisionError
        return whole(*facts, **named)

    monkeypatch.setattr(batches, "receipt", fails_once)
    await settled(world, combi)
    await right(world, records)


async def test_records_of_any_shape_stop_nobody_else(world: World) -> None:
    for at, shape in enumerate(({}, {"id": None}, {"id": "x", "invoice_lines": "none"}, {"invoice_lines": [None, 7]})):
        record = world.simplicate.add_invoice(f"F2026-9{at}00")
        kept = record["id"]
        record.update(shape)
        world.simplicate.books["invoices"][kept] = record
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    assert world.totals()[20260001] == D("1210.00")


async def test_an_idle_day_after_trouble_has_nothing_to_do(paid: tuple[World, UUID, list[dict[str, Any]]]) -> None:
    world, combi, _ = paid
    world.minox.fault("error", times=5, method="PUT")
    await settled(world, combi)
    assert (await world.run(combi)).outcome == NOTHING.code


@pytest.mark.parametrize("kind", ["lost", "error"])
async def test_what_landed_is_found_again_and_not_sent_twice(
    paid: tuple[World, UUID, list[dict[str, Any]]], kind: Any
) -> None:
    world, combi, records = paid
    for where, method, path in WRITES:
        getattr(world, where).fault(kind, method=method, path=path)
    await settled(world, combi)
    await right(world, records)
    calls = world.minox.calls + world.simplicate.calls
    for (_, method, path), times in zip(WRITES, (3, 2, 1), strict=True):
        assert sum(n for call, n in calls.items() if call.startswith(method) and path in call) == times
    assert (await world.log()).count("delivery.found_again") == 3


async def test_what_did_not_land_is_said_to_be_absent_and_sent_again(
    paid: tuple[World, UUID, list[dict[str, Any]]],
) -> None:
    world, combi, records = paid
    for where, method, path in WRITES:
        getattr(world, where).fault("refused", method=method, path=path)
    await settled(world, combi)
    await right(world, records)
    assert (await world.log()).count("delivery.absent") == 3
