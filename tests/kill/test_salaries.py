"""Salaries: a worker dies at any point between a booked journal and a recorded offer; each is offered once."""

import asyncio
import signal
from decimal import Decimal
from uuid import UUID

import pytest

from connectors.nmbrs.sandbox import PEOPLE
from hub.engine import points
from tests.engine.world import connect
from tests.kill.stage import Stage
from tests.kill.wages import Minox, NmbrsOverRest, Wages, between

PAYER = "NL39RABO0300065264"
"""The account that Nmbrs' payment files pay from."""
DEATHS = (
    *(f"{point}:2" for point in (points.BEFORE_INTENT, points.AFTER_INTENT, points.BEFORE_SEND)),
    *(f"{point}:2" for point in (points.BEFORE_RECORD, points.AFTER_RECORD)),
    *(f"{points.AFTER_SEND}:{passing}" for passing in (4, 5, 6)),
    f"{points.BEFORE_FINISH}:1",
)
"""The run of `dies` books three journals, then offers their salaries: each in one window, each sent singly."""


@pytest.mark.parametrize("death", DEATHS)
async def test_no_salary_is_lost_or_offered_twice_by_a_death(deaths: dict[str, asyncio.Task[None]], death: str) -> None:
    await deaths[death]


async def dies(stage: Stage, death: str) -> None:
    """The salaries of one journal were offered. Then three new ones are booked and theirs offered."""
    payroll = await between(stage, NmbrsOverRest(stage), Minox(stage), await _bizcuit(stage))
    payroll.pay(1, "1000.10")
    await stage.hub.engine.sweep()
    await stage.hub.engine.drain()
    await _assert_offered(payroll)
    for number in (2, 3, 4):
        payroll.pay(number, f"{number}000.30")

    await stage.due(payroll.combi)
    doomed = await stage.worker(HUB_TEST_DIE_AT=death)
    assert await doomed.ended(60) == -signal.SIGKILL, doomed.said()
    await stage.worker()
    await stage.rest(runs=2)

    await _assert_offered(payroll)


async def _bizcuit(stage: Stage) -> UUID:
    """A connection by consent, with the account to pay from linked."""
    box = stage.boxes["bizcuit"]
    box.add_account(PAYER)
    tokens = dict(zip(("access_token", "refresh_token"), box.grant(), strict=True))
    return await connect(stage.hub, stage.organisation, "bizcuit", "oauth", "sanne@waterlelie.example", tokens)


async def _assert_offered(payroll: Wages) -> None:
    """The books are right; each run's net pay is offered once, was sent once, and its people are forgotten."""
    await payroll.assert_books()
    stage, box = payroll.stage, payroll.stage.boxes["bizcuit"]
    owed = sorted(-one["2100"] for one in payroll.payroll.journals())
    offered = box.proposals()
    assert sorted(Decimal(one["controlSum"]) for one in offered) == owed
    assert {one["state"] for one in offered} == {"offered"}
    # It refuses a reference that is there already: how often it was asked shows whether that was needed.
    assert box.calls["POST /sandbox/payment_proposals"] == len(offered), "salaries were sent more than once"
    kept = await stage.rows(
        """SELECT i.status, d.state, i.raw->'orders' AS orders, d.payload FROM item i
        JOIN delivery d ON d.id = i.delivery_id WHERE i.flow = 'salaries'"""
    )
    assert [dict(row) for row in kept] == [
        {"status": "booked", "state": "recorded", "orders": [], "payload": {}} for _ in offered
    ]
    shown = await stage.rows("SELECT to_jsonb(i)::text || to_jsonb(d)::text AS all FROM item i, delivery d")
    assert not [iban for iban, _ in PEOPLE if any(iban in row.all for row in shown)]
