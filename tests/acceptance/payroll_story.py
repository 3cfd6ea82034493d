"""A story of Nmbrs and Minox in one of their moods: link, book, lock, make a year anew, move to the other API."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.vendors.house import Fault
from tests.acceptance.vendors.minox import Books, Tenant
from tests.acceptance.vendors.nmbrs import ACCOUNTS, Company, Environment, Nmbrs, Payrun, sums, sunday, wages

CALM = {"booked", "ignored", "skipped"}


@dataclass
class Mood:
    """How Nmbrs behaves, how one gets in, and what the customer answers."""

    name: str
    nmbrs: dict[str, Any] = field(default_factory=dict)
    way: str = "key"
    settings: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Bad days of Nmbrs while the first runs are fetched."""
    minox_faults: list[Fault] = field(default_factory=list)
    minox: dict[str, Any] = field(default_factory=dict)
    split: bool = False


class PayrollStory:
    """One customer, with a company that pays by the month and one by four weeks, and a stranger's company beside."""

    def __init__(self, scene: Scene, mood: Mood, number: int) -> None:
        self.mood = mood
        self.me: Stranger = scene.stranger()
        nmbrs, minox = scene.street.houses["nmbrs"], scene.minox
        assert isinstance(nmbrs, Nmbrs)
        self.payroll: Environment = nmbrs.open(f"loon{number}", **mood.nmbrs)
        self.tenant: Tenant = minox.open(60000 + number, f"Boeken {number}", f"Depot {number}", **mood.minox)
        self.books: Books = self.tenant.books[3]
        self.depot_books: Books = self.tenant.books[4]
        for books in (self.books, self.depot_books):
            books.accounts |= {account: (words, None) for account, words in ACCOUNTS.items()}
            books.years = (2025, 2026, 2027)
        self.shop: Company
        self.depot: Company
        self.expected: list[Payrun] = []
        self.source = self.combi = ""

    def furnish(self) -> None:
        """Runs of two years: plain ones, a correction over three periods, one of two transactions, an empty one."""
        world = self.payroll
        world.company(7, f"Vreemd Bedrijf {world.domain} B.V.", 9)
        self.shop = world.company(12, f"Bakkerij 't Hoekje & Zn. {world.domain} B.V.")
        self.depot = world.company(13, f"Depot Noord {world.domain} B.V.", 2, "4W")
        centres = ("010", "02000") if self.mood.split else ()
        world.run(self.shop, 2025, 11, 11, wages("8000"))
        self.expected += [
            world.run(self.shop, 2025, 12, 12, wages("8100.10", *centres)),
            *(world.run(self.shop, 2026, month, month, wages(f"9{month}00.35", *centres)) for month in (1, 2, 3)),
            world.run(self.shop, 2026, 1, 3, wages("250"), kind="twk", day="2026-03-25", description="Correctie"),
            world.run(self.shop, 2026, 4, 4, wages("9400"), wages("1000", *centres), day="2026-04-25"),
        ]
        world.run(self.shop, 2026, 5, 5, day="2026-05-25")
        self.open_run = world.run(self.shop, 2026, 6, 6, wages("9600"), locked=False)
        self.expected += [
            world.run(self.depot, 2026, period, period, wages("22000.07"), day=sunday(2026, period * 4))
            for period in (1, 2, 13)
        ]
        world.run(next(iter(world.companies.values())), 2026, 1, 1, wages("1"))

    def install(self) -> None:
        """Both links, a combi with the companies chosen by name, and on."""
        self.source = self.link(self.mood.way)
        login = {"klantnummer": str(self.tenant.id), "gebruiker": "MINOX", "wachtwoord": "x"}
        target = self.me.connect("minox", {}, login)
        body = {"recipe": "nmbrs-minox", "source_connection_id": self.source, "target_connection_id": target}
        self.combi = self.me.call("POST", "/combis", body, 201)["id"]
        live = self.me.call("GET", f"/combis/{self.combi}/options/administrations")
        by_name = {one["label"].lower(): one["value"] for one in live["keys"]}
        places = {one["label"].lower(): one["value"] for one in live["options"]}
        chosen = {
            next(value for label, value in by_name.items() if "hoekje" in label): next(
                value for label, value in places.items() if "boeken" in label
            ),
            next(value for label, value in by_name.items() if "depot" in label): next(
                value for label, value in places.items() if "depot" in label
            ),
        }
        settings = {
            "administrations": chosen, "start_year": 2025, "start_period": 12, "cost_centre_mode": "none",
            "split": "cost_centre" if self.mood.split else "company", **self.mood.settings,
        }  # fmt: skip
        self.me.call("PATCH", f"/combis/{self.combi}", {"settings": settings})
        assert self.me.call("POST", f"/combis/{self.combi}/activate")["status"] == "active"

    def link(self, way: str) -> str:
        """A new connection."""
        world = self.payroll
        if way == "oauth":
            made = self.me.call("POST", "/connections", {"connector": "nmbrs", "auth": "oauth"}, 201)
            page = self.me.consent(made["authorization_url"], {"Email": world.email, "Password": "x"})
            made = self.me.call("GET", f"/connections/{made['id']}")
            assert made["status"] == "active", f"{self.mood.name}: {made} {page.text[:500]}"
            return str(made["id"])
        return self.me.connect("nmbrs", {"email": world.email, "api_token": world.token})

    def move(self) -> None:
        """The connection goes over to the other API."""
        where, world = f"/connections/{self.source}/reauthorize", self.payroll
        if self.mood.way == "key":
            asked = self.me.call("POST", where, {"auth": "oauth"})
            self.me.consent(asked["authorization_url"], {"Email": world.email, "Password": "x"})
        else:
            fields = {"email": world.email, "api_token": world.token}
            self.me.call("POST", where, {"auth": "key", "fields": fields})
        assert self.me.call("GET", f"/connections/{self.source}")["auth"] != self.mood.way

    def come_to_rest(self, patience_s: float = 150) -> list[Any]:
        """Runs until no journal waits; gives the journals."""
        until = time.monotonic() + patience_s
        while True:
            run = self.me.run(self.combi, patience_s)
            items = self.me.items(self.combi)
            restless = [one for one in items if one["status"] not in CALM]
            if not restless and run["outcome"]["code"] < 3000:
                return items
            if time.monotonic() > until:
                details = [self.me.call("GET", f"/items/{one['id']}") for one in restless[:3]]
                raise AssertionError(f"{self.mood.name}: restless: {run['outcome']} {run['reason']} {details}")
            time.sleep(0.5)

    def check_books(self) -> None:
        """Each transaction of each run is one batch, to the cent, in the books of its own company."""
        for books, company in ((self.books, self.shop), (self.depot_books, self.depot)):
            mine = [one for one in self.expected if one.company == company.id]
            assert posted(books) == sums(mine), f"{self.mood.name}: {company.name}"
            assert len(books.batches) == sum(len(one.lines) for one in mine), f"{self.mood.name}: {company.name}"

    def written(self) -> int:
        """How often Minox was written to."""
        return self.tenant.count("(PUT|POST|DELETE)", "batch")


def posted(books: Books) -> dict[str, Decimal]:
    """Debit less credit per account over all batches, without zeros."""
    found: Counter[str] = Counter()
    lines: Sequence[Any] = [line for batch in books.batches.values() for line in batch]
    for line in lines:
        found[line["account"]["id"]] += line["debit"] - line["credit"]  # type: ignore[assignment]
    return {account: Decimal(total) for account, total in found.items() if total}
