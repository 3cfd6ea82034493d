"""Ten moods of the vendors, and what a customer lives through with each."""

from tests.acceptance.stage import Scene
from tests.acceptance.story import Mood, Story
from tests.acceptance.vendors.house import Fault

MOODS = [
    Mood("empty answers, relative pages, paid items are gone", minox={"post_customer": "empty", "put_batch": "empty"}),
    Mood(
        "searches lag, twenty calls per window, paid items stay listed at zero",
        minox={"lag": 20, "item_lag": 20, "limit": (20, 2), "by": "list", "paid_item": "listed", "paging": "token"},
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
    Mood("bad days for bookings", minox={"page": 3}, settings={"attach_document": True}),
    Mood("bad days for payments", simplicate={"ignores": ("invoice_id",)}),
    Mood(
        "many invoices, no counts, lists that lag",
        simplicate={"empty_post": True, "no_metadata": True},
        minox={"by": "list", "lag": 3, "list_lag": 3, "journal_asked": True},
        invoices=130,
    ),
    Mood(
        "a filter that breaks, a bare word and a batch that shows later, searches that refuse, empty envelopes",
        simplicate={"breaks": ("updated_at",)},
        minox={
            "put_batch": "text",
            "batch_lag": 3,
            "post_customer": "text",
            "by": "refused",
            "paid_item": "empty",
            "item_type": "payable",
        },
        settings={"attach_document": True, "note_success": True},
    ),
]


def live(scene: Scene, number: int) -> Story:
    """A whole story; what goes wrong is an AssertionError with the mood's name."""
    story = Story(scene, MOODS[number], number)
    story.furnish()
    story.install()
    if story.mood.name == "bad days for bookings":
        _bad_days_for_bookings(story)
    items = story.come_to_rest()
    story.check_books()
    assert {one["status"] for one in items} <= {"booked", "ignored"}, [
        one for one in items if one["status"] == "finding"
    ]
    due = story.pay_some()
    if story.mood.name == "bad days for payments":
        story.company.faults = [
            Fault("500_after", "POST", "invoices/payment"),
            Fault("lost", "POST", "invoices/payment"),
            Fault("html", "GET", "invoices/payment"),
        ]
    story.come_to_rest(len(due))
    story.check_payments(due)
    batches, customers = story.tenant.count("PUT", "batch"), story.tenant.count("POST", "customer")
    story.come_to_rest()
    story.check_books()
    story.check_payments(due)
    assert (batches, customers) == (story.tenant.count("PUT", "batch"), story.tenant.count("POST", "customer"))
    return story


def _bad_days_for_bookings(story: Story) -> None:
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
        Fault("500", "GET", "customer", 1),
        Fault("drop", "(GET|PUT)", "", 1, 9),
    ]
    story.company.faults = [
        Fault("html", "GET", "invoices/invoice", 1),
        Fault("429", "GET", "crm/organization", 2),
    ]
