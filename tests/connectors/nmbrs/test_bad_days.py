"""The whole hub on bad days: what it says, what it keeps apart, and that the books are right afterwards."""

from datetime import timedelta

import pytest

from connectors.nmbrs.sandbox import OWNER, TOKEN, payroll
from hub.engine.outcome import SETTING
from tests.connectors.nmbrs.stage import BOOKS, Office

OTHER = "koppeling@anderebakker.example"


async def refusal(office: Office, **fields: str) -> tuple[str, list[str]]:
    """The code of a refused connection and the sentences per field."""
    body = {"connector": "nmbrs", "fields": {"email": OWNER, "api_token": TOKEN, **fields}}
    problem = await office.call("POST", "/connections", body, 422)
    return problem["code"], [one["message"] for one in problem["errors"]]


async def test_a_wrong_token_is_told_from_a_missing_right_and_a_wrong_domain(office: Office) -> None:
    code, (wrong,) = await refusal(office, api_token="SIM-TOKEN-9")
    assert (code, "API-token" in wrong) == ("credentials_refused", True)
    office.nmbrs.books["users"][OWNER]["off"] = ["List_GetAll"]
    _, (off,) = await refusal(office)
    assert "CompanyService.List_GetAll" in off
    office.nmbrs.books["users"][OWNER]["off"] = []
    _, (domain,) = await refusal(office, domain="https://anders.nmbrs.nl/")
    assert "domein" in domain
    made = await office.by_soap(domain="Vandermeulen.nmbrs.nl")
    assert (made["identity"]["tenant"], made["fields"]["domain"]) == ("vandermeulen", "vandermeulen")
    assert "api_token" not in made["fields"]


@pytest.mark.parametrize(
    ("code", "word"),
    [("1001", "API-token"), ("1002", "CompanyService.List_GetAll"), ("1004", "abonnement"), ("2004", "rechten")],
)
async def test_the_test_button_says_what_is_wrong(office: Office, code: str, word: str) -> None:
    made = await office.by_soap()
    assert (await office.call("POST", f"/connections/{made['id']}/check"))["ok"]
    office.nmbrs.switches["soap_faults"] = {"List_GetAll": code}

    checked = await office.call("POST", f"/connections/{made['id']}/check")

    assert not checked["ok"]
    assert word in checked["findings"][0]["sentence"]
    assert checked["status"] == ("needs_reauth" if code == "1001" else "active")


async def test_two_environments_with_the_same_company_numbers_stay_apart(office: Office) -> None:
    office.nmbrs.books["users"][OTHER] = {"token": "T-OTHER-1", "domain": "anderebakker", "off": []}
    debtor = office.nmbrs.add_debtor("De Andere Bakker B.V.", "00012", "anderebakker")
    company = office.nmbrs.add_company("De Andere Bakker B.V.", 1, debtor)
    office.nmbrs.add_run(company, 2026, 1, 0, payroll("2026-01-31", "5000"))
    first = await office.by_soap()
    second = await office.by_soap(email=OTHER, api_token="T-OTHER-1")
    assert first["id"] != second["id"]

    for one in (first, second):
        await office.run(await office.combi_of(one["id"]))

    assert office.entries() == 4 + 1
    rest = await office.by_rest(OTHER)
    assert rest["identity"]["tenant"] == "anderebakker"
    await office.run(await office.combi_of(rest["id"]))
    assert office.entries() == 4 + 1


async def test_another_company_s_consent_is_refused_over_the_other_way_too(office: Office) -> None:
    office.nmbrs.books["users"][OTHER] = {"token": "T-OTHER-1", "domain": "anderebakker", "off": []}
    office.nmbrs.add_company("De Andere Bakker B.V.", 1, office.nmbrs.add_debtor("Ander", "00012", "anderebakker"))
    made = await office.by_soap()
    where = f"/connections/{made['id']}/reauthorize"

    asked = await office.call("POST", where, {"auth": "oauth"})
    page = await office.consent(asked["authorization_url"], OTHER)
    refused = await office.call("POST", where, {"fields": {"email": OTHER, "api_token": "T-OTHER-1"}}, 409)

    assert page.status_code == 409
    assert refused["code"] == "other_company"
    stands = await office.call("GET", f"/connections/{made['id']}")
    assert (stands["auth"], stands["status"], stands["fields"]["email"]) == ("key", "active", OWNER)
    moved = await office.call("POST", where, {"auth": "oauth"})
    await office.consent(moved["authorization_url"])
    again = await office.call("POST", where, {})
    assert (await office.consent(again["authorization_url"], OTHER)).status_code == 409
    assert (await office.call("POST", f"/connections/{made['id']}/check"))["ok"]


async def test_a_moved_connection_gives_consent_anew(office: Office) -> None:
    made = await office.by_soap()
    asked = await office.call("POST", f"/connections/{made['id']}/reauthorize", {"auth": "oauth"})
    await office.consent(asked["authorization_url"])
    again = await office.call("POST", f"/connections/{made['id']}/reauthorize")
    page = await office.consent(again["authorization_url"])

    assert page.status_code == 200
    assert (await office.call("GET", f"/connections/{made['id']}"))["identity"]["tenant"] == "vandermeulen"


async def test_a_way_in_that_does_not_exist_is_refused(office: Office) -> None:
    made = await office.by_soap()
    where = f"/connections/{made['id']}/reauthorize"
    assert (await office.call("POST", where, {"auth": "session"}, 422))["code"] == "invalid"
    assert (await office.call("POST", where, {"fields": {"emial": "x"}}, 422))["code"] == "invalid"


async def test_a_night_of_trouble_books_everything_once(office: Office) -> None:
    made = await office.by_rest()
    combi = await office.combi_of(made["id"])
    box = office.nmbrs
    box.switches |= {"expired_after": box._rest_calls + 6, "tasks_pending": 3}
    box.fault("html", path="/api/documents", after=1)
    box.fault("lost", path="/journals")
    box.fault("busy", path="/api/documents", after=4, seconds=2)
    box.fault("error", path="/runs")

    await office.run(combi)
    await office.run(combi)  # a page instead of a file is asked for again the next time

    assert office.entries() == 4
    assert sum(office.books().values()) == 0


async def test_a_company_whose_rights_went_holds_up_no_other(office: Office) -> None:
    second = "41207/4"
    office.minox.add_administration(4, "Bakkerijdepot B.V.")
    ledger = office.minox.administration(BOOKS)["ledger_accounts"]
    office.minox.administration(second)["ledger_accounts"].update(ledger)
    source = await office.by_soap()
    combi = await office.combi_of(source["id"], administrations={"2": second, "1": BOOKS})
    (depot,) = [one for one in office.nmbrs.books["companies"].values() if one["number"] == 2]
    office.nmbrs.switches["run_faults"] = {depot["id"]: "2004"}
    run = await office.run(combi)
    assert run.outcome == SETTING.code
    assert run.reason["key"] == "nmbrs.no_rights"
    assert office.entries() == 4
    assert office.minox.batches(second) == {}
    office.nmbrs.switches["run_faults"] = {}
    await office.rows_changed("UPDATE combi SET status = 'active', reason = NULL")
    await office.run(combi)
    assert office.entries() == 4
    assert len(office.minox.batches(second)) > 0


async def test_a_regenerated_year_changes_its_entries_and_a_merged_run_is_told(office: Office) -> None:
    combi = await office.combi_of((await office.by_soap())["id"])
    await office.run(combi)
    before = office.books()
    office.clock.advance(timedelta(hours=24))
    mine = [one for one in office.nmbrs.books["runs"].values() if one["year"] == 2026 and one["first"] <= 3]
    office.nmbrs.play("regenerated", mine[0])

    await office.run(combi)

    after = office.books()
    assert "4000" not in after
    assert after["4001"] == before["4000"]
    assert {one: amount for one, amount in after.items() if one != "4001"} == {
        one: amount for one, amount in before.items() if one != "4000"
    }
    office.clock.advance(timedelta(hours=24))
    normal = next(one for one in mine if (one["first"], one["last"]) == (3, 3))
    correction = next(one for one in office.nmbrs.books["runs"].values() if one["type"] == "twk")
    office.nmbrs.play("merged", normal, correction)
    await office.run(combi)
    assert sum(office.books().values()) == 0
    statuses = await office.statuses()
    assert statuses["2026-03 run 3"] == "booked"
    assert statuses["2026-01/03 run 4"] != "booked"


async def test_a_cent_out_of_balance_and_a_line_without_account_are_refused_with_their_words(office: Office) -> None:
    runs = {one["description"]: one for one in office.nmbrs.books["runs"].values() if one["year"] == 2026}
    office.nmbrs.play("imbalance", runs["Correctie jan t/m mrt 2026"])
    mine = [
        one for one in office.nmbrs.books["runs"].values() if (one["year"], one["first"], one["last"]) == (2026, 1, 1)
    ]
    office.nmbrs.play("missing_account", mine[0])
    combi = await office.combi_of((await office.by_soap())["id"])

    await office.run(combi)

    (cent,) = (await office.item("2026-01/03 run 4", "journals")).findings
    assert (cent["key"], cent["values"]["difference"]) == ("entry_out_of_balance", "0.01")
    assert (await office.item("2026-01 run 1", "journals")).status == "finding"
    await office.settings(combi, fallback_account="4990")
    await office.run(combi)
    assert (await office.item("2026-01 run 1", "journals")).status == "booked"
    assert office.books()["4990"] == 4725
    assert office.entries() == 3


async def test_an_unreadable_journal_is_shown_and_booked_once_it_can_be_read(office: Office) -> None:
    combi = await office.combi_of((await office.by_soap())["id"])
    office.nmbrs.switches["mangled"] = "bomb"
    await office.run(combi)
    assert office.entries() == 0
    shown = await office.statuses()
    assert {status for number, status in shown.items() if number != "2026-04 run 5"} == {"finding"}
    assert len(shown) == 5  # Each by its own number, not all of them by none.
    office.nmbrs.switches["mangled"] = ""
    await office.run(combi)
    assert office.entries() == 4


async def test_a_start_in_an_older_year_lands_in_that_year(office: Office) -> None:
    combi = await office.combi_of((await office.by_soap())["id"], start_year=2025, start_period=12)
    await office.run(combi)
    dates = {line["document_date"] for lines in office.minox.batches(BOOKS).values() for line in lines}
    assert "2025-12-30" in dates
    assert not any(day.startswith("2025-11") for day in dates)
