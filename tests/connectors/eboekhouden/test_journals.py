"""Journal entries as memorial mutations on the sandbox: its ledgers are looked at directly, to the cent."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.eboekhouden import CONNECTOR, journals, mutations
from connectors.eboekhouden.sandbox import EboekhoudenSandbox
from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.booking import EntryBooking
from hub.accounting.chart import Master
from hub.kit import json
from hub.sdk.connector import Existing, Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from tests.connectors.eboekhouden.conftest import HOME, EntryLine, key, payroll

GOLDEN = Path(__file__).parent / "golden"
KEY = key("company:1/run:481516", "journals")
SECOND = replace(KEY, version=2)
UNDO = replace(KEY, stream="journals.reversal")
TOTAL = Decimal("28962.75")
BOOKED = {
    "4000": Decimal("24650.00"), "4010": Decimal("4312.75"), "1710": Decimal("-9871.20"), "1720": Decimal("-1680.40"),
    "1700": Decimal("-17411.15"), "1999": Decimal("0"),
}  # fmt: skip
MANY: tuple[EntryLine, ...] = (
    *(("4000", "10.01", f"loon {one}", "") for one in range(250)),
    ("1700", "-2502.50", "netto", ""),
)


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutations, "READ_BACK_S", (0.0, 0.0))


def encoded(booking: EntryBooking, master: Master, **chosen: Any) -> Payload:
    return dict(json.loads(json.dumps(journals.encode(booking, master, EboekhoudenSettings(**chosen)))))


@pytest.fixture
def payload(master: Master) -> Payload:
    return encoded(payroll(), master)


def balances(box: EboekhoudenSandbox) -> dict[str, Decimal]:
    return {code: box.balance(code) for code in BOOKED}


def nothing(box: EboekhoudenSandbox) -> bool:
    return not any(balances(box).values())


def findings(booking: EntryBooking, master: Master, **chosen: Any) -> list[str]:
    return [one.key for one in journals.validate(booking, master, EboekhoudenSettings(**chosen))]


def test_a_payroll_journal_becomes_one_mutation(payload: Payload) -> None:
    assert payload["bodies"] == json.loads((GOLDEN / "payroll_journal.json").read_text())
    assert (payload["total"], payload["told"]) == (TOTAL, [])


async def test_costs_are_debited_and_debts_credited(box: EboekhoudenSandbox, http: Http, payload: Payload) -> None:
    receipt = await journals.write(http, payload, KEY)
    assert balances(box) == BOOKED
    assert (receipt.ref, receipt.total, receipt.label) == ("1", TOTAL, "mutatie 1 · 2026-03 run 481516")
    [stands] = box.mutations()
    assert (stands["type"], stands["entryNumber"], len(stands["description"]) <= 50) == (7, f"hub-{KEY.mark}", True)
    names = {own: one["description"] for own, one in box.administration()["costcentres"].items()}
    centres = [names.get(row.get("costCenterId")) for row in stands["rows"]]
    assert centres == ["Kantoor", "20 Buitendienst", None, None, None, None]


@pytest.mark.parametrize("answer", ["id", "text_id", "list", "plain", "empty"])
@pytest.mark.parametrize("shown", [{}, {"omit_empty": True}, {"text_types": True}, {"ignores_filters": True}])
async def test_every_form_of_answer_is_understood(
    box: EboekhoudenSandbox, http: Http, payload: Payload, answer: str, shown: dict[str, Any]
) -> None:
    box.book(box.administration(), payload["bodies"][0])
    box.switches |= {"answer": answer, **shown}
    receipt = await journals.write(http, payload, KEY)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert (receipt.ref, receipt.total, receipt.fingerprint) == (stands.ref, TOTAL, stands.fingerprint)
    assert len(box.mutations()) == 2


async def test_an_entry_that_may_not_come_to_nothing_faces_one_of_its_own_lines(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    box.switches["zero_sum_refused"] = True
    receipt = await journals.write(http, payload, KEY)
    assert balances(box) == BOOKED
    assert receipt.total == TOTAL
    assert box.mutations()[0]["ledgerId"] == box.ledger(box.administration(), "1700")
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert stands.fingerprint == receipt.fingerprint
    back = await journals.write(http, journals.reversal(payload, receipt, date(2026, 3, 31)), UNDO)
    assert nothing(box)
    assert back.total == TOTAL


async def test_a_ledger_of_several_rows_can_face_the_others(
    box: EboekhoudenSandbox, http: Http, master: Master
) -> None:
    box.switches["zero_sum_refused"] = True
    lines: tuple[EntryLine, ...] = (("4000", "30.00", "loon", "20"), ("1710", "-10.00", "heffing", ""),
                                    ("1710", "-20.00", "heffing", ""))  # fmt: skip
    receipt = await journals.write(http, encoded(payroll(*lines), master), KEY)
    assert (box.balance("4000"), box.balance("1710"), receipt.total) == (Decimal(30), Decimal(-30), Decimal(30))
    bound: tuple[EntryLine, ...] = (("4000", "30.00", "loon", "20"), ("1710", "-30.00", "heffing", "20"))
    with pytest.raises(RecordRejected, match="perhaps_closed"):
        await journals.write(http, encoded(payroll(*bound), master), SECOND)


async def test_hundreds_of_lines_go_in_parts_of_a_hundred(box: EboekhoudenSandbox, http: Http, master: Master) -> None:
    payload = encoded(payroll(*MANY), master)
    receipt = await journals.write(http, payload, KEY)
    assert (receipt.ref, receipt.total) == ("1+2+3", Decimal("2502.50"))
    assert [len(one["rows"]) for one in box.mutations()] == [100, 100, 51]
    assert [one["entryNumber"] for one in box.mutations()] == [f"hub-{KEY.mark}-{one}/3" for one in (1, 2, 3)]
    assert (box.balance("4000"), box.balance("1700"), box.balance("1999")) == (
        Decimal("2502.50"), Decimal("-2502.50"), Decimal(0),
    )  # fmt: skip
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert (stands.ref, stands.total, stands.fingerprint) == (receipt.ref, receipt.total, receipt.fingerprint)


@pytest.mark.parametrize("kind", ["lost", "refused"])
async def test_an_interrupted_entry_goes_on_where_it_stopped(
    box: EboekhoudenSandbox, http: Http, master: Master, kind: Any
) -> None:
    payload = encoded(payroll(*MANY), master)
    box.fault(kind, method="POST", path="/mutation", after=1)
    with pytest.raises(OutcomeUnknown):
        await journals.write(http, payload, KEY)
    assert len(box.mutations()) == (2 if kind == "lost" else 1)
    assert await journals.find(http, KEY, payload) is None
    receipt = await journals.write(http, payload, KEY)
    assert receipt.total == Decimal("2502.50")
    assert len(box.mutations()) == 3
    assert box.balance("1999") == 0


async def test_a_refused_part_names_those_that_stand_and_the_rest_follows(
    box: EboekhoudenSandbox, http: Http, master: Master
) -> None:
    payload = encoded(payroll(*MANY), master)
    home = box.administration()
    broken = {**payload, "bodies": [*payload["bodies"][:1], *({**one, "ledgerId": 1} for one in payload["bodies"][1:])]}
    with pytest.raises(RecordRejected) as refused:
        await journals.write(http, broken, KEY)
    assert refused.value.key == "eboekhouden.part_refused"
    assert refused.value.values == {"part": "2/3", "mutations": "1"}
    await journals.write(http, payload, KEY)
    assert len(box.mutations(home)) == 3
    assert box.balance("1999") == 0


async def test_parts_of_what_an_entry_was_before_are_not_completed(
    box: EboekhoudenSandbox, http: Http, master: Master
) -> None:
    payload = encoded(payroll(*MANY), master)
    await journals.write(http, payload, KEY)
    box.delete(3)
    changed = encoded(
        payroll(*(("4000", "11.00", words, "") for _, _, words, _ in MANY[:-1]), ("1700", "-2750.00", "", "")), master
    )
    for one in (KEY, SECOND):
        with pytest.raises(RecordRejected) as left:
            await journals.write(http, changed, one)
        assert (left.value.key, left.value.values["mutations"]) == ("eboekhouden.parts_left", "1, 2")
    box.delete(1)
    with pytest.raises(OutcomeUnknown, match="parts_missing"):
        await journals.find(http, KEY, payload)
    assert len(box.mutations()) == 1


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("page_cap", [0, 1])
async def test_a_lost_answer_is_found_by_our_key(
    box: EboekhoudenSandbox, http: Http, payload: Payload, order: str, page_cap: int
) -> None:
    box.switches |= {"order": order, "page_cap": page_cap}
    for _ in range(3):
        box.book(box.administration(), {**payload["bodies"][0], "entryNumber": "hand"})
    box.fault("lost", method="POST", path="/mutation")
    with pytest.raises(OutcomeUnknown):
        await journals.write(http, payload, KEY)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert (stands.ref, stands.total) == ("4", TOTAL)


async def test_a_change_is_the_opposite_and_the_entry_anew(
    box: EboekhoudenSandbox, http: Http, payload: Payload, master: Master
) -> None:
    first = await journals.write(http, payload, KEY)
    undone = journals.reversal(payload, first, date(2026, 3, 31))
    back = await journals.write(http, undone, SECOND)
    assert nothing(box)
    assert back.total == TOTAL == undone["total"]
    assert box.mutations()[1]["description"] == "Storno 1 2026-03 run 481516"
    assert box.mutations()[1]["rows"][0]["costCenterId"] == box.mutations()[0]["rows"][0]["costCenterId"]
    anew = encoded(payroll(("4000", "100.01", "loon", ""), ("1700", "-100.01", "netto", "")), master)
    await journals.write(http, anew, replace(KEY, version=3))
    assert (box.balance("4000"), box.balance("1700"), box.balance("1999")) == (
        Decimal("100.01"), Decimal("-100.01"), Decimal(0),
    )  # fmt: skip
    assert [(await journals.find(http, one, payload)) is not None for one in (KEY, SECOND)] == [True, True]


async def test_a_reversal_of_parts_undoes_them_all(box: EboekhoudenSandbox, http: Http, master: Master) -> None:
    payload = encoded(payroll(*MANY), master)
    first = await journals.write(http, payload, KEY)
    undone = json.loads(json.dumps(journals.reversal(payload, first, date(2026, 4, 1))))
    await journals.write(http, undone, SECOND)
    assert nothing(box)
    assert {one["date"] for one in box.mutations()[3:]} == {"2026-04-01"}
    assert all(len(one["description"]) <= 50 for one in box.mutations())


@pytest.mark.parametrize(
    "change", [{"date": "2026-05-02"}, {"ledgerId": 51900010}, {"rows": [{"ledgerId": 51900012, "vatCode": "GEEN",
    "amount": Decimal("1.00")}]}],
)  # fmt: skip
async def test_hands_that_changed_a_mutation_are_noticed(
    box: EboekhoudenSandbox, http: Http, payload: Payload, change: dict[str, Any]
) -> None:
    first = await journals.write(http, payload, KEY)
    box.edit(1, **change)
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert (stands.ref, stands.fingerprint != first.fingerprint) == ("1", True)


async def test_words_may_be_changed_and_a_deleted_mutation_is_absent(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    first = await journals.write(http, payload, KEY)
    box.edit(1, description="Lonen maart")
    stands = await journals.find(http, KEY, payload)
    assert stands is not None
    assert stands.fingerprint == first.fingerprint
    box.delete(1)
    assert await journals.find(http, KEY, payload) is None


@pytest.mark.parametrize("closed", [{"closed_code": "MUT_020"}, {"closed_code": "X", "closed_status": 422}, {}])
async def test_a_closed_period_is_told_as_what_it_probably_is(
    box: EboekhoudenSandbox, http: Http, payload: Payload, closed: dict[str, Any]
) -> None:
    box.switches |= closed
    box.administration()["closed_until"] = "2026-03-31"
    with pytest.raises(RecordRejected) as refused:
        await journals.write(http, payload, KEY)
    assert (refused.value.key, refused.value.values) == ("eboekhouden.perhaps_closed", {"date": "2026-03-31"})
    assert "De periode is afgesloten" in refused.value.words
    assert refused.value.exchange is not None
    assert not box.mutations()


async def test_a_refusal_with_a_known_reason_is_told_as_that(
    box: EboekhoudenSandbox, http: Http, payload: Payload
) -> None:
    wrong = {**payload, "bodies": [{**payload["bodies"][0], "ledgerId": 12345}]}
    with pytest.raises(RecordRejected) as refused:
        await journals.write(http, wrong, KEY)
    assert (refused.value.key, refused.value.field) == ("eboekhouden.suspense_gone", "suspense_account")


def test_everything_that_is_wrong_is_told_at_once(master: Master) -> None:
    wrong = payroll(
        ("4321", "10.00", "onbekend", ""), ("4321", "5.00", "nog eens", ""), ("4000", "10.00", "loon", "99"),
        ("1700", "-25.00", "netto", ""), day=date(2050, 1, 31), currency="GBP",
    )  # fmt: skip
    assert findings(wrong, master, suspense_account="2999") == [
        "eboekhouden.suspense_unknown", "eboekhouden.entry_other_currency", "eboekhouden.date_refused",
        "eboekhouden.account_unknown", "eboekhouden.entry_cost_centre_unknown",
    ]  # fmt: skip
    with pytest.raises(RecordRejected) as refused:
        encoded(wrong, master, suspense_account="2999")
    assert len(refused.value.findings) == 5
    assert "eboekhouden.entry_cost_centre_unknown" not in findings(wrong, master, cost_centre_use="never")


async def test_the_suspense_account_is_chosen_by_itself_only_when_there_is_one(
    box: EboekhoudenSandbox, http: Http
) -> None:
    assert CONNECTOR.master is not None
    listed = await CONNECTOR.options["suspense_accounts"](http, {})
    assert [one.value for one in listed][:1] == ["1999"]
    assert {"1300", "1100", "4000"} & {one.value for one in listed} == set()
    box.add_ledger(box.administration(), "1998", "Tussenrekening lonen", "BAL")
    master = await CONNECTOR.master(http, HOME)
    assert findings(payroll(), master) == ["eboekhouden.suspense_choose"]
    own = box.ledger(box.administration(), "1998")
    assert encoded(payroll(), master, suspense_account="1998 Tussenrekening lonen")["bodies"][0]["ledgerId"] == own


async def test_cost_centres_go_by_the_code_their_name_starts_with(box: EboekhoudenSandbox, http: Http) -> None:
    home = box.administration()
    box.add_cost_centre(home, "30 Winkel")
    box.add_cost_centre(home, "30 Bakkerij")
    box.add_cost_centre(home, "40 Oud", active=False)
    listed = await CONNECTOR.options["cost_centres"](http, {})
    assert [(one.value, one.label) for one in listed] == [
        ("20", "20 Buitendienst"), ("Kantoor", "Kantoor"), ("30 Winkel", "30 Winkel"), ("30 Bakkerij", "30 Bakkerij"),
    ]  # fmt: skip


async def test_long_words_are_cut_and_told(box: EboekhoudenSandbox, http: Http, master: Master) -> None:
    words = "Loonjournaal van alle vestigingen samen, met een lange naam"
    payload = encoded(payroll(description=words), master)
    receipt = await journals.write(http, payload, KEY)
    assert box.mutations()[0]["description"] == "2026-03 run 481516 Loonjournaal van alle"
    assert receipt.warnings == (f"2026-03 run 481516 {words} -> {box.mutations()[0]['description']}",)


async def test_what_stands_there_is_listed_with_its_debit_total(
    box: EboekhoudenSandbox, http: Http, payload: Payload, master: Master
) -> None:
    home = box.administration()
    box.book(home, {**payload["bodies"][0], "date": "2025-12-31"})
    box.book(home, {**payload["bodies"][0], "entryNumber": "NMB-1"})
    by_hand = {**payload["bodies"][0], "ledgerId": box.ledger(home, "1700"), "rows": payload["bodies"][0]["rows"][:-1]}
    box.book(home, by_hand)
    await journals.write(http, payload, KEY)
    await journals.write(http, encoded(payroll(*MANY), master), SECOND)
    other = replace(KEY, source_id="other")
    await journals.write(http, encoded(payroll(*MANY), master), other)
    box.delete(8)
    box.switches["page_cap"] = 2
    pages = journals.index(http, HOME, date(2026, 1, 1), EboekhoudenSettings())
    found: list[Existing] = [one async for page in pages for one in page]
    assert [(one.ref, one.mark, one.total) for one in found] == [
        ("2", "nmb-1", TOTAL), ("3", "", TOTAL), ("4", f"hub-{KEY.mark}", None), ("5+6+7", f"hub-{SECOND.mark}", None),
    ]  # fmt: skip
    assert found[3].mark in mutations.marks(SECOND)
