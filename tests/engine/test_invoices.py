"""Invoices and credit notes, looked at in Minox's own books: sides, accounts, VAT, days, and what is not booked."""

from datetime import date
from decimal import Decimal

import pytest

from hub.engine.models import ItemStatus
from hub.engine.outcome import NOTHING, PARTLY, WRITTEN
from tests.engine.world import ADMINISTRATION, PROFILE, SECOND_ADMINISTRATION, SECOND_PROFILE, World

D = Decimal


async def test_several_invoices_share_their_customers(world: World) -> None:
    owners = [world.simplicate.add_organization(f"Klant {at} B.V.", email=f"k{at}@klanten.example") for at in range(3)]
    for at in range(9):
        world.simplicate.add_invoice(f"F2026-{at:04d}", organization=owners[at % 3])
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code
    assert world.totals() == {20260000 + at: D("1210.00") for at in range(9)}
    assert len(world.minox.customers_of()) == 3
    assert run.counts["invoices"]["booked"] == 9
    assert run.counts["customers"]["booked"] == 3


async def test_more_than_one_batch_is_booked_whole(world: World) -> None:
    world.simplicate.fill(230, customers=30)
    combi = await world.combi()

    await world.run(combi)

    assert len(world.totals()) == 230
    assert len(world.minox.customers_of()) == 30
    before = world.writes()
    assert (await world.run(combi)).outcome == NOTHING.code
    assert world.writes() == before


async def test_debit_is_the_debtor_and_credit_is_revenue_and_vat(world: World) -> None:
    world.simplicate.add_invoice("F2026-0412")
    combi = await world.combi()

    await world.run(combi)

    assert world.entry(20260412) == {"debtor": D("1210.00"), "8000": D("-1000.00"), "1510": D("-210.00")}


async def test_a_credit_note_swaps_the_sides(world: World) -> None:
    lines = (("Correctie advies", "-2", "100", "hoog", "8000"),)
    world.simplicate.add_invoice("C2026-0413", lines=lines)
    combi = await world.combi()

    await world.run(combi)

    assert world.entry(20260413) == {"debtor": D("-242.00"), "8000": D("200.00"), "1510": D("42.00")}
    (item,) = await world.items()
    assert item.amount == D("-242.00")
    assert all(line["debit"] >= 0 and line["credit"] >= 0 for one in world.minox.batches().values() for line in one)


async def test_mixed_rates_icp_and_reverse_charge_land_on_their_own_accounts(world: World) -> None:
    lines = (
        ("Advies", "10", "100", "hoog", "8000"),
        ("Boeken", "2", "50", "laag", "8010"),
        ("Consultancy EU", "1", "300", "icp", "8100"),
        ("Onderaanneming", "1", "400", "verlegd", "8200"),
    )
    world.simplicate.add_invoice("F2026-0500", lines=lines)
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code, (await world.items())[0].findings
    assert world.entry(20260500) == {
        "debtor": D("2019.00"),
        "8000": D("-1000.00"),
        "1510": D("-210.00"),
        "8010": D("-100.00"),
        "1511": D("-9.00"),
        "8100": D("-300.00"),
        "8200": D("-400.00"),
    }


async def test_gross_entry_books_the_same_total(world: World) -> None:
    world.minox.administration(ADMINISTRATION)["vat_entry"] = "gross"
    world.simplicate.add_invoice("F2026-0412")
    combi = await world.combi(vat_entry="gross")

    await world.run(combi)

    assert world.totals() == {20260412: D("1210.00")}


async def test_rounding_stays_with_the_printed_total(world: World) -> None:
    lines = tuple((f"Regel {at}", "1", "33.33", "hoog", "8000") for at in range(7))
    record = world.simplicate.add_invoice("F2026-0501", lines=lines)
    combi = await world.combi()

    await world.run(combi)

    assert world.totals() == {20260501: D(record["total_including_vat"])}


async def test_a_concept_is_never_booked_and_follows_when_it_is_sent(world: World) -> None:
    record = world.simplicate.add_invoice(status="concept")
    combi = await world.combi()
    run = await world.run(combi)
    assert run.outcome == NOTHING.code
    assert world.totals() == {}

    world.clock.advance(600)
    world.simplicate.change("invoices", record["id"], invoice_number="F2026-0600", status={"name": "label_Sended"})
    await world.run(combi)

    assert world.totals() == {20260600: D("1210.00")}


async def test_what_lies_before_the_start_date_is_not_sent(world: World) -> None:
    world.simplicate.switches["ignored_filters"] = ["date"]
    world.simplicate.add_invoice("F2026-0001", date="2026-01-31")
    world.simplicate.add_invoice("F2026-0002", date="2026-02-01")
    combi = await world.combi(start_date=date(2026, 2, 1))

    await world.run(combi)

    assert world.totals() == {20260002: D("1210.00")}
    old = [one for one in await world.items() if one.number == "F2026-0001"]
    assert [one.status for one in old] == [ItemStatus.ignored]


async def test_a_start_date_that_moves_back_brings_the_older_ones(world: World) -> None:
    world.simplicate.switches["ignored_filters"] = ["date"]
    world.simplicate.add_invoice("F2026-0001", date="2026-01-31")
    world.simplicate.add_invoice("F2026-0002", date="2026-02-01")
    combi = await world.combi(start_date=date(2026, 2, 1))
    await world.run(combi)

    await world.rows_changed("UPDATE combi SET start_date = '2026-01-01' WHERE id = :id", id=combi)
    await world.run(combi)

    assert world.totals() == {20260001: D("1210.00"), 20260002: D("1210.00")}


async def test_an_ignored_company_is_listed_and_can_be_taken_back(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    world.simplicate.add_invoice("F2026-0002", profile=SECOND_PROFILE)
    combi = await world.combi(ignored_companies=[SECOND_PROFILE])
    run = await world.run(combi)
    assert run.outcome == WRITTEN.code
    assert (await world.item("F2026-0002")).status is ItemStatus.ignored
    assert await world.keys_of("F2026-0002") == ["company_ignored"]

    chosen = {PROFILE: ADMINISTRATION, SECOND_PROFILE: SECOND_ADMINISTRATION}
    await world.settings(combi, ignored_companies=[], administrations=chosen)
    await world.run(combi)

    assert world.totals() == {20260001: D("1210.00")}
    assert world.totals(SECOND_ADMINISTRATION) == {20260002: D("1210.00")}


async def test_an_ignored_invoice_is_noted_once_on_the_timeline(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001", reference="niet boeken")
    combi = await world.combi(ignore_marker="NIET BOEKEN")
    await world.run(combi)
    await world.settings(combi, booking_date="today")
    await world.run(combi)

    assert world.totals() == {}
    assert (await world.item("F2026-0001")).status is ItemStatus.ignored
    assert len(world.simplicate.messages_of(record["id"])) == 1


async def test_a_marker_on_a_booked_invoice_leaves_it_as_it_was_booked(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(ignore_marker="NIET BOEKEN")
    await world.run(combi)
    before = await world.item("F2026-0001")
    world.simplicate.change("invoices", record["id"], reference="niet boeken")
    await world.run(combi)
    await world.run(combi)
    after = await world.item("F2026-0001")
    assert (after.status, after.findings, after.raw) == (ItemStatus.booked, [], before.raw)
    assert (after.amount, after.date, after.number) == (before.amount, before.date, before.number)
    world.simplicate.change("invoices", record["id"], reference="")
    await world.run(combi)
    assert (await world.item("F2026-0001")).status is ItemStatus.booked
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_marker_that_is_taken_away_lets_the_invoice_go(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", reference="niet boeken")
    combi = await world.combi(ignore_marker="NIET BOEKEN")
    await world.run(combi)
    await world.settings(combi, ignore_marker="")
    await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}


async def test_both_profiles_go_to_their_own_administration(world: World) -> None:
    owner = world.simplicate.add_organization("Bakkerij De Gouden Aar B.V.")
    world.simplicate.add_invoice("F2026-0001", organization=owner)
    world.simplicate.add_invoice("F2026-0002", organization=owner, profile=SECOND_PROFILE)
    combi = await world.combi(administrations={PROFILE: ADMINISTRATION, SECOND_PROFILE: SECOND_ADMINISTRATION})

    run = await world.run(combi)

    assert run.outcome == WRITTEN.code
    assert world.totals(ADMINISTRATION) == {20260001: D("1210.00")}
    assert world.totals(SECOND_ADMINISTRATION) == {20260002: D("1210.00")}
    assert len(world.minox.customers_of(ADMINISTRATION)) == len(world.minox.customers_of(SECOND_ADMINISTRATION)) == 1


async def test_a_company_without_administration_is_a_finding(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", profile=SECOND_PROFILE)
    combi = await world.combi()
    run = await world.run(combi)
    assert run.outcome == PARTLY.code
    assert await world.keys_of("F2026-0001") == ["company_without_administration"]


# Booking dates


@pytest.mark.parametrize(
    ("mode", "closed", "expected"),
    [
        ("invoice_date", None, "2026-03-09"),
        ("today", None, "2026-03-16"),
        ("next_open_period", None, "2026-03-09"),
        ("next_open_period", "2026-02-28", "2026-03-09"),
        ("next_open_period", "2026-03-31", "2026-04-01"),
        ("today", "2026-03-15", "2026-03-16"),
    ],
)
async def test_the_booking_date_follows_the_setting(world: World, mode: str, closed: str | None, expected: str) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(booking_date=mode, closed_until=closed)
    await world.run(combi)
    (batch,) = world.minox.batches().values()
    assert {line["document_date"] for line in batch} == {expected}


async def test_a_closed_period_is_a_finding_until_it_is_opened(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(closed_until="2026-03-31")
    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["period_closed"]
    assert world.totals() == {}

    await world.settings(combi, closed_until="2026-02-28")
    await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_period_that_minox_closed_is_told_in_its_own_words(world: World) -> None:
    world.minox.administration(ADMINISTRATION)["closed_until"] = "2026-03-31"
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    item = await world.item("F2026-0001")
    assert item.status is ItemStatus.rejected
    assert "afgesloten" in item.findings[0]["values"]["words"]
    evidence = await world.rows("SELECT evidence FROM logentry WHERE item_id = :i AND evidence IS NOT NULL", i=item.id)
    assert "afgesloten" in evidence[0]["evidence"]["response"]

    world.minox.administration(ADMINISTRATION)["closed_until"] = ""
    await world.run(combi)
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_day_outside_every_fiscal_year_is_a_finding(world: World) -> None:
    world.simplicate.add_invoice("F2024-0001", date="2024-12-31")
    combi = await world.combi()
    await world.run(combi)
    assert await world.keys_of("F2024-0001") == ["minox.fiscal_year_missing"]


# Accounts


async def test_the_mapping_table_goes_before_the_leading_code(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    world.minox.administration(ADMINISTRATION)["ledger_accounts"]["8001"] = world.minox.administration(ADMINISTRATION)[
        "ledger_accounts"
    ]["8000"] | {"id": 8001}
    await world.map_accounts(combi, **{"8000 Omzet advies": "8001"})
    await world.run(combi)
    assert world.entry(20260001)["8001"] == D("-1000.00")


async def test_the_default_account_takes_what_has_no_code(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi(default_revenue_account="8000 Omzet advies 21%")
    await world.run(combi)
    assert world.entry(20260001)["8000"] == D("-100.00")


async def test_everything_that_is_wrong_is_found_at_once(world: World) -> None:
    lines = (
        ("Iets", "1", "100", "hoog", "overig"),
        ("Iets anders", "1", "100", "hoog", None),
        ("Verkeerd tarief", "1", "100", "laag", "8000"),
    )
    world.simplicate.add_invoice("F2026-0001", date="2024-05-05", lines=lines)
    combi = await world.combi(journal="WEG")

    await world.run(combi)

    found = await world.keys_of("F2026-0001")
    assert {"no_account", "minox.fiscal_year_missing", "minox.journal_unknown", "minox.account_other_vat"} <= set(found)
    assert found.count("no_account") == 2


async def test_a_wrong_default_account_is_named_as_such(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi(default_revenue_account="8999")
    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["default_account_unknown"]


async def test_one_invoice_with_a_finding_does_not_stop_the_others(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", lines=(("Iets", "1", "100", "hoog", "overig"),))
    world.simplicate.add_invoice("F2026-0002")
    combi = await world.combi()
    run = await world.run(combi)
    assert run.outcome == PARTLY.code
    assert world.totals() == {20260002: D("1210.00")}


async def test_an_account_that_is_created_in_minox_lets_the_invoice_go_on(world: World) -> None:
    group = {"id": "revenuegroup:77", "label": "8050 Omzet hosting"}
    record = world.simplicate.add_invoice("F2026-0001")
    record["invoice_lines"][0]["revenue_group"] = group
    combi = await world.combi()
    await world.run(combi)
    assert await world.keys_of("F2026-0001") == ["account_unknown"]

    books = world.minox.administration(ADMINISTRATION)["ledger_accounts"]
    books["8050"] = books["8000"] | {"id": 8050, "description": "Omzet hosting"}
    world.clock.advance(120)
    await world.run(combi)

    assert world.entry(20260001)["8050"] == D("-1000.00")


async def test_an_account_that_vanished_is_a_finding(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    books = world.minox.administration(ADMINISTRATION)["ledger_accounts"]
    books["8000"]["blocked"] = {"active": True, "reason": "vervallen"}
    world.clock.advance(7200)
    world.simplicate.add_invoice("F2026-0002")
    await world.run(combi)
    assert await world.keys_of("F2026-0002") == ["account_unknown"]
    assert world.totals() == {20260001: D("1210.00")}


async def test_a_change_of_settings_reopens_findings(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi()
    await world.run(combi)
    await world.settings(combi, default_revenue_account="8000")
    await world.run(combi, trigger="schedule")
    assert world.totals() == {20260001: D("121.00")}


async def test_a_table_reopens_findings(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi()
    await world.run(combi)
    await world.map_accounts(combi, **{"Overige opbrengsten": "8000"})
    await world.run(combi, trigger="schedule")
    assert world.totals() == {20260001: D("121.00")}


# Numbers


@pytest.mark.parametrize("together", [True, False])
async def test_two_numbers_that_become_one_are_a_finding(world: World, together: bool) -> None:
    world.simplicate.add_invoice("F2026-0412")
    combi = await world.combi()
    if not together:
        await world.run(combi)
        world.clock.advance(60)
    world.simplicate.add_invoice("C2026-0412", lines=(("Correctie", "-1", "100", "hoog", "8000"),))
    await world.run(combi)

    booked = [one for one in await world.items() if one.status is ItemStatus.booked]
    parked = [one for one in await world.items() if one.status is ItemStatus.finding]
    assert len(booked) == len(parked) == 1
    assert [one["key"] for one in parked[0].findings] == ["number_taken"]
    assert list(world.totals()) == [20260412]


# Manual runs


async def test_a_period_limits_what_is_delivered(world: World) -> None:
    for month in (1, 2, 3):
        world.simplicate.add_invoice(f"F2026-000{month}", date=f"2026-0{month}-10")
    combi = await world.combi()

    run = await world.run(combi, period={"from": "2026-02-01", "to": "2026-02-28"})

    assert list(world.totals()) == [20260002]
    assert run.outcome == WRITTEN.code
    await world.run(combi)
    assert sorted(world.totals()) == [20260001, 20260002, 20260003]


async def test_a_run_over_everything_books_nothing_twice(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    before = world.writes()
    run = await world.run(combi, scope="everything")
    assert run.outcome == NOTHING.code
    assert world.writes() == before


async def test_a_record_that_cannot_be_read_is_told_once_with_all_that_is_wrong(world: World) -> None:
    world.simplicate.add_invoice(
        "F2026-0001", date="31-12-2026", total_including_vat="niets", total_vat=None, total_excluding_vat=None
    )
    world.simplicate.add_invoice("F2026-0002")
    combi = await world.combi()

    run = await world.run(combi)

    assert run.outcome == PARTLY.code
    assert world.totals() == {20260002: D("1210.00")}
    (bad,) = [one for one in await world.items() if one.status is ItemStatus.finding]
    assert len(bad.findings) >= 2
    await world.run(combi, trigger="schedule")
    told = len([key for key in await world.log() if key == "finding.simplicate.date_unreadable"])
    await world.run(combi, trigger="schedule")
    await world.run(combi, trigger="schedule")
    assert len([key for key in await world.log() if key == "finding.simplicate.date_unreadable"]) == told


# Attachments and notes


async def test_the_printed_invoice_is_hung_on_its_booking_once(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(attach_document=True)
    await world.run(combi)
    assert world.minox.administration(ADMINISTRATION)["documents"] == {}

    world.simplicate.add_document(record["id"])
    await world.run(combi)
    await world.run(combi)

    documents = world.minox.administration(ADMINISTRATION)["documents"]
    assert list(documents) == list(world.minox.batches())


async def test_a_form_that_does_not_come_is_asked_for_ever_more_seldom_and_given_up(world: World) -> None:
    record = world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(attach_document=True)
    await world.run(combi, trigger="schedule")

    async def asked(hours: float, runs: int) -> int:
        before = sum(count for call, count in world.simplicate.calls.items() if "document" in call)
        for _ in range(runs):
            world.clock.advance(hours * 3600 / runs)
            await world.run(combi, trigger="schedule")
        return sum(count for call, count in world.simplicate.calls.items() if "document" in call) - before

    every = await asked(1, 2) / 2
    assert every > 0
    await asked(24, 1)
    assert await asked(6, 4) <= every
    await world.run(combi)
    assert await asked(30 * 24, 1) == every
    assert "attachment.missing" in await world.log()
    assert await asked(48, 2) == 0
    world.simplicate.add_document(record["id"])
    assert await asked(48, 2) == 0


async def test_success_and_failure_are_noted_when_asked(world: World) -> None:
    good = world.simplicate.add_invoice("F2026-0001")
    bad = world.simplicate.add_invoice("F2026-0002", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi(note_success=True, note_failure=True)
    await world.run(combi)
    await world.run(combi)
    assert [len(world.simplicate.messages_of(one["id"])) for one in (good, bad)] == [1, 1]


async def test_nothing_is_noted_when_not_asked(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    world.simplicate.add_invoice("F2026-0002", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi(note_success=False, note_failure=False)
    await world.run(combi)
    assert world.simplicate.books["messages"] == {}
