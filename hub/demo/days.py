"""What people do at the packages while the demo looks on: fit out the books, pay invoices, correct a payroll."""

from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

Boxes = Mapping[str, Any]
HAULIER = {"email": "salaris@noordtransport.example", "api_token": "SIM-TOKEN-2"}
"""Who logs in to Nmbrs over SOAP."""
HAULIERS_BOOKS = "noord-transport-demo"
"""The token of the haulier's administration at e-Boekhouden.nl."""
_MINOX = {
    "1750": ("1720", "Reservering vakantiegeld"),
    "1760": ("1720", "Af te dragen pensioenpremie"),
    "4020": ("4010", "Vakantiegeld"),
    "4030": ("4010", "Pensioenlasten"),
    "4040": ("4010", "Reiskosten"),
}
"""What the bakery's chart has besides the small one: account -> the account that it is like, and its name."""
_EBOEKHOUDEN = {
    "1700": ("BAL", "Af te dragen loonheffing"),
    "1720": ("BAL", "Af te dragen pensioenpremie"),
    "1830": ("BAL", "Reservering vakantiegeld"),
    "2100": ("BAL", "Te betalen nettolonen"),
    "4010": ("VW", "Vakantiegeld"),
    "4050": ("VW", "Sociale lasten"),
    "4060": ("VW", "Pensioenlasten"),
    "4070": ("VW", "Reiskosten"),
}
"""The haulier's accounts are numbered as in its payroll."""


def furnish(boxes: Boxes) -> None:
    """Gives the payrolls books to land in, and one payroll run an account that those do not have."""
    minox = boxes["minox"].add_administration(5, "Bakkerij Van der Meulen B.V.")["ledger_accounts"]
    for account, (like, words) in _MINOX.items():
        minox[account] = {**minox[like], "id": int(account), "description": words}
    books = boxes["eboekhouden"]
    home = books.add_administration("noordtransport", "Noord Transport B.V.", HAULIERS_BOOKS)
    for account, (kind, words) in _EBOEKHOUDEN.items():
        if account in home["by_code"]:
            home["ledgers"][home["by_code"][account]] |= {"description": words, "category": kind}
        else:
            books.add_ledger(home, account, words, kind)
    for centre in ("010 Winkel", "020 Magazijn"):
        books.add_cost_centre(home, centre)
    boxes["bizcuit"].add_account("NL39RABO0300065264")
    _hire(boxes["nmbrs"])


def _hire(nmbrs: Any) -> None:
    """A haulier with an environment of its own at Nmbrs: the same customer by REST and by SOAP is one connection."""
    nmbrs.books["users"][HAULIER["email"]] = {"token": HAULIER["api_token"], "domain": "noordtransport", "off": []}
    debtor = nmbrs.add_debtor("Noord Transport B.V.", "00071", "noordtransport")
    depot = nmbrs.add_company("Noord Transport B.V.", 7, debtor, "4-weeks", "2026-5")
    like = _runs(nmbrs, _company(nmbrs, 2))[0]["transactions"]
    for period, day in enumerate(("2026-01-25", "2026-02-22", "2026-03-22", "2026-04-19"), 1):
        made = nmbrs.add_run(depot, 2026, period, 0, *({**one, "date": day} for one in deepcopy(like)))
    nmbrs.play("unknown_account", made)


def customers_pay(boxes: Boxes) -> bool:
    """On the first day one invoice is paid in full and another in part; gives whether that happened now."""
    minox = boxes["minox"]
    if minox.books.get("demo_paid"):
        return False
    items = [item for item in minox.receivables("41207/3") if item["balance"] > 0][:2]
    for item, share in zip(items, (1, 2), strict=False):
        minox.pay(item["account_id"], item["invoice_number"], Decimal(item["balance"]) / share)
    minox.books["demo_paid"] = bool(items)
    return bool(items)


def another_day(boxes: Boxes) -> bool:
    """Once: a payroll is locked, two are made anew, salaries are approved and paid, a draft becomes an invoice."""
    nmbrs, loket, bizcuit, eaccounting = (boxes[name] for name in ("nmbrs", "loket", "bizcuit", "eaccounting"))
    if nmbrs.books.get("demo_day"):
        return False
    nmbrs.books["demo_day"] = 2
    nmbrs.lock(_runs(nmbrs, _company(nmbrs, 1))[-1])
    nmbrs.play("negative", _runs(nmbrs, _company(nmbrs, 7))[2])
    august = next(one for one in loket.books["runs"].values() if one["sequenceNumber"] == 8)
    lines = deepcopy(august["lines"])
    lines[0]["debetAmount"] += 100
    lines[-1]["creditAmount"] += 100
    loket.again(august, *lines)
    for proposal in bizcuit.proposals()[:2]:
        bizcuit.approve(proposal["proposalRef"])
    bizcuit.authorise(bizcuit.proposals()[0]["proposalRef"])
    drafts = [one for one in eaccounting.documents() if "2026" in str(one.get("OurReference"))]
    eaccounting.convert(drafts[0]["Id"])
    return True


def _company(nmbrs: Any, number: int) -> Any:
    return next(one for one in nmbrs.books["companies"].values() if one["number"] == number)


def _runs(nmbrs: Any, company: Any) -> list[Any]:
    return [one for one in nmbrs.books["runs"].values() if one["company"] == company["id"]]
