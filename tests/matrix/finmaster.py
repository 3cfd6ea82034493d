"""FinMaster's stand-in interface in the matrix: the memorial entries of one administration."""

from decimal import Decimal
from typing import Any

from connectors.finmaster.sandbox import DEMO_TOKEN
from tests.matrix.package import WAGES, Balances, Package, balances


def _furnish(box: Any) -> None:
    home = box.add_administration()
    for number, words in WAGES.items():
        box.account(home, number, words, "winst-verlies" if number.startswith("4") else "balans")


def _journals(box: Any) -> list[Balances]:
    return [
        balances((row["rekening"], Decimal(row["debet"]) - Decimal(row["credit"])) for row in one["regels"])
        for one in box.entries()
    ]


PACKAGE = Package(furnish=_furnish, fields={"token": DEMO_TOKEN}, journals=_journals)
