"""Changed and vanished journals: reversed and booked anew, or shown to a human; never taken back by itself."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from hub.config import Config
from hub.engine import items
from hub.engine.models import DeliveryState, ItemStatus
from hub.kit.embedded import Services
from hub.sdk.manifest import OnChange
from tests.engine.payroll import Payroll, a_payroll

D = Decimal
MORE = (("4000", "Bruto lonen", "1200.00", "0"), ("0170", "Netto lonen", "0", "1200.00"))
LESS = (("4000", "Bruto lonen", "900.00", "0"), ("0170", "Netto lonen", "0", "900.00"))


@pytest.fixture
async def payroll(clean: None, database: object, config: Config, services: Services) -> AsyncIterator[Payroll]:
    """Books that are corrected by reversal."""
    async with a_payroll(config, services) as made:
        yield made


async def booked(payroll: Payroll, **settings: Any) -> Any:
    """A combi with one booked journal, an hour ago."""
    payroll.runs.add("1")
    combi = await payroll.combi(**settings)
    await payroll.run(combi)
    payroll.clock.advance(3600)
    return combi


async def keys(payroll: Payroll) -> list[str]:
    """The keys of the one item's findings."""
    return [one["key"] for one in (await payroll.only()).findings]


async def test_a_changed_journal_is_reversed_and_booked_anew(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.add("1", *MORE)

    run = await payroll.run(combi)

    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}
    assert [one["date"] for one in payroll.books.entries.values()] == ["2026-03-25"] * 3
    assert [one["number"] for one in payroll.books.entries.values()][1] == "Tegenboeking Memoriaal M1"
    item = await payroll.only()
    assert (item.status, item.target_ref) == (ItemStatus.booked, "M3")
    assert run.counts["journals"]["reversed"] == 1
    states = {(one.stream, one.version): one.state for one in await payroll.deliveries()} | {
        (one.stream, one.version): one.state for one in await payroll.deliveries("journals")
    }
    assert states == {("journals", 1): DeliveryState.reversed, ("journals", 2): DeliveryState.recorded}
    assert "item.journals.reverse" in await payroll.log()

    payroll.clock.advance(3600)
    payroll.runs.add("1", *LESS)
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(900), "0170": D(-900)}
    await payroll.run(combi)
    assert payroll.books.written == 5


async def test_the_order_of_lines_is_no_change(payroll: Payroll) -> None:
    combi = await booked(payroll)
    record = payroll.runs.runs["512:1"]
    record["lines"] = [[*line[:1], "Andere naam", *line[2:]] for line in reversed(record["lines"])]
    await payroll.run(combi)
    assert payroll.books.written == 1


async def test_a_change_waits_for_a_human_when_asked_to(payroll: Payroll) -> None:
    combi = await booked(payroll, on_change="ask")
    payroll.runs.add("1", *MORE)
    await payroll.run(combi)
    item = await payroll.only()
    assert (item.status, payroll.books.written) == (ItemStatus.changed, 1)

    await payroll.human(items.retry, item)
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}


async def test_a_booking_in_a_closed_period_is_not_reversed(payroll: Payroll) -> None:
    combi = await booked(payroll)
    await payroll.settings(combi, closed_until="2026-03-31", journal_date="next_open_period")
    payroll.runs.add("1", *MORE)
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.changed
    assert await keys(payroll) == ["reversal_in_closed_period"]
    assert payroll.books.written == 1

    await payroll.settings(combi, closed_until=None)
    await payroll.human(items.retry, await payroll.only())
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}


async def test_a_booking_that_hands_changed_is_not_reversed(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.books.entries["M1"]["lines"][0]["account"] = "4010"
    payroll.runs.add("1", *MORE)
    await payroll.run(combi)
    assert await keys(payroll) == ["edited_before_reversal"]
    assert payroll.books.written == 1


async def test_a_booking_that_was_never_read_back_is_known_by_its_total(payroll: Payroll) -> None:
    combi = await booked(payroll)
    await payroll.rows_changed(
        """UPDATE delivery SET receipt = receipt || '{"fingerprint": "", "total": null}', verified = false"""
    )
    lines = payroll.books.entries["M1"]["lines"]
    lines[0]["debit"] = lines[1]["credit"] = "29.26"
    payroll.runs.add("1", *MORE)
    await payroll.run(combi)
    assert await keys(payroll) == ["edited_before_reversal"]
    assert payroll.books.written == 1

    lines[0]["debit"] = lines[1]["credit"] = "1000.00"
    await payroll.human(items.retry, await payroll.only())
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}


@pytest.mark.parametrize("put_back", [True, False])
async def test_who_takes_back_a_vanished_journal_hears_first_that_hands_changed_it(
    payroll: Payroll, put_back: bool
) -> None:
    combi = await booked(payroll)
    line = payroll.books.entries["M1"]["lines"][0]
    line["account"] = "4010"
    payroll.runs.runs.clear()
    await payroll.run(combi)
    assert await keys(payroll) == ["vanished_at_source"]

    await payroll.human(items.retry, await payroll.only())
    await payroll.run(combi)
    assert await keys(payroll) == ["edited_before_reversal"]
    assert payroll.books.written == 1

    line["account"] = "4000" if put_back else "4010"
    await payroll.human(items.retry, await payroll.only())
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.reversed
    assert payroll.books.balance() == ({} if put_back else {"4010": D(1000), "4000": D(-1000)})


async def test_what_somebody_corrected_by_hand_is_not_undone_by_what_we_once_sent(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.books.entries["M1"]["lines"][0]["account"] = "4010"
    payroll.runs.add("1", *MORE)
    await payroll.run(combi)
    payroll.books.entries["M1"]["lines"] = [
        {**line, "account": account, "debit": debit, "credit": credit}
        for line, (account, _, debit, credit) in zip(payroll.books.entries["M1"]["lines"], MORE, strict=True)
    ]
    await payroll.human(items.resolve, await payroll.only(), "exists", "M1")
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.booked

    payroll.clock.advance(3600)
    payroll.runs.add("1", *LESS)
    await payroll.run(combi)
    assert await keys(payroll) == ["cannot_reverse"]
    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}


async def test_a_booking_that_hands_removed_is_not_reversed(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.books.entries.clear()
    payroll.runs.add("1", *MORE)
    await payroll.run(combi)
    assert await keys(payroll) == ["booking_gone"]
    assert payroll.books.written == 1

    await payroll.human(items.resolve, await payroll.only(), "absent")
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}


async def test_what_cannot_be_booked_anew_is_not_reversed(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.add("1", ("4999", "Onbekend", "5", "0"), ("0170", "Netto", "0", "5"))
    await payroll.run(combi)
    assert await keys(payroll) == ["accounts_unknown"]
    assert payroll.books.balance() == {"4000": D(1000), "0170": D(-1000)}


@pytest.mark.parametrize("fault", ["lost", "error", "busy"])
@pytest.mark.parametrize("before", [0, 1])
async def test_a_lost_answer_of_a_reversal_or_of_what_follows_doubles_nothing(
    payroll: Payroll, fault: str, before: int
) -> None:
    combi = await booked(payroll)
    payroll.books.lag_s = 15
    payroll.runs.add("1", *MORE)
    payroll.books.faults = [*[""] * before, fault]
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}
    assert len(payroll.books.entries) == 3


async def test_a_journal_that_changes_back_while_its_reversal_is_in_doubt(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.add("1", *MORE)
    payroll.books.faults = ["lost"]
    run = await payroll.slice_of(combi)
    assert run.finished_at is None
    payroll.runs.add("1")  # as it was booked
    await payroll.rows_changed("UPDATE run SET progress = '{}'")
    await payroll.finish(run.id)
    assert payroll.books.balance() == {"4000": D(1000), "0170": D(-1000)}
    assert (await payroll.only()).status is ItemStatus.booked


async def test_a_vanished_journal_is_told_once_and_stays_booked(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.runs.clear()
    for _ in range(3):
        await payroll.run(combi)
    item = await payroll.only()
    assert item.status is ItemStatus.changed
    assert item.findings[0]["values"] == {"number": "2026-03 run 1", "booked_as": "Memoriaal M1"}
    assert (await payroll.log()).count("finding.vanished_at_source") == 1
    assert payroll.books.balance() == {"4000": D(1000), "0170": D(-1000)}

    await payroll.human(items.skip, item)
    await payroll.run(combi)
    item = await payroll.only()
    assert (item.status, item.findings) == (ItemStatus.booked, [])
    assert (await payroll.log()).count("finding.vanished_at_source") == 1


async def test_what_vanished_is_told_by_the_first_run_that_misses_it(
    payroll: Payroll, monkeypatch: pytest.MonkeyPatch
) -> None:
    combi = await booked(payroll)
    payroll.runs.runs.clear()
    stands = payroll.clock.now

    def goes_on() -> datetime:
        payroll.clock.advance(timedelta(microseconds=1))
        return stands()

    monkeypatch.setattr(payroll.clock, "now", goes_on)
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.changed


async def test_a_vanished_journal_is_reversed_on_a_humans_word(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.runs.clear()
    await payroll.run(combi)
    await payroll.human(items.retry, await payroll.only())
    payroll.books.faults = ["lost"]
    await payroll.run(combi)
    assert payroll.books.balance() == {}
    assert (await payroll.only()).status is ItemStatus.reversed
    assert "item.journals.vanished_reverse" in await payroll.log()

    payroll.runs.add("1")
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(1000), "0170": D(-1000)}
    assert (await payroll.only()).status is ItemStatus.booked


async def test_a_vanished_journal_that_somebody_removed_is_left_at_that(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.runs.clear()
    payroll.books.entries.clear()
    await payroll.run(combi)
    await payroll.human(items.resolve, await payroll.only(), "absent")
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.reversed
    assert payroll.books.entries == {}


async def test_two_misses_are_needed_where_the_source_says_so(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.again_after_s = 1800
    record = payroll.runs.runs.pop("512:1")
    await payroll.run(combi)
    payroll.clock.advance(600)
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.booked

    payroll.runs.runs["512:1"] = record
    await payroll.run(combi)
    del payroll.runs.runs["512:1"]
    payroll.clock.advance(1800)
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.booked  # that was a first miss again

    payroll.clock.advance(1800)
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.changed


async def test_a_listing_that_does_not_say_that_it_is_complete_proves_nothing(payroll: Payroll) -> None:
    combi = await booked(payroll)
    payroll.runs.whole = False
    payroll.runs.runs.clear()
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.booked


async def test_what_vanished_before_it_was_booked_is_ignored_until_it_returns(payroll: Payroll) -> None:
    payroll.runs.add("1", ("4999", "Onbekend", "5", "0"), ("0170", "Netto", "0", "5"))
    combi = await payroll.combi()
    await payroll.run(combi)
    record = payroll.runs.runs.pop("512:1")
    await payroll.run(combi)
    assert (await payroll.only()).status is ItemStatus.ignored
    assert await keys(payroll) == ["gone_at_source"]

    await payroll.table(combi, "ledger_accounts", **{"4999": "4000"})
    await payroll.run(combi)
    assert payroll.books.entries == {}

    payroll.runs.runs["512:1"] = record
    await payroll.run(combi)
    assert payroll.books.balance() == {"4000": D(5), "0170": D(-5)}


async def test_where_bookings_are_updated_the_same_entry_is(
    clean: None, database: object, config: Config, services: Services
) -> None:
    async with a_payroll(config, services, on_change=OnChange.update) as payroll:
        combi = await booked(payroll)
        payroll.runs.add("1", *MORE)
        await payroll.run(combi)
        assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}
        assert list(payroll.books.entries) == ["M1"]
        payroll.runs.runs.clear()
        await payroll.run(combi)
        await payroll.human(items.retry, await payroll.only())
        await payroll.run(combi)
        assert await keys(payroll) == ["vanished_to_correct_by_hand", "cannot_reverse"]
        assert (await payroll.only()).status is ItemStatus.changed


@pytest.mark.parametrize("can_reverse", [True, False])
async def test_where_a_human_is_asked_nothing_happens_before_an_answer(
    clean: None, database: object, config: Config, services: Services, can_reverse: bool
) -> None:
    async with a_payroll(config, services, on_change=OnChange.manual, can_reverse=can_reverse) as payroll:
        combi = await booked(payroll)
        payroll.runs.add("1", *MORE)
        await payroll.run(combi)
        assert (await payroll.only()).status is ItemStatus.changed
        assert payroll.books.balance() == {"4000": D(1000), "0170": D(-1000)}

        await payroll.human(items.retry, await payroll.only())
        await payroll.run(combi)
        if can_reverse:
            assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}
            return
        assert await keys(payroll) == ["change_by_hand"]
        payroll.books.entries.clear()
        await payroll.human(items.resolve, await payroll.only(), "absent")
        await payroll.run(combi)
        assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}


async def test_a_booking_that_somebody_corrected_is_taken_as_it_is(
    clean: None, database: object, config: Config, services: Services
) -> None:
    async with a_payroll(config, services, on_change=OnChange.manual, can_reverse=False) as payroll:
        combi = await booked(payroll)
        payroll.runs.add("1", *MORE)
        await payroll.run(combi)
        await payroll.human(items.resolve, await payroll.only(), "exists", "M1")
        await payroll.delete(combi)
        await payroll.run(await payroll.combi())
        assert [one.status for one in await payroll.items("journals")] == [ItemStatus.booked] * 2
        assert payroll.books.written == 1


@pytest.mark.parametrize("on_change", [OnChange.update, OnChange.reverse])
async def test_a_change_right_after_the_booking_waits_until_a_search_shows_it(
    clean: None, database: object, config: Config, services: Services, on_change: OnChange
) -> None:
    async with a_payroll(config, services, on_change=on_change) as payroll:
        payroll.books.lag_s = 15
        payroll.runs.add("1")
        combi = await payroll.combi()
        await payroll.run(combi)
        payroll.runs.add("1", *MORE)
        await payroll.run(combi)
        assert payroll.books.balance() == {"4000": D(1200), "0170": D(-1200)}
        assert (await payroll.only()).status is ItemStatus.booked
