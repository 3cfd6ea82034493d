"""A journal source into every package that takes entries: changed, reversed, closed, lost; to the cent."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from hub.engine import items
from hub.engine.models import ItemStatus
from tests.payroll.conftest import Office

D = Decimal
WAGES = (
    ("4000", "Bruto lonen", "1000.10", "0", "10", "Kantoor"),
    ("4010", "Sociale lasten", "0", "-80.05"),
    ("1740", "Netto lonen", "0", "1080.15"),
)
RIGHT = {"4000/10": D("1000.10"), "4010": D("80.05"), "1740": D("-1080.15")}
MORE = (("4000", "Bruto lonen", "1200.33", "0", "10", "Kantoor"), ("1740", "Netto lonen", "0", "1200.33"))
CHANGED = {"4000/10": D("1200.33"), "1740": D("-1200.33")}


async def booked(office: Office, **settings: Any) -> Any:
    """A combi with one booked journal, an hour ago."""
    office.runs.add("1", *WAGES)
    combi = await office.link(**settings)
    await office.run(combi)
    assert await office.findings() == []
    office.clock.advance(3600)
    return combi


async def test_a_journal_is_booked_once_and_to_the_cent(office: Office) -> None:
    combi = await booked(office)
    assert (office.balances(), office.entries()) == (RIGHT, 1)
    await office.run(combi)
    assert (office.balances(), office.entries()) == (RIGHT, 1)
    item = await office.only()
    assert (item.status, item.amount) == (ItemStatus.booked, D("1080.15"))


@pytest.mark.parametrize("kind", ["lost", "error", "refused", "html", "busy", "expired"])
async def test_whatever_befalls_the_call_it_stands_once(office: Office, kind: str) -> None:
    office.fault(kind)
    await booked(office)
    assert (office.balances(), office.entries()) == (RIGHT, 1)
    assert (await office.only()).status == ItemStatus.booked


async def test_a_change_ends_in_the_new_entry_alone(office: Office) -> None:
    combi = await booked(office)
    office.runs.add("1", *MORE)
    await office.run(combi)
    assert office.balances() == CHANGED
    assert office.entries() == (3 if office.facts.reverses else 1)
    assert (await office.only()).status == ItemStatus.booked
    office.clock.advance(3600)
    office.runs.add("1", *WAGES)
    await office.run(combi)
    assert office.balances() == RIGHT


@pytest.mark.parametrize("kind", ["lost", "error", "refused"])
@pytest.mark.parametrize("after", [0, 1])
async def test_a_change_whose_answer_is_lost_is_made_once(office: Office, kind: str, after: int) -> None:
    combi = await booked(office)
    office.runs.add("1", *MORE)
    office.fault(kind, after=after)
    await office.run(combi)
    office.clock.advance(3600)
    await office.run(combi)
    assert office.balances() == CHANGED
    assert office.entries() == (3 if office.facts.reverses else 1)
    assert (await office.only()).status == ItemStatus.booked


async def test_a_period_that_the_package_closed_is_told_and_booked_when_it_is_open(office: Office) -> None:
    office.facts.close(office.box, "2026-03-31")
    office.runs.add("1", *WAGES)
    combi = await office.link()
    await office.run(combi)
    assert office.entries() == 0
    [key] = await office.findings()
    assert key in ("minox.entry_refused", "eboekhouden.perhaps_closed", "eaccounting.locked_to")
    office.facts.close(office.box, "")
    await office.human(items.retry, await office.only())
    office.clock.advance(3 * 3600)
    await office.run(combi)
    assert (office.balances(), office.entries()) == (RIGHT, 1)


async def test_what_we_were_told_is_closed_is_left_alone(office: Office) -> None:
    combi = await booked(office)
    await office.settings(combi, closed_until="2026-03-31")
    office.runs.add("1", *MORE)
    await office.run(combi)
    assert (office.balances(), office.entries()) == (RIGHT, 1)
    assert (await office.only()).status in (ItemStatus.finding, ItemStatus.changed)


async def test_everything_unknown_is_told_at_once_and_nothing_is_booked(office: Office) -> None:
    office.runs.add("1", ("4321", "Bonus", "10.00", "0"), ("4000", "Loon", "5.00", "0", "99", "Weg"),
                    ("1740", "Netto", "0", "15.00"))  # fmt: skip
    combi = await office.link()
    await office.run(combi)
    assert office.entries() == 0
    found = await office.findings()
    assert {"accounts_unknown", "cost_centres_unknown"} <= set(found)


async def test_hundreds_of_lines_and_an_older_year(office: Office) -> None:
    many = [("4010", f"Last {one}", "1.01", "0") for one in range(240)]
    office.runs.add("1", *many, ("1740", "Netto", "0", "242.40"), day="2025-12-31", period=12)
    combi = await office.link()
    await office.run(combi)
    assert await office.findings() == []
    assert office.balances() == {"4010": D("242.40"), "1740": D("-242.40")}


async def test_a_new_installation_recognises_what_stands_there(office: Office) -> None:
    await booked(office)
    await office.forget_everything()
    office.clock.advance(3600)
    combi = await office.link()
    await office.run(combi)
    assert (office.balances(), office.entries()) == (RIGHT, 1)
    assert (await office.only()).status == ItemStatus.booked


async def test_entries_of_several_runs_stand_beside_each_other(office: Office) -> None:
    for month in range(1, 13):
        office.runs.add(str(month), *WAGES, day=date(2026, month, 25).isoformat(), period=month)
    combi = await office.link()
    await office.run(combi)
    assert office.entries() == 12
    assert office.balances() == {place: 12 * total for place, total in RIGHT.items()}


async def test_what_hands_changed_is_shown_and_not_overwritten(office: Office) -> None:
    combi = await booked(office)
    office.facts.tamper(office.box)
    standing = office.balances()
    office.runs.add("1", *MORE)
    await office.run(combi)
    assert (office.balances(), office.entries()) == (standing, 1)
    item = await office.only()
    assert item.status in (ItemStatus.changed, ItemStatus.finding)
    assert item.findings


async def test_what_hands_took_out_is_not_booked_again_unasked(office: Office) -> None:
    combi = await booked(office)
    office.facts.remove(office.box)
    office.runs.add("1", *MORE)
    await office.run(combi)
    assert office.entries() == 0
    item = await office.only()
    assert item.status in (ItemStatus.changed, ItemStatus.finding)
    assert item.findings


async def test_an_entry_that_looks_the_same_is_asked_about(office: Office) -> None:
    combi = await booked(office)
    await office.forget_everything()
    _without_our_key(office)
    combi = await office.link()
    await office.run(combi)
    assert (office.balances(), office.entries()) == (RIGHT, 1)
    assert await office.findings() == ["near_miss"]


def _without_our_key(office: Office) -> None:
    """As if the package's own link had booked it."""
    match office.facts.name:
        case "minox":
            [lines] = office.box.batches().values()
            office.facts.remove(office.box)
            office.box.add_batch("41207/3", "own-link", lines)
        case "eboekhouden":
            office.box.mutations()[0]["entryNumber"] = "NMB-20417-2026-03"
        case _:
            office.box.vouchers()[0]["VoucherText"] = "Lonen maart"
