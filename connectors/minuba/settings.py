"""What a customer chooses at Minuba."""

from typing import Literal

from hub.sdk.settings import Settings


class MinubaSettings(Settings):
    """The choices for a combi with Minuba."""

    invoice_currency: Literal["ask", "EUR", "DKK", "NOK", "SEK"] = "ask"
    """The currency of invoices that name none; `ask`: such an invoice is shown to a human."""


def own(settings: Settings) -> MinubaSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, MinubaSettings):
        raise TypeError(f"expected MinubaSettings, got {type(settings).__name__}")
    return settings
