"""What a customer chooses at eAccounting."""

from typing import Annotated, Literal

from pydantic import Field

from hub.sdk.settings import Choice, Settings, chosen

Chosen = Annotated[str, Field(max_length=60)]


class EaccountingSettings(Settings):
    """The choices for a combi that exports to eAccounting."""

    export_as: Literal["draft", "invoice"] = "draft"
    """Whether a draft stays one, for a human to look at, or is made a real invoice at once."""
    article_coding_high: Chosen = chosen("", Choice("article_codings"))
    article_coding_low: Chosen = chosen("", Choice("article_codings"))
    article_coding_zero: Chosen = chosen("", Choice("article_codings"))
    """The account coding of the default article per VAT rate; empty: the only fitting one."""
    customer_payment_terms: Chosen = chosen("", Choice("payment_terms"))
    """The terms of payment of new customers whose own number of days has none; empty: the company's."""
    customer_changes: Literal["complete", "never"] = "complete"
    """Whether a customer that changed at the source is completed in eAccounting."""
    missing_address: Literal["ask", "placeholder"] = "ask"
    """What happens to a new customer without postal code or city, which eAccounting requires."""
    invalid_vat_number: Literal["abroad", "ask", "leave_out"] = "abroad"
    """Whether a VAT number that VIES would not know is asked about (`abroad`: where VAT depends on it) or left out."""
    credit_rows: Literal["positive", "negative"] = "positive"
    """The signs of the rows of a credit draft (dossier 6.5: unknown, positive seen)."""
