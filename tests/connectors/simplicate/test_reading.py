"""Reading misses nothing and repeats little, however the package pages, filters and spells."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from connectors.simplicate import CONNECTOR
from connectors.simplicate.reading import moment
from connectors.simplicate.sandbox import SimplicateSandbox
from connectors.simplicate.settings import SimplicateSettings
from hub.accounting.documents import SalesInvoice
from hub.kit import json
from hub.sdk.connector import Since
from hub.sdk.errors import TransientError
from hub.sdk.http import Http

SETTINGS = SimplicateSettings(list_persons=True)
START = date(2026, 1, 1)
Cursor = Mapping[str, Any]


class Reader:
    """Reads a stream on from where it was, as the engine does: the cursor is stored as JSON with each page."""

    def __init__(self, http: Http, stream: str = "invoices", start: date | None = START) -> None:
        self.http = http
        self.stream = CONNECTOR.sources[stream]
        self.start = start
        self.thorough = False
        self.cursor: Cursor | None = None
        self.calls = 0
        self.largest = 0

    async def read(self, pages: int = 10_000) -> list[str]:
        """The ids read, at most so many pages of them."""
        before, found = self.http.calls, []
        listing = self.stream.read(self.http, Since(self.cursor, self.start, thorough=self.thorough), SETTINGS)
        async for page in listing:
            found += [self.stream.key(record) for record in page.records]
            self.largest = max(self.largest, len(page.records))
            if page.cursor is not None:
                self.cursor = json.loads(json.dumps(dict(page.cursor)))
            pages -= 1
            if pages == 0:
                break
        await listing.aclose()  # type: ignore[attr-defined]
        self.calls = self.http.calls - before
        return found


@pytest.fixture
def reader(http: Http) -> Reader:
    return Reader(http)


def ids(box: SimplicateSandbox, collection: str = "invoices") -> set[str]:
    return set(box.books[collection])


async def test_a_first_read_gives_every_invoice_in_few_calls(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(1000)
    found = await reader.read()
    assert set(found) == ids(box)
    assert len(found) == 1000
    assert reader.calls <= 13


async def test_an_idle_read_is_one_call(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(250)
    await reader.read()
    for _ in range(3):
        await reader.read()
        assert reader.calls == 1


async def test_new_and_changed_invoices_are_read_and_old_ones_are_not(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(250)
    old = sorted(ids(box))[7]
    await reader.read()
    await reader.read()
    new = box.add_invoice()["id"]
    box.change("invoices", old, subject="anders")
    found = await reader.read()
    assert {new, old} <= set(found)
    assert len(found) < 80


async def test_a_concept_that_is_sent_is_read_again(box: SimplicateSandbox, reader: Reader) -> None:
    concept = box.add_invoice(status="concept", updated_at=None, date="2026-03-01")["id"]
    box.fill(20)
    assert concept in await reader.read()
    box.change("invoices", concept, invoice_number="F2026-9999")
    assert concept in await reader.read()


async def test_a_read_that_was_cut_off_goes_on_near_where_it_stopped(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(950)
    found: list[str] = []
    for _ in range(12):
        found += await reader.read(pages=1)
    assert set(found) == ids(box)
    assert len(found) < 1100


async def test_deleted_concepts_do_not_make_others_fall_between_pages(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(450)
    wanted = ids(box)
    found = await reader.read(pages=2)
    for gone in sorted(wanted)[50:130]:
        box.remove("invoices", gone)
    found += await reader.read()
    assert set(found) == wanted


async def test_what_changes_during_a_long_read_is_read_by_the_next(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(450)
    await reader.read(pages=3)
    early, late = sorted(ids(box))[3], sorted(ids(box))[-3]
    now = box.now
    box.change("invoices", early, subject="tijdens het lezen")
    box.now = lambda: now() + 3600
    box.change("invoices", late, subject="een uur later")
    await reader.read()
    assert early in await reader.read()


async def test_invoices_before_the_start_date_are_not_asked_for(box: SimplicateSandbox, reader: Reader) -> None:
    box.add_invoice(date="2025-12-31")
    new = box.add_invoice(date="2026-01-01")["id"]
    assert await reader.read() == [new]


async def test_an_earlier_start_date_begins_anew(box: SimplicateSandbox, reader: Reader) -> None:
    old = box.add_invoice(date="2025-12-31", updated_at="2026-01-01 00:00:00")["id"]
    box.fill(20)
    await reader.read()
    reader.start = date(2025, 1, 1)
    assert old in await reader.read()


@pytest.mark.parametrize("way", ["ignored_filters", "refused_filters", "failing_filters"])
async def test_without_a_filter_on_changes_the_date_is_used(box: SimplicateSandbox, reader: Reader, way: str) -> None:
    box.switches[way] = ["updated_at"]
    box.fill(120)
    assert set(await reader.read()) == ids(box)
    new = box.add_invoice(date="2026-11-01")["id"]
    assert new in await reader.read()
    assert reader.cursor is not None
    assert reader.cursor["by"] == "nothing"


async def test_a_sent_invoice_without_a_moment_of_change_gives_up_that_filter(
    box: SimplicateSandbox, reader: Reader
) -> None:
    box.fill(20)
    box.add_invoice(updated_at=None)
    await reader.read()
    new = box.add_invoice(updated_at=None, date="2026-11-01")["id"]
    assert new in await reader.read()


async def test_everything_is_read_once_in_a_while_when_changes_cannot_be_seen(
    box: SimplicateSandbox, reader: Reader
) -> None:
    box.switches["ignored_filters"] = ["updated_at"]
    old = box.add_invoice(date="2026-01-02", updated_at=None)["id"]
    box.add_invoice(date="2026-11-01")
    await reader.read()
    box.change("invoices", old, subject="anders", updated_at=None)
    assert sum([old in await reader.read() for _ in range(96)]) == 1


async def test_without_a_filter_on_changes_a_human_who_asks_sees_them_at_once(
    box: SimplicateSandbox, reader: Reader
) -> None:
    box.switches["ignored_filters"] = ["updated_at"]
    old = box.add_invoice(date="2026-01-02", updated_at=None)["id"]
    box.add_invoice(date="2026-11-01")
    await reader.read()
    assert old not in await reader.read()
    reader.thorough = True
    assert old in await reader.read()


@pytest.mark.parametrize(("count", "seen"), [(20, True), (150, False)])
async def test_without_a_filter_on_changes_relations_of_one_page_are_read_every_time(
    box: SimplicateSandbox, http: Http, count: int, seen: bool
) -> None:
    box.switches["ignored_filters"] = ["updated_at"]
    made = [box.add_organization(f"Bedrijf {one}")["id"] for one in range(count)]
    reader = Reader(http, "customers", None)
    await reader.read()
    assert (made[7] in await reader.read()) is seen
    reader.thorough = True
    assert made[7] in await reader.read()


async def test_a_package_that_is_down_is_not_taken_for_one_without_the_filter(
    box: SimplicateSandbox, reader: Reader
) -> None:
    box.fill(3)
    box.fault("refused", path="invoices", times=100)
    with pytest.raises(TransientError):
        await reader.read()
    assert reader.cursor is None


VARIANTS: list[dict[str, Any]] = [
    {"limit_cap": 7},
    {"limit_cap": 7, "metadata": False},
    {"metadata": False},
    {"limit_cap": 7, "count": "page"},
    {"ignore_sort": True},
    {"ignored_filters": ["updated_at", "date"]},
    {"numbers": "strings"},
    {"numbers": "numbers"},
    {"status_form": "label"},
    {"status_form": "plain"},
    {"absent": "null"},
    {"absent": "empty"},
    {"iso_8601": "always"},
    {"empty_list_as_null": True},
    {"single_as_list": True},
]


@pytest.mark.parametrize("switches", VARIANTS, ids=str)
async def test_every_plausible_variant_gives_the_same_invoices(
    box: SimplicateSandbox, reader: Reader, switches: dict[str, Any]
) -> None:
    box.seed()
    reader.start = None
    plain = {one: await mapped(reader, one) for one in ids(box)}
    box.switches.update(switches)
    found = await reader.read()
    assert set(found) == ids(box)
    assert {one: await mapped(reader, one) for one in ids(box)} == plain
    assert set(await reader.read()) <= ids(box)


async def mapped(reader: Reader, source_id: str) -> str:
    assert reader.stream.fetch is not None
    raw = await reader.stream.fetch(reader.http, source_id)
    assert raw is not None
    found = reader.stream.map(raw, SETTINGS)
    return found.fingerprint() if isinstance(found, SalesInvoice) else found.reason.key  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "hour"),
    [("09:00:00Z", "09"), ("10:00:00+01:00", "10"), ("09:00:00+00:00", "09"), ("18:00:00+09:00", "10")],
)
def test_a_moment_with_an_offset_is_never_taken_too_late(said: str, hour: str) -> None:
    assert moment(f"2026-11-20T{said}") == f"2026-11-20 {hour}:00:00"


async def test_a_package_that_repeats_a_page_is_not_read_for_ever(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(250)
    box.switches["ignore_offset"] = True
    with pytest.raises(TransientError) as caught:
        await reader.read()
    assert caught.value.key == "simplicate.listing_repeats"


@pytest.mark.parametrize("body", ["html", "malformed"])
async def test_an_answer_that_is_no_answer_moves_no_cursor(box: SimplicateSandbox, reader: Reader, body: str) -> None:
    box.fill(20)
    await reader.read()
    cursor = reader.cursor
    box.fault(body, path="invoices", times=3)  # type: ignore[arg-type]
    with pytest.raises(TransientError):
        await reader.read()
    assert reader.cursor == cursor


async def test_pages_stay_small(box: SimplicateSandbox, reader: Reader) -> None:
    box.fill(950)
    await reader.read()
    assert reader.largest <= 100


async def test_invoices_of_profiles_the_user_may_not_see_are_just_missing(box: SimplicateSandbox, http: Http) -> None:
    box.seed()
    box.books["keys"]["k" * 32]["email"] = "bram@waterlinie.example"
    assert len(await Reader(http).read()) == 10  # eleven with a number and a date, one of them of the other profile


async def test_customers_and_persons_are_read_each_from_their_own_place(box: SimplicateSandbox, http: Http) -> None:
    box.seed()
    reader = Reader(http, "customers")
    found = await reader.read()
    assert sorted(one.split(":")[0] for one in found) == ["organization"] * 4 + ["person"]
    box.change("persons", next(iter(box.books["persons"])), email="nieuw@bakker.example")
    assert len([one for one in await reader.read() if one.startswith("person:")]) == 1
    assert reader.calls == 2


async def test_archived_relations_are_not_listed_but_an_invoice_still_gets_them(
    box: SimplicateSandbox, http: Http
) -> None:
    archived = box.add_organization("Oud B.V.", is_active=False)["id"]
    stream = CONNECTOR.sources["customers"]
    assert archived not in await Reader(http, "customers").read()
    assert stream.fetch is not None
    raw = await stream.fetch(http, archived)
    assert raw is not None
    assert stream.map(raw, SETTINGS).source_id == archived


@pytest.mark.parametrize("status", [404, 400, 422])
async def test_a_relation_that_is_gone_is_none(box: SimplicateSandbox, http: Http, status: int) -> None:
    box.switches["not_found"] = status
    fetch = CONNECTOR.sources["customers"].fetch
    assert fetch is not None
    assert await fetch(http, "organization:bestaatniet") is None
    assert await fetch(http, "person:../../users/user") is None


@pytest.mark.parametrize(
    "switches", [{}, {"refused_filters": ["linked_to.invoice_id"]}, {"ignored_filters": ["linked_to.invoice_id"]},
                 {"linked_to_form": "id_type"}], ids=str,
)  # fmt: skip
async def test_the_pdf_is_the_invoice_s_own(box: SimplicateSandbox, http: Http, switches: dict[str, Any]) -> None:
    box.seed()
    box.switches.update(switches)
    invoice = next(one for one in box.books["invoices"].values() if one.get("invoice_number") == "F2026-0412")
    box.add_document(invoice["id"], title="Urenstaat.pdf", document_type={"label": "label_timesheet"})
    attachment = CONNECTOR.sources["invoices"].attachment
    assert attachment is not None
    if "refused_filters" in switches:
        for document in box.books["documents"].values():
            document["invoice_id"] = document["linked_to"][0]["invoice_id"]
    file = await attachment(http, invoice["id"])
    assert file is not None
    assert (file.name, file.content[:4]) == ("F2026-0412.pdf", b"%PDF")


async def test_an_invoice_without_a_document_has_no_pdf(box: SimplicateSandbox, http: Http) -> None:
    box.seed()
    lonely = box.add_invoice()["id"]
    attachment = CONNECTOR.sources["invoices"].attachment
    assert attachment is not None
    assert await attachment(http, lonely) is None
    box.switches["ignored_filters"] = ["linked_to.invoice_id", "invoice_id", "document_type.label"]
    assert await attachment(http, lonely) is None


async def test_a_moment_that_lies_far_ahead_hides_no_later_change(box: SimplicateSandbox, reader: Reader) -> None:
    box.add_invoice("F2026-0001", organization=box.add_organization(), updated_at="2099-01-01 00:00:00")
    await reader.read()
    later = box.add_invoice("F2026-0002", organization=box.add_organization())
    assert later["id"] in await reader.read()
