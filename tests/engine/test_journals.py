"""Payroll journals from source to books: accounts, cost centres, balance, closed periods, adoption."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.config import Config
from hub.engine import items
from hub.engine.models import ItemStatus
from hub.engine.outcome import NOTHING, PARTLY, WRITTEN
from hub.engine.schedule import Schedule
from hub.kit.embedded import Services
from tests.engine.payroll import COMPANY, WAGES, Payroll, a_payroll
from tests.engine.world import connect

D = Decimal


@pytest.fixture
async def payroll(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Payroll]:
    """Empty books and no runs."""
    async with a_payroll(config, services) as made:
        yield made


async def test_a_journal_is_booked_once(payroll: Payroll) -> None:
    payroll.runs.add("1")
    combi = await payroll.combi()

    run = await payroll.run(combi)

    assert run.outcome == WRITTEN.code
    assert payroll.books.balance() == {"4000": D(1000), "0170": D(-1000)}
    item = await payroll.only()
    assert (item.status, item.number, item.amount) == (ItemStatus.booked, "2026-03 run 1", D(1000))
    assert (await payroll.run(combi)).outcome == NOTHING.code
    assert payroll.books.written == 1


async def test_all_unknown_accounts_are_one_finding_in_the_customers_words(payroll: Payroll) -> None:
    payroll.runs.add(
        "1", ("4100", "Sociale lasten", "10", "0"), ("4200", "Pensioen", "5", "0"), ("0170", "", "0", "15")
    )
    combi = await payroll.combi(fallback_account="1999")

    assert (await payroll.run(combi)).outcome == PARTLY.code

    (finding,) = (await payroll.only()).findings
    assert finding["key"] == "accounts_unknown"
    assert finding["values"] == {"accounts": "4100 Sociale lasten; 4200 Pensioen", "administration": "Loon B.V."}
    assert payroll.books.entries == {}

    await payroll.table(combi, "ledger_accounts", **{"4100": "4000", "4200": "4010 Vakantiegeld"})
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(10), "4010": D(5), "0170": D(-15)}


async def test_a_period_that_is_closed_is_said_and_not_touched(payroll: Payroll) -> None:
    payroll.runs.add("1")
    combi = await payroll.combi(closed_until="2026-03-31")
    await payroll.run(combi)
    assert (await payroll.only()).findings[0]["key"] == "period_closed"
    assert payroll.books.entries == {}

    await payroll.settings(combi, journal_date="next_open_period")
    await payroll.run(combi)
    assert [one["date"] for one in payroll.books.entries.values()] == ["2026-04-01"]


async def test_older_journals_are_listed_as_ignored(payroll: Payroll) -> None:
    payroll.runs.add("1", day="2026-02-25", period=2)
    payroll.runs.add("2")
    combi = await payroll.combi(start_date=date(2026, 3, 1))
    await payroll.run(combi)
    assert await payroll.statuses() == {"2026-02 run 1": ItemStatus.ignored, "2026-03 run 2": ItemStatus.booked}


async def test_only_companies_with_an_administration_are_asked_for(payroll: Payroll) -> None:
    combi = await payroll.combi(ignored_companies=["9"], administrations={COMPANY: "1", "9": "1"})
    await payroll.run(combi, trigger="schedule")
    await payroll.run(combi)
    assert [(one.companies, one.thorough) for one in payroll.runs.asked] == [((COMPANY,), False), ((COMPANY,), True)]


async def test_our_own_entry_is_adopted_after_all_was_lost(payroll: Payroll) -> None:
    payroll.runs.add("1")
    await payroll.run(await payroll.combi())
    await payroll.forget_everything()
    await payroll.run(await payroll.combi())
    assert payroll.books.written == 1
    assert (await payroll.only()).target_ref == "M1"


async def test_two_equal_runs_are_two_entries_also_after_all_was_lost(payroll: Payroll) -> None:
    payroll.runs.add("1")
    await payroll.run(await payroll.combi())
    payroll.runs.add("2")
    await payroll.forget_everything()
    combi = await payroll.combi()
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(2000), "0170": D(-2000)}
    assert set((await payroll.statuses()).values()) == {ItemStatus.booked}


async def test_a_look_alike_is_asked_about_and_can_be_said_to_exist(payroll: Payroll) -> None:
    lines = [
        {"account": account, "debit": debit, "credit": credit, "cost_centre": "", "description": ""}
        for account, _, debit, credit in WAGES
    ]
    payroll.books.stand("HAND7", {"number": "LOON 3", "date": "2026-03-25", "lines": lines})
    payroll.runs.add("1")
    combi = await payroll.combi()
    await payroll.run(combi)
    item = await payroll.only()
    assert [one["key"] for one in item.findings] == ["near_miss"]
    assert payroll.books.written == 0

    await payroll.human(items.resolve, item, "exists", "HAND7")
    await payroll.run(combi)
    assert payroll.books.written == 0
    assert (await payroll.only()).status is ItemStatus.booked


async def test_a_look_alike_that_changes_before_a_human_answers_is_still_asked_about(payroll: Payroll) -> None:
    payroll.runs.add("1")
    await payroll.run(await payroll.combi())
    payroll.source = await connect(payroll.hub, payroll.organisation, "payroll", "key", "t9", {})
    again = await payroll.combi()
    await payroll.run(again)
    payroll.runs.add("1", ("4000", "Bruto lonen", "1100", "0"), ("0170", "Netto lonen", "0", "1100"))
    await payroll.run(again)
    assert payroll.books.written == 1
    (asked,) = [one for one in await payroll.items("journals") if one.status is not ItemStatus.booked]
    assert [(one["key"], one["values"]["amount"], one["values"]["expected"]) for one in asked.findings] == [
        ("near_miss", "1000.00", "1100.00")
    ]
    assert all(one["values"]["number"] for one in asked.findings)


async def test_a_look_alike_that_is_another_one_is_booked_when_a_human_says_so(payroll: Payroll) -> None:
    lines = [
        {"account": account, "debit": debit, "credit": credit, "cost_centre": "", "description": ""}
        for account, _, debit, credit in WAGES
    ]
    payroll.books.stand("HAND7", {"number": "LOON 3", "date": "2026-03-25", "lines": lines})
    payroll.runs.add("1")
    combi = await payroll.combi()
    await payroll.run(combi)
    await payroll.human(items.resolve, await payroll.only(), "absent")
    await payroll.run(combi)
    assert payroll.books.written == 1


async def test_what_is_booked_already_asks_nothing_of_a_new_combi(payroll: Payroll) -> None:
    payroll.runs.add("1")
    combi = await payroll.combi()
    await payroll.run(combi)
    await payroll.delete(combi)
    payroll.books.accounts = payroll.books.accounts[:1]
    again = await payroll.combi(closed_until="2026-03-31")
    await payroll.run(again)
    (item,) = await payroll.items("journals", again)
    assert (item.status, item.target_ref, item.findings) == (ItemStatus.booked, "M1", [])
    assert payroll.books.written == 1


async def test_a_cent_out_of_balance_is_refused(payroll: Payroll) -> None:
    payroll.runs.add("1", ("4000", "Bruto lonen", "10.00", "0"), ("0170", "Netto lonen", "0", "9.99"))
    await payroll.run(await payroll.combi())
    (finding,) = (await payroll.only()).findings
    assert (finding["key"], finding["values"]["difference"]) == ("entry_out_of_balance", "0.01")
    assert payroll.books.entries == {}


async def test_what_another_account_of_the_same_package_booked_is_asked_about(payroll: Payroll) -> None:
    """It may be the same customer by another way in, who could not be recognised."""
    payroll.runs.add("1")
    await payroll.run(await payroll.combi())
    payroll.source = await connect(payroll.hub, payroll.organisation, "payroll", "key", "t9", {})

    await payroll.run(await payroll.combi())

    assert payroll.books.written == 1
    found = [one for one in await payroll.items("journals") if one.status is not ItemStatus.booked]
    assert [finding["key"] for one in found for finding in one.findings] == ["near_miss"]


async def test_a_word_about_one_accounts_document_leaves_anothers_booking_alone(payroll: Payroll) -> None:
    """Two environments may call their runs the same."""
    payroll.runs.add("1")
    first = await payroll.combi()
    await payroll.run(first)
    payroll.source = await connect(payroll.hub, payroll.organisation, "payroll", "key", "t9", {})
    second = await payroll.combi()
    await payroll.run(second)
    (asked,) = [one for one in await payroll.items("journals") if one.status is ItemStatus.finding]

    await payroll.human(items.resolve, asked, "absent")
    assert [row["state"] for row in await payroll.rows("SELECT state FROM delivery")] == ["recorded"]
    for combi in (second, first, second):
        await payroll.run(combi)
    assert payroll.books.written == 2
    sources = await payroll.rows("SELECT source, state FROM delivery ORDER BY source")
    assert [(row["source"], row["state"]) for row in sources] == [
        ("payroll:t1", "recorded"),
        ("payroll:t9", "recorded"),
    ]


async def test_a_refused_journal_is_tried_again_by_a_human_or_when_it_changes_only(payroll: Payroll) -> None:
    payroll.runs.add("1")
    combi = await payroll.combi(schedule=Schedule.nightly)
    payroll.books.faults = ["refused", "refused", ""]
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.rejected

    for _ in range(3):
        payroll.clock.advance(timedelta(days=1))
        await payroll.engine.sweep()
        await payroll.engine.drain()
    assert (len(payroll.books.faults), (await payroll.only()).status) == (2, ItemStatus.rejected)

    payroll.runs.add("1", ("4000", "Bruto lonen", "7.00", "0"), ("0170", "Netto lonen", "0", "7.00"))
    payroll.clock.advance(timedelta(days=1))
    await payroll.engine.sweep()
    await payroll.engine.drain()
    assert (len(payroll.books.faults), (await payroll.only()).status) == (1, ItemStatus.rejected)

    await payroll.human(items.retry, await payroll.only())
    payroll.clock.advance(timedelta(days=1))
    await payroll.engine.sweep()
    await payroll.engine.drain()
    assert (await payroll.only()).status is ItemStatus.booked
