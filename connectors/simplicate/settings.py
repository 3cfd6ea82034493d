"""What a customer chooses at Simplicate."""

from pydantic import Field

from hub.sdk.settings import Settings


class SimplicateSettings(Settings):
    """The choices for a combi with Simplicate."""

    ignore_marker: str = Field(default="", max_length=80)
    """An invoice whose reference or subject holds this text is not booked; empty: off."""
    persons: bool = True
    """Whether private persons may be debtors."""
    list_persons: bool = False
    """Whether all persons are read as debtors, and not only those that an invoice names."""


def own(settings: Settings) -> SimplicateSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, SimplicateSettings):
        raise TypeError(f"expected SimplicateSettings, got {type(settings).__name__}")
    return settings
