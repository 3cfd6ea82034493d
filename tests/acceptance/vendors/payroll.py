"""Our own Nmbrs as the source of payroll journals, on the street beside the independent servers."""

from decimal import Decimal
from typing import Any

from starlette.types import Receive, Scope, Send

from connectors.nmbrs.sandbox import NmbrsSandbox, payroll
from tests.acceptance.vendors.house import Vendor


class Payroll(Vendor):
    """One sandbox; every customer has a login and an environment of his own."""

    def __init__(self) -> None:
        self.box = NmbrsSandbox()

    def environment(self, url: str) -> dict[str, str]:
        """What tells a hub where it is."""
        return {"HUB_ENDPOINTS__NMBRS__SOAP": f"{url}/soap/v3", "HUB_ENDPOINTS__NMBRS__API": url}

    def open(self, name: str) -> "Firm":
        """A customer with one company."""
        domain = name.replace(" ", "").lower()
        self.box.books["users"][f"loon@{domain}.example"] = {"token": f"token-{domain}", "domain": domain, "off": []}
        debtor = self.box.add_debtor(f"{name} B.V.", domain=domain)
        return Firm(
            self.box, f"loon@{domain}.example", f"token-{domain}", self.box.add_company(f"{name} B.V.", 1, debtor)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The sandbox's own answer."""
        await self.box.app(scope, receive, send)


class Firm:
    """A company with payroll runs."""

    def __init__(self, box: NmbrsSandbox, email: str, token: str, company: dict[str, Any]) -> None:
        self.box, self.email, self.token, self.company = box, email, token, company
        self.runs: list[dict[str, Any]] = []

    def run(self, month: int, gross: str, year: int = 2026) -> dict[str, Any]:
        """A locked run of a month."""
        made = self.box.add_run(self.company, year, month, 0, payroll(f"{year}-{month:02}-28", gross, "010", "020"))
        self.runs.append(made)
        return made

    def correct(self, at: int, gross: str) -> None:
        """A run is made anew with other amounts."""
        run = self.runs[at]
        run["transactions"] = [payroll(f"{run['year']}-{run['first']:02}-28", gross, "010", "020")]

    def due(self, name: str = "account") -> dict[str, Decimal]:
        """Debit less credit over all journals, per account or per `centre`."""
        found: dict[str, Decimal] = {}
        for line in (line for run in self.runs for made in run["transactions"] for line in made["lines"]):
            signed = Decimal(line["value"]) * (1 if line["side"] == "debit" else -1)
            if line[name]:
                found[line[name]] = found.get(line[name], Decimal(0)) + signed
        return {place: total for place, total in found.items() if total}
