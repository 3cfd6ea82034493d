"""Polling without a filter on changes: everything is seen once, nothing is concluded from what is not there."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.minuba import CONNECTOR
from connectors.minuba.invoices import FORMS
from connectors.minuba.sandbox import MinubaSandbox, hours
from hub.accounting.documents import SalesInvoice
from hub.kit.json import dumps
from hub.sdk.connector import Since, Whole
from hub.sdk.errors import ConfigError, Malformed, TransientError
from hub.sdk.http import Http
from tests.connectors.support import FixedCredentials, connected

INVOICES = CONNECTOR.sources["invoices"]


class Reader:
    """A stream with the cursor of the last page that was committed."""

    def __init__(self, http: Http, stream: str = "invoices") -> None:
        self.http = http
        self.stream = CONNECTOR.sources[stream]
        self.cursor: Any = None
        self.raws: dict[str, Any] = {}

    async def read(self, pages: int = 10_000) -> list[str]:
        """The ids of what was given, in so many pages at most."""
        found: list[str] = []
        async for page in self.stream.read(self.http, Since(self.cursor, None), CONNECTOR.settings()):
            for raw in page.records:
                found.append(self.stream.key(raw))
                self.raws[found[-1]] = raw
            self.cursor = json.loads(dumps(page.cursor)) if page.cursor else self.cursor
            pages -= 1
            if not pages:
                break
        return found

    def mapped(self) -> dict[str, SalesInvoice]:
        """What was read as documents, by number; what cannot be read is left out."""
        found = {}
        for raw in self.raws.values():
            try:
                document = self.stream.map(raw, CONNECTOR.settings())
            except Malformed:
                continue
            if isinstance(document, SalesInvoice):
                found[document.number] = document
        return found


@pytest.fixture
def reader(http: Http) -> Reader:
    return Reader(http)


def approved(box: MinubaSandbox) -> set[str]:
    return {key for key, one in box.books["invoices"].items() if one["state"] != "draft"}


async def test_a_first_read_gives_every_approved_and_paid_invoice(box: MinubaSandbox, reader: Reader) -> None:
    box.seed()
    found = await reader.read()
    assert set(found) == approved(box)
    assert len(found) == len(set(found)) == 11
    assert box.calls == {"GET /api/1/Invoice": 2}


async def test_states_that_a_filter_does_not_know_hide_nothing(box: MinubaSandbox, reader: Reader) -> None:
    box.switches["state_filter"] = "upper"
    box.seed()
    assert set(await reader.read()) >= approved(box)
    box.calls.clear()
    late = box.fill(1)
    assert len(await reader.read()) == 1, late
    assert box.calls.total() == 1


async def test_an_idle_read_is_one_call_and_two_when_a_human_asks_or_the_day_turned(
    box: MinubaSandbox, reader: Reader, http: Http
) -> None:
    box.seed()
    await reader.read()
    box.calls.clear()
    assert await reader.read() == []
    assert box.calls.total() == 1
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    for since in (Since(reader.cursor, None, thorough=True), Since(reader.cursor, None, today=tomorrow)):
        box.calls.clear()
        pages = [page async for page in INVOICES.read(http, since, CONNECTOR.settings())]
        assert [one for page in pages for one in page.records] == []
        assert pages[-1].wholes == (Whole("", frozenset(approved(box)), 1800),)
        assert box.calls.total() == 2


@pytest.mark.parametrize("act", ["approved", "paid", "moved", "draft approved", "changed", "vanished"])
@pytest.mark.parametrize("one_list", ["whole", "refused", "unpaid", "short"])
async def test_whatever_happened_is_seen_by_the_next_read_whatever_one_list_shows(
    box: MinubaSandbox, reader: Reader, http: Http, act: str, one_list: str
) -> None:
    """The list without a state only saves a call: what it leaves out costs one."""
    box.seed()
    box.switches["stateless"] = one_list
    for _ in range(3):
        await reader.read()
    a_draft, standing = box.add_invoice(state="draft"), [*box.books["invoices"].values()]
    assert await reader.read() == []
    open_one = next(one for one in standing if one["state"] == "approved")
    match act:
        case "approved" | "paid":
            expected = box.add_invoice(state=act)
        case "moved":
            box.pay(open_one["id"])
            expected = open_one
        case "draft approved":
            expected = box.approve(a_draft["id"])
        case "changed":
            open_one["description"] = "anders"
            expected = open_one
        case _:
            expected = {"id": ""}
            box.vanish(open_one["id"])
    pages = [page async for page in INVOICES.read(http, Since(reader.cursor, None), CONNECTOR.settings())]
    found = {INVOICES.key(one) for page in pages for one in page.records}
    assert expected["id"] in found or not expected["id"]
    assert pages[-1].wholes == (Whole("", frozenset(approved(box)), 1800),)


async def test_a_list_that_never_fits_is_not_asked_again_that_day(box: MinubaSandbox, reader: Reader) -> None:
    box.seed()
    box.switches["stateless"] = "unpaid"
    for calls in (2, 3, 2, 2):
        box.calls.clear()
        await reader.read()
        assert box.calls.total() == calls


async def test_without_a_paid_invoice_one_list_is_not_known_to_show_paid_ones(
    box: MinubaSandbox, reader: Reader
) -> None:
    box.add_invoice()
    box.switches["stateless"] = "unpaid"
    await reader.read()
    paid = box.add_invoice(state="paid")
    assert await reader.read() == [paid["id"]]


async def test_a_new_approval_is_read_with_its_bucket_only(box: MinubaSandbox, reader: Reader) -> None:
    box.fill(600)
    await reader.read()
    fresh = box.add_invoice()
    found = await reader.read()
    assert fresh["id"] in found
    assert len(found) < 20


async def test_an_invoice_that_turns_up_late_with_an_earlier_date_is_read(box: MinubaSandbox, reader: Reader) -> None:
    box.seed()
    await reader.read()
    late = box.add_invoice(day="2024-01-02", approved_at="2024-01-02T08:00:00")
    assert late["id"] in await reader.read()


async def test_a_draft_is_read_once_it_is_approved_with_the_dates_it_got_then(
    box: MinubaSandbox, reader: Reader
) -> None:
    draft = box.add_invoice(state="draft", day="2026-11-01")
    assert await reader.read() == []
    box.approve(draft["id"], 20260001, day="2026-11-20", due="2026-12-31")
    assert await reader.read() == [draft["id"]]
    assert str(reader.mapped()["20260001"].date) == "2026-11-20"
    assert str(reader.mapped()["20260001"].due_date) == "2026-12-31"


async def test_an_invoice_that_is_paid_between_two_reads_is_not_missed(box: MinubaSandbox, reader: Reader) -> None:
    await reader.read()
    paid = box.add_invoice(state="paid")
    assert await reader.read() == [paid["id"]]


async def test_a_credit_note_and_what_it_credits_are_both_read(box: MinubaSandbox, reader: Reader) -> None:
    whole = box.add_invoice(hours("2", "62"))
    part = box.credit(whole["id"], hours("1", "62"))
    await reader.read()
    found = reader.mapped()
    assert found[part["invoiceNumber"]].total == -found[whole["invoiceNumber"]].total / 2
    assert box.books["invoices"][whole["id"]]["state"] == "approved"
    box.credit(whole["id"], hours("1", "62"), hours("1", "62"))
    assert box.books["invoices"][whole["id"]]["state"] == "paid"


async def test_an_invoice_that_vanished_is_no_news_and_comes_back_as_it_was(box: MinubaSandbox, reader: Reader) -> None:
    box.seed()
    await reader.read()
    gone = box.vanish(next(iter(approved(box))))
    assert gone["id"] not in await reader.read()
    box.put("invoices", gone)
    assert gone["id"] in await reader.read()


async def test_a_read_says_what_is_all_there_is_and_when_a_miss_counts(box: MinubaSandbox, http: Http) -> None:
    box.seed()
    gone = box.vanish(next(iter(approved(box))))

    pages = [page async for page in INVOICES.read(http, Since(None, None), CONNECTOR.settings())]

    assert pages[-1].wholes == (Whole("", frozenset(approved(box)), 1800),)
    assert gone["id"] not in pages[-1].wholes[0].source_ids
    assert not any(page.wholes for page in pages[:-1])


@pytest.mark.parametrize("switches", [{"invoices": True}, {"refused_filters": ["forAllUsers"]}])
async def test_nothing_at_all_or_only_one_s_own_is_no_proof(
    box: MinubaSandbox, http: Http, switches: dict[str, Any]
) -> None:
    box.switches |= switches
    if "refused_filters" in switches:
        box.seed()
    pages = [page async for page in INVOICES.read(http, Since(None, None), CONNECTOR.settings())]
    assert [page.wholes for page in pages] == [()]


async def test_a_read_that_was_cut_off_goes_on_where_it_stopped(box: MinubaSandbox, reader: Reader) -> None:
    box.fill(900)
    first = await reader.read(pages=1)
    rest = await reader.read()
    assert not set(first) & set(rest)
    assert set(first) | set(rest) == approved(box)
    assert await reader.read() == []


VARIANTS: list[dict[str, Any]] = [
    *({"envelope": way} for way in ("plural", "capital", "data", "bare", "nested")),
    *({"names": way} for way in ("pascal", "lower")),
    *({"numbers": way} for way in ("text", "comma")),
    *({"paging": way, "page_size": 3} for way in ("pages", "total", "link")),
    {"absent": "omit"},
    {"state_case": "lower"},
    {"ignored_filters": ["state"]},
    {"state_filter": "upper"},
    {"refused_filters": ["state"]},
    {"refused_includes": ["client", "lines"]},
    {"refused_filters": ["forAllUsers"], "own_only": False},
    {"lines": "include"},
    {"line_totals": True},
    {"approved_at_field": False},
    {"client_name": False},
    {"own_only": False},
]


@pytest.mark.parametrize("switches", VARIANTS, ids=str)
async def test_every_plausible_variant_gives_the_same_invoices(
    box: MinubaSandbox, reader: Reader, http: Http, switches: dict[str, Any]
) -> None:
    box.seed()
    await reader.read()
    plain = {number: one.fingerprint() for number, one in reader.mapped().items()}
    box.switches |= switches
    other = Reader(http)
    await other.read()
    assert {number: one.fingerprint() for number, one in other.mapped().items()} == plain
    assert len(plain) == 11


@pytest.mark.parametrize("empty", ["list", "null", "object", "nothing"])
@pytest.mark.parametrize("stream", ["invoices", "customers"])
async def test_an_account_with_nothing_in_it_is_read_as_nothing(
    box: MinubaSandbox, http: Http, empty: str, stream: str
) -> None:
    box.switches["empty"] = empty
    assert await Reader(http, stream).read() == []


async def test_a_form_that_was_understood_is_asked_first_the_next_time(box: MinubaSandbox, reader: Reader) -> None:
    box.seed()
    box.switches["refused_includes"] = ["lines"]
    await reader.read()
    assert reader.cursor["form"] == 1
    box.calls.clear()
    await reader.read()
    assert box.calls.total() == 1


async def test_a_package_without_our_stand_in_resource_is_a_wrong_connection_and_says_so(
    box: MinubaSandbox, reader: Reader
) -> None:
    box.switches["invoices"] = False
    with pytest.raises(ConfigError) as failed:
        await reader.read()
    assert failed.value.key == "minuba.invoices_unavailable"
    assert "Unknown resource" in failed.value.words
    assert box.calls.total() == len(FORMS)


@pytest.mark.parametrize("paging", ["silent_total", "stuck"])
async def test_a_part_is_never_taken_for_the_whole(box: MinubaSandbox, reader: Reader, paging: str) -> None:
    box.seed()
    box.switches |= {"paging": paging, "page_size": 3}
    with pytest.raises(TransientError) as failed:
        await reader.read()
    assert failed.value.key == "minuba.listing_incomplete"
    assert reader.cursor is None


@pytest.mark.parametrize("fault", ["html", "malformed", "error", "lost"])
async def test_an_answer_that_is_no_answer_moves_no_cursor(box: MinubaSandbox, reader: Reader, fault: Any) -> None:
    box.seed()
    box.fault(fault, path="/Invoice", times=99, after=1)
    with pytest.raises(TransientError):
        await reader.read()
    assert reader.cursor is None


async def test_a_401_in_the_middle_is_renewed_once_and_the_read_goes_on(box: MinubaSandbox) -> None:
    box.seed()
    first, second = box.grant()[0], box.grant()[0]
    credentials = FixedCredentials({"access_token": first}, fresh={"access_token": second})
    box.switches["unauthorised_call"] = 2
    async with connected(CONNECTOR, box, "/api/1", {}, credentials=credentials) as http:
        assert set(await Reader(http).read()) == approved(box)


async def test_clients_are_read_when_new_or_different(box: MinubaSandbox, http: Http) -> None:
    box.seed()
    reader = Reader(http, "customers")
    assert set(await reader.read()) == set(box.books["clients"])
    assert await reader.read() == []
    one = next(iter(box.books["clients"]))
    box.change("clients", one, name="Molen en Dijk Beheer B.V.")
    assert await reader.read() == [one]
    assert set(box.calls) == {"GET /api/1/Client"}
    assert {query for _, query, _ in box.log} == {"/api/1/Client?include=addresses"}


@pytest.mark.parametrize("way", ["works", "ignored", "refused"])
async def test_a_client_is_found_whether_or_not_it_can_be_asked_for(box: MinubaSandbox, http: Http, way: str) -> None:
    box.seed()
    if way != "works":
        box.switches[f"{way}_filters"] = ["id"]
    wanted = list(box.books["clients"])[2]
    fetch = CONNECTOR.sources["customers"].fetch
    assert fetch is not None
    for one in (wanted, *box.books["clients"]):
        found = await fetch(http, one)
        assert found is not None
        assert found["id"] == one
    assert await fetch(http, "unknown") is None
    assert box.calls.total() <= {"works": 9, "ignored": 1, "refused": 2}[way]


async def test_the_pdf_is_the_invoice_s_own(box: MinubaSandbox, http: Http) -> None:
    box.seed()
    attachment = CONNECTOR.sources["invoices"].attachment
    assert attachment is not None
    one = next(one for one in box.books["invoices"].values() if one["invoiceNumber"] == "20261190")
    for switches in ({}, {"ignored_filters": ["parentId"]}, {"envelope": "bare"}):
        box.switches |= switches
        file = await attachment(http, one["id"])
        assert file is not None
        assert (file.name, b"20261190.pdf" in file.content) == ("20261190.pdf", True)


@pytest.mark.parametrize("switches", [{"download": "missing"}, {"download": "html"}, {"refused_filters": ["parentId"]}])
async def test_where_no_pdf_can_be_had_there_is_none(box: MinubaSandbox, http: Http, switches: dict[str, Any]) -> None:
    attachment = CONNECTOR.sources["invoices"].attachment
    assert attachment is not None
    box.switches |= switches
    one = box.add_invoice()
    assert await attachment(http, one["id"]) is None
    box.add_file(one)
    assert await attachment(http, one["id"]) is None


async def test_of_two_pdfs_none_is_taken(box: MinubaSandbox, http: Http) -> None:
    attachment = CONNECTOR.sources["invoices"].attachment
    assert attachment is not None
    one = box.add_invoice()
    box.add_file(one)
    box.add_file(one, "bijlage.pdf")
    assert await attachment(http, one["id"]) is None
