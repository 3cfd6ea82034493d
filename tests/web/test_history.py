"""The history of a payroll combi: what was found, what was booked, and choosing."""

import re

from tests.web.office import Office


async def test_the_history_lists_journals_by_period_and_books_what_is_chosen(office: Office) -> None:
    combi = await office.payroll(selection="chosen", fallback_account="4999")
    path = f"/combis/{combi}/history"
    page = await office.get(path)
    assert "U kiest zelf welke journaalposten geboekt worden." in page
    assert re.findall(r'<th scope="row" class="nowrap">(\S+)</th>', page) == ["2026-03"] * 2 + [
        "2026-02",
        "2026-01",
        "–",
    ]
    assert page.count("Nog te kiezen") == 4
    assert "nog niet vergrendeld" in page
    assert "Journaalposten ophalen" in page
    assert not await office.rows("SELECT 1 FROM delivery")
    item = await office.item("2026-01 run 1")
    content = await office.get(f"/documents/{item.id}/posting")
    assert "Bruto lonen" in content
    assert "Deze grootboekrekeningen bestaan niet" in content
    await _map_all(office, combi, item.id)
    run = (await office.post(path, id=str(item.id))).headers["location"]
    assert run.startswith("/runs/")
    await office.work()
    booked = await office.item("2026-01 run 1")
    assert booked.status == "booked", booked.findings
    assert (await office.item("2026-02 run 2")).status == "ignored"
    page = await office.get(path)
    assert page.count("Nog te kiezen") == 3


async def _map_all(office: Office, combi: object, item: object) -> None:
    """Every account of the journal onto one that stands."""
    content = await office.get(f"/documents/{item}/posting")
    words = sorted(set(re.findall(r'<th scope="row">(\d{4})', content)))
    assert words
    form = {"source": words, "target": ["4999"] * len(words)}
    await office.post(f"/combis/{combi}/mappings/ledger_accounts", **form)
    await office.work()


async def test_another_year_and_nothing_chosen_are_said(office: Office) -> None:
    combi = await office.payroll(selection="chosen")
    assert "Geen journaalposten in 2019" in await office.get(f"/combis/{combi}/history?year=2019")
    done = await office.post(f"/combis/{combi}/history")
    assert "U heeft geen stukken gekozen." in await office.get(done.headers["location"])


async def test_a_combi_without_payroll_has_no_history(office: Office) -> None:
    combi = await office.combi()
    assert "/history" not in await office.get(f"/combis/{combi}")
    await office.get(f"/combis/{combi}/history", 404)
