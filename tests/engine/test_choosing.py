"""Runs of chosen documents, and journals that wait to be chosen."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from hub.config import Config
from hub.engine import items
from hub.engine.models import ItemStatus
from hub.engine.outcome import WRITTEN
from hub.kit.embedded import Services
from tests.engine.payroll import Payroll, a_payroll

D = Decimal
IGNORED, BOOKED, WAITING = ItemStatus.ignored, ItemStatus.booked, ItemStatus.waiting
OTHER = (("4010", "Vakantiegeld", "80.00", "0"), ("0170", "Netto lonen", "0", "80.00"))


@pytest.fixture
async def payroll(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Payroll]:
    """Two runs and empty books."""
    async with a_payroll(config, services) as made:
        made.runs.add("1")
        made.runs.add("2", *OTHER)
        yield made


async def state(payroll: Payroll) -> list[ItemStatus]:
    """The statuses of run 1 and run 2."""
    return [one.status for one in await payroll.items("journals")]


async def test_only_the_chosen_documents_are_booked(payroll: Payroll) -> None:
    combi = await payroll.combi()
    run = await payroll.run(combi, documents=["512:2"])
    assert run.outcome == WRITTEN.code
    assert await state(payroll) == [WAITING, BOOKED]
    await payroll.run(combi, trigger="schedule")
    assert await state(payroll) == [BOOKED, BOOKED]


async def test_with_selection_by_hand_new_journals_are_listed_and_wait(payroll: Payroll) -> None:
    combi = await payroll.combi(selection="chosen")
    await payroll.run(combi)
    await payroll.run(combi, trigger="schedule")
    assert await state(payroll) == [IGNORED, IGNORED]
    assert payroll.books.entries == {}
    first, second = await payroll.items("journals")
    assert [one["key"] for one in first.findings] == ["not_chosen"]
    assert (first.date, first.amount, first.period) == (first.date, D(1000), "2026-03")

    await payroll.run(combi, documents=["512:1"])
    assert await state(payroll) == [BOOKED, IGNORED]
    await payroll.human(items.retry, second)
    await payroll.run(combi, trigger="schedule")
    assert await state(payroll) == [BOOKED, BOOKED]


async def test_a_chosen_journal_that_needs_an_answer_stays_chosen(payroll: Payroll) -> None:
    payroll.runs.add("1", ("4999", "Onbekend", "5", "0"), ("0170", "Netto", "0", "5"))
    combi = await payroll.combi(selection="chosen")
    await payroll.run(combi, documents=["512:1"])
    assert await state(payroll) == [ItemStatus.finding, IGNORED]
    await payroll.table(combi, "ledger_accounts", **{"4999": "4000"})
    await payroll.run(combi, trigger="schedule")
    assert await state(payroll) == [BOOKED, IGNORED]


async def test_a_chosen_journal_is_followed_when_it_changes(payroll: Payroll) -> None:
    combi = await payroll.combi(selection="chosen")
    await payroll.run(combi, documents=["512:1"])
    payroll.clock.advance(3600)
    payroll.runs.add("1", *OTHER)
    await payroll.run(combi, trigger="schedule")
    assert payroll.books.balance() == {"4010": D(80), "0170": D(-80)}


async def test_what_stands_there_by_an_earlier_combi_was_chosen_once(payroll: Payroll) -> None:
    combi = await payroll.combi()
    await payroll.run(combi)
    await payroll.delete(combi)
    again = await payroll.combi(selection="chosen")
    await payroll.run(again)
    assert [one.status for one in await payroll.items("journals", again)] == [BOOKED, BOOKED]
    assert payroll.books.written == 2


async def test_a_document_that_does_not_exist_is_told(payroll: Payroll) -> None:
    await payroll.run(await payroll.combi(), documents=["512:77"])
    assert await state(payroll) == [WAITING, WAITING]
    assert "run.document_unknown" in await payroll.log()


async def test_back_to_automatic_books_what_was_listed(payroll: Payroll) -> None:
    combi = await payroll.combi(selection="chosen")
    await payroll.run(combi)
    await payroll.settings(combi, selection="automatic")
    await payroll.run(combi, trigger="schedule")
    assert await state(payroll) == [BOOKED, BOOKED]


async def test_what_vanished_cannot_be_chosen(payroll: Payroll) -> None:
    combi = await payroll.combi(selection="chosen")
    await payroll.run(combi)
    del payroll.runs.runs["512:1"]
    await payroll.run(combi)
    (first, _) = await payroll.items("journals")
    with pytest.raises(items.NotAllowed):
        await payroll.human(items.retry, first)
    await payroll.run(combi, documents=["512:1"])
    assert payroll.books.entries == {}
