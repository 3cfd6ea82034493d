"""Nmbrs for the conformance kit, over SOAP and over REST."""

from datetime import datetime

from connectors.nmbrs import CONNECTOR
from connectors.nmbrs.runs import AMSTERDAM
from connectors.nmbrs.sandbox import OWNER, SUBSCRIPTION, TOKEN, NmbrsSandbox, payroll
from tests.conformance.adapter import Adapter, Reading


def sandbox() -> NmbrsSandbox:
    """A company that pays by the month and one by four weeks, with runs of this year, locked and not yet."""
    box, year = NmbrsSandbox(), datetime.now(AMSTERDAM).year
    bakery = box.add_company("Bakkerij Van der Meulen B.V.", 1)
    depot = box.add_company("Logistiek Noord B.V.", 2, box.add_debtor("Logistiek Noord B.V."), "4-weeks")
    for month in range(1, 7):
        box.add_run(bakery, year, month, 0, payroll(f"{year}-{month:02}-28", "9100", "010", "020"), locked=month < 6)
        box.add_run(depot, year, month, 0, payroll(f"{year}-{month:02}-26", "21400.33"))
    box.switches |= {"page_size": 3, "tasks_pending": 1}
    return box


def ids(box: NmbrsSandbox) -> set[str]:
    """The source ids of all runs."""
    companies = box.books["companies"]
    return {
        f"{companies[run['company']]['number']}:{run['year']}:{run['first']}-{run['last']}:{run['number']}"
        for run in box.books["runs"].values()
    }


ADAPTER = Adapter(
    connector=CONNECTOR,
    sandbox=sandbox,
    api="",
    secrets=lambda box: {"api_token": TOKEN},
    types=lambda _: {"email": OWNER, "api_token": TOKEN},
    reads={"journals": Reading("/CompanyService", ids)},
    fields={"email": OWNER},
)

OTHER_WAYS = {
    "oauth": Adapter(
        connector=CONNECTOR,
        sandbox=sandbox,
        api="",
        secrets=lambda box: {"access_token": box.grant()[0], "subscription_key": SUBSCRIPTION},
        reads={"journals": Reading("/api/", ids)},
        way=1,
    )
}
