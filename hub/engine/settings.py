"""The choices of a combi: the engine's own questions together with those of both connectors."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal, cast

from pydantic import Field, create_model

from hub.engine import registry
from hub.engine.recipe import Recipe, sides
from hub.sdk.settings import Choice, Settings, chosen


class CombiSettings(Settings):
    """What the engine asks of every combi. All have a default; what cannot be guessed is a finding at the check."""

    flows: tuple[str, ...] | None = None
    """Which of the recipe's flows run; None: all."""
    administrations: dict[str, str] = chosen(
        {}, Choice("administrations"), description="Per company of the source the administration of the target."
    )
    ignored_companies: tuple[str, ...] = chosen((), Choice("companies"))
    """Companies of the source whose documents are not booked."""
    customers: Literal["invoiced", "all"] = "invoiced"
    """Which debtors go along: those that are invoiced, or all."""
    booking_date: Literal["invoice_date", "today", "next_open_period"] = "invoice_date"
    """`next_open_period`: the invoice's date, or the first day after `closed_until` when that is later."""
    closed_until: date | None = None
    """Up to and including this day nothing is booked."""
    revenue_account: Literal["leading_code", "table", "fixed", "same_code"] = "leading_code"
    """How a revenue group becomes a ledger account; the mapping table `ledger_accounts` always goes first."""
    default_revenue_account: Annotated[str, Field(max_length=200)] = chosen("", Choice("accounts"))
    """Used when the rule finds none in the chart. `8000` or `8000 Omzet algemeen`."""
    on_change: Literal["automatic", "ask"] = "automatic"
    """A document that changed after it was booked: corrected the way the target allows, or shown."""
    account_mode: Literal["own_chart", "transpose"] = "own_chart"
    """How a journal entry's account becomes the target's: the same code, or only by the mapping table
    `ledger_accounts`. In both an entry of that table goes first."""
    fallback_account: Annotated[str, Field(max_length=200)] = chosen("", Choice("accounts"))
    """For lines of a journal entry that name no account; one that is named but unknown stays a finding."""
    cost_centre_mode: Literal["same_code", "table", "none"] = "same_code"
    """How a journal entry's cost centre becomes the target's: the same code, only by the mapping table
    `cost_centres`, or not at all. With `same_code` an entry of that table goes first."""
    default_cost_centre: Annotated[str, Field(max_length=200)] = chosen("", Choice("cost_centres"))
    """For lines of a journal entry that have none; never on an account that takes none."""
    merge_lines: bool = False
    """Whether the lines of a journal entry are added up per account, cost centre and side."""
    journal_date: Literal["source", "end_of_month", "today", "next_open_period"] = "source"
    """The booking date of a journal entry: as the source says, the last day of that month, the day of booking, or the
    source's date unless the books are closed on it: then the first day after `closed_until`."""
    selection: Literal["automatic", "chosen"] = "automatic"
    """`chosen`: new journal entries are listed and not booked before a human chooses them. Back to `automatic` books
    those that are listed too."""
    net_pay_account: Annotated[str, Field(max_length=200)] = ""
    """The account of the payroll journal that holds the net pay: what is offered for payment must be its credit side.
    Empty: any account's."""
    credit_payments: bool = False
    """Whether a settled credit note is written back as a negative payment."""
    own_link_off: bool = False
    """The customer's word that the packages' own link with each other is off; asked where there is one
    (`Manifest.own_links`). Only a warning hangs on it: no package shows its link."""
    attach_document: bool = False
    """Whether the printed invoice is hung on the booking."""
    note_success: bool = False
    note_failure: bool = True
    note_ignored: bool = True
    """What is written on the source's timeline."""


@cache
def model(source: str, target: str, *sides: str) -> type[CombiSettings]:
    """The settings of this pair, with its possible third parties: strict about names, forgiving about nothing."""
    bases: list[type[Settings]] = [CombiSettings, *(registry.get(one).settings for one in (source, target, *sides))]
    unique = tuple(dict.fromkeys(base for base in bases if base is not Settings))
    return cast(type[CombiSettings], create_model("CombiSettings", __base__=unique))


def parse(recipe: Recipe, chosen_by_customer: Mapping[str, Any]) -> CombiSettings:
    """The settings in force: the customer's choices over the recipe's defaults. Raises pydantic.ValidationError."""
    return model_of(recipe).model_validate({**recipe.settings, **chosen_by_customer})


def model_of(recipe: Recipe) -> type[CombiSettings]:
    """The settings that a combi of this recipe has."""
    return model(recipe.source, recipe.target, *(one.manifest.name for one in sides(recipe)))


def leading_code(text: str) -> str:
    """The code that a label starts with: `8000` of `8000 Omzet algemeen`; empty when it starts with no digit."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    code = first.rstrip(":.-")
    return code if code[:1].isdigit() and code.isalnum() else ""
