"""Preview, check and choices: everything is shown, nothing is written."""

import copy
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hub.accounting.posting import balances
from hub.engine.outcome import PREVIEWED
from hub.engine.preview import Preview
from tests.engine.world import ADMINISTRATION, PROFILE, SECOND_PROFILE, World

D = Decimal
KEPT = ("masterdata", "logentry", "run", "combi")
"""Tables that asking may touch: a cache, the log, and the run of the preview itself."""


async def tables(world: World) -> dict[str, int]:
    """Rows per table."""
    names = await world.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    found: dict[str, int] = {}
    for row in names:
        name = row["relname"]
        if name not in KEPT and not name.startswith("log_"):
            found[name] = (await world.rows(f"SELECT count(*) AS n FROM {name}"))[0]["n"]
    return found


async def test_a_preview_shows_balanced_postings_and_every_finding_and_writes_nothing(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    world.simplicate.add_invoice("F2026-0002", lines=(("Iets", "1", "100", "hoog", "overig"),))
    world.simplicate.add_invoice("C2026-0003", lines=(("Correctie", "-1", "100", "laag", "8010"),))
    world.simplicate.add_invoice(status="concept")
    combi = await world.combi()
    books = copy.deepcopy((world.minox.books, world.simplicate.books))
    before = await tables(world)

    run = await world.run(combi, mode="preview")

    assert run.outcome == PREVIEWED.code
    shown = Preview.model_validate(run.result, strict=False)
    by_number = {one.number: one for one in shown.documents}
    assert {number: one.action for number, one in by_number.items()} == {
        "F2026-0001": "create",
        "F2026-0002": "attention",
        "C2026-0003": "create",
        "": "ignore",
    }
    assert all(balances(one.posting) for one in shown.documents)
    first = {line.account: line.debit - line.credit for line in by_number["F2026-0001"].posting}
    assert first["8000"] == D("-1000.00")
    assert first["1510"] == D("-210.00")
    assert [one.key for one in by_number["F2026-0002"].findings] == ["no_account"]
    assert (world.minox.books, world.simplicate.books) == books
    assert world.writes() == 0
    assert await tables(world) == before


async def test_a_preview_says_what_stands_there_already(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi()
    await world.run(combi)
    shown = await world.engine.preview(world.organisation, combi)
    assert [one.action for one in shown.documents] == ["none"]


async def test_a_check_of_good_settings_finds_nothing(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    combi = await world.combi(ignored_companies=[SECOND_PROFILE])
    assert await world.engine.check(world.organisation, combi) == []


async def test_a_check_names_everything_that_is_wrong_with_the_settings(world: World) -> None:
    combi = await world.combi(default_revenue_account="8999", journal="WEG")
    await world.map_accounts(combi, **{"Overige opbrengsten": "8998"})
    found = {one.key for one in await world.engine.check(world.organisation, combi)}
    expected = {"company_without_administration", "default_account_unknown", "journal_unknown", "account_unknown"}
    assert expected <= found


async def test_what_was_mended_in_the_package_is_seen_when_asked_again_at_once(world: World) -> None:
    combi = await world.combi(ignored_companies=[SECOND_PROFILE], default_revenue_account="8999")
    assert [one.key for one in await world.engine.check(world.organisation, combi)] == ["default_account_unknown"]
    books = world.minox.administration(ADMINISTRATION)["ledger_accounts"]
    books["8999"] = books["8000"] | {"id": 8999, "description": "Overige omzet"}
    world.clock.advance(timedelta(seconds=5))
    assert await world.engine.check(world.organisation, combi) == []


async def test_a_check_names_what_the_documents_would_run_into(world: World) -> None:
    for number, said in (("F2026-0002", "Iets"), ("F2026-0003", "Iets anders")):
        world.simplicate.add_invoice(number, lines=((said, "1", "100", "hoog", "overig"),))
    combi = await world.combi(ignored_companies=[SECOND_PROFILE])
    assert [one.key for one in await world.engine.check(world.organisation, combi)] == ["no_account"]


async def test_a_check_while_a_package_is_away_says_so(world: World) -> None:
    combi = await world.combi()
    world.minox.fault("refused", times=99)
    assert [one.key for one in await world.engine.check(world.organisation, combi)] == ["package_failed"]


async def test_one_company_and_one_administration_belong_together(world: World) -> None:
    world.simplicate.remove("profiles", SECOND_PROFILE)
    world.minox.books["tenants"]["41207"]["administrations"].pop("4")
    combi = await world.combi(administrations={})
    completed = await world.engine.complete(world.organisation, combi)
    assert completed["administrations"] == {PROFILE: ADMINISTRATION}


async def test_suggestions_come_from_the_ledger_s_own_codes(world: World) -> None:
    world.simplicate.add_invoice("F2026-0001")
    world.simplicate.add_invoice("F2026-0002", lines=(("Iets", "1", "100", "hoog", "overig"),))
    combi = await world.combi()
    await world.run(combi)
    found: dict[str, Any] = {
        one.source: (one.target, one.origin)
        for one in await world.engine.suggest(world.organisation, combi, "ledger_accounts")
    }
    assert found == {"8000 Omzet advies": ("8000", "leading_code"), "Overige opbrengsten": ("", "none")}
