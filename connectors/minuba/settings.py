"""What a customer chooses at Minuba."""

from typing import Literal

from hub.sdk.settings import Settings


class MinubaSettings(Settings):
    """The choices for a combi with Minuba."""

    invoice_currency: Literal["ask", "EUR", "DKK", "NOK", "SEK"] = "ask"
    """The currency of invoices that name none; `ask`: such an invoice is shown to a human."""
    own_link_off: bool = False
    """The customer's word that Minuba's own accounting link is off (with both on, all is booked twice): a question to
    ask and to keep the answer of; nothing depends on it, since the API does not show that link."""


def own(settings: Settings) -> MinubaSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, MinubaSettings):
        raise TypeError(f"expected MinubaSettings, got {type(settings).__name__}")
    return settings
