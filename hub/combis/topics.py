"""The questions of a combi by topic: which settings stand together on a page of an installation, in what order."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from hub.engine import recipe as recipes
from hub.engine import registry
from hub.engine import settings as combi_settings
from hub.engine.recipe import Recipe

NAMES = ("administrations", "start", "accounts", "mapping", "centres", "booking", "extras")
"""In the order of asking."""
START_DATE = "start_date"
SCHEDULE = "schedule"
"""Two questions that are not settings: they stand beside them on the combi."""
_PLACED = {
    "administrations": "administrations",
    "ignored_companies": "administrations",
    "revenue_account": "accounts",
    "account_mode": "accounts",
    "cost_centre_mode": "accounts",
    "selection": "start",
    "own_link_off": "administrations",
    "flows": "extras",
    START_DATE: "start",
    SCHEDULE: "extras",
}
"""Settings whose kind does not tell their topic."""
_ASKED_WITH = {"ignored_companies": "administrations"}
"""Settings that are asked inside another question."""


@dataclass(frozen=True)
class Topic:
    """A page: its questions, and the mapping table that it shows."""

    name: str
    fields: tuple[str, ...]
    table: str = ""


def topics(recipe: Recipe) -> list[Topic]:
    """The pages of a pair's installation; every question stands on exactly one of them."""
    fields = asked(recipe)
    model = combi_settings.model_of(recipe).model_fields
    found = []
    for name in NAMES:
        mine = tuple(field for field in fields if _topic_of(field, model.get(field)) == name)
        table = _table_of(recipe, fields, name)
        if mine or table:
            found.append(Topic(name, mine, table))
    return found


def asked(recipe: Recipe) -> list[str]:
    """The fields that are asked: those the recipe names, else all; what belongs to every combi comes in any case."""
    model = combi_settings.model_of(recipe).model_fields
    wanted = recipes.questions(recipe, model)
    if "administrations" in registry.get(recipe.target).options:
        wanted.insert(0, "administrations")
    else:
        wanted = [field for field in wanted if field != "administrations"]
    wanted += [SCHEDULE] if any(field.startswith("start_") for field in wanted) else [START_DATE, SCHEDULE]
    known = {*model, START_DATE, SCHEDULE} - set(_ASKED_WITH)
    return [field for field in dict.fromkeys(wanted) if field in known]


def _table_of(recipe: Recipe, fields: list[str], topic: str) -> str:
    """The mapping table of a page, where documents are booked on what the target can list; empty for most pages."""
    options = registry.get(recipe.target).options
    journals = "journals" in recipe.flows
    if topic == "mapping" and "accounts" in options and (journals or "revenue_account" in fields):
        return "ledger_accounts"
    return "cost_centres" if topic == "centres" and "cost_centres" in options and journals else ""


def topic_of(recipe: Recipe, field: str) -> str:
    """The page on which a finding's field can be set right; empty when there is none."""
    field = _ASKED_WITH.get(field, field)
    for topic in topics(recipe):
        if field in topic.fields or (topic.table and field == topic.table):
            return topic.name
    return ""


def choice_of(info: FieldInfo) -> str:
    """The live list behind a settings field; empty when it has none."""
    extra = info.json_schema_extra
    return str(extra.get("choice", "")) if isinstance(extra, Mapping) else ""


def literal_of(info: FieldInfo) -> tuple[str, ...]:
    """The values of a field that takes one of a few words; empty for every other field."""
    plain = _plain(info.annotation)
    return tuple(str(value) for value in get_args(plain)) if get_origin(plain) is Literal else ()


def type_of(info: FieldInfo) -> Any:
    """The plain type of a field: `bool`, `int`, `str`, `date`, `dict`, `tuple` or `Literal`."""
    plain = _plain(info.annotation)
    return get_origin(plain) or plain


def values_of(info: FieldInfo) -> tuple[str, ...]:
    """The words that a table's right-hand side may hold; empty when it takes any text."""
    arguments = get_args(_plain(info.annotation))
    right = _plain(arguments[-1]) if arguments else None
    return tuple(str(value) for value in get_args(right)) if get_origin(right) is Literal else ()


def _plain(annotation: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        (one, *_) = [part for part in get_args(annotation) if part is not type(None)]
        return _plain(one)
    return annotation


def _topic_of(field: str, info: FieldInfo | None) -> str:
    if field in _PLACED:
        return _PLACED[field]
    if field.startswith("start_"):
        return "start"
    if info is None:
        return ""
    if (choice := choice_of(info)) in ("companies", "administrations"):
        return "administrations"
    if choice:
        return "accounts"
    return "extras" if type_of(info) is bool else "booking"
