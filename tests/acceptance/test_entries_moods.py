"""Payroll journals into e-Boekhouden.nl and Minox, whatever their undocumented habits are: each once, to the cent."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.acceptance.entries_story import EntriesStory, Mood, live
from tests.acceptance.stage import Scene
from tests.acceptance.vendors.house import Fault

FIRST = 100
MINOX = {"journal_types": ("verkoop", "general"), "cost_types": True}
MOODS = [
    Mood("as documented", "eboekhouden"),
    Mood(
        "no entry may come to nothing, empty answers, filters that do nothing, newest first", "eboekhouden",
        {"zero_refused": True, "post": "empty", "ignores": ("date", "type"), "descending": True, "omits": True},
    ),
    Mood(
        "lines merged, texts for numbers, small pages, nulls", "eboekhouden",
        {"post": "text", "strings": True, "page": 2, "made_status": 200, "nulls": True},
        {"merge_lines": True},
    ),
    Mood(
        "searches that lag, sessions of ten seconds, one at a time", "eboekhouden",
        {"lag": 2, "life": 10, "life_as_text": True, "one_session": True, "post": "plain", "bare": True},
    ),
    Mood(
        "bad days, no words with a refusal", "eboekhouden",
        {"post": "list", "details_in_lists": True, "error_bodies": False, "count": "page", "limit": (40, 2)},
        faults=[
            Fault("lost", "POST", "mutation", 1), Fault("500_after", "POST", "mutation", 1, 1),
            Fault("429", "POST", "mutation", 1), Fault("html", "GET", "mutation", 1),
            Fault("401", "POST", "mutation", 1),
        ],
        later=[Fault("lost", "POST", "mutation", 1), Fault("500_after", "POST", "mutation", 1)],
    ),
    Mood("lines as answer", "minox", MINOX, {"journal": "MEMO"}),
    Mood("the first line as answer", "minox", {**MINOX, "put_batch": "first"}, {"journal": "MEMO"}),
    Mood(
        "empty answers, cost centres are taken anywhere, texts of dates", "minox",
        {**MINOX, "put_batch": "empty", "rfc_dates": False, "centre_elsewhere": True, "paging": "bare"},
    ),
    Mood(
        "bad days, collections, kinds that say nothing", "minox",
        {**MINOX, "put_batch": "collection", "journal_types": ("S", "M"), "paging": "token", "page": 3},
        {"journal": "MEMO"},
        faults=[
            Fault("lost", "PUT", "batch", 1), Fault("500_after", "PUT", "batch", 1, 1), Fault("429", "PUT", "batch", 1),
            Fault("html", "PUT", "batch", 1), Fault("401", "PUT", "batch", 1),
        ],
        later=[Fault("lost", "PUT", "batch", 1), Fault("500_after", "PUT", "batch", 1)],
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def lives(scene: Scene) -> list[Future[EntriesStory]]:
    """All moods at once: their organisations share one hub and one worker."""
    pool = ThreadPoolExecutor(len(MOODS))
    return [pool.submit(live, scene, mood, FIRST + number) for number, mood in enumerate(MOODS)]


@pytest.mark.parametrize("number", range(len(MOODS)), ids=[mood.name.replace(" ", "_")[:40] for mood in MOODS])
def test_books_come_right(lives: list[Future[EntriesStory]], number: int) -> None:
    """Each journal once, a corrected one as it is now."""
    lives[number].result(timeout=300)


@pytest.mark.parametrize("habits", [{}, {"closed_code": "MUT_020", "closed_status": 422}, {"error_bodies": False}])
def test_a_closed_period_says_what_it_probably_is_and_is_booked_when_open(
    scene: Scene, habits: dict[str, object]
) -> None:
    """Nothing is booked, the sentence names the date, and a human's retry books it."""
    story = EntriesStory(scene, Mood("closed", "eboekhouden", habits), FIRST + 50 + len(habits))
    assert story.home is not None
    story.home.closed_until = "2026-01-31"
    story.run(1, "9000.10")
    story.run(2, "9000.20")
    story.install()
    story.me.run(story.combi)
    items = {one["status"]: one for one in story.me.items(story.combi)}
    assert set(items) == {"booked", "rejected"}
    (found,) = story.me.call("GET", f"/items/{items['rejected']['id']}")["findings"]
    assert found["values"]["date"] == "2026-01-28"
    assert "afgesloten" in found["sentence"]
    story.home.closed_until = ""
    story.me.call("POST", f"/items/{items['rejected']['id']}/retry")
    story.all_booked()
    story.check_books()
    assert story.entries() == 2
