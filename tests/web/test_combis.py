"""My combis, a combi's page and its runs."""

from datetime import timedelta
from uuid import uuid4

from hub.organisations.models import Role
from tests.web.office import Office


async def test_somebody_without_combis_is_shown_the_way(office: Office) -> None:
    page = await office.get("/")
    assert "U heeft nog geen koppelingen" in page
    assert 'href="/catalogue"' in page


async def test_a_combi_shows_its_sides_its_runs_and_what_waits(office: Office) -> None:
    combi = await office.combi()
    page = await office.get("/")
    assert "Studio Waterlinie B.V." in page
    assert page.count("verbonden") >= 2
    assert "zojuist" in page
    assert "1 stuk vraagt aandacht" in page
    for action in ("/log", "/edit", "/statistics"):
        assert f'href="/combis/{combi}{action}"' in page
    assert f'action="/combis/{combi}/run"' in page
    office.house.clock.advance(timedelta(minutes=3))
    assert "3 minuten geleden" in await office.get("/")


async def test_synchronise_now_leads_to_the_run_and_twice_to_the_same_one(office: Office) -> None:
    combi = await office.combi()
    first = (await office.post(f"/combis/{combi}/run")).headers["location"]
    assert first.startswith("/runs/")
    assert f'sse-connect="{first}/progress"' in await office.get(first)
    again = (await office.post(f"/combis/{combi}/run")).headers["location"]
    assert again == f"{first}?done=already_running"
    assert "Bezig" in await office.get("/")
    await office.work()
    page = await office.get(first)
    assert "sse-connect" not in page
    assert "Klaar, maar sommige stukken vragen aandacht." in page


async def test_progress_comes_as_pieces_of_the_page_and_ends(office: Office) -> None:
    combi = await office.combi()
    run = (await office.post(f"/combis/{combi}/run")).headers["location"]
    await office.work()
    answer = await office.browser.get(f"{run}/progress")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert events == ["piece", "said", "finished"]
    assert "Klaar, met aandachtspunten" in answer.text


async def test_the_lines_of_a_run_come_as_csv_too(office: Office) -> None:
    combi = await office.combi()
    run = (await office.rows("SELECT id FROM run"))[0].id
    for path in (f"/combis/{combi}/lines.csv?run={run}", f"/combis/{combi}/lines.csv"):
        answer = await office.browser.get(path)
        assert answer.headers["content-type"].startswith("text/csv")
        assert "Factuur F2026-0423 geboekt als VERK 20260423." in answer.text
    assert (await office.browser.get(f"/combis/{combi}/lines.csv?run={combi}")).text.count("\n") == 1


async def test_a_run_can_be_stopped(office: Office) -> None:
    combi = await office.combi()
    run = (await office.post(f"/combis/{combi}/run")).headers["location"]
    await office.post(f"{run}/cancel")
    assert (await office.rows("SELECT cancelled FROM run WHERE finished_at IS NULL"))[0].cancelled
    await office.work()
    assert "gestopt" in await office.get(run)


async def test_a_preview_books_nothing_and_shows_debit_and_credit(office: Office) -> None:
    combi = await office.combi()
    booked = len(await office.rows("SELECT 1 FROM delivery"))
    run = (await office.post(f"/combis/{combi}/run", mode="preview")).headers["location"]
    await office.work()
    page = await office.get(run)
    assert "Er is niets geboekt." in page
    assert "F2026-0425" in page
    assert len(await office.rows("SELECT 1 FROM delivery")) == booked


async def test_paused_nothing_runs_until_it_is_switched_on(office: Office) -> None:
    combi = await office.combi()
    await office.post(f"/combis/{combi}/pause")
    assert "Staat stil" in await office.get("/")
    assert (await office.rows("SELECT status, slot FROM combi"))[0] == ("paused", None)
    await office.post(f"/combis/{combi}/activate")
    assert (await office.rows("SELECT status FROM combi"))[0].status == "active"


COMBI_PAGES = (
    "", "/log", "/log.csv", "/lines.csv", "/runs", "/statistics", "/statistics.csv", "/reconciliation",
    "/reconciliation.csv", "/edit", "/edit/accounts", "/mappings/ledger_accounts", "/delete", "/relink/source",
    "/fix/journal", "/history",
)  # fmt: skip


async def test_nobody_sees_a_combi_of_others(office: Office) -> None:
    combi = await office.combi()
    stranger, _ = await office.somebody()
    async with office.house.browser() as nobody:
        for path in COMBI_PAGES:
            for one in (combi, uuid4()):
                answer = await stranger.get(f"/combis/{one}{path}")
                assert answer.status_code == 404, path
                assert "Deze pagina bestaat niet." in answer.text
            left = await nobody.get(f"/combis/{combi}{path}")
            assert left.status_code == 303
            assert left.headers["location"].startswith("/login?next=/combis/")


async def test_nobody_touches_what_belongs_to_others(office: Office) -> None:
    combi = await office.combi()
    item = (await office.item("F2026-0425")).id
    run = (await office.rows("SELECT id FROM run"))[0].id
    stranger, csrf = await office.somebody()
    for path in (f"/documents/{item}", f"/documents/{item}/posting", f"/runs/{run}", f"/runs/{run}/progress"):
        assert (await stranger.get(path)).status_code == 404, path
    before = await office.rows("SELECT status, settings, deleted_at FROM combi")
    for path in ("run", "pause", "activate", "name", "delete", "documents", "mappings/ledger_accounts/one", "history"):
        form = {"csrf": csrf, "id": str(item), "action": "retry", "source": "x", "target": "8000"}
        assert (await stranger.post(f"/combis/{combi}/{path}", data=form)).status_code == 404, path
    for action in ("retry", "skip", "exists", "absent"):
        assert (await stranger.post(f"/documents/{item}/{action}", data={"csrf": csrf})).status_code == 404
    assert (await stranger.post(f"/runs/{run}/cancel", data={"csrf": csrf})).status_code == 404
    assert await office.rows("SELECT status, settings, deleted_at FROM combi") == before
    assert (await office.item("F2026-0425")).status == "finding"


async def test_a_reader_looks_and_changes_nothing(office: Office) -> None:
    combi = await office.combi()
    item = (await office.item("F2026-0425")).id
    reader, csrf = await office.somebody("lezer@partner.nl", Role.reader)
    for path in ("/", f"/combis/{combi}", f"/combis/{combi}/log", f"/documents/{item}", "/attention"):
        page = (await reader.get(path)).text
        assert f'action="/combis/{combi}/run"' not in page, path
        assert 'value="skip"' not in page, path
    for path in (f"/combis/{combi}/run", f"/documents/{item}/retry", f"/combis/{combi}/delete", "/attention"):
        answer = await reader.post(path, data={"csrf": csrf, "combi": str(combi), "action": "retry"})
        assert answer.status_code == 403, path
        assert "U kunt hier meekijken" in answer.text


async def test_a_form_from_elsewhere_does_nothing(office: Office) -> None:
    combi = await office.combi()
    item = (await office.item("F2026-0425")).id
    mine = f"/combis/{combi}"
    paths = (f"{mine}/run", f"{mine}/documents", f"{mine}/delete", f"{mine}/edit/accounts", f"{mine}/relink/source")
    for path in (*paths, f"/documents/{item}/skip", "/attention", f"{mine}/mappings/ledger_accounts"):
        for csrf in ("", "x" * 43):
            answer = await office.browser.post(path, data={"csrf": csrf, "action": "skip"})
            assert answer.status_code == 403, path
    assert (await office.item("F2026-0425")).status == "finding"
    assert (await office.rows("SELECT deleted_at FROM combi"))[0].deleted_at is None


async def test_an_address_that_does_not_exist_is_a_page_and_stays_a_problem_for_programs(office: Office) -> None:
    page = await office.browser.get("/nowhere", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "Deze pagina bestaat niet." in page.text
    assert (await office.browser.get("/v1/nowhere", headers={"Accept": "text/html"})).json()["code"] == "not_found"
    assert (await office.browser.get("/nowhere")).json()["code"] == "not_found"
    assert (await office.browser.get("/combis/no-id")).status_code == 404


async def test_the_pages_speak_english_to_who_chose_it(office: Office) -> None:
    combi = await office.combi()
    await office.rows("""UPDATE "user" SET language = 'en' RETURNING 1""")
    page = await office.get(f"/combis/{combi}")
    assert "Synchronise now" in page
    assert '<html lang="en">' in page
    assert "€ 363.00" in (await office.get(f"/combis/{combi}/log")).replace("\N{NO-BREAK SPACE}", " ")
