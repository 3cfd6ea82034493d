"""What a customer chooses at e-Boekhouden.nl."""

from typing import Annotated, Literal

from pydantic import Field

from hub.sdk.settings import Choice, Settings, chosen

SalesCode = Literal[
    "HOOG_VERK_21",
    "LAAG_VERK_9",
    "VERL_VERK",
    "VERL_VERK_L9",
    "BU_EU_VERK",
    "BI_EU_VERK",
    "BI_EU_VERK_D",
    "AFST_VERK",
    "AFW_VERK",
    "GEEN",
]
"""The VAT codes that fit a sale (dossier 5.2)."""


class EboekhoudenSettings(Settings):
    """The choices for a combi that books in e-Boekhouden.nl."""

    debtor_account: Annotated[str, Field(max_length=100)] = chosen("", Choice("debtor_accounts"))
    """The code of the debtor account; empty: the administration's only one."""
    suspense_account: Annotated[str, Field(max_length=100)] = chosen("", Choice("suspense_accounts"))
    """The code of the ledger that journal entries are booked against; empty: the only one that is called so."""
    default_payment_term: Annotated[int, Field(ge=0, le=9999)] = 14
    """In days, for an invoice without a due date."""
    icp_supply: Literal["services", "goods"] = "services"
    """What an EU sale is when its VAT class does not say so itself."""
    sales_vat_codes: dict[str, SalesCode] = chosen({}, Choice("vat_codes"))
    """VAT class of the source, by id or label -> VAT code: goes before what we would choose."""
    vat_difference: Literal["gross", "ask"] = "gross"
    """When the source's VAT is a cent off what e-Boekhouden.nl computes: book the amounts with VAT, or show it."""
    cost_centre_use: Literal["when_known", "required", "never"] = "when_known"
    """Whether revenue lines go to the cost centre of the same name; a journal entry's go there unless `never`."""
