"""Nmbrs in the matrix: a company that pays by the month, over SOAP."""

from decimal import Decimal
from typing import Any

from connectors.nmbrs.sandbox import OWNER, TOKEN, line, transaction
from tests.matrix.package import PAYROLLS, Balances, Package, balances


def _furnish(box: Any) -> None:
    company = box.add_company("Bakkerij Van der Meulen B.V.", 1)
    for month, rows in PAYROLLS.items():
        lines = [
            line(account, debit if credit == "0" else credit, "debit" if credit == "0" else "credit", f"Loon {account}")
            for account, debit, credit in rows
        ]
        box.add_run(company, 2026, month, 0, transaction(f"2026-{month:02}-28", *lines))


def _signed(one: Any) -> tuple[str, Decimal]:
    return one["account"], Decimal(one["value"]) * (1 if one["side"] == "debit" else -1)


def _journals(box: Any) -> list[Balances]:
    runs = [one for one in box.books["runs"].values() if one["locked"]]
    return [balances(map(_signed, part["lines"])) for run in runs for part in run["transactions"]]


PACKAGE = Package(
    furnish=_furnish, fields={"email": OWNER, "api_token": TOKEN}, answers={"start_year": 2026}, journals=_journals
)
