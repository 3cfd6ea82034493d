"""Mutations on the sandbox: written once, found again, read back; what stands in the books is looked at directly."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.eboekhouden import invoices, mutations
from connectors.eboekhouden.refusal import refusal
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.booking import SalesBooking
from hub.accounting.chart import Master
from hub.kit import json
from hub.sdk.connector import Existing, Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected, TransientError
from hub.sdk.http import Answer, Http
from tests.connectors.eboekhouden.conftest import HIGH, HOME, ICP, LOW, key, sale

PLAIN = ("8000", "1200.00", "252.00", HIGH)
KEY = key("invoice:1")


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutations, "READ_BACK_S", (0.0, 0.0))


def encoded(booking: SalesBooking, master: Master) -> Payload:
    return dict(json.loads(json.dumps(invoices.encode(booking, master, EboekhoudenSettings()))))


@pytest.fixture
def payload(relation: str, master: Master) -> Payload:
    return encoded(sale(PLAIN, customer=relation), master)


async def test_an_invoice_is_posted_to_debtor_revenue_and_vat(
    box: EboekhoudenSandbox, http: Http, relation: str, master: Master
) -> None:
    mixed = sale(
        ("8000", "100.00", "21.00", HIGH),
        ("8010", "91.74", "8.26", LOW),
        ("8000", "-10.00", "-2.10", HIGH),
        ("8100", "250.00", "0.00", ICP),
        customer=relation,
    )
    receipt = await mutations.write(http, encoded(mixed, master), KEY)

    assert {code: box.balance(code) for code in ("1300", "8000", "8010", "8100", "1510", "1511")} == {
        "1300": Decimal("458.90"),
        "8000": Decimal("-90.00"),
        "8010": Decimal("-91.74"),
        "8100": Decimal("-250.00"),
        "1510": Decimal("-18.90"),
        "1511": Decimal("-8.26"),
    }
    assert (receipt.ref, receipt.total, receipt.open_item) == ("1", Decimal("458.90"), "1")
    assert not receipt.existed
    assert receipt.fingerprint


async def test_a_credit_note_is_the_same_type_with_negative_rows(
    box: EboekhoudenSandbox, http: Http, relation: str, master: Master
) -> None:
    booking = sale(("8000", "-200.00", "-42.00", HIGH), number="F2026-0143C", customer=relation)
    receipt = await mutations.write(http, encoded(booking, master), KEY)

    assert (box.balance("1300"), box.balance("8000")) == (Decimal("-242.00"), Decimal("200.00"))
    assert receipt.total == Decimal("-242.00")


@pytest.mark.parametrize("per", ["rate", "row"])
@pytest.mark.parametrize("half", ["up", "even"])
@pytest.mark.parametrize(
    "lines",
    [
        (("8000", "0.33", "0.07", HIGH), ("8010", "10.02", "2.11", HIGH)),
        (("8000", "10.50", "2.21", HIGH), ("8010", "0.50", "0.10", HIGH)),
        (("8000", "0.50", "0.11", HIGH),),
        (("8000", "33.33", "7.00", HIGH), ("8010", "33.33", "3.00", LOW)),
    ],
)
async def test_what_is_owed_is_right_to_the_cent_however_the_package_rounds(
    box: EboekhoudenSandbox, http: Http, relation: str, master: Master, lines: tuple[Any, ...], per: str, half: str
) -> None:
    box.switches.update(vat_per=per, half=half)
    booking = sale(*lines, customer=relation)
    receipt = await mutations.write(http, encoded(booking, master), KEY)

    assert receipt.total == booking.invoice.total
    assert box.balance("1300") == booking.invoice.total


VARIANTS: list[dict[str, Any]] = [
    {"answer": "text_id"},
    {"answer": "list"},
    {"answer": "plain"},
    {"answer": "empty"},
    {"count": "page", "page_cap": 1},
    {"count": "none"},
    {"order": "desc"},
    {"bare_lists": True},
    {"omit_empty": True},
    {"text_types": True},
    {"ignores_filters": True},
    {"list_amount": "excl"},
    {"vat_shown": "unsigned"},
    {"too_long": "cut"},
]


@pytest.mark.parametrize("switches", VARIANTS, ids=str)
@pytest.mark.parametrize("net", ["1200.00", "-1200.00"])
async def test_whatever_an_answer_looks_like_it_is_written_once_and_found(
    box: EboekhoudenSandbox, http: Http, relation: str, master: Master, switches: dict[str, Any], net: str
) -> None:
    for number in range(3):
        other = sale(PLAIN, number=f"F2026-09{number}", customer=relation)
        await mutations.write(http, encoded(other, master), key(f"invoice:9{number}"))
    box.switches.update(switches)
    vat = f"{Decimal(net) * 21 / 100:.2f}"
    payload = encoded(sale(("8000", net, vat, HIGH), customer=relation), master)

    assert await mutations.find(http, KEY, payload) is None
    written = await mutations.write(http, payload, KEY)
    found = await mutations.find(http, KEY, payload)

    assert len(box.mutations()) == 4
    assert found is not None
    assert (written.ref, written.total) == (found.ref, found.total) == ("4", Decimal(net) + Decimal(vat))
    assert written.fingerprint == found.fingerprint != ""


async def test_a_total_that_cannot_be_told_is_not_made_up(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    box.switches["vat_shown"] = "none"
    receipt = await mutations.write(http, payload, KEY)

    assert (receipt.ref, receipt.total) == ("1", None)


async def test_a_booking_that_cannot_be_read_back_still_stands(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    box.fault("refused", method="GET", times=99)
    receipt = await mutations.write(http, payload, KEY)

    assert (receipt.ref, receipt.total, receipt.fingerprint) == ("1", None, "")


async def test_a_lost_answer_is_found_by_our_key(box: EboekhoudenSandbox, http: Http, payload: Payload) -> None:
    box.fault("lost", method="POST")
    with pytest.raises(OutcomeUnknown):
        await mutations.write(http, payload, KEY)
    found = await mutations.find(http, KEY, payload)

    assert found is not None
    assert (found.ref, found.existed, found.total) == ("1", True, Decimal("1452.00"))


async def test_sending_what_the_search_did_not_show_yet_books_nothing_twice(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    box.fault("lost", method="POST")
    with pytest.raises(OutcomeUnknown):
        await mutations.write(http, payload, KEY)
    box.switches["lag_s"] = 600
    assert await mutations.find(http, KEY, payload) is None
    with pytest.raises(OutcomeUnknown):
        await mutations.write(http, payload, KEY)
    box.switches["lag_s"] = 0
    receipt = await mutations.write(http, payload, KEY)

    assert (receipt.ref, receipt.existed, len(box.mutations())) == ("1", True, 1)


async def test_a_number_that_somebody_booked_by_hand_is_named(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    box.book(box.administration(), payload["body"])
    with pytest.raises(RecordRejected) as refused:
        await mutations.write(http, payload, KEY)

    (finding,) = refused.value.findings
    assert finding.key == "eboekhouden.number_exists"
    assert (finding.values["number"], finding.values["mutations"]) == ("F2026-0143", "1")


async def test_our_key_on_two_mutations_is_for_a_human(box: EboekhoudenSandbox, http: Http, payload: Payload) -> None:
    await mutations.write(http, payload, KEY)
    twin = {**payload["body"], "entryNumber": mutations.entry_number(KEY), "relationId": 1}
    box.book(box.administration(), twin)

    with pytest.raises(OutcomeUnknown) as told:
        await mutations.find(http, KEY, payload)
    assert told.value.values["mutations"] == "1, 2"


async def test_another_version_of_a_key_is_another_booking(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    await mutations.write(http, payload, KEY)
    box.delete(1)
    again = type(KEY)(KEY.source, KEY.stream, KEY.source_id, KEY.target, version=2)

    assert await mutations.find(http, again, payload) is None
    assert (await mutations.write(http, payload, again)).ref == "2"


async def test_our_own_duplicate_is_recognised_whatever_code_refuses_it(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    await mutations.write(http, payload, KEY)
    box.administration()["closed_until"] = "2026-03-31"
    box.switches["closed_code"] = "MUT_020"
    again = await mutations.write(http, payload, KEY)

    assert (again.ref, again.existed, len(box.mutations())) == ("1", True, 1)


@pytest.mark.parametrize(
    ("code", "key_"), [("MUT_131", "perhaps_closed"), ("MUT_020", "perhaps_closed"), ("", "perhaps_closed")]
)
async def test_a_refusal_nobody_can_explain_may_be_a_closed_period(
    box: EboekhoudenSandbox, http: Http, payload: Payload, code: str, key_: str
) -> None:
    box.administration()["closed_until"] = "2026-03-31"
    box.switches["closed_code"] = code
    with pytest.raises(RecordRejected) as refused:
        await mutations.write(http, payload, KEY)

    (finding,) = refused.value.findings
    assert (finding.key, finding.values["date"]) == (f"eboekhouden.{key_}", "2026-03-12")
    assert "De periode is afgesloten" in finding.values["words"]
    assert "00-5a6d-01" in finding.values["words"]
    assert box.mutations() == []


@pytest.mark.parametrize(
    ("change", "key_", "field"),
    [
        ({"ledgerId": 99}, "main_ledger_unknown", "debtor_account"),
        ({"relationId": 99}, "relation_refused", None),
        ({"rows": [{"ledgerId": 99, "vatCode": "GEEN", "amount": 1}]}, "row_ledger_unknown", "ledger_accounts"),
        ({"rows": [{"ledgerId": 51900003, "vatCode": "GEEN", "amount": 1}]}, "row_ledger_category", "ledger_accounts"),
        ({"rows": []}, "refused_by_rule", None),
    ],
)
async def test_a_refusal_names_what_can_be_changed(
    http: Http, payload: Payload, change: dict[str, Any], key_: str, field: str | None
) -> None:
    with pytest.raises(RecordRejected) as refused:
        await mutations.write(http, {**payload, "body": {**payload["body"], **change}}, KEY)

    assert (refused.value.findings[0].key, refused.value.field) == (f"eboekhouden.{key_}", field)


async def test_a_listing_that_repeats_itself_proves_nothing(
    box: EboekhoudenSandbox, http: Http, payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mutations.write(http, payload, key("invoice:2"))
    box.switches.update(page_cap=1, count="total")
    real = http.get

    async def without_offset(path: str, query: Any = (), **facts: Any) -> Any:
        body = await real(path, [(name, "0" if name == "offset" else value) for name, value in query], **facts)
        return {**body, "count": 9} if path == "/mutation" else body

    monkeypatch.setattr(http, "get", without_offset)
    with pytest.raises(TransientError):
        await mutations.find(http, KEY, payload)


@pytest.mark.parametrize("list_amount", ["incl", "excl"])
async def test_what_stands_there_is_listed_with_its_total(
    box: EboekhoudenSandbox, http: Http, relation: str, payload: Payload, list_amount: str
) -> None:
    box.switches.update(list_amount=list_amount, page_cap=1)
    body = payload["body"]
    box.book(box.administration(), {**body, "invoiceNumber": "OUD", "date": "2025-12-31"})
    box.book(box.administration(), body)
    box.pay(box.mutations()[0]["id"])
    pages = mutations.index(http, HOME, date(2026, 1, 1), EboekhoudenSettings())
    found = [one async for page in pages for one in page]

    assert found == [
        Existing(
            ref="2",
            label="mutatie 2 · F2026-0143",
            number="F2026-0143",
            date=date(2026, 3, 12),
            total=Decimal("1452.00"),
            open_item="2",
        )
    ]


async def test_a_listing_that_ignores_filters_is_filtered_here(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    box.book(box.administration(), {**payload["body"], "invoiceNumber": "OUD", "date": "2025-12-31"})
    box.book(box.administration(), payload["body"])
    box.pay(2)
    box.switches["ignores_filters"] = True
    pages = mutations.index(http, HOME, date(2026, 1, 1), EboekhoudenSettings())

    assert [one.ref async for page in pages for one in page] == ["2"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "SECURITY_001", "config"),
        (403, "SECURITY_002", "config"),
        (403, "", "config"),
        (400, "API_SESSION_004", "reauth"),
        (400, "SECURITY_010", "transient"),
        (400, "ERR_001", "unknown"),
        (400, "EP_001", "rejected"),
        (404, "", "rejected"),
    ],
)
def test_every_code_has_its_verdict(status: int, code: str, kind: str) -> None:
    told = refusal(Answer(status, {"code": code, "title": "No", "errors": {"date": ["Closed"]}}, True))

    assert told is not None
    assert told.kind == kind
    assert "date: Closed" in told.words


def test_a_success_and_a_refused_session_are_no_refusal() -> None:
    assert refusal(Answer(200, {"id": 1}, True)) is None
    assert refusal(Answer(401, {"code": "SECURITY_010"}, True)) is None
