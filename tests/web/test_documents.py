"""The log, a document's story and what people decide, also for many at once; attention by cause; mapping tables."""

import csv
import io
import re
from html import unescape
from uuid import UUID

from sqlalchemy import text

from tests.web.office import Office

PARKED = "F2026-0425"
WORD = "Overige opbrengsten"


async def numbers(office: Office, combi: UUID, query: str) -> set[str]:
    """The documents that the log shows for a question."""
    page = await office.get(f"/combis/{combi}/log?{query}")
    return set(re.findall(r'href="/documents/[^"]+">([^<]+)</a>', page))


async def test_the_log_finds_by_outcome_kind_number_customer_and_period(office: Office) -> None:
    combi = await office.combi()
    assert await numbers(office, combi, "status=finding") == {PARKED}
    assert await numbers(office, combi, "status=wanting") == {PARKED}
    assert await numbers(office, combi, "q=0423") == {"F2026-0423"}
    assert await numbers(office, combi, "q=hudson&flow=invoices") == {"F2026-0423"}
    assert await numbers(office, combi, "flow=invoices&from=2026-04-01&to=2026-04-30") == {"F2026-0426"}
    nothing = await office.get(f"/combis/{combi}/log?q=nobody")
    assert "Geen stukken gevonden" in nothing
    wrong = await office.get(f"/combis/{combi}/log?from=yesterday")
    assert "Dit is geen datum." in wrong


async def test_a_character_that_no_text_can_hold_is_refused_as_any_wrong_value(office: Office) -> None:
    combi = await office.combi()
    for place in (f"/combis/{combi}/log?q=%00", f"/combis/{combi}/log.csv?q=a%00b"):
        answer = await office.browser.get(place)
        assert answer.status_code == 422, place
        assert "NUL" not in answer.text


async def test_the_log_as_csv_holds_the_filtered_documents(office: Office) -> None:
    combi = await office.combi()
    answer = await office.browser.get(f"/combis/{combi}/log.csv?flow=invoices&status=booked")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    found = {row["number"]: (row["amount"], row["booked_as"]) for row in rows}
    assert found["F2026-0423"] == ("750.00", "VERK 20260423")
    assert PARKED not in found


async def test_a_booked_document_tells_its_story_with_both_sides_and_its_posting(office: Office) -> None:
    await office.combi()
    item = await office.item("F2026-0423")
    page = await office.get(f"/documents/{item.id}")
    for told in ("Gelezen uit Simplicate.", "geboekt als VERK 20260423", item.source_id, item.target_ref, "18-03-2026"):
        assert told in page, told
    assert "€\N{NO-BREAK SPACE}750,00" in page
    assert 'hx-trigger="load"' in page
    posting = await office.get(f"/documents/{item.id}/posting")
    assert "<h1>" in posting
    assert "8100 Omzet EU" in posting
    assert posting.count("€\N{NO-BREAK SPACE}750,00") == 4
    piece = await office.browser.get(f"/documents/{item.id}/posting", headers={"HX-Request": "true"})
    assert "<h1>" not in piece.text


async def test_a_refused_document_shows_the_packages_words_and_the_exchange_without_secrets(office: Office) -> None:
    combi = await office.combi()
    item = await office.item("F2026-0423")
    await office.rows(
        """UPDATE item SET status = 'rejected', findings = '[{"key": "minox.refused", "values":
        {"words": "Account is <blocked>"}}]' WHERE id = :id RETURNING 1""",
        id=item.id,
    )
    async with office.house.hub.database.system() as session:
        await session.execute(
            text(
                """INSERT INTO logentry (organisation_id, at, combi_id, item_id, level, key, "values", evidence)
                VALUES (:organisation, :at, :combi, :item, 'warning', 'minox.refused', '{}',
                  cast(:evidence AS jsonb))"""
            ),
            {
                "organisation": item.organisation_id,
                "at": office.house.clock.now(),
                "combi": combi,
                "item": item.id,
                "evidence": '{"method": "POST", "path": "/batch", "status": 422, "request": {"a": "<b>"}}',
            },
        )
    answer = await office.browser.get(f"/documents/{item.id}")
    assert "Account is &lt;blocked&gt;" in answer.text
    assert "<blocked>" not in answer.text
    assert "Minox weigert dit. Verhelp wat" in answer.text
    assert "POST /batch" in answer.text
    assert "Wat u kunt doen:" in answer.text


async def test_skip_is_kept_with_its_reason_and_can_be_taken_back(office: Office) -> None:
    await office.combi()
    item = await office.item(PARKED)
    await office.post(f"/documents/{item.id}/skip", reason="Hoort bij 2025")
    assert "Hoort bij 2025" in await office.get(f"/documents/{item.id}")
    assert (await office.item(PARKED)).status == "skipped"
    await office.post(f"/documents/{item.id}/retry")
    await office.work()
    assert (await office.item(PARKED)).status == "finding"


async def test_what_its_status_forbids_is_said_and_changes_nothing(office: Office) -> None:
    await office.combi()
    item = await office.item("F2026-0423")
    answer = await office.post(f"/documents/{item.id}/skip", 409)
    assert "Dit kan niet met dit stuk" in answer.text
    assert (await office.item("F2026-0423")).status == "booked"
    page = await office.get(f"/documents/{item.id}")
    assert "/skip" not in page
    assert "/retry" not in page


async def test_it_is_there_already_books_nothing_and_wants_to_know_where(office: Office) -> None:
    await office.combi()
    item = await office.item(PARKED)
    missing = await office.post(f"/documents/{item.id}/exists", 422, target_ref=" ")
    assert "onder welk nummer" in missing.text
    await office.post(f"/documents/{item.id}/exists", target_ref="VERK 77")
    kept = await office.item(PARKED)
    assert (kept.status, kept.target_ref) == ("booked", "VERK 77")
    await office.work()
    assert (await office.item(PARKED)).target_ref == "VERK 77"


async def test_decisions_about_many_are_asked_once_more(office: Office) -> None:
    combi = await office.combi()
    ids = [str((await office.item(number)).id) for number in (PARKED, "F2026-0423")]
    nothing = await office.post(f"/combis/{combi}/documents", action="skip", back=f"/combis/{combi}/log")
    assert nothing.headers["location"].endswith("done=none_chosen")
    asked = await office.post(f"/combis/{combi}/documents", 200, action="skip", id=ids, back=f"/combis/{combi}/log")
    assert "2 stukken overslaan?" in asked.text
    assert (await office.item(PARKED)).status == "finding"
    sure = {
        "action": "skip",
        "id": ids,
        "sure": "yes",
        "reason": "dubbel",
        "back": f"/combis/{combi}/log?status=finding",
    }
    done = await office.post(f"/combis/{combi}/documents", **sure)
    assert done.headers["location"] == f"/combis/{combi}/log?status=finding&done=many_skip&count=1"
    assert "1 stukken zijn overgeslagen." in await office.get(done.headers["location"])
    assert (await office.item(PARKED)).status == "skipped"
    assert (await office.item("F2026-0423")).status == "booked"


async def test_a_form_leads_back_home_only(office: Office) -> None:
    combi = await office.combi()
    item = str((await office.item(PARKED)).id)
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        done = await office.post(f"/combis/{combi}/documents", action="retry", id=item, back=back)
        assert done.headers["location"].startswith("/?done="), back
        mapped = await office.post(
            f"/combis/{combi}/mappings/ledger_accounts/one", source="Iets", target="8000", back=back
        )
        assert mapped.headers["location"].startswith("/?done="), back


async def test_attention_groups_by_cause_and_one_mapping_helps_all(office: Office) -> None:
    combi = await office.combi()
    parked = await office.item(PARKED)
    async with office.house.hub.database.system() as session:
        for number in range(13):
            await session.execute(
                text(
                    """INSERT INTO item SELECT (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid(),
                      'source_id', i.source_id || '-' || :n, 'number', 'COPY-' || :n))).* FROM item i WHERE id = :id"""
                ),
                {"n": str(number), "id": parked.id},
            )
    page = await office.get("/attention")
    assert "14 stukken: geen grootboekrekening bekend" in page
    assert page.count("<article") == 1
    assert "en nog 9;" in page
    assert '<option value="8000' in page
    wrong = await office.post(f"/combis/{combi}/mappings/ledger_accounts/one", 422, source=WORD, target="9999999")
    assert "Deze rekening staat niet in het rekeningschema" in wrong.text
    assert not await office.rows("SELECT 1 FROM mapping")
    form = {"source": WORD, "target": "8000 Omzet", "back": "/attention"}
    done = await office.post(f"/combis/{combi}/mappings/ledger_accounts/one", **form)
    assert done.headers["location"] == "/attention?done=mapped"
    await office.work()
    went_on = await office.rows(
        "SELECT 1 FROM item WHERE status = 'booked' AND starts_with(source_id, :source)", source=parked.source_id
    )
    assert len(went_on) == 1  # of one number one is booked, the copies are held up by it
    stands = [
        one for one in office.boxes["minox"].batches("41207/3").values() if any(PARKED in str(line) for line in one)
    ]  # type: ignore[attr-defined]
    assert len(stands) == 1


async def test_a_cause_is_skipped_as_a_whole_after_being_asked(office: Office) -> None:
    combi = await office.combi()
    causes = re.search(r'name="causes" value="([^"]*)"', (await office.browser.get("/attention")).text)
    assert causes
    form = {"combi": str(combi), "key": "no_account", "status": "finding", "causes": unescape(causes.group(1))}
    asked = await office.post("/attention", 200, action="skip", **form)
    assert PARKED in asked.text
    assert (await office.item(PARKED)).status == "finding"
    other = await office.post("/attention", action="retry", **{**form, "key": "near_miss"})
    assert other.headers["location"].endswith("done=none_allowed")
    retried = await office.post("/attention", action="retry", **form)
    assert retried.headers["location"].endswith("done=many_retry&count=1")


async def test_nothing_left_is_said(office: Office) -> None:
    assert "Niets vraagt uw aandacht" in await office.get("/attention")


async def test_the_mapping_table_keeps_what_is_chosen_and_marks_what_is_not_there(office: Office) -> None:
    combi = await office.combi()
    path = f"/combis/{combi}/mappings/ledger_accounts"
    page = await office.get(f"{path}?source={WORD}")
    assert page.index(f'name="source" value="{WORD}"') < page.index('name="source" value="8000 Omzet advies"')
    assert "nog te kiezen" in page
    await office.post(path, source=[WORD, "8000 Omzet advies", "Leeg"], target=["8010", "9999", ""])
    assert {(row.source, row.target) for row in await office.rows("SELECT source, target FROM mapping")} == {
        (WORD, "8010"),
        ("8000 Omzet advies", "9999"),
    }
    assert "bestaat niet in het rekeningschema" in await office.get(path)
    twice = await office.post(path, 422, source=["A", "A"], target=["8000", "8010"])
    assert "staat er twee keer" in twice.text
    assert len(await office.rows("SELECT 1 FROM mapping")) == 2
    await office.get(f"/combis/{combi}/mappings/nonsense", 404)


async def test_every_mapping_table_opens(office: Office) -> None:
    combi = await office.payroll(selection="chosen")
    for table in ("ledger_accounts", "cost_centres", "vat_classes"):
        assert "Bewaar de tabel" in await office.get(f"/combis/{combi}/mappings/{table}")
    assert 'name="source" value="4000"' in await office.get(f"/combis/{combi}/mappings/ledger_accounts")


async def test_a_document_whose_setting_is_wrong_tells_where_to_put_it_right(office: Office) -> None:
    combi = await office.payroll(fallback_account="4999")
    item = next(one for one in await office.rows("SELECT id, findings FROM item WHERE status = 'finding'"))
    assert item.findings[0]["field"]
    page = await office.get(f"/documents/{item.id}")
    assert f"/combis/{combi}/fix/{item.findings[0]['field']}" in page


async def test_the_menu_counts_what_needs_a_human_and_nothing_of_others(office: Office) -> None:
    await office.combi()
    page = await office.get("/account")
    assert '<span class="count" aria-hidden="true">1</span>' in page
    assert "(1 stukken vragen aandacht)" in page
    await office.post(f"/documents/{(await office.item(PARKED)).id}/skip")
    assert 'class="count"' not in await office.get("/account")
    stranger, _ = await office.somebody()
    assert 'class="count"' not in (await stranger.get("/")).text


async def test_a_booking_that_is_called_by_its_day_is_written_as_days_are(office: Office) -> None:
    await office.combi()
    item = await office.item("F2026-0423")
    async with office.house.hub.database.system() as session:
        await session.execute(
            text("UPDATE delivery SET label = '2026-04-23' WHERE id = :id"),
            {"id": item.delivery_id},
        )
    page = await office.get(f"/documents/{item.id}")
    assert "<dd>23-04-2026</dd>" in page
    assert "<dd>2026-04-23</dd>" not in page


async def test_a_mapping_table_asks_no_package_until_somebody_wants_the_list_anew(office: Office) -> None:
    combi = await office.payroll(selection="chosen")
    minox = office.boxes["minox"]
    minox.calls.clear()
    page = await office.get(f"/combis/{combi}/mappings/cost_centres")
    assert "De lijst van Minox Online is opgehaald:" in page
    assert not minox.calls
    centre = re.findall(r'<option value="([^"]+)">', page)
    assert centre
    known, *_ = centre[0].split()
    path = f"/combis/{combi}/mappings/cost_centres"
    await office.post(path, source=["eigen", "vreemd"], target=[known, "9999-niet"])
    page = await office.get(path)
    marks = dict(re.findall(r'value="(eigen|vreemd)">.*?<span class="light (\w+)">', page, flags=re.DOTALL))
    assert marks == {"eigen": "good", "vreemd": "bad"}
    await office.rows("SELECT 1")
    async with office.house.hub.database.system() as session:
        await session.execute(text("UPDATE masterdata SET fetched_at = fetched_at - interval '2 hours'"))
    answer = await office.post(f"{path}/refresh")
    assert answer.headers["location"].endswith("done=lists_read")
    assert minox.calls


async def test_what_people_decide_stands_in_the_audit_log(office: Office) -> None:
    combi = await office.combi()
    item = await office.item(PARKED)
    await office.post(f"/combis/{combi}/pause")
    await office.post(f"/combis/{combi}/name", name="Facturen advies")
    await office.post(f"/combis/{combi}/activate")
    await office.post(f"/combis/{combi}/mappings/ledger_accounts/one", source=WORD, target="8000")
    await office.post(f"/documents/{item.id}/skip")
    told = await office.get("/account/audit")
    for said in (
        "Koppeling stilgezet",
        "Koppeling hernoemd",
        "Facturen advies",
        "Koppeling aangezet",
        WORD,
        "Overgeslagen",
        PARKED,
    ):
        assert said in told, said
    assert "combi." not in told
    assert "document." not in told
