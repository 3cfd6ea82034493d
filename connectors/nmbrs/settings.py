"""What a customer chooses at Nmbrs."""

from typing import Annotated, Literal

from pydantic import Field

from hub.sdk.settings import Settings


class NmbrsSettings(Settings):
    """The choices for a combi with Nmbrs."""

    start_year: Annotated[int, Field(ge=2000, le=2100)] | None = None
    """The payroll year from which journals are fetched; None: from the combi's start date."""
    start_period: Annotated[int, Field(ge=1, le=53)] = 1
    """The period of that year; a run counts by its last period."""
    only_locked: bool = True
    """Whether runs that can still change are left until they are locked."""
    split: Literal["company", "cost_centre"] = "company"
    """Which of Nmbrs' journals is fetched: of the company as a whole, or divided over cost centres. A run keeps the
    one by which it was first read."""
    payroll_date: Literal["journal", "period_end"] = "journal"
    """The date of an entry: the one that the journal bears, or the last day of the run's last period."""


def own(settings: Settings) -> NmbrsSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, NmbrsSettings):
        raise TypeError(f"expected NmbrsSettings, got {type(settings).__name__}")
    return settings
