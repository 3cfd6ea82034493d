"""What a customer chooses at Minox."""

from typing import Annotated, Literal

from pydantic import Field

from hub.sdk.settings import Choice, Settings, chosen


class MinoxSettings(Settings):
    """The choices for a combi that books in Minox."""

    journal: Annotated[str, Field(max_length=40)] = chosen("", Choice("journals", depends_on=("administrations",)))
    """Where is booked: a sales journal, or a memorial one for journal entries; empty: the administration's only one."""
    vat_entry: Literal["net", "gross"] = "net"
    """How this administration enters revenue: Minox adds VAT to a net amount or takes it out of a gross one."""
    invoice_number: Literal["all_digits", "last_9"] = "all_digits"
    """How an invoice number becomes the whole number that Minox asks for."""
