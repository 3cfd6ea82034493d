"""What a customer chooses at Bizcuit."""

from typing import Annotated

from pydantic import Field

from hub.sdk.settings import Choice, Settings, chosen


class BizcuitSettings(Settings):
    """The choices for a combi that offers salaries to Bizcuit."""

    debtor_iban: Annotated[str, Field(max_length=40)] = chosen("", Choice("bank_accounts"))
    """The account to pay from; empty: the one that the payroll package names."""
    batch_booking: bool = True
    """Whether the bank statement shows one sum for all salaries, instead of each (dossier 5.1)."""


def own(settings: Settings) -> BizcuitSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, BizcuitSettings):
        raise TypeError(f"expected BizcuitSettings, got {type(settings).__name__}")
    return settings
