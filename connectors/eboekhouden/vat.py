"""VAT classes as VAT codes of a sale, and the VAT that e-Boekhouden.nl will compute of them (dossier 5.2, 5.5)."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from connectors.eboekhouden.settings import EboekhoudenSettings
from hub.accounting.documents import Finding, VatClass, VatTreatment
from hub.accounting.money import CENT, ZERO, bankers, cents

HIGH, LOW = Decimal(21), Decimal(9)
RATES: Mapping[str, Decimal] = {"HOOG_VERK_21": HIGH, "LAAG_VERK_9": LOW}
FREE = ("AFW_VERK",)
"""Codes of which the VAT is told and not computed."""


def code_of(known: VatClass | None, settings: EboekhoudenSettings) -> str | Finding:
    """The code of a VAT class; a finding that names the class when it cannot be told. GEEN is no VAT, not 0 %."""
    if known is None:
        return Finding(key="eboekhouden.vat_class_missing", field="sales_vat_codes")
    for name in (known.id, known.label):
        if name in settings.sales_vat_codes:
            return settings.sales_vat_codes[name]
    match known.treatment:
        case VatTreatment.standard | None if known.percentage in RATES.values():
            return next(code for code, rate in RATES.items() if rate == known.percentage)
        case VatTreatment.reverse_charge if known.percentage in (None, ZERO, HIGH):
            return "VERL_VERK"
        case VatTreatment.reverse_charge if known.percentage == LOW:
            return "VERL_VERK_L9"
        case VatTreatment.icp:
            return _icp(known.label, settings)
        case VatTreatment.export:
            return "BU_EU_VERK"
        case VatTreatment.exempt:
            return "GEEN"
        case _:
            shown = f"{known.percentage.normalize():f}" if known.percentage is not None else "?"
            values = {"vat_class": known.label or known.id, "percentage": shown}
            return Finding(key="eboekhouden.vat_class_unclear", values=values, field="sales_vat_codes")


def _icp(label: str, settings: EboekhoudenSettings) -> str:
    said = label.casefold()
    services = any(word in said for word in ("dienst", "service"))
    goods = any(word in said for word in ("goed", "lever", "product", "goods"))
    if services != goods:
        return "BI_EU_VERK_D" if services else "BI_EU_VERK"
    return "BI_EU_VERK_D" if settings.icp_supply == "services" else "BI_EU_VERK"


def computed(code: str, nets: Iterable[Decimal]) -> set[Decimal]:
    """The VAT that may come out: per row or over the rows together, rounded half up or half to even (unknown, 5.5)."""
    rate = RATES.get(code, ZERO) / 100
    amounts = [net * rate for net in nets]
    found: set[Decimal] = set()
    for rounded in (cents, bankers):
        found |= {sum((rounded(one) for one in amounts), ZERO), rounded(sum(amounts, ZERO))}
    return found


def near(charged: Decimal, possible: Iterable[Decimal], lines: int) -> bool:
    """True when VAT differs by rounding only: a cent a line."""
    return all(abs(charged - one) <= CENT * lines for one in possible)
