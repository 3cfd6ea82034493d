"""What a customer chooses at Acme."""

from typing import Literal

from hub.sdk.settings import Settings


class AcmeSettings(Settings):
    """The choices for a combi with Acme. Every field has a default; names are this package's own."""

    acme_take: Literal["sent", "approved"] = "sent"
    """From which status on an invoice goes to the books."""
