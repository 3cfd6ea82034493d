"""A payroll office's story: link Nmbrs with a target, book a year's journals, correct some, and look into the books."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.story import CALM
from tests.acceptance.vendors.eboekhouden import Administration
from tests.acceptance.vendors.house import Fault
from tests.acceptance.vendors.minox import Tenant
from tests.acceptance.vendors.nmbrs import Environment, Nmbrs, Payrun, sums, wages

CENTRES = {"010": "010 Winkel", "020": "020 Magazijn"}


@dataclass
class Mood:
    """How the target behaves, and what befalls the calls to it."""

    name: str
    target: Literal["eboekhouden", "minox"]
    habits: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    later: list[Fault] = field(default_factory=list)
    """On the corrections."""


class EntriesStory:
    """One customer."""

    def __init__(self, scene: Scene, mood: Mood, number: int) -> None:
        self.mood = mood
        self.me: Stranger = scene.stranger()
        nmbrs = scene.street.houses["nmbrs"]
        assert isinstance(nmbrs, Nmbrs)
        self.firm: Environment = nmbrs.open(f"bakkerij{number}")
        self.company = self.firm.company(1, f"Bakkerij {number} B.V.")
        self.payruns: list[Payrun] = []
        self.home: Administration | None = None
        self.tenant: Tenant | None = None
        if mood.target == "eboekhouden":
            self.home = scene.eboekhouden.open(f"Bakkerij {number} B.V.", **mood.habits)
        else:
            self.tenant = scene.minox.open(43000 + number, f"Bakkerij {number} B.V.", **mood.habits)
        self.combi = ""

    def run(self, month: int, gross: str) -> Payrun:
        """A locked run of a month of 2026."""
        day = f"2026-{month:02}-28"
        made = self.firm.run(self.company, 2026, month, month, wages(gross, "010", "020"), day=day)
        self.payruns.append(made)
        return made

    @property
    def world(self) -> Administration | Tenant:
        """The target's place."""
        found = self.home or self.tenant
        assert found is not None
        return found

    def install(self) -> None:
        """Both links, a combi, its questions, and on."""
        fields = {"email": self.firm.email, "api_token": self.firm.token}
        source = self.me.connect("nmbrs", fields)
        if self.home is not None:
            target = self.me.connect("eboekhouden", {"api_token": self.home.token})
        else:
            assert self.tenant is not None
            login = {"klantnummer": str(self.tenant.id), "gebruiker": "MINOX", "wachtwoord": "x"}
            target = self.me.connect("minox", {}, login)
        recipe = f"nmbrs-{self.mood.target}"
        body = {"recipe": recipe, "source_connection_id": source, "target_connection_id": target}
        self.combi = self.me.call("POST", "/combis", body, 201)["id"]
        live = self.me.call("GET", f"/combis/{self.combi}/options/administrations")
        places = {live["keys"][0]["value"]: live["options"][0]["value"]}
        settings = {"administrations": places, "start_year": 2026, "split": "cost_centre", **self.mood.settings}
        self.me.call("PATCH", f"/combis/{self.combi}", {"settings": settings})
        if self.tenant is not None:
            table = [{"source": "010", "target": "10"}, {"source": "020", "target": "20"}]
            self.me.call("PUT", f"/combis/{self.combi}/mappings/cost_centres", {"entries": table})
        assert self.me.call("POST", f"/combis/{self.combi}/activate")["status"] == "active"

    def come_to_rest(self, patience_s: float = 200) -> list[Any]:
        """Runs until no journal waits for anything but a human; gives the documents."""
        until = time.monotonic() + patience_s
        while True:
            run = self.me.run(self.combi, patience_s)
            items = self.me.items(self.combi)
            restless = [one for one in items if one["status"] not in CALM]
            if not restless and run["outcome"]["code"] < 3000 and items:
                return items
            if time.monotonic() > until:
                details = [self.me.call("GET", f"/items/{one['id']}") for one in restless[:3]]
                raise AssertionError(f"{self.mood.name}: restless: {run['outcome']} {run['reason']} {details}")
            time.sleep(1)

    def all_booked(self) -> None:
        """Comes to rest with nothing that a human must look at."""
        wrong = [one for one in self.come_to_rest() if one["status"] not in ("booked", "ignored")]
        details = [self.me.call("GET", f"/items/{one['id']}")["findings"] for one in wrong]
        assert not wrong, f"{self.mood.name}: {details} {getattr(self.world, 'refused', [])}"

    def balances(self) -> dict[str, Decimal]:
        """Debit less credit per account, in the target's own books."""
        if self.home is not None:
            return self.home.balances()
        assert self.tenant is not None
        return self.tenant.books[3].posted("account")

    def by_centre(self) -> dict[str, Decimal]:
        """The same per cost centre, under the source's codes."""
        if self.home is not None:
            return {name.split()[0]: total for name, total in self.home.by_centre().items()}
        assert self.tenant is not None
        return {f"0{own}": total for own, total in self.tenant.books[3].posted("cost_center").items()}

    def check_books(self) -> None:
        """What the payroll says stands there, to the cent, per account and per cost centre."""
        due = sums(self.payruns)
        assert self.balances() == due, f"{self.mood.name}: {self.balances()} for {due}"
        centres: dict[str, Decimal] = {}
        for _, centre, value, _, _ in (line for one in self.payruns for lines in one.lines for line in lines):
            if centre:  # only costs have one
                centres[centre] = centres.get(centre, Decimal(0)) + Decimal(value)
        assert self.by_centre() == centres, f"{self.mood.name}: {self.by_centre()} for {centres}"

    def entries(self) -> int:
        """How many entries stand there, opposites among them."""
        if self.home is not None:
            return len(self.home.mutations)
        assert self.tenant is not None
        return len(self.tenant.books[3].batches)


def live(scene: Scene, mood: Mood, number: int) -> EntriesStory:
    """A whole story; what goes wrong is an AssertionError with the mood's name."""
    story = EntriesStory(scene, mood, number)
    for month in (1, 2, 3):
        story.run(month, f"{9000 + month}.37")
    story.install()
    story.world.faults = list(mood.faults)
    story.all_booked()
    story.check_books()
    assert story.entries() == 3
    assert not [one for one in story.world.faults if one.times], "a bad day that never came"
    story.run(4, "9100.01")
    story.payruns[0].lines = [wages("9250.55", "010", "020")]
    story.world.faults = list(mood.later)
    story.all_booked()
    story.check_books()
    assert story.entries() == (6 if mood.target == "eboekhouden" else 4)
    assert not [one for one in story.world.faults if one.times], "a bad day that never came"
    written = story.world.count("(POST|PUT)", "mutation|batch")
    story.all_booked()
    assert story.world.count("(POST|PUT)", "mutation|batch") == written
    return story
