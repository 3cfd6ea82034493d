"""A story of Minuba and eAccounting in one of their moods: approve, export, convert by hand, credit, and look there."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.vendors.eaccounting import Firm
from tests.acceptance.vendors.house import Fault
from tests.acceptance.vendors.minuba import Account

CALM = {"booked", "ignored", "finding", "skipped", "reversed"}
WRITES = "(POST|PUT|DELETE)"
BOOKS = "/v2/"


@dataclass
class Mood:
    """How both vendors behave, and what the customer answers."""

    name: str
    minuba: dict[str, Any] = field(default_factory=dict)
    eaccounting: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Bad days of eAccounting during the first export."""
    source_faults: list[Fault] = field(default_factory=list)
    invoices: int = 6
    strangers: int = 0
    """Customers that stand in eAccounting and have nothing to do with it."""


class DraftsStory:
    """One customer."""

    def __init__(self, scene: Scene, mood: Mood, number: int) -> None:
        self.mood = mood
        self.me: Stranger = scene.stranger()
        self.account: Account = scene.minuba.open(f"jan{number}@installatie.example", **mood.minuba)
        self.firm: Firm = scene.eaccounting.open(
            f"petra{number}", f"Vink Installatie {number} B.V.", **mood.eaccounting
        )
        self.expected: dict[str, Decimal] = {}
        """By invoice number: the total that must stand there, once."""
        self.combi = ""
        self.number = 20261100

    def furnish(self) -> None:
        """Customers and invoices as an installer has them; one customer stands in eAccounting already."""
        add = self.account.client
        self.people = [
            add("Molen en Dijk Vastgoed B.V.", "10482"),
            add("Bakkerij De Gouden Aar, Kinderen en Kleinkinderen van Ouderkerk B.V.", "10483", cvr="NL853746333B01"),
            add("VvE Zonder Nummer", None),
        ]
        self.builder = add("Bouwbedrijf Lekstroom B.V.", "10485", cvr="NL001234567B13")
        self.firm.customer("10482", "Molen en Dijk (met de hand)")
        for index in range(self.mood.strangers):
            self.firm.customer(f"S{index}", f"Klant {index}")
        mixed = [
            ("Monteur", None, "2.5", "62", "0", 21),
            ("Expansievat 18 l", "EXP-18", "1", "48.75", "10", 21),
            ("Isolatie", "ISO-9", "3", "54.50", "0", 9),
        ]
        for index in range(self.mood.invoices):
            self.approved(self.people[index % 3], mixed if index % 2 else [("Vaste prijs", None, "1", "4250", "0", 21)])
        self.approved(self.people[0], [("Buis 22 mm", "LEI-22", "12.5", "7.1234", "0", 21)])
        self.account.invoice("", self.people[0], mixed, state="draft")

    def approved(self, client: str, lines: Any, **more: Any) -> str:
        """An approved invoice that must be exported."""
        self.number += 1
        own = self.account.invoice(str(self.number), client, lines, **more)
        self.expected[str(self.number)] = self.account.invoices[own]["totalInclVat"]
        return own

    def install(self) -> None:
        """Both links, a combi, and on."""
        source = self.me.connect("minuba", {}, {"user": self.account.user, "password": "x"})
        target = self.me.connect("eaccounting", {}, {"username": self.firm.user, "company": self.firm.name})
        assert self.me.call("GET", f"/connections/{target}")["identity"]["name"] == self.firm.name
        body = {"recipe": "minuba-eaccounting", "source_connection_id": source, "target_connection_id": target}
        self.combi = self.me.call("POST", "/combis", {**body, "settings": self.mood.settings}, 201)["id"]
        assert self.me.call("POST", f"/combis/{self.combi}/activate")["status"] == "active"

    def come_to_rest(self, patience_s: float = 400) -> list[Any]:
        """Runs until no document waits for anything but a human; gives the documents."""
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
            time.sleep(1)

    def check_books(self) -> None:
        """Each approved invoice is one draft or one invoice, to the cent; each customer is there once."""
        stands: dict[str, list[Decimal]] = {}
        for one in self.firm.documents():
            number = str(one["OurReference"]).partition(" ")[0]
            stands.setdefault(number, []).append(-one["TotalAmount"] if one["IsCreditInvoice"] else one["TotalAmount"])
        assert stands == {number: [total] for number, total in self.expected.items()}, f"{self.mood.name}: {stands}"
        numbers = [one["CustomerNumber"] for one in self.firm.customers.values()]
        assert len(numbers) == len(set(numbers)) == len({one["Name"] for one in self.firm.customers.values()})
        (owner,) = [one for one in self.firm.customers.values() if one["CustomerNumber"] == "10482"]
        assert (owner["Name"], owner["Note"]) == ("Molen en Dijk (met de hand)", "oud")
        used = {row.get("ArticleId") for one in self.firm.documents() for row in one["Rows"] if not row["IsTextRow"]}
        (vessel,) = [own for own, one in self.firm.articles.items() if one["Number"] == "EXP-18"]
        assert vessel.lower() in {str(own).lower() for own in used}
        assert len(self.firm.articles) == 3, [one["Number"] for one in self.firm.articles.values()]

    def written(self) -> int:
        """How often eAccounting was written to."""
        return self.firm.count(WRITES, BOOKS)

    def a_user_converts(self) -> None:
        """Some drafts become invoices by hand."""
        for own in list(self.firm.customerinvoicedrafts)[::2]:
            self.firm.convert(own)

    def credit_one(self) -> None:
        """A partial credit note on the second invoice is approved."""
        credited = list(self.account.invoices)[1]
        lines = [("Expansievat 18 l", "EXP-18", "-1", "48.75", "10", 21)]
        self.approved(self.account.invoices[credited]["clientId"], lines, credited=credited)

    def unbookable(self, client: str) -> Any:
        """An invoice to a customer who cannot be made as he is; gives the customer's document after a run."""
        self.account.invoice("20269999", client, [("Werk", None, "1", "10", "0", 21)])
        self.me.run(self.combi)
        (item,) = [one for one in self.me.items(self.combi, flow="customers") if one["status"] == "finding"]
        return self.me.call("GET", f"/items/{item['id']}")
