"""Drafts stand once, whatever happens to an answer and whatever a user does meanwhile."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from connectors.eaccounting import CONNECTOR, drafts
from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.eaccounting.settings import EaccountingSettings
from hub.sdk.connector import File, Payload, Receipt
from hub.sdk.errors import OutcomeUnknown, RecordRejected, TransientError
from hub.sdk.http import Http
from tests.connectors.eaccounting.conftest import ICP, REVERSE, Connect, key, line, sale
from tests.connectors.support import connected

Encode = Callable[..., Payload]
AT_ONCE = EaccountingSettings(export_as="invoice")
TOTAL = Decimal("240.64")


def the_one(box: EaccountingSandbox) -> dict[str, Any]:
    [found] = box.bearing(key().mark)
    return found


async def lost(http: Http, box: EaccountingSandbox, payload: Payload, path: str = "drafts") -> None:
    box.fault("lost", method="POST", path=path)
    with pytest.raises(OutcomeUnknown):
        await drafts.write(http, payload, key())


async def test_a_draft_stands_with_its_reference_and_total(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    receipt = await drafts.write(http, encode(), key())

    assert receipt == Receipt(the_one(box)["Id"], "Concept 20261187", TOTAL, key().mark, False, (), receipt.fingerprint)
    assert the_one(box)["OurReference"] == f"20261187 #{key().mark}"
    assert receipt.fingerprint


@pytest.mark.parametrize("search", ["supported", "refused", "ignored"])
@pytest.mark.parametrize("converted", [False, True])
async def test_a_lost_answer_is_found_also_when_a_user_converted_the_draft(
    http: Http, box: EaccountingSandbox, encode: Encode, search: str, converted: bool
) -> None:
    box.switches["reference_filter"], box.switches["page_cap"] = search, 2
    for number in range(5):
        made = box.add_draft(next(iter(box.company()["customers"].values())), OurReference=f"hand {number}")
        if number > 2:
            box.convert(made["Id"])
    await lost(http, box, encode())
    if converted:
        box.convert(the_one(box)["Id"])

    found = await drafts.find(http, key(), encode())

    assert found is not None
    assert (found.ref, found.total, found.open_item) == (the_one(box)["Id"], TOTAL, key().mark)


@pytest.mark.parametrize("search", ["supported", "refused", "ignored"])
@pytest.mark.parametrize("lists", ["envelope", "bare"])
async def test_absence_is_proven_by_reading_everything(
    http: Http, box: EaccountingSandbox, encode: Encode, search: str, lists: str
) -> None:
    box.switches |= {"reference_filter": search, "lists": lists}

    assert await drafts.find(http, key(), encode()) is None
    assert box.calls["GET /v2/customerinvoicedrafts"] > 1
    assert box.calls["GET /v2/customerinvoices"] > 1


class Moving(EaccountingSandbox):
    """Users delete and make drafts while somebody reads the list."""

    def _list(self, request: Request, collection: str, company: str) -> Response:
        answer = super()._list(request, collection, company)
        if collection == "drafts":
            owner = self.company()["customers"][next(iter(self.company()["customers"]))]
            self.delete_draft(next(iter(self.company()["drafts"])))
            for _ in range(2):
                self.add_draft(owner)
        return answer


async def test_a_list_that_keeps_moving_proves_nothing(encode: Encode) -> None:
    box = Moving()
    owner = box.add_customer()
    for _ in range(4):
        box.add_draft(owner)
    box.switches |= {"page_cap": 2, "reference_filter": "refused"}
    async with connected(CONNECTOR, box, "/v2", {"access_token": box.grant()[0]}) as http:
        with pytest.raises(TransientError) as caught:
            await drafts.find(http, key(), encode())

    assert caught.value.key == "eaccounting.listing_moved"


async def test_the_same_key_on_two_documents_asks_for_a_human(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    for _ in range(2):
        await drafts.write(http, encode(), key())

    with pytest.raises(OutcomeUnknown) as caught:
        await drafts.find(http, key(), encode())
    assert caught.value.key == "eaccounting.key_twice"


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("write_answer", "empty"), ("write_answer", "id"),
        ("write_answer", "short"), ("draft_total", "excl"), ("dates", "datetime"),
        ("required", "lenient"), ("unknown_fields", "ignored"), ("order_by", "refused"), ("vat_rounding", "total"),
        ("lists", "bare"), ("empty_pages", 1), ("credit_total", "negative"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("credit", [False, True])
async def test_every_way_the_package_may_answer_is_the_same_draft(
    http: Http, box: EaccountingSandbox, encode: Encode, switch: str, value: Any, credit: bool
) -> None:
    box.switches[switch] = value
    booking = sale(line("Monteur", "-62.00", "-13.02", quantity="-1", unit_price="62.00")) if credit else sale()

    receipt = await drafts.write(http, encode(booking), key())

    total = None if value == "id" else booking.invoice.total
    assert (receipt.ref, receipt.total) == (the_one(box)["Id"], total)
    assert the_one(box)["IsCreditInvoice"] is credit
    assert the_one(box)["TotalAmount"] == abs(booking.invoice.total)


async def test_a_total_that_is_not_ours_is_shown_as_it_is(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    payload = encode(chosen=AT_ONCE)
    box.add_article("HUB-21", "9")

    receipt = await drafts.write(http, payload, key())

    assert receipt.total != TOTAL
    assert the_one(box)["Id"] in box.company()["drafts"], "and it is not converted"


async def test_default_articles_are_made_once_and_found_when_they_stand(
    connect: Connect, box: EaccountingSandbox, encode: Encode
) -> None:
    async with connect() as http:
        for number in range(3):
            await drafts.write(http, encode(), key(str(number)))
    async with connect() as http:
        await drafts.write(http, encode(), key("9"))

    assert box.calls["POST /v2/articles"] == 1
    assert sum(one["Number"] == "HUB-21" for one in box.company()["articles"].values()) == 1


async def test_an_article_whose_answer_was_lost_leaves_no_draft_and_is_found_next_time(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    await lost(http, box, encode(), "/articles")
    assert await drafts.find(http, key(), encode()) is None

    await drafts.write(http, encode(), key())

    assert sum(one["Number"] == "HUB-21" for one in box.company()["articles"].values()) == 1


async def test_conversion_at_once_keeps_the_date(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    receipt = await drafts.write(http, encode(chosen=AT_ONCE), key())

    assert (receipt.label, receipt.total, receipt.open_item) == ("Factuur 1001", TOTAL, key().mark)
    assert (the_one(box)["InvoiceDate"], box.company()["drafts"]) == ("2026-11-19", {})


@pytest.mark.parametrize("fault", ["lost", "error"])
@pytest.mark.parametrize("kept", [True, False])
async def test_a_conversion_whose_answer_was_lost_is_known_by_its_draft_at_once(
    http: Http, box: EaccountingSandbox, encode: Encode, fault: Any, kept: bool
) -> None:
    box.switches["reference_kept"] = kept
    box.fault(fault, path="/convert")

    receipt = await drafts.write(http, encode(chosen=AT_ONCE), key())

    assert (receipt.label, receipt.total, receipt.open_item) == ("Factuur 1001", TOTAL, key().mark)
    assert [one["Id"] for one in box.documents()] == [receipt.ref]


async def test_an_empty_answer_to_a_conversion_says_enough(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    box.switches |= {"reference_kept": False, "write_answer": "empty"}

    assert (await drafts.write(http, encode(chosen=AT_ONCE), key())).label == "Factuur 1001"
    assert len(box.documents()) == 1


@pytest.mark.parametrize("fault", ["refused", "busy", "html"])
async def test_a_conversion_without_an_answer_is_finished_and_made_once(
    http: Http, box: EaccountingSandbox, encode: Encode, fault: Any
) -> None:
    box.fault(fault, path="/convert")
    with pytest.raises(OutcomeUnknown):
        await drafts.write(http, encode(chosen=AT_ONCE), key())

    found = await drafts.find(http, key(), encode(chosen=AT_ONCE))

    assert found is not None
    assert found.label == "Factuur 1001"
    assert len(box.documents()) == 1


async def test_a_locked_period_leaves_the_draft_and_its_words(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    box.company()["settings"]["AccountingLockedTo"] = "2026-11-30"

    receipt = await drafts.write(http, encode(chosen=AT_ONCE), key())

    assert receipt.ref in box.company()["drafts"]
    assert "4026" in receipt.warnings[0]


async def test_reverse_charge_sets_the_customer_s_flag_once_and_empties_nothing(
    http: Http, box: EaccountingSandbox, encode: Encode, customer: str
) -> None:
    card = box.put(
        "customers", {**box.company()["customers"][customer], "VatNumber": "NL853746333B01", "Note": "let op"}
    )
    booking = sale(line("Montage", "500.00", kind=REVERSE, quantity="1", unit_price="500"))

    for number in ("1", "2"):
        receipt = await drafts.write(http, encode(booking), key(number))

    after = box.company()["customers"][customer]
    assert receipt.total == 500
    assert after["ReverseChargeOnConstructionServices"] is True
    assert {name for name in card if card[name] != after[name]} == {"ChangedUtc"} or card.items() <= after.items()
    assert box.calls[f"PUT /v2/customers/{customer}"] == 1


async def test_reverse_charge_without_vat_number_is_refused_before_anything_is_sent(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    with pytest.raises(RecordRejected) as caught:
        await drafts.write(http, encode(sale(line("Montage", "500", kind=REVERSE))), key())

    assert caught.value.key == "eaccounting.reverse_charge_needs_vat_number"
    assert box.documents() == []


async def test_another_currency_needs_a_customer_in_it(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    with pytest.raises(RecordRejected) as caught:
        await drafts.write(http, encode(sale(currency="USD")), key())

    assert caught.value.key == "eaccounting.other_currency"


async def test_an_invoice_that_goes_abroad_needs_a_customer_that_stands_there(
    http: Http, box: EaccountingSandbox, encode: Encode, customer: str
) -> None:
    booking = sale(line("Advies", "500", kind=ICP))
    with pytest.raises(RecordRejected) as caught:
        await drafts.write(http, encode(booking), key())
    assert caught.value.key == "eaccounting.customer_at_home"
    assert box.documents() == []

    box.put("customers", {**box.company()["customers"][customer], "VatNumber": "BE0477472701"})
    async with connected(CONNECTOR, box, "/v2", {"access_token": box.grant()[0]}) as later:
        await drafts.write(later, encode(booking), key())
        await drafts.write(later, encode(booking), key("2"))

    assert len(box.documents()) == 2
    assert box.calls[f"GET /v2/customers/{customer}"] == 2  # once per connection, however many invoices


async def test_a_change_puts_our_words_and_keeps_the_others(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    ref = (await drafts.write(http, encode(), key())).ref
    box.put("drafts", {**the_one(box), "BuyersOrderReference": "PO 7"})

    receipt = await drafts.update(http, encode(sale(line("Werk", "100", "21"))), key(), ref)

    assert (receipt.ref, receipt.total) == (ref, Decimal(121))
    assert (the_one(box)["BuyersOrderReference"], the_one(box)["TotalAmount"]) == ("PO 7", 121)
    assert [row["Text"] for row in the_one(box)["Rows"]] == ["Werk"]


async def test_looking_before_a_change_does_not_convert_the_old_words(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    ref = (await drafts.write(http, encode(), key())).ref
    changed = encode(sale(line("Werk", "198.88", "41.76")), AT_ONCE)

    await drafts.find(http, key(), changed)
    assert ref in box.company()["drafts"]

    assert (await drafts.update(http, changed, key(), ref)).label == "Factuur 1001"


@pytest.mark.parametrize("gone", ["converted", "deleted"])
async def test_what_is_no_draft_any_more_is_for_a_human(
    http: Http, box: EaccountingSandbox, encode: Encode, gone: str
) -> None:
    ref = (await drafts.write(http, encode(), key())).ref
    box.convert(ref) if gone == "converted" else box.delete_draft(ref)

    with pytest.raises(RecordRejected) as caught:
        await drafts.update(http, encode(), key(), ref)
    assert caught.value.key == "eaccounting.already_invoiced"


async def test_somebody_else_s_draft_is_not_overwritten(http: Http, encode: Encode) -> None:
    ref = (await drafts.write(http, encode(), key())).ref

    with pytest.raises(RecordRejected) as caught:
        await drafts.update(http, encode(), key("other"), ref)
    assert caught.value.key == "eaccounting.not_our_draft"


async def test_hands_on_a_draft_show_in_its_fingerprint(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    before = await drafts.write(http, encode(), key())
    same = await drafts.find(http, key(), encode())
    rows = [{**row, "Text": "anders"} for row in the_one(box)["Rows"]]
    box.put("drafts", {**the_one(box), "Rows": rows})
    other = await drafts.find(http, key(), encode())

    assert same is not None
    assert other is not None
    assert before.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("now", ["draft", "invoice", "converted by a user"])
async def test_the_pdf_hangs_once_on_the_draft_or_its_invoice(
    http: Http, box: EaccountingSandbox, encode: Encode, now: str
) -> None:
    ref = (await drafts.write(http, encode(chosen=AT_ONCE if now == "invoice" else None), key())).ref
    if now == "converted by a user":
        box.convert(ref)

    for _ in range(2):
        await drafts.attach(http, encode(), ref, File("20261187.pdf", b"%PDF-1.4"))

    [hung] = box.company()["attachments"].values()
    assert (hung["DocumentId"], hung["DocumentSize"]) == (the_one(box)["Id"], 8)


async def test_rows_that_an_answer_leaves_out_are_no_hands(http: Http, box: EaccountingSandbox, encode: Encode) -> None:
    box.switches["write_answer"] = "short"

    assert (await drafts.write(http, encode(), key())).fingerprint == ""


async def test_a_credit_that_is_taken_for_an_invoice_shows_the_wrong_sign(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    box.switches["draft_total"] = "excl"
    payload = encode(sale(line("Monteur", "-62.00", "-13.02", quantity="-1", unit_price="62.00")))
    ignored = {**payload, "body": {**payload["body"], "IsCreditInvoice": False}}

    receipt = await drafts.write(http, ignored, key())

    assert receipt.total == Decimal("62.00")


async def test_what_stands_there_is_listed_under_every_number_of_its_reference(
    http: Http, box: EaccountingSandbox, encode: Encode
) -> None:
    owner = next(iter(box.company()["customers"].values()))
    box.add_draft(owner, OurReference="Minuba 20261001", YourReference="order 77", InvoiceDate="2026-11-02")
    box.add_draft(owner, OurReference="20260901", InvoiceDate="2026-09-02")
    await drafts.write(http, encode(), key())

    found = [one async for page in drafts.index(http, "", sale().date.replace(day=1), AT_ONCE) for one in page]

    assert {one.number for one in found} == {"20261001", "77", "20261187"}
    assert {one.mark for one in found} == {"", key().mark}
