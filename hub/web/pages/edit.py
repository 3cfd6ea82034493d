"""Changing a combi: its name, its answers, and taking it away, each with what that means for what was booked."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from hub.catalogue import service as catalogue
from hub.catalogue.path import PathId, unknown
from hub.combis import service, topics
from hub.combis.schemas import CombiPatch
from hub.combis.topics import SCHEDULE, START_DATE, Topic
from hub.engine import recipe as recipes
from hub.engine.mapping import TABLES
from hub.engine.models import Combi
from hub.engine.recipe import Recipe
from hub.engine.settings import model, parse
from hub.kit import text
from hub.kit.database import HubSession
from hub.kit.problem import Problem
from hub.runs import repository
from hub.runs.service import combi_of
from hub.web import questions
from hub.web.pages.combis import combi_facts, run_soon
from hub.web.pages.visit import Acting, Managing, PageRoute, Sent, Visit, Visiting, go
from hub.web.questions import Answers, Question

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LEAVES_BOOKINGS_ALONE = frozenset(
    ("flows", "customers", "credit_payments", "attach_document", "note_success", "note_failure", "note_ignored",
     "on_change", SCHEDULE, START_DATE)
)  # fmt: skip
"""Answers that say nothing about how a document is booked."""


@router.get("/combis/{combi_id}/edit")
async def edit(combi_id: PathId, visit: Visiting) -> Response:
    """All that can be changed, with the answers in force."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        shown = await combi_facts(session, combi_id, visit.language)
        combi = await combi_of(session, combi_id)
    recipe = service.recipe_of(combi)
    asked = [(topic, _in_words(recipe, combi, topic, visit.language)) for topic in topics.topics(recipe)]
    side = recipes.sides(recipe)
    package = side[0].manifest.title if side else ""
    return visit.page("edit.html", place="combis", combi=shown, tab="edit", topics=asked, side_package=package)


@router.get("/combis/{combi_id}/fix/{field}")
async def fix(combi_id: PathId, field: str, visit: Visiting) -> Response:
    """On to where a finding's setting or table can be put right."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        recipe = service.recipe_of(await combi_of(session, combi_id))
    topic = topics.topic_of(recipe, field)
    if field in TABLES:
        word = visit.request.url.query
        return go(f"/combis/{combi_id}/mappings/{field}{'?' if word else ''}{word}")
    return go(f"/combis/{combi_id}/edit/{topic}" if topic else f"/combis/{combi_id}/edit")


@router.get("/combis/{combi_id}/edit/{name}")
async def topic_page(combi_id: PathId, name: str, visit: Visiting) -> Response:
    """The questions of one topic, with lists read from the packages just now."""
    combi, recipe, topic = await _topic(visit, combi_id, name)
    if topic.table:
        return go(f"/combis/{combi_id}/mappings/{topic.table}")
    asked = await questions.ask(visit.hub, combi, recipe, topic, visit.language)
    return await _questions_page(visit, combi_id, topic, asked)


@router.post("/combis/{combi_id}/edit/{name}")
async def change(combi_id: PathId, name: str, sent: Acting) -> Response:
    """Keep the answers; what would be booked otherwise from now on is asked once more."""
    combi, recipe, topic = await _topic(sent, combi_id, name)
    asked = await questions.ask(sent.hub, combi, recipe, topic, sent.language)
    found = questions.answers(asked, sent.form)
    wrong = {field: text.sentence(key, sent.language) for field, key in found.wrong.items()}
    if not wrong and sent.form.get("sure") != "yes" and (changed := _booked_otherwise(combi, recipe, found)):
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            booked = await _booked(session, combi_id)
        if booked:
            return await _ask_again(sent, combi_id, topic, recipe, changed, booked)
    wrong = wrong or await _keep(sent, combi_id, topic, found)
    if wrong:
        return await _questions_page(sent, combi_id, topic, questions.shown_again(asked, sent.form, wrong), 422)
    await run_soon(sent, combi_id)
    return go(f"/combis/{combi_id}/edit", "saved")


@router.post("/combis/{combi_id}/name")
async def rename(combi_id: PathId, sent: Acting) -> Response:
    """Another name; empty: the names of the packages."""
    name = sent.form.get("name", "").strip()[:200]
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        combi = await combi_of(session, combi_id, lock=True)
        await service.change(session, sent.hub, combi, CombiPatch(name=name))
        sent.note(session, "combi.renamed", combi_id, name=name)
    return go(f"/combis/{combi_id}/edit", "saved")


@router.get("/combis/{combi_id}/delete")
async def deletion(combi_id: PathId, visit: Visiting) -> Response:
    """What goes and what stays, before anything goes."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        booked = await _booked(session, combi_id)
    return visit.page("delete.html", place="combis", combi=combi, booked=booked)


@router.post("/combis/{combi_id}/delete")
async def delete(combi_id: PathId, sent: Managing) -> Response:
    """Take the combi away."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        combi = await combi_of(session, combi_id, lock=True)
        await service.remove(session, sent.hub, combi)
        sent.note(session, "combi.deleted", combi_id)
    return go("/", "deleted")


async def _topic(visit: Visit, combi_id: UUID, name: str) -> tuple[Combi, Recipe, Topic]:
    """A topic of a combi, for who may change it. Raises the 404 problem."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_of(session, combi_id)
    recipe = service.recipe_of(combi)
    topic = next((one for one in topics.topics(recipe) if one.name == name), None)
    if topic is None or not visit.may_act:
        raise unknown("topic")
    return combi, recipe, topic


async def _questions_page(
    visit: Visit, combi_id: UUID, topic: Topic, asked: Sequence[Question], status: int = 200
) -> Response:
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
    return visit.page(
        "edit_topic.html", status, place="combis", combi=combi, tab="edit", topic=topic.name, questions=asked
    )


async def _ask_again(
    sent: Sent, combi_id: UUID, topic: Topic, recipe: Recipe, changed: Sequence[str], booked: int
) -> Response:
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, sent.language)
    return sent.page(
        "edit_sure.html",
        place="combis",
        combi=combi,
        topic=topic.name,
        labels=[catalogue.question(recipe, field, sent.language).label for field in changed],
        booked=booked,
        given=[(name, value) for name, value in sent.form.pairs if name not in ("csrf", "sure")],
    )


def _booked_otherwise(combi: Combi, recipe: Recipe, found: Answers) -> list[str]:
    """The fields whose new answers make documents be booked in another way than before."""
    merged = service.merge(combi.settings, found.settings)
    if service.settings_errors(recipe, merged):
        return []
    before = parse(recipe, combi.settings).model_dump(mode="json")
    after = parse(recipe, merged).model_dump(mode="json")
    return [field for field in after if after[field] != before[field] and field not in LEAVES_BOOKINGS_ALONE]


async def _booked(session: HubSession, combi_id: UUID) -> int:
    tally = await repository.tally(session, combi_id)
    return sum(row["documents"] for row in tally if row["status"] == "booked" and row["flow"] != "customers")


async def _keep(sent: Sent, combi_id: UUID, topic: Topic, found: Answers) -> dict[str, str]:
    """Stores the answers; gives what is wrong with them, by field."""
    facts: dict[str, Any] = {"settings": found.settings}
    if START_DATE in topic.fields:
        facts["start_date"] = found.start_date
    if found.schedule:
        facts["schedule"] = found.schedule
    try:
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            combi = await combi_of(session, combi_id, lock=True)
            await service.change(session, sent.hub, combi, CombiPatch(**facts))
            sent.note(session, "combi.changed", combi_id)
    except Problem as problem:
        said = text.sentence("install.wrong.value", sent.language)
        return {error["field"].removeprefix("settings.").partition(".")[0]: said for error in problem.errors}
    return {}


def _in_words(recipe: Recipe, combi: Combi, topic: Topic, language: str) -> list[tuple[str, str]]:
    """The answers of a topic as they are in force."""
    settings = parse(recipe, combi.settings).model_dump()
    fields = model(recipe.source, recipe.target).model_fields
    told = []
    for field in topic.fields:
        label = catalogue.question(recipe, field, language).label
        if field == START_DATE:
            value = text.written(combi.start_date, language)
        elif field == SCHEDULE:
            value = text.sentence(f"settings.schedule.{combi.schedule}", language)
        elif topics.literal_of(fields[field]):
            value = questions.word(recipe, field, str(settings[field]), language)
        elif isinstance(settings[field], Mapping):
            value = ", ".join(sorted({str(one) for one in settings[field].values()}))
        elif field == "flows":
            flows = settings[field] or recipe.flows
            value = text.written([text.sentence(f"web.flow.{one}", language) for one in flows], language)
        else:
            value = text.written(settings[field], language)
        told.append((label, value))
    return told
