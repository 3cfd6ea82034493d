"""The packages that take journal entries: how a test gets in, what an administration holds, what stands there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.eaccounting.sandbox import EaccountingSandbox
from connectors.eboekhouden.sandbox import DEMO_TOKEN, EboekhoudenSandbox
from connectors.minox.sandbox import MinoxSandbox

Balances = Mapping[str, Decimal]
"""Account, or account/cost centre -> debit less credit over all entries; what stands at nothing is left out."""
COMPANY = "7c1a0b52-9f7e-4b0e-8a53-0d1f6a3b9e01"


@dataclass(frozen=True)
class Target:
    """One package."""

    name: str
    sandbox: Callable[[], Any]
    """With accounts 4000, 4010 and 1740 and cost centre 10, which goes on 4000."""
    tenant: str
    administration: str
    way: str
    secrets: Callable[[Any], dict[str, str]]
    balances: Callable[[Any], Balances]
    entries: Callable[[Any], int]
    """How many entries stand, reversals among them."""
    write: tuple[str, str]
    """Method and part of the path of the call that books."""
    close: Callable[[Any, str], None]
    """The user closes the books up to a day."""
    tamper: Callable[[Any], None]
    """The user books the first entry's first line on 4010."""
    remove: Callable[[Any], None]
    """The user takes the first entry out."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    reverses: bool = True
    """Whether a change leaves three entries: the first, its opposite and the new one."""


def _sums(lines: list[tuple[str, str, Decimal]]) -> Balances:
    found: dict[str, Decimal] = {}
    for account, centre, signed in lines:
        place = f"{account}/{centre}".rstrip("/")
        found[place] = found.get(place, Decimal(0)) + signed
    return {place: total for place, total in found.items() if total}


def _minox() -> MinoxSandbox:
    box = MinoxSandbox()
    box.add_administration(3, "Waterlelie Advies B.V.")
    box.ask_cost_centre("41207/3", "4000")
    return box


def _minox_balances(box: MinoxSandbox) -> Balances:
    return _sums(
        [
            (
                line["account"]["id"],
                str((line["cost_center"] or {}).get("id", "")),
                Decimal(line["debit"] - line["credit"]),
            )
            for lines in box.batches().values()
            for line in lines
        ]
    )


def _minox_close(box: MinoxSandbox, until: str) -> None:
    box.administration("41207/3")["closed_until"] = until


def _minox_tamper(box: MinoxSandbox) -> None:
    line = next(iter(box.batches().values()))[0]
    line |= {"account": {"id": "4010", "scheme": "MINOX", "type": "ledger_account"}, "cost_center": None}


def _minox_remove(box: MinoxSandbox) -> None:
    box.delete_batch("41207/3", next(iter(box.batches())))


def _eboekhouden() -> EboekhoudenSandbox:
    box = EboekhoudenSandbox()
    home = box.add_administration("waterlelie", "Waterlelie Advies B.V.", DEMO_TOKEN)
    box.add_ledger(home, "1740", "Te betalen nettolonen", "BAL")
    box.add_cost_centre(home, "10 Kantoor")
    return box


def _eboekhouden_balances(box: EboekhoudenSandbox) -> Balances:
    home = box.administration()
    codes = {own: one["code"] for own, one in home["ledgers"].items()}
    centres = {own: one["description"].split()[0] for own, one in home["costcentres"].items()}
    rows = [
        (codes[row["ledgerId"]], centres.get(row.get("costCenterId"), ""), -row["amount"])
        for one in box.mutations()
        for row in one["rows"]
    ]
    mains = [
        (codes[one["ledgerId"]], "", sum((row["amount"] for row in one["rows"]), Decimal(0))) for one in box.mutations()
    ]
    found = _sums([*rows, *mains])
    posted = {codes[own]: value for own, value in home["balances"].items() if value}
    assert posted == _sums([(place.split("/")[0], "", total) for place, total in found.items()])
    return found


def _eboekhouden_close(box: EboekhoudenSandbox, until: str) -> None:
    box.administration()["closed_until"] = until


def _eboekhouden_tamper(box: EboekhoudenSandbox) -> None:
    first, *others = box.mutations()[0]["rows"]
    moved = {"ledgerId": box.ledger(box.administration(), "4010"), "vatCode": "GEEN", "amount": first["amount"]}
    box.edit(box.mutations()[0]["id"], rows=[moved, *others])


def _eboekhouden_remove(box: EboekhoudenSandbox) -> None:
    box.delete(box.mutations()[0]["id"])


def _eaccounting_tamper(box: EaccountingSandbox) -> None:
    row = box.vouchers()[0]["Rows"][0]
    row["AccountNumber"] = 4010
    row.pop("CostCenterItemId1")


def _eaccounting_remove(box: EaccountingSandbox) -> None:
    box.company()["vouchers"].pop(box.vouchers()[0]["Id"])


def _eaccounting() -> EaccountingSandbox:
    box = EaccountingSandbox()
    box.switches["expires_in"] = 365 * 24 * 3600
    return box


def _eaccounting_balances(box: EaccountingSandbox) -> Balances:
    items = {one["Id"]: one["ShortName"] for centre in box.company()["centres"].values() for one in centre["Items"]}
    return _sums(
        [
            (
                str(row["AccountNumber"]),
                items.get(row.get("CostCenterItemId1"), ""),
                row["DebitAmount"] - row["CreditAmount"],
            )
            for one in box.vouchers()
            for row in one["Rows"]
        ]
    )


def _eaccounting_close(box: EaccountingSandbox, until: str) -> None:
    box.company()["settings"]["AccountingLockedTo"] = until


TARGETS = (
    Target(
        "minox", _minox, "41207", "41207/3", "oauth",
        lambda box: dict(zip(("access_token", "refresh_token"), box.grant("41207"), strict=True)),
        _minox_balances, lambda box: len(box.batches()), ("PUT", "/transaction_line_batch"), _minox_close,
        _minox_tamper, _minox_remove, reverses=False,
    ),
    Target(
        "eboekhouden", _eboekhouden, "51900003", "51900003", "session",
        lambda box: {"api_token": DEMO_TOKEN, "session_token": box.open()},
        _eboekhouden_balances, lambda box: len(box.mutations()), ("POST", "/mutation"), _eboekhouden_close,
        _eboekhouden_tamper, _eboekhouden_remove,
    ),
    Target(
        "eaccounting", _eaccounting, COMPANY, COMPANY, "oauth",
        lambda box: dict(zip(("access_token", "refresh_token"), box.grant(), strict=True)),
        _eaccounting_balances, lambda box: len(box.vouchers()), ("POST", "/vouchers"), _eaccounting_close,
        _eaccounting_tamper, _eaccounting_remove,
    ),
)  # fmt: skip
