"""Memorial entries over the stand-in interface: booked once, found again, read back in every plausible spelling."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.finmaster import CONNECTOR, journals
from connectors.finmaster.reading import rows
from connectors.finmaster.sandbox import FinmasterSandbox
from connectors.finmaster.settings import FinmasterSettings
from hub.accounting.chart import Journal, Master
from hub.kit import json
from hub.sdk.connector import Payload
from hub.sdk.errors import OutcomeUnknown, RecordRejected, TransientError
from hub.sdk.http import Http
from tests.connectors.finmaster.conftest import HOME, booking, key

KEY = key()
MARK = journals.reference(KEY)
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def payload(master: Master, settings: FinmasterSettings) -> Payload:
    return journals.encode(booking(), master, settings)


def wrongs(master: Master, made: Any = None, **chosen: Any) -> list[str]:
    found = journals.validate(made or booking(), master, FinmasterSettings(**chosen))
    return [one.key.removeprefix("finmaster.") for one in found]


def test_the_month_is_its_golden_payload(payload: Payload) -> None:
    assert json.loads(json.dumps(payload)) == json.loads((GOLDEN / "payload.json").read_text(encoding="utf-8"))


def test_a_payload_balances_and_keeps_codes_as_they_are(payload: Payload) -> None:
    lines = payload["body"]["regels"]
    assert sum(Decimal(one["debet"]) - Decimal(one["credit"]) for one in lines) == 0
    assert [one["regel"] for one in lines] == list(range(1, 12))
    assert payload["total"] == "27466.19"


async def test_an_entry_stands_once_and_is_read_back(box: FinmasterSandbox, http: Http, payload: Payload) -> None:
    receipt = await journals.write(http, payload, KEY)
    assert (receipt.ref, receipt.label, receipt.total) == ("2026-0001", "90 2026-0001", Decimal("27466.19"))
    assert not receipt.existed
    (entry,) = box.entries()
    assert (entry["referentie"], entry["boekjaar"], entry["periode"]) == (MARK, 2026, 9)


FORMS = [
    {"answer": "voucher"}, {"answer": "empty"}, {"answer": "list"}, {"lists": "bare"}, {"lists": "data"},
    {"numbers": "number"}, {"absent": "omit"}, {"names": "english"},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
async def test_every_form_of_answer_is_understood(
    box: FinmasterSandbox, http: Http, settings: FinmasterSettings, form: dict[str, str]
) -> None:
    box.switches |= form
    assert CONNECTOR.master is not None
    made = journals.encode(booking(), await CONNECTOR.master(http, HOME), settings)
    receipt = await journals.write(http, made, KEY)
    found = await journals.find(http, KEY, made)
    assert found is not None
    assert (receipt.ref, receipt.total, receipt.fingerprint) == (found.ref, found.total, found.fingerprint)
    assert receipt.total == Decimal("27466.19")


@pytest.mark.parametrize("duplicate", ["409", "200"])
@pytest.mark.parametrize("voucher", [True, False])
async def test_a_reference_that_is_booked_already_is_ours(
    box: FinmasterSandbox, http: Http, payload: Payload, duplicate: str, voucher: bool
) -> None:
    box.switches |= {"duplicate": duplicate, "duplicate_voucher": voucher}
    first, second = [await journals.write(http, payload, KEY) for _ in range(2)]
    assert (first.ref, len(box.entries())) == (second.ref, 1)


async def test_a_duplicate_that_does_not_show_yet_is_unknown_and_not_refused(
    box: FinmasterSandbox, http: Http, payload: Payload
) -> None:
    await journals.write(http, payload, KEY)
    box.switches["lag_s"] = 60
    with pytest.raises(OutcomeUnknown):
        await journals.write(http, payload, KEY)
    assert len(box.entries()) == 1


async def test_an_answer_that_says_nothing_is_looked_up(box: FinmasterSandbox, http: Http, payload: Payload) -> None:
    box.switches |= {"answer": "empty", "lag_s": 60}
    with pytest.raises(OutcomeUnknown):
        await journals.write(http, payload, KEY)
    box.switches["lag_s"] = 0
    found = await journals.find(http, KEY, payload)
    assert found is not None
    assert found.ref == "2026-0001"


async def test_a_reference_that_answers_not_found_is_not_booked_yet(
    box: FinmasterSandbox, http: Http, payload: Payload
) -> None:
    box.switches["no_entry"] = 404
    assert await journals.find(http, KEY, payload) is None
    assert (await journals.write(http, payload, KEY)).ref == "2026-0001"


def test_a_list_with_what_there_is_to_say_beside_it_is_that_list() -> None:
    assert rows({"meldingen": [], "waarschuwingen": [{"code": "X"}], "perioden": [{"nummer": 1}]}) == [{"nummer": 1}]
    with pytest.raises(TransientError):
        rows({"perioden": [], "dagboeken": []})


async def test_a_refusal_names_every_fault(box: FinmasterSandbox, http: Http, payload: Payload) -> None:
    del box.books["administrations"][HOME]["accounts"]["40400"]
    del box.books["administrations"][HOME]["centres"]["BAK"]
    with pytest.raises(RecordRejected) as said:
        await journals.write(http, payload, KEY)
    assert "REKENING_ONBEKEND" in said.value.words
    assert "KOSTENPLAATS_ONBEKEND" in said.value.words
    assert (said.value.key, said.value.values["date"]) == ("finmaster.entry_refused", payload["body"]["boekdatum"])
    assert box.entries() == []


async def test_a_reference_on_two_vouchers_is_asked_about(box: FinmasterSandbox, http: Http, payload: Payload) -> None:
    await journals.write(http, payload, KEY)
    (entry,) = box.entries()
    home = box.books["administrations"][HOME]
    home["entries"]["2026-0009"] = {**entry, "boekstuknummer": "2026-0009"}
    with pytest.raises(OutcomeUnknown):
        await journals.find(http, KEY, payload)


async def test_hands_that_change_an_entry_show(box: FinmasterSandbox, http: Http, payload: Payload) -> None:
    receipt = await journals.write(http, payload, KEY)
    (entry,) = box.entries()
    entry["omschrijving"] = "Andere woorden"
    found = await journals.find(http, KEY, payload)
    assert found is not None
    assert found.fingerprint == receipt.fingerprint
    entry["regels"][0]["rekening"] = "40150"
    found = await journals.find(http, KEY, payload)
    assert found is not None
    assert found.fingerprint != receipt.fingerprint


async def test_what_stands_there_is_listed_for_adoption(
    box: FinmasterSandbox, http: Http, payload: Payload, settings: FinmasterSettings
) -> None:
    await journals.write(http, payload, KEY)
    box.hand(HOME, {**payload["body"], "boekdatum": "2026-01-31", "omschrijving": "Met de hand"})
    pages = [page async for page in journals.index(http, HOME, None, settings)]
    found = {one.ref: (one.mark, one.total) for page in pages for one in page}
    assert found == {"2026-0001": (MARK, Decimal("27466.19")), "2026-0002": ("", Decimal("27466.19"))}
    box.switches["lists_entries"] = False
    assert [one async for page in journals.index(http, HOME, None, settings) for one in page] == []


def test_a_journal_is_found_named_or_asked_for(master: Master) -> None:
    assert wrongs(master) == []
    assert wrongs(master, finmaster_journal="90") == []
    assert wrongs(master, finmaster_journal="70") == ["journal_not_memorial"]
    assert wrongs(master, finmaster_journal="99") == ["journal_unknown"]
    two = master.model_copy(update={"journals": (*(master.journals or ()), Journal(id="91", kind="Memoriaal"))})
    assert wrongs(two) == ["journal_choose"]
    assert wrongs(two, finmaster_journal="91") == []
    assert wrongs(master.model_copy(update={"journals": None})) == ["journal_missing"]


async def test_periods_that_are_missing_or_closed_are_told_before_sending(box: FinmasterSandbox, http: Http) -> None:
    assert CONNECTOR.master is not None
    home = box.books["administrations"][HOME]
    assert wrongs(await CONNECTOR.master(http, HOME), booking(day="2031-01-01")) == ["period_missing"]
    box.close(home, 2026, 9)
    assert wrongs(await CONNECTOR.master(http, HOME)) == ["period_closed"]
    box.switches["periods"] = False
    assert wrongs(await CONNECTOR.master(http, HOME)) == []


@pytest.mark.parametrize("start", range(1, 13))
def test_every_day_falls_in_one_period_of_twelve(start: int) -> None:
    settings, blank = FinmasterSettings(finmaster_year_start=start), Master(administration=HOME)
    days = [booking(day=f"{year}-{month:02d}-15").date for year in (2026, 2027) for month in range(1, 13)]
    places = [journals.place_of(day, blank, settings) for day in days]
    assert all((later.year, later.period) > (one.year, one.period) for one, later in pairwise(places))
    assert {one.period for one in places} == set(range(1, 13))


async def test_other_money_is_refused(master: Master) -> None:
    assert wrongs(master, booking(currency="USD")) == ["other_currency"]


async def test_by_file_nothing_is_called_and_nothing_can_be_listed(box: FinmasterSandbox, by_file: Http) -> None:
    assert CONNECTOR.master is not None
    master, settings = await CONNECTOR.master(by_file, HOME), FinmasterSettings(finmaster_journal="90")
    assert (master.accounts, master.cost_centres, master.journals) == (None, None, None)
    made = journals.encode(booking(), master, settings)
    receipt = await journals.write(by_file, made, KEY)
    assert (receipt.filed, receipt.ref, receipt.total) == (True, MARK, Decimal("27466.19"))
    assert await journals.find(by_file, KEY, made) is None
    assert [page async for page in journals.index(by_file, HOME, None, settings)] == []
    assert box.calls.total() == 0
