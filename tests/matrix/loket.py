"""Loket.nl in the matrix: one payroll administration with two months ready and one that is not."""

from typing import Any

from connectors.loket.sandbox import EXPORTED, READY, line
from tests.matrix.package import PAYROLLS, WAGES, Balances, Package, balances


def _furnish(box: Any) -> None:
    home = box.add_administration(box.add_employer())
    for month, rows in PAYROLLS.items():
        lines = [
            line((int(account), account, WAGES[account]), debit=debit, credit=credit) for account, debit, credit in rows
        ]
        box.month(home, 2026, month, *lines)
    box.month(home, 2026, 3, status=EXPORTED)


def _journals(box: Any) -> list[Balances]:
    ready = [one for one in box.books["runs"].values() if one["status"] == READY]
    return [
        balances(
            (row["generalLedgerAccount"]["code"], row["debetAmount"] - row["creditAmount"]) for row in one["lines"]
        )
        for one in ready
    ]


PACKAGE = Package(furnish=_furnish, journals=_journals)
