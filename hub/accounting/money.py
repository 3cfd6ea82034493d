"""Exact amounts: decimals from whatever a package sends, rounded only where a rule says so."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation

CENT = Decimal("0.01")
ZERO = Decimal(0)


def decimal(value: object) -> Decimal:
    """The exact decimal of a JSON number, a numeric string (`"12.500000"`) or an int.

    Raises ValueError for None, booleans, floats, NaN, infinities and text: a float has already lost the cent.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise ValueError(f"not an exact number: {value!r}")
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return number


def cents(value: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """`value` on two decimals; half up, as ledgers round, unless told otherwise."""
    return value.quantize(CENT, rounding=rounding)


def bankers(value: Decimal) -> Decimal:
    """`value` on two decimals, half to even."""
    return value.quantize(CENT, rounding=ROUND_HALF_EVEN)
