"""A customer's story with the vendors in one of their moods: link, book, pay, and look into their books."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.acceptance.stage import Scene, Stranger
from tests.acceptance.vendors.minox import Books, Tenant
from tests.acceptance.vendors.simplicate import MAIN, OTHER, Company

CALM = {"booked", "ignored", "finding", "skipped", "reversed"}


@dataclass
class Mood:
    """How both vendors behave, and what the customer answers."""

    name: str
    simplicate: dict[str, Any] = field(default_factory=dict)
    minox: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    by_key: bool = False
    invoices: int = 6


class Story:
    """One customer."""

    def __init__(self, scene: Scene, mood: Mood, number: int) -> None:
        self.mood = mood
        self.me: Stranger = scene.stranger()
        self.company: Company = scene.simplicate.open(f"bron{number}", **mood.simplicate)
        names = ("Waterlelie Advies B.V.", "Waterlelie Print B.V.")
        self.tenant: Tenant = scene.minox.open(41200 + number, *names, **mood.minox)
        self.expected: dict[str, tuple[int, Decimal]] = {}
        """By invoice id: the administration and the total that must stand there."""
        self.parties: dict[str, str] = {}
        self.source = self.target = self.combi = ""

    @property
    def main(self) -> Books:
        """The books of the main company."""
        return self.tenant.books[3]

    def furnish(self) -> None:
        """Debtors and invoices as a small company has them."""
        add = self.company.organization
        people = [
            add("Bakkerij De Gouden Aar B.V.", "info@goudenaar.example"),
            add("Houtwerf Noord B.V.", "x+y@houtwerf.example"),
        ]
        people += [add("Zonder Adres", ""), add("Schelde Design BV", "post@schelde.example", vat_number="BE0477472701")]
        self.main.customer("Goudenaar (met de hand)", "info@goudenaar.example")
        mixed = [("12.5", "110", "21", "8000"), ("20", "15", "9", "8010"), ("1", "-75", "21", "8000")]
        for index in range(self.mood.invoices):
            self.sent(
                f"F2026-{index + 1:04}",
                people[index % 3],
                mixed if index % 2 else [("2.25", "124.5", "21", "8000")] * 2,
            )
        self.sent("F2026-0901", people[3], [("40", "95", "icp", "8100")])
        self.sent("F2026-0902", people[0], [("-12.5", "110", "21", "8000")])
        self.sent("F2026-0903", people[1], [("1", "250", "verlegd", "8200")])
        self.sent("F2026-0001", people[1], [("3", "33.33", "21", "8000")], profile=OTHER)
        self.company.invoice(None, None, people[0], [("1", "10", "21", "8000")], status="concept")

    def sent(
        self,
        number: str,
        customer: str,
        lines: list[tuple[str, str, str, str]],
        profile: str = MAIN,
        date: str = "2026-11-12",
    ) -> str:
        """A sent invoice that must be booked."""
        made = self.company.invoice(number, date, customer, lines, profile=profile)
        total = self.company.invoices[made]["total_including_vat"]
        self.expected[made] = (3 if profile == MAIN else 4, total)
        return made

    def install(self) -> None:
        """Both links, a combi, the administrations, and on."""
        self.connect()
        body = {"recipe": "simplicate-minox", "source_connection_id": self.source, "target_connection_id": self.target}
        self.combi = self.me.call("POST", "/combis", body, 201)["id"]
        live = self.me.call("GET", f"/combis/{self.combi}/options/administrations")
        by_profile = {
            profile: next(place["value"] for place in live["options"] if name in place["label"])
            for profile, name in ((MAIN, "Waterlelie Advies"), (OTHER, "Waterlelie Print"))
        }
        assert {one["value"] for one in live["keys"]} == set(by_profile)
        settings = {
            "administrations": by_profile,
            "journal": "VERK",
            "default_revenue_account": "8999",
            **self.mood.settings,
        }
        self.me.call("PATCH", f"/combis/{self.combi}", {"settings": settings})
        assert self.me.call("POST", f"/combis/{self.combi}/activate")["status"] == "active"

    def connect(self) -> None:
        """Simplicate by consent or by key, Minox by consent."""
        fields = {"domain": self.company.domain}
        if self.mood.by_key:
            self.company.keys["sleutel-0123456789"] = "geheim-0123456789"
            fields |= {"authentication_key": "sleutel-0123456789", "authentication_secret": "geheim-0123456789"}
        self.source = self.me.connect("simplicate", fields, {"email": self.company.email, "password": "x"})
        login = {"klantnummer": str(self.tenant.id), "gebruiker": "MINOX", "wachtwoord": "x"}
        self.target = self.me.connect("minox", {}, login)

    def come_to_rest(self, payments: int = 0, patience_s: float = 200) -> list[Any]:
        """Runs until no document waits for anything but a human, and so many payments came; gives the documents."""
        until = time.monotonic() + patience_s
        while True:
            run = self.me.run(self.combi, patience_s)
            items = self.me.items(self.combi)
            restless = [one for one in items if one["status"] not in CALM]
            if not restless and run["outcome"]["code"] < 3000 and len(self.company.payments) >= payments:
                return items
            if time.monotonic() > until:
                details = [self.me.call("GET", f"/items/{one['id']}") for one in restless[:3]]
                raise AssertionError(f"{self.mood.name}: restless: {run['outcome']} {run['reason']} {details}")
            time.sleep(1)

    def pay_some(self) -> dict[str, Decimal]:
        """The first two invoices are paid in full, the third in part; gives what must come back, by invoice."""
        due = {}
        for index, (invoice, (_, total)) in enumerate(list(self.expected.items())[:3]):
            ((line, number),) = [(one, one["invoice_number"]) for one in self._debtor_lines(invoice)]
            self.main.pay(int(line["account"]["id"]), number, None if index < 2 else total / 2)
            if index < 2:
                due[invoice] = total
        return due

    def check_books(self) -> None:
        """Each invoice stands in its administration once, to the cent; each customer too."""
        wrong = []
        for invoice, (_, total) in self.expected.items():
            number = self.company.invoices[invoice]["invoice_number"]
            lines = self._debtor_lines(invoice)
            stands = [one["debit"] - one["credit"] for one in lines]
            if stands != [total]:
                wrong.append(f"{number}: {stands} instead of {total}")
        for books in self.tenant.books.values():
            owed = [total for place, total in self.expected.values() if place == books.id]
            if len(books.batches) != len(owed):
                wrong.append(f"{books.name}: {len(books.batches)} bookings for {len(owed)} invoices")
            names = [one["addresses"][0]["name"] for one in books.customers.values()]
            if len(names) != len(set(names)):
                wrong.append(f"{books.name}: customers {names}")
        assert not wrong, f"{self.mood.name}: {wrong}"

    def check_payments(self, due: dict[str, Decimal]) -> None:
        """Each full payment came back once, and nothing else."""
        found = {invoice: self.company.paid(invoice) for invoice in self.company.invoices if self.company.paid(invoice)}
        assert found == due, f"{self.mood.name}: payments {found} instead of {due}"
        assert len(self.company.payments) == len(due), f"{self.mood.name}: {self.company.payments}"

    def _debtor_lines(self, invoice: str) -> list[dict[str, Any]]:
        place, _ = self.expected[invoice]
        digits = "".join(filter(str.isdigit, self.company.invoices[invoice]["invoice_number"]))
        return self.tenant.books[place].on(int(digits))
