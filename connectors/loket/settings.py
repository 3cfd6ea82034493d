"""What a customer chooses at Loket.nl."""

from typing import Annotated, Literal

from pydantic import Field

from hub.sdk.settings import Choice, Settings, chosen


class LoketSettings(Settings):
    """The choices for a combi with Loket.nl."""

    loket_employer: Annotated[str, Field(max_length=60)] = chosen("", Choice("employers"))
    """The employer whose payroll administrations are read; empty: all that the user can see, normally one."""
    loket_runs: Literal["ready", "failed_too", "exported_too"] = "ready"
    """Which runs are booked: those that stand ready, those whose export failed too, those that were exported too."""
    loket_date: Literal["period_end", "request_date"] = "period_end"
    """The date of an entry; Loket.nl itself gives none."""
    loket_consolidate: Literal["as_set_up", "always", "never"] = "as_set_up"
    """Whether lines of one ledger account are added up by Loket.nl: as the account is set up there, or otherwise."""
    loket_cost_units: Literal["in_description", "leave_out"] = "in_description"
    """What becomes of a cost unit, for which an entry has no place."""
    loket_mark: bool = False
    """Whether a run is marked as processed in Loket.nl after it was booked."""
    loket_application: Annotated[str, Field(pattern=r"^\d{0,9}$")] = ""
    """Under which number of Loket.nl's list of applications a run is marked; empty: it is left out."""


def own(settings: Settings) -> LoketSettings:
    """The settings as ours. Raises TypeError for another connector's."""
    if not isinstance(settings, LoketSettings):
        raise TypeError(f"expected LoketSettings, got {type(settings).__name__}")
    return settings
