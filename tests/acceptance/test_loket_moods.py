"""Loket.nl to FinMaster, whatever habits they have: each payroll journal once, to the cent."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest

from tests.acceptance.drafts_story import CALM
from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.vendors.finmaster import Finmaster, Ledger
from tests.acceptance.vendors.house import Fault
from tests.acceptance.vendors.loket import WAGES, Loket, Office

MONTH = {account: Decimal(debit) - Decimal(credit) for account, debit, credit, _ in WAGES}
TABLE = {"4000": "40100", "4050": "40300", "01700": "15200", "1710": "15100"}
CORRECTION = (("4000", "-310.25", "0", "BAK"), ("01700", "0", "-98.15", ""), ("1710", "0", "-212.10", ""))


@dataclass
class Mood:
    """How both vendors behave, and what the customer answers."""

    name: str
    loket: dict[str, Any] = field(default_factory=dict)
    finmaster: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Bad days of FinMaster."""
    source_faults: list[Fault] = field(default_factory=list)
    transpose: bool = False


MOODS = [
    Mood("as documented and proposed", settings={"loket_mark": True}),
    Mood(
        "a filter that hides, keys as text, upper-case ids, one record is no list",
        loket={"empty_centre": True, "filter": "nothing", "text_keys": True, "upper_ids": True, "single": True,
               "zone": "Z", "no_user": True},
        finmaster={"lists": "bare", "numbers": True, "answers": "whole"},
    ),
    Mood(
        "a filter that is refused, no order, small pages, fields left out, numbers as text",
        loket={"filter": "refused", "no_order": True, "page": 3, "omits": True, "text_numbers": True,
               "no_authorizations": True, "plain_errors": True, "old_refresh_lives": True},
        finmaster={"lists": "items", "names": True, "answers": "empty", "lag": 3, "reference_needed": True},
    ),
    Mood(
        "tokens of fifteen seconds, no totals, zero is null, marked with an empty answer",
        loket={"life": 15, "life_as_text": True, "no_totals": True, "null_zero": True, "empty_patch": True,
               "paged_detail": True, "filter": "ignored"},
        finmaster={"lists": "single", "answers": "list", "ignores_reference": True, "no_lines": True},
        settings={"loket_mark": True, "loket_application": "31"},
        transpose=True,
    ),
    Mood(
        "no payroll run ids, results without pages, no right to mark",
        loket={"no_payroll_run_id": True, "strict_results": True, "no_results": 404, "may_not_mark": True},
        finmaster={"bare_409": True, "status": "concept"},
        settings={"loket_mark": True},
    ),
    Mood(
        "bad days",
        finmaster={"lag": 2, "bare_409": True},
        settings={"loket_mark": True},
        faults=[
            Fault("lost", "POST", "memoriaal", 1),
            Fault("500_after", "POST", "memoriaal", 1, 1),
            Fault("429", "POST", "memoriaal", 1, 1),
            Fault("html", "POST", "memoriaal", 1, 1),
            Fault("500", "POST", "memoriaal", 1, 2),
            Fault("html", "GET", "memoriaal", 1, 1),
        ],
        source_faults=[
            Fault("html", "GET", "journalruns$", 1, 1),
            Fault("429", "GET", "results", 1, 2),
            Fault("401", "GET", "results", 1, 3),
            Fault("500", "GET", "results", 1, 4),
            Fault("lost", "PATCH", "", 1),
            Fault("500_after", "PATCH", "", 1, 1),
        ],
    ),
    Mood("four weeks", loket={"four_weeks": True}, finmaster={"names": True}),
]  # fmt: skip


class PayrollStory:
    """One customer."""

    def __init__(self, scene: Scene, mood: Mood, number: int) -> None:
        self.mood = mood
        self.me: Stranger = scene.stranger()
        houses = scene.street.houses
        name = f"Bakkerij De Gouden Korst {number} B.V."
        self.office: Office = cast(Loket, houses["loket"]).open(f"api.korst{number}", name, **mood.loket)
        self.ledger: Ledger = cast(Finmaster, houses["finmaster"]).open(f"GK{number}", name, **mood.finmaster)
        self.home = self.office.administration("De Gouden Korst")
        self.combi = ""
        self.months = 0

    def month(self, period: int, **facts: Any) -> str:
        """A payroll journal that must be booked."""
        self.months += 1
        return self.office.journal(self.home, 2026, period, **facts)

    def furnish(self) -> None:
        """Five months, and runs that are not to be booked."""
        for period in range(1, 6):
            self.month(period)
        for status in (0, 2, 3, 5, 6, 7):
            self.office.journal(self.home, 2026, 6, status=status)
        self.office.journal(self.home, 2026, 7, test_year=True)
        self.office.journal(self.home, 2025, 12)

    def install(self) -> None:
        """Both links, a combi from January on, and on."""
        login = {"gebruikersnaam": self.office.user, "wachtwoord": "x"}
        source = self.me.connect("loket", {}, login)
        target = self.me.connect("finmaster", {"token": self.ledger.token})
        assert self.me.call("GET", f"/connections/{source}")["identity"]["name"] == self.office.name
        body = {"recipe": "loket-finmaster", "source_connection_id": source, "target_connection_id": target}
        body |= {"start_date": "2026-01-01", "schedule": "manual"}
        self.combi = self.me.call("POST", "/combis", body, 201)["id"]
        live = self.me.call("GET", f"/combis/{self.combi}/options/administrations")
        places = {one["value"]: live["options"][0]["value"] for one in live["keys"]}
        assert places == {self.home: self.ledger.id}
        mode = "transpose" if self.mood.transpose else "own_chart"
        settings = {"administrations": places, "account_mode": mode, **self.mood.settings}
        self.me.call("PATCH", f"/combis/{self.combi}", {"settings": settings})
        if self.mood.transpose:
            entries = [{"source": source, "target": target} for source, target in TABLE.items()]
            self.me.call("PUT", f"/combis/{self.combi}/mappings/ledger_accounts", {"entries": entries})
        assert self.me.call("POST", f"/combis/{self.combi}/activate")["status"] == "active"

    def rest(self) -> list[Any]:
        """Runs until no document waits for anything but a human; gives the documents."""
        for _ in range(12):
            run = self.me.run(self.combi, 120)
            items = self.me.items(self.combi)
            if not [one for one in items if one["status"] not in CALM | {"changed"}] and run["outcome"]["code"] < 3000:
                return items
        raise AssertionError(f"{self.mood.name}: {run['outcome']} {run['reason']} {items}")

    def check(self, correction: int = 0) -> None:
        """Each journal stands once, to the cent, and each reference once."""
        expected = {account: amount * self.months for account, amount in MONTH.items()}
        for account, debit, credit, _ in CORRECTION * correction:
            expected[account] += Decimal(debit) - Decimal(credit)
        named = {TABLE[account] if self.mood.transpose else account: one for account, one in expected.items()}
        assert self.ledger.balance() == named, self.mood.name
        references = self.ledger.references()
        assert len(references) == len(set(references)) == self.months + correction


def _live(scene: Scene, number: int) -> PayrollStory:
    story = PayrollStory(scene, MOODS[number], number)
    story.furnish()
    story.install()
    story.ledger.faults, story.office.faults = list(story.mood.faults), list(story.mood.source_faults)
    story.rest()
    story.check()
    again = story.month(8)
    story.office.journal(story.home, 2026, 8, CORRECTION)
    story.rest()
    story.check(correction=1)
    payroll_run = story.office.undo(again)
    story.office.journal(story.home, 2026, 8, payroll_run=payroll_run)
    items = {one["number"]: one["status"] for one in story.rest()}
    story.check(correction=1)
    assert "changed" not in items.values(), items
    _check_marks(story)
    assert not [one for one in (*story.ledger.faults, *story.office.faults) if one.times], "a bad day that never came"
    written = story.ledger.count("POST", "")
    story.rest()
    assert story.ledger.count("POST", "") == written
    return story


def _check_marks(story: PayrollStory) -> None:
    """What stands booked is marked once, and nothing else; where it is not wanted or not allowed, nothing is."""
    marked = [one["run"] for one in story.office.marks]
    assert len(marked) == len(set(marked))
    if story.mood.settings.get("loket_mark") and not story.mood.loket.get("may_not_mark"):
        assert len(marked) >= story.months
        assert all(one["message"].startswith("Geboekt als 90 2026-09") for one in story.office.marks)
    else:
        assert marked == []


@pytest.fixture(scope="module")
def lives(scene: Scene) -> list[Future[PayrollStory]]:
    """All moods at once: their organisations share one hub and one worker."""
    pool = ThreadPoolExecutor(len(MOODS))
    return [pool.submit(_live, scene, number) for number in range(len(MOODS))]


@pytest.mark.parametrize("number", range(len(MOODS)), ids=[mood.name.replace(" ", "_")[:40] for mood in MOODS])
def test_books_come_right(lives: list[Future[PayrollStory]], number: int) -> None:
    """Each payroll journal, and each correction: once."""
    lives[number].result(timeout=240)


def test_what_is_missing_is_named_at_once_and_booked_by_another_choice(scene: Scene) -> None:
    """Accounts, a cost centre and a closed period: one run tells all of them. A choice helps what a choice can help."""
    story = PayrollStory(scene, Mood("missing"), 90)
    story.month(3)
    story.month(4)
    del story.ledger.accounts["4050"]
    del story.ledger.centres["BAK"]
    story.ledger.closed = {4}
    story.install()
    found = {one["number"]: story.me.call("GET", f"/items/{one['id']}")["findings"] for one in story.rest()}
    keys = {number: [one["key"] for one in findings] for number, findings in found.items()}
    assert keys["2026-03 run 1"] == ["accounts_unknown", "cost_centres_unknown"]
    assert keys["2026-04 run 2"] == ["accounts_unknown", "cost_centres_unknown", "finmaster.period_closed"]
    assert "4050 Sociale lasten" in found["2026-03 run 1"][0]["sentence"]
    for table, source, target in (("ledger_accounts", "4050", "40300"), ("cost_centres", "BAK", "WIN")):
        entries = [{"source": source, "target": target}]
        story.me.call("PUT", f"/combis/{story.combi}/mappings/{table}", {"entries": entries})
    items = {one["number"]: one for one in story.rest()}
    assert {number: one["status"] for number, one in items.items()} == {
        "2026-03 run 1": "booked",
        "2026-04 run 2": "finding",
    }
    assert story.ledger.balance() == {"40300" if one == "4050" else one: amount for one, amount in MONTH.items()}


def test_a_user_without_rights_hears_which(scene: Scene) -> None:
    """The link stays pending, or says what is missing; nothing is booked."""
    story = PayrollStory(scene, Mood("rights"), 91)
    story.office.faults = [Fault("403", "GET", "payrolladministrations", 99)]
    made = story.me.call("POST", "/connections", {"connector": "loket"}, 201)
    page = story.me.consent(made["authorization_url"], {"gebruikersnaam": story.office.user, "wachtwoord": "x"})
    assert "recht" in page.text, page.text[:2000]
    assert story.me.call("GET", f"/connections/{made['id']}")["status"] != "active"
