"""Whatever the vendors' undocumented habits are, the books come right: each document once, to the cent."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.acceptance.conftest import Scene
from tests.acceptance.story import Mood, Story
from tests.acceptance.vendors.house import Fault

WRITES = "(POST|PUT|PATCH)"
MOODS = [
    Mood("empty answers, relative pages, paid items are gone", minox={"post_customer": "empty", "put_batch": "empty"}),
    Mood(
        "searches lag, twenty calls per window, paid items stay listed at zero",
        minox={"lag": 20, "limit": (20, 2), "by": "list", "paid_item": "listed", "paging": "token"},
    ),
    Mood(
        "objects and collections, absolute pages, status without its label",
        simplicate={"bare_status": True, "numbers": True, "empty_post": True, "user_list": True},
        minox={
            "post_customer": "object",
            "put_batch": "collection",
            "by": "collection",
            "paging": "absolute",
            "paid_item": "zero",
        },
    ),
    Mood(
        "bare lists, nulls, no counts, filters that do nothing",
        simplicate={
            "nulls": True,
            "plain_errors": True,
            "no_metadata": True,
            "ignores": ("updated_at", "invoice_id"),
            "unsorted": True,
            "strings": True,
        },
        minox={"paging": "bare", "post_customer": "array", "by": "null", "put_batch": "text", "rfc_dates": False},
        by_key=True,
    ),
    Mood(
        "tokens of twenty seconds, told as text, one at a time, asked for as JSON",
        simplicate={"one_token": True, "token_more": {"expires_in": "31536000"}, "no_updated_at": True},
        minox={
            "life": 20,
            "life_as_text": True,
            "single_access": True,
            "token_body": "json",
            "post_customer": "id",
            "limit": (20, 2),
        },
    ),
    Mood(
        "gross books, token by form, pages beside",
        simplicate={"zone": "Europe/Amsterdam", "errors_in_200": True, "limit": (20, 3)},
        minox={
            "gross": True,
            "token_body": "form",
            "tenant_as_text": True,
            "paging": "object",
            "post_customer": "text",
            "journal_types": ("S", "M"),
        },
        settings={"vat_entry": "gross", "note_success": True, "attach_document": True},
    ),
    Mood("bad days", minox={"page": 3}, settings={"attach_document": True}),
    Mood("many", simplicate={"empty_post": True}, minox={"by": "list", "lag": 3}, invoices=130),
]


def live(scene: Scene, number: int) -> Story:
    """A whole story; what goes wrong is an AssertionError with the mood's name."""
    story = Story(scene, MOODS[number], number)
    story.furnish()
    story.install()
    if story.mood.name == "bad days":
        _bad_days(story)
    items = story.come_to_rest()
    story.check_books()
    assert {one["status"] for one in items} <= {"booked", "ignored"}, [
        one for one in items if one["status"] == "finding"
    ]
    due = story.pay_some()
    story.come_to_rest(len(due))
    story.check_payments(due)
    batches, customers = story.tenant.count("PUT", "batch"), story.tenant.count("POST", "customer")
    story.come_to_rest()
    story.check_books()
    story.check_payments(due)
    assert (batches, customers) == (story.tenant.count("PUT", "batch"), story.tenant.count("POST", "customer"))
    return story


def _bad_days(story: Story) -> None:
    story.tenant.faults = [
        Fault("lost", "PUT", "batch", 1, 1),
        Fault("500_after", "PUT", "batch", 1, 1),
        Fault("lost", "POST", "customer", 1),
        Fault("500_after", "POST", "customer", 1, 1),
        Fault("lost", "POST", "blob", 1),
        Fault("429", "PUT", "batch", 2, 2),
        Fault("401", "PUT", "batch", 1, 3),
        Fault("html", "PUT", "batch", 1, 3),
        Fault("html", "GET", "receivable", 1),
        Fault("500", "GET", "customer", 2),
        Fault("drop", "(GET|PUT)", "", 1, 9),
    ]
    story.company.faults = [
        Fault("html", "GET", "invoices/invoice", 1),
        Fault("429", "GET", "crm/organization", 2),
        Fault("500_after", "POST", "invoices/payment", 1),
        Fault("lost", "POST", "invoices/payment", 1),
    ]


@pytest.fixture(scope="session")
def stories(scene: Scene) -> list[Future[Story]]:
    """All stories at once: their organisations share one hub and one worker."""
    pool = ThreadPoolExecutor(len(MOODS))
    return [pool.submit(live, scene, number) for number in range(len(MOODS))]


@pytest.mark.parametrize("number", range(len(MOODS)), ids=[mood.name.replace(" ", "_")[:40] for mood in MOODS])
def test_books_come_right(stories: list[Future[Story]], number: int) -> None:
    """Each sent invoice, its customer and its payment: once."""
    stories[number].result(timeout=240)
