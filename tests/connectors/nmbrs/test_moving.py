"""A connection moves from SOAP to REST, or a new one is made beside it: nothing is booked again."""

from connectors.nmbrs.sandbox import OWNER
from tests.connectors.nmbrs.stage import Office

BOOKED = {"2026-01 run 1", "2026-02 run 2", "2026-03 run 3", "2026-01/03 run 4"}


async def booked(office: Office) -> set[str]:
    return {number for number, status in (await office.statuses()).items() if status == "booked"}


async def test_the_locked_runs_of_a_company_are_booked_once(office: Office) -> None:
    made = await office.by_soap()
    combi = await office.combi_of(made["id"])

    await office.run(combi)

    assert await booked(office) == BOOKED
    assert (await office.statuses())["2026-04 run 5"] == "ignored"
    assert office.entries() == len(BOOKED)
    assert sum(office.books().values()) == 0
    before = office.books()
    await office.run(combi)
    assert (office.entries(), office.books()) == (len(BOOKED), before)


async def test_a_connection_that_moves_to_rest_books_nothing_again(office: Office) -> None:
    made = await office.by_soap()
    combi = await office.combi_of(made["id"])
    await office.run(combi)
    before, entries = office.books(), office.entries()

    asked = await office.call("POST", f"/connections/{made['id']}/reauthorize", {"auth": "oauth"})
    still = await office.call("GET", f"/connections/{made['id']}")
    assert (still["auth"], still["status"]) == ("key", "active"), "the old way works until the new one does"
    await office.consent(asked["authorization_url"])
    moved = await office.call("GET", f"/connections/{made['id']}")
    assert (moved["auth"], moved["status"], moved["identity"]["tenant"]) == ("oauth", "active", "vandermeulen")

    office.nmbrs.calls.clear()
    await office.run(combi)

    assert not any("/soap/" in call for call in office.nmbrs.calls)
    assert (office.entries(), office.books()) == (entries, before)
    assert await booked(office) == BOOKED
    april = [one for one in office.nmbrs.books["runs"].values() if one["year"] == 2026 and one["first"] == 4]
    office.nmbrs.lock(april[0])
    await office.run(combi)
    assert office.entries() == entries + 1
    assert (await office.call("POST", f"/connections/{made['id']}/check"))["ok"]


async def test_a_connection_moves_back_to_soap(office: Office) -> None:
    made = await office.by_rest()
    combi = await office.combi_of(made["id"])
    await office.run(combi)
    entries = office.entries()
    body = {"auth": "key", "fields": {"email": OWNER, "api_token": "SIM-TOKEN-1"}}

    moved = await office.call("POST", f"/connections/{made['id']}/reauthorize", body)
    await office.run(combi)

    assert (moved["auth"], moved["identity"]["tenant"]) == ("key", made["identity"]["tenant"])
    assert office.entries() == entries
    assert (await office.call("POST", f"/connections/{made['id']}/check"))["ok"]


async def test_a_new_connection_and_combi_beside_it_book_nothing_twice(office: Office) -> None:
    old = await office.by_soap()
    await office.run(await office.combi_of(old["id"]))
    before, entries = office.books(), office.entries()

    new = await office.by_rest()
    combi = await office.combi_of(new["id"])
    await office.run(combi)

    assert new["identity"]["tenant"] == old["identity"]["tenant"]
    assert (office.entries(), office.books()) == (entries, before)
    assert {number for number, status in (await office.statuses(combi)).items() if status == "booked"} >= BOOKED


async def test_a_removed_connection_is_remembered(office: Office) -> None:
    old = await office.by_soap()
    first = await office.combi_of(old["id"])
    await office.run(first)
    entries = office.entries()
    await office.call("DELETE", f"/combis/{first}")
    await office.call("DELETE", f"/connections/{old['id']}")

    new = await office.by_rest()
    await office.run(await office.combi_of(new["id"]))

    assert new["id"] != old["id"]
    assert new["identity"]["tenant"] == "vandermeulen"
    assert office.entries() == entries
