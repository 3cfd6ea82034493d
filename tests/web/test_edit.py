"""Changing a combi: answers, accounts, name, and taking it away."""

import re
from html import unescape
from uuid import UUID

import pytest

from connectors.nmbrs import sandbox as nmbrs
from hub.engine import registry
from hub.organisations.models import Role
from tests.connections.house import follow
from tests.web.office import Office


async def settings(office: Office) -> dict[str, object]:
    return dict((await office.rows("SELECT settings FROM combi"))[0].settings)


async def test_the_answers_in_force_are_told_in_words(office: Office) -> None:
    combi = await office.combi()
    page = await office.get(f"/combis/{combi}/edit")
    for told in (
        "Dagboek",
        "VERK",
        "41207/3, 41207/4",
        "Elk kwartier",
        "Debiteuren, Verkoopfacturen en Betalingen",
    ):
        assert told in page, told


async def test_a_change_of_how_is_booked_says_what_it_touches_before_it_is_kept(office: Office) -> None:
    combi = await office.combi()
    path = f"/combis/{combi}/edit/booking"
    before = await settings(office)
    form = {"booking_date": "today", "vat_entry": "net", "customers": "invoiced"}
    asked = await office.post(path, 200, **form)
    assert "al 10 stukken geboekt" in asked.text
    assert "Boekdatum" in asked.text
    assert await settings(office) == before
    await office.post(path, sure="yes", **form)
    assert (await settings(office))["booking_date"] == "today"


async def test_a_change_that_touches_no_booking_is_kept_at_once(office: Office) -> None:
    combi = await office.combi()
    form = {"flows.customers": "yes", "flows.invoices": "yes", "note_success": "yes", "schedule": "hourly"}
    await office.post(f"/combis/{combi}/edit/extras", **form)
    row = (await office.rows("SELECT schedule, settings FROM combi"))[0]
    assert row.schedule == "hourly"
    assert row.settings["note_success"] is True
    assert row.settings["flows"] == ["customers", "invoices"]


async def test_an_answer_that_cannot_be_is_shown_beside_its_question(office: Office) -> None:
    combi = await office.combi()
    before = await settings(office)
    answer = await office.post(f"/combis/{combi}/edit/accounts", 422, journal="VERK", default_revenue_account="424242")
    assert 'aria-invalid="true"' in answer.text
    assert await settings(office) == before


async def test_a_finding_leads_to_where_it_can_be_put_right(office: Office) -> None:
    combi = await office.combi()
    fix = f"/combis/{combi}/fix"
    for field, place in (("journal", "edit/accounts"), ("ledger_accounts", "mappings/ledger_accounts"), ("x", "edit")):
        assert (await office.browser.get(f"{fix}/{field}")).headers["location"] == f"/combis/{combi}/{place}"


async def test_a_name_is_kept_and_taken_away(office: Office) -> None:
    combi = await office.combi()
    await office.post(f"/combis/{combi}/name", name="  Facturen <advies>  ")
    answer = await office.browser.get("/")
    assert "Facturen &lt;advies&gt;" in answer.text
    await office.post(f"/combis/{combi}/name", name="")
    assert "Facturen" not in await office.get("/")


async def test_only_an_owner_deletes_and_what_was_booked_stays(office: Office) -> None:
    combi = await office.combi()
    member, csrf = await office.somebody("lid@partner.nl", Role.member)
    refused = await member.post(f"/combis/{combi}/delete", data={"csrf": csrf})
    assert refused.status_code == 403
    assert "Alleen een eigenaar" in refused.text
    told = await office.get(f"/combis/{combi}/delete")
    for what in ("De 10 geboekte stukken blijven in Minox Online staan.", "niets dubbel geboekt", "stopt meteen"):
        assert what in told, what
    done = await office.post(f"/combis/{combi}/delete")
    assert "verwijderd" in await office.get(done.headers["location"])
    await office.get(f"/combis/{combi}", 404)
    assert len(await office.rows("SELECT 1 FROM delivery WHERE state = 'recorded'")) >= 10
    assert [row.action for row in await office.rows("SELECT action FROM auditentry WHERE action = 'combi.deleted'")]


async def another(office: Office, tenant: str) -> UUID:
    """Another Minox account that is connected already."""
    (row,) = await office.rows(
        """INSERT INTO connection SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),
          'tenant', cast(:tenant AS text), 'identity', jsonb_build_object('name', 'Andere BV', 'tenant', :tenant)))).*
        FROM connection c WHERE connector = 'minox' RETURNING id""",
        tenant=tenant,
    )
    return UUID(str(row.id))


async def test_another_company_is_used_only_after_it_was_called_the_same_administration(office: Office) -> None:
    combi = await office.combi()
    other = await another(office, "99999")
    path = f"/combis/{combi}/relink/target"
    assert "Andere BV" in await office.get(path)
    asked = await office.get(f"{path}?connection_id={other}")
    assert "Is het dezelfde administratie?" in asked
    silent = await office.post(path, 422, connection_id=str(other))
    assert "Is het dezelfde administratie?" in silent.text
    no = await office.post(path, 200, connection_id=str(other), same="no")
    assert "Er is niets veranderd." in no.text
    target = "SELECT target_connection_id AS id FROM combi"
    assert (await office.rows(target))[0].id != other
    await office.post(path, connection_id=str(other), same="yes")
    assert (await office.rows(target))[0].id == other


async def test_a_connection_of_others_or_of_another_package_cannot_be_chosen(office: Office) -> None:
    combi = await office.combi()
    simplicate = (await office.rows("SELECT id FROM connection WHERE connector = 'simplicate'"))[0].id
    stranger, csrf = await office.somebody()
    await office.get(f"/combis/{combi}/relink/target?connection_id={simplicate}", 404)
    await office.get(f"/combis/{combi}/relink/target?connection_id=nonsense", 404)
    refused = await stranger.post(
        f"/combis/{combi}/relink/target", data={"csrf": csrf, "connection_id": str(simplicate)}
    )
    assert refused.status_code == 404


async def test_a_new_account_comes_back_from_the_packages_consent_to_the_question(office: Office) -> None:
    combi = await office.combi()
    path = f"/combis/{combi}/relink/target"
    left = await office.post(f"{path}/connect", 200, auth="oauth")
    assert "U gaat verder naar Minox Online." in left.text
    (row,) = await office.rows("SELECT return_url, status FROM connection WHERE status = 'pending'")
    assert row.return_url == f"http://hub.test{path}"
    wrong = await office.post(f"/combis/{combi}/relink/source/connect", 422, auth="oauth", **{"fields.domain": "<b>"})
    assert 'aria-invalid="true"' in wrong.text
    assert "<b>" not in wrong.text


async def test_salaries_are_offered_to_a_third_connection_and_no_more_when_it_is_taken_away(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fact of a package's manifest: whether its payroll tells the salaries too.
    monkeypatch.setitem(registry.get("nmbrs").manifest.__dict__, "salaries", True)
    combi = await office.payroll(selection="chosen")
    path = f"/combis/{combi}/relink/side"
    assert "Salarissen aanbieden bij Bizcuit: niet gekoppeld" in await office.get(f"/combis/{combi}/edit")
    told = await office.get(path)
    assert "Goedkeuren en betalen doet u daar." in told
    assert "Wat al geboekt is wordt niet aangeboden." in told
    fields = {"fields.company": "Waterlelie Advies B.V.", "fields.iban": "NL63VBLD0417000301"}
    asked = (await office.post(f"{path}/connect", auth="file", **fields)).headers["location"]
    assert "Vanaf nu worden de nettolonen" in await office.get(asked)
    await office.post(path, connection_id=asked.partition("connection_id=")[2])
    (row,) = await office.rows("SELECT side_connection_id, side_since FROM combi")
    assert str(row.side_connection_id) in asked
    assert row.side_since is not None
    assert "Bizcuit" in await office.get("/")
    await office.post(f"{path}/remove")
    assert (await office.rows("SELECT side_connection_id FROM combi"))[0].side_connection_id is None


async def test_a_combi_without_salaries_has_no_third_connection(office: Office) -> None:
    combi = await office.combi()
    await office.get(f"/combis/{combi}/relink/side", 404)
    assert "Bizcuit" not in await office.get(f"/combis/{combi}/edit")


async def test_a_connection_moves_to_another_way_in_from_its_page(office: Office) -> None:
    await office.payroll(selection="chosen")
    (made,) = await office.rows("SELECT id, auth FROM connection WHERE connector = 'nmbrs'")
    assert made.auth == "key"
    path = f"/connections/{made.id}/reauthorize"
    page = await office.get(path)
    assert "Op een andere manier verbinden" in page
    assert 'name="auth" value="oauth"' in page
    token = "fields.api_token"
    wrong = await office.post(path, 422, auth="key", **{"fields.email": "x@y.nl", token: "verkeerd"})
    assert "neemt deze gegevens niet aan" in wrong.text
    assert "does not" not in wrong.text
    assert "verkeerd" not in wrong.text

    left = await office.post(path, 200, auth="oauth")
    found = re.search(r'href="(http[^"]+)"', left.text)
    assert found, left.text
    consent = await follow(office.browser, unescape(found.group(1)))
    back = await office.browser.post(str(consent.url), data={"consent": "yes", "email": nmbrs.OWNER, "password": "x"})
    await follow(office.browser, back.headers["location"])

    (moved,) = await office.rows("SELECT auth, status FROM connection WHERE connector = 'nmbrs'")
    assert (moved.auth, moved.status) == ("oauth", "active")
    assert (await office.browser.post(path, data={"csrf": office.csrf, "auth": "pigeon"})).status_code == 404
