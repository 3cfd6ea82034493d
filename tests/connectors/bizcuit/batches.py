"""Salary batches of a believable month, for the tests of Bizcuit."""

from datetime import date
from decimal import Decimal
from typing import Any

from hub.accounting.booking import SalaryBooking
from hub.accounting.documents import PaymentOrder, SalaryBatch
from hub.sdk.connector import Key

BY_FILE, BY_OAUTH = 0, 1
ACCOUNT = "NL63VBLD0417000301"
TYPED = {"company": "Waterlelie Advies B.V.", "iban": ACCOUNT}


def key(source_id: str = "1:2026:2-2:2", version: int = 1) -> Key:
    return Key("nmbrs:waterlelie", "salaries", source_id, f"bizcuit:{ACCOUNT}", version)


def order(reference: str, name: str, iban: str, amount: str, **facts: Any) -> PaymentOrder:
    words = {"remittance": "Salaris februari 2026", **facts}
    return PaymentOrder(reference=reference, name=name, iban=iban, amount=Decimal(amount), **words)


MONTH = (
    order("L202602-0007", "T. Okkema", "NL12VBLD0730088119", "2611.92"),
    order("L202602-0012", "R. Bensaïd", "NL97VBLD0911540027", "2522.25"),
)


def batch(*orders: PaymentOrder, **facts: Any) -> SalaryBatch:
    used = orders or MONTH
    told: dict[str, Any] = {
        "source_id": "1:2026:2-2:2",
        "company": "1",
        "number": "2026-02 run 2",
        "date": date(2035, 2, 25),
        "description": "Salarissen februari 2026 Waterlelie Advies B.V.",
        "currency": "EUR",
        "debtor_iban": ACCOUNT,
        "total": sum((one.amount for one in used), Decimal(0)),
        "orders": used,
    }
    return SalaryBatch(**{**told, **facts})


def booking(*orders: PaymentOrder, **facts: Any) -> SalaryBooking:
    made = batch(*orders, **facts)
    return SalaryBooking(batch=made, administration=ACCOUNT, date=made.date)
