"""Nmbrs to Minox, whatever Nmbrs' undocumented habits are: each run once, to the cent, over either API."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.acceptance.payroll_story import Mood, PayrollStory
from tests.acceptance.stage import Scene
from tests.acceptance.vendors.house import Fault
from tests.acceptance.vendors.nmbrs import wages

MOODS = [
    Mood("as documented"),
    Mood("as documented, over REST", way="oauth"),
    Mood(
        "pretty lists, nils, faults of 1.2, journals in CDATA with a namespace",
        nmbrs={
            "pretty": True, "nils": True, "faults": "1.2", "cdata": True, "space": True, "root": "journaal",
            "newest_first": True, "fault_status": 200,
        },
        split=True,
    ),
    Mood(
        "lists that vanish, no subdomain, journals as nodes, the side first, more in the header",
        nmbrs={
            "lists_vanish": True, "no_subdomain": True, "as_nodes": True, "side_first": True, "more": True,
            "dates": "iso", "no_empty": True,
        },
        split=True,
    ),
    Mood("no dates at all, a declaration that lies", nmbrs={"dates": "none", "declares": "utf-16", "shuffled": True}),
    Mood(
        "small pages without totals, texts for numbers, leading zeros, names in capitals, several debtors",
        nmbrs={
            "page": 2, "no_totals": True, "texts": True, "zeros": True, "capitals": True, "several_debtors": True,
            "last": "", "task_inside": True, "dates": "none",
        },
        way="oauth",
    ),
    Mood(
        "tokens of twelve seconds, slow files in utf-16 that are not known at first, nothing said twice",
        nmbrs={
            "life": 12, "life_as_text": True, "no_scope": True, "pending": 5, "late_tasks": True, "omits": True,
            "file_encoding": "utf-16", "file_type": "application/xml", "newest_first": True,
        },
        way="oauth",
        split=True,
    ),
    Mood(
        "bad days of SOAP",
        faults=[
            Fault("html", "POST", "CompanyService", 2, 3),
            Fault("500", "POST", "CompanyService", 2, 6),
            Fault("drop", "POST", "CompanyService", 1, 9),
            Fault("429", "POST", "CompanyService", 1, 12),
        ],
        minox_faults=[Fault("lost", "PUT", "batch", 1, 1), Fault("500_after", "PUT", "batch", 1, 2)],
    ),
    Mood(
        "bad days of REST",
        way="oauth",
        faults=[
            Fault("401", "GET", "/runs", 1, 1),
            Fault("html", "GET", "/documents", 3, 2),
            Fault("500", "GET", "journals", 2, 2),
            Fault("drop", "GET", "/documents", 1, 6),
            Fault("429", "GET", "/api/", 1, 20),
        ],
        minox_faults=[Fault("lost", "PUT", "batch", 1)],
    ),
]  # fmt: skip


def _live(scene: Scene, number: int) -> PayrollStory:
    story = PayrollStory(scene, MOODS[number], number)
    story.furnish()
    story.install()
    story.payroll.faults, story.tenant.faults = list(story.mood.faults), list(story.mood.minox_faults)
    items = story.come_to_rest()
    story.check_books()
    assert {one["status"] for one in items} == {"booked", "ignored"}, items
    written = story.written()
    story.come_to_rest()
    assert story.written() == written
    story.open_run.locked = True
    story.expected.append(story.open_run)
    story.come_to_rest()
    story.check_books()
    for run in (one for one in story.expected if (one.company, one.year) == (story.shop.id, 2026)):
        run.lines = [[(a.replace("4000", "4001"), *more) for a, *more in one] for one in run.lines]  # type: ignore[misc]
    story.come_to_rest()
    story.check_books()
    written = story.written()
    story.move()
    story.come_to_rest()
    assert story.written() == written, f"{story.mood.name}: moving booked something again"
    story.check_books()
    return story


@pytest.fixture(scope="module")
def lives(scene: Scene) -> list[Future[PayrollStory]]:
    """All moods at once: their organisations share one hub and one worker."""
    pool = ThreadPoolExecutor(len(MOODS))
    return [pool.submit(_live, scene, number) for number in range(len(MOODS))]


@pytest.mark.parametrize("number", range(len(MOODS)), ids=[mood.name.replace(" ", "_")[:40] for mood in MOODS])
def test_books_come_right(lives: list[Future[PayrollStory]], number: int) -> None:
    """Each run once, also after a year was made anew and the connection moved to the other API."""
    lives[number].result(timeout=300)


def test_what_is_wrong_with_a_link_is_said_in_words(scene: Scene) -> None:
    """A wrong token, a call that is switched off: two sentences."""
    story = PayrollStory(scene, Mood("links"), 90)
    story.furnish()
    me, world = story.me, story.payroll
    fields = {"email": world.email, "api_token": "0" * 32}
    refused = me.call("POST", "/connections", {"connector": "nmbrs", "fields": fields}, 422)
    assert "API-token" in refused["errors"][0]["message"]
    world.off = {"List_GetAll"}
    fields["api_token"] = world.token
    refused = me.call("POST", "/connections", {"connector": "nmbrs", "fields": fields}, 422)
    assert "List_GetAll" in refused["errors"][0]["message"]
    world.off = set()
    link = story.link("key")
    assert me.call("POST", f"/connections/{link}/check")["ok"]
    world.off = {"List_GetAll"}
    found = me.call("POST", f"/connections/{link}/check")
    assert (found["ok"], found["status"]) == (False, "active")
    assert "List_GetAll" in found["findings"][0]["sentence"]


def test_another_environment_is_not_taken_for_this_one(scene: Scene) -> None:
    """The same company numbers, other names: consent is refused over either way."""
    ours, theirs = PayrollStory(scene, Mood("ours"), 91), PayrollStory(scene, Mood("theirs"), 92)
    ours.furnish()
    for number, name in ((12, "Ander Bedrijf B.V."), (13, "Nog een ander B.V.")):
        theirs.payroll.company(number, name)
    link = ours.link("key")
    asked = ours.me.call("POST", f"/connections/{link}/reauthorize", {"auth": "oauth"})
    page = ours.me.consent(asked["authorization_url"], {"Email": theirs.payroll.email, "Password": "x"})
    assert page.status_code == 409, page.text
    assert ours.me.call("GET", f"/connections/{link}")["auth"] == "key"


@pytest.mark.parametrize(("first", "second"), [("key", "oauth"), ("oauth", "key")])
def test_a_copy_of_an_environment_does_not_take_the_working_link_over(scene: Scene, first: str, second: str) -> None:
    """Companies of the same numbers and names, by the other way in: a link of its own. The same customer is known."""
    number = 93 if first == "key" else 95
    ours, copy = PayrollStory(scene, Mood("ours"), number), PayrollStory(scene, Mood("copy"), number + 1)
    ours.furnish()
    for company in ours.payroll.companies.values():
        made = copy.payroll.company(company.number, company.name)
        copy.payroll.run(made, 2026, 1, 1, wages("1000"), made="2026-01-24T11:59:58")
    link = ours.link(first)
    other = copy.link(second)
    assert other != link
    assert ours.me.call("GET", f"/connections/{link}")["auth"] == first
    same = ours.link(second)
    assert ours.me.call("GET", f"/connections/{link}")["auth"] == second
    kept = [ours.me.call("GET", f"/connections/{one}")["identity"] for one in (link, same, other)]
    assert kept[0]["tenant"] == kept[1]["tenant"] != kept[2]["tenant"]
