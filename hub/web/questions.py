"""Questions as a page shows them, and the answers that a form gives: live lists, defaults and what is wrong."""

import asyncio
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from hub.catalogue import service as catalogue
from hub.combis import topics
from hub.combis.topics import SCHEDULE, START_DATE, Topic
from hub.engine import settings as combi_settings
from hub.engine.engine import Choices
from hub.engine.hub import Hub
from hub.engine.models import Combi
from hub.engine.recipe import Recipe
from hub.engine.schedule import Schedule
from hub.kit import text
from hub.sdk.errors import VendorError
from hub.sdk.settings import Option

IN_SIGHT = 12
"""A list that is longer is searched by typing."""
NOT_BOOKED = "-"
"""The answer for a company whose documents are not booked."""
ALL, OTHER = "all", "other"
"""Answers to the start date that are no day."""
BLANK_ROWS = 2
LIKENESS = 0.55
"""From which likeness of two names one is proposed for the other."""
_RIGHT_SIDE = {"ledger_accounts": "default_revenue_account", "cost_centres": "default_cost_centre"}
"""Mapping table -> a setting with the same live list."""
_FIRST_PROPOSED = ("journal",)
"""Lists whose likeliest entry stands first, and is right for nearly everybody."""
_LEGAL_FORM = re.compile(r"\b(b\.?v\.?|n\.?v\.?|v\.?o\.?f\.?|holding)(?!\w)|[^a-z ]", re.IGNORECASE)

Kind = Literal[
    "administrations",
    "checkbox",
    "checkboxes",
    "date",
    "number",
    "radios",
    "search",
    "select",
    "start",
    "table",
    "text",
]


@dataclass(frozen=True)
class Row:
    """A line of a table: what stands left, its words, and what was chosen."""

    key: str
    label: str
    value: str = ""
    proposed: bool = False
    wrong: str = ""


@dataclass(frozen=True)
class Question:
    """One question. `value` is what a form shows: a list's entry by its words where it is searched by typing."""

    field: str
    kind: Kind
    label: str
    help: str = ""
    value: str = ""
    options: Sequence[tuple[str, str]] = ()
    rows: Sequence[Row] = ()
    unread: bool = False
    """The package could not give its list; what is typed is taken as it is."""
    wrong: str = ""
    more: str = ""
    """The day that was chosen where none of the options is it."""


@dataclass
class Answers:
    """What a form says: a patch of the settings, what stands beside them, and what is wrong by field."""

    settings: dict[str, Any] = field(default_factory=dict)
    start_date: date | None = None
    schedule: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    """Field (or `field.row`) -> the key of a sentence."""


async def ask(hub: Hub, combi: Combi, recipe: Recipe, topic: Topic, language: str) -> list[Question]:
    """The questions of a page with their lists read from the packages just now."""
    model = combi_settings.model_of(recipe).model_fields
    listed = [name for name in topic.fields if name in model and topics.choice_of(model[name])]
    found = await asyncio.gather(*(_choices(hub, combi, name) for name in listed))
    choices = dict(zip(listed, found, strict=True))
    settings = combi_settings.parse(recipe, combi.settings).model_dump(mode="json")
    today = hub.clock.today()
    return [_question(combi, recipe, name, settings, choices.get(name), today, language) for name in topic.fields]


async def _choices(hub: Hub, combi: Combi, name: str) -> Choices | None:
    try:
        return await hub.engine.options(combi.organisation_id, combi.id, name)
    except (KeyError, VendorError):
        return None


def _question(
    combi: Combi,
    recipe: Recipe,
    name: str,
    settings: Mapping[str, Any],
    choices: Choices | None,
    today: date,
    language: str,
) -> Question:
    asked = catalogue.question(recipe, name, language)
    plain = Question(name, "text", asked.label, asked.help)
    if name == START_DATE:
        return _start(plain, combi, today, language)
    if name == SCHEDULE:
        options = [(one.value, text.sentence(f"settings.schedule.{one.value}", language)) for one in Schedule]
        return replace(plain, kind="select", value=combi.schedule, options=options)
    info = combi_settings.model_of(recipe).model_fields[name]
    value, kind = settings[name], topics.type_of(info)
    if name == "administrations":
        return _administrations(plain, settings, choices)
    if name == "flows":
        rows = [
            Row(flow, _flow(recipe, flow, language), "yes" if value is None or flow in value else "")
            for flow in recipe.flows
        ]
        return replace(plain, kind="checkboxes", rows=rows)
    if kind is dict:
        return _table(plain, value, topics.values_of(info), choices)
    if topics.choice_of(info):
        return _from_list(plain, value, choices)
    if words := topics.literal_of(info):
        return replace(
            plain, kind="radios", value=str(value), options=[(one, word(recipe, name, one, language)) for one in words]
        )
    shown = "" if value is None else str(value)
    if name == "start_year" and not shown and "start" not in combi.answered:
        shown = str(today.year)
    if kind is bool:
        return replace(plain, kind="checkbox", value="yes" if value else "")
    return replace(plain, kind="number" if kind is int else "date" if kind is date else "text", value=shown)


def _start(plain: Question, combi: Combi, today: date, language: str) -> Question:
    """From which day is booked: this year is proposed to who has not answered yet."""
    quarter, year = today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), today.replace(month=1, day=1)
    days = {day.isoformat(): f"install.start.{name}" for name, day in (("quarter", quarter), ("year", year))}
    options = [(day, text.sentence(key, language, {"day": date.fromisoformat(day)})) for day, key in days.items()]
    options += [(one, text.sentence(f"install.start.{one}", language)) for one in (ALL, OTHER)]
    stored = combi.start_date.isoformat() if combi.start_date else ""
    if not stored:
        return replace(
            plain, kind="start", value=ALL if "start" in combi.answered else year.isoformat(), options=options
        )
    known = stored in days
    return replace(plain, kind="start", value=stored if known else OTHER, options=options, more="" if known else stored)


def _administrations(plain: Question, settings: Mapping[str, Any], choices: Choices | None) -> Question:
    if choices is None:
        return replace(plain, kind="administrations", unread=True)
    chosen, ignored = settings["administrations"], settings["ignored_companies"]
    rows = []
    for company in choices.keys or ():
        value = NOT_BOOKED if company.value in ignored else chosen.get(company.value, "")
        proposal = "" if value else likeliest(company.label, choices.options)
        rows.append(Row(company.value, company.label, value or proposal, bool(proposal)))
    return replace(plain, kind="administrations", rows=rows, options=_pairs(choices.options))


def likeliest(name: str, options: Sequence[Option]) -> str:
    """The entry whose words are most like a name; the only one when there is no other; empty when none is like it."""
    if len(options) == 1:
        return options[0].value
    likeness = {one.value: difflib.SequenceMatcher(None, _bare(name), _bare(one.label)).ratio() for one in options}
    best = max(likeness, key=lambda value: likeness[value], default="")
    return best if best and likeness[best] >= LIKENESS else ""


def _bare(name: str) -> str:
    return " ".join(_LEGAL_FORM.sub("", name.lower()).split())


def _from_list(plain: Question, value: Any, choices: Choices | None) -> Question:
    if choices is None:
        return replace(plain, kind="text", value=_listed(value), unread=True)
    options = _pairs(choices.options)
    value = _listed(value)
    if not value and options and plain.field in _FIRST_PROPOSED:
        value = options[0][0]
    if len(options) <= IN_SIGHT:
        known = [("", ""), *options] if not value or value in dict(options) else [("", ""), (value, value), *options]
        return replace(plain, kind="select", value=value, options=known)
    return replace(plain, kind="search", value=dict(options).get(value, value), options=options)


def _listed(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value or "")


def _table(plain: Question, value: Mapping[str, str], words: Sequence[str], choices: Choices | None) -> Question:
    options = _pairs(choices.options) if choices is not None else [(word, word) for word in words]
    keys = {one.value: one.label for one in choices.keys or ()} if choices is not None else {}
    rows = [Row(key, label, value.get(key, "")) for key, label in keys.items()]
    rows += [Row(key, key, chosen) for key, chosen in value.items() if key not in keys]
    if not keys:
        rows += [Row("", "")] * BLANK_ROWS
    return replace(plain, kind="table", rows=rows, options=options, unread=choices is None and not words)


def _pairs(options: Sequence[Option]) -> list[tuple[str, str]]:
    return [(one.value, one.label) for one in options]


def _flow(recipe: Recipe, flow: str, language: str) -> str:
    names = {"source": catalogue.title(recipe.source), "target": catalogue.title(recipe.target)}
    return text.sentence(f"catalogue.flow.{flow}.short", language, names)


def word(recipe: Recipe, name: str, value: str, language: str) -> str:
    """A choice in the words of the connector, or of the engine; the word itself when it is a code."""
    for key in (
        f"settings.{recipe.target}.{name}.{value}",
        f"settings.{recipe.source}.{name}.{value}",
        f"settings.{name}.{value}",
    ):
        if text.known(key):
            return text.sentence(key, language)
    return value


def answers(questions: Sequence[Question], form: Mapping[str, str]) -> Answers:
    """What a form says to these questions."""
    found = Answers()
    for question in questions:
        given = form.get(question.field, "").strip()
        match question.kind:
            case "administrations":
                _read_administrations(question, form, found)
            case "checkboxes":
                wanted = [row.key for row in question.rows if form.get(f"{question.field}.{row.key}")]
                if not wanted:
                    found.wrong[question.field] = "install.wrong.nothing_left"
                found.settings[question.field] = None if len(wanted) == len(question.rows) else wanted
            case "checkbox":
                found.settings[question.field] = bool(given)
            case "table":
                found.settings[question.field] = _read_table(question, form)
            case "search":
                _read_search(question, given, found)
            case "start":
                _read_start(question, form, found)
            case "date" | "number":
                _read_typed(question, given, found)
            case _ if question.field == SCHEDULE:
                found.schedule = given if given in dict(question.options) else ""
            case _:
                found.settings[question.field] = given or None
    return found


def _read_administrations(question: Question, form: Mapping[str, str], found: Answers) -> None:
    chosen: dict[str, str | None] = {}
    ignored = []
    for row in question.rows:
        given = form.get(f"{question.field}.{row.key}", "")
        chosen[row.key] = given if given in dict(question.options) else None
        if given == NOT_BOOKED:
            ignored.append(row.key)
        elif chosen[row.key] is None:
            found.wrong[f"{question.field}.{row.key}"] = "install.wrong.no_administration"
    found.settings |= {"administrations": chosen, "ignored_companies": ignored}


def _read_table(question: Question, form: Mapping[str, str]) -> dict[str, str | None]:
    """A merge patch of the table: rows that were emptied are taken out."""
    patch: dict[str, str | None] = {row.key: None for row in question.rows if row.key}
    for number in range(len(question.rows)):
        left = form.get(f"{question.field}.{number}.left", "").strip()
        right = form.get(f"{question.field}.{number}.right", "").strip()
        if left and right:
            patch[left] = value_of(question, right)
    return patch


def _read_search(question: Question, given: str, found: Answers) -> None:
    value = value_of(question, given)
    if given and value not in dict(question.options):
        found.wrong[question.field] = "install.wrong.not_listed"
    found.settings[question.field] = value or None


def value_of(question: Question, given: str) -> str:
    """The entry of a list that was meant by what was typed: its words, its value, or the only one that begins so."""
    folded = given.casefold()
    exact = [value for value, words in question.options if folded in (words.casefold(), value.casefold())]
    begun = [value for value, words in question.options if folded and words.casefold().startswith(folded)]
    return exact[0] if exact else begun[0] if len(begun) == 1 else given


def _read_typed(question: Question, given: str, found: Answers) -> None:
    try:
        typed = (date.fromisoformat(given) if question.kind == "date" else int(given)) if given else None
    except ValueError:
        found.wrong[question.field] = f"install.wrong.{question.kind}"
        return
    found.settings[question.field] = typed.isoformat() if isinstance(typed, date) else typed


def _read_start(question: Question, form: Mapping[str, str], found: Answers) -> None:
    given = form.get(question.field, "")
    if given == ALL:
        return
    try:
        found.start_date = date.fromisoformat(form.get(f"{question.field}.{OTHER}", "") if given == OTHER else given)
    except ValueError:
        found.wrong[question.field] = "install.wrong.date"


def shown_again(questions: Sequence[Question], form: Mapping[str, str], wrong: Mapping[str, str]) -> list[Question]:
    """The same questions with what was given and what is wrong with it; `wrong` holds sentences by field."""
    again = []
    for question in questions:
        rows = []
        for number, row in enumerate(question.rows):
            name = f"{question.field}.{row.key}"
            given = form.get(f"{question.field}.{number}.right" if question.kind == "table" else name, "")
            rows.append(replace(row, value=given, proposed=False, wrong=wrong.get(name, "")))
        value = form.get(question.field, "")
        more = form.get(f"{question.field}.{OTHER}", "")
        again.append(replace(question, value=value, more=more, rows=rows, wrong=wrong.get(question.field, "")))
    return again


async def right_side(hub: Hub, combi: Combi, table: str) -> list[tuple[str, str]]:
    """What can stand right in a mapping table, by number and name; empty when the package has no list or is away."""
    field = _RIGHT_SIDE.get(table)
    choices = await _choices(hub, combi, field) if field else None
    return _pairs(choices.options) if choices is not None else []
