"""A combi's installation after its accounts are linked: questions, mapping, check, preview, and the first run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from hub.catalogue import service as catalogue
from hub.catalogue.path import PathId, unknown
from hub.combis import repository, service, topics
from hub.combis.schemas import CombiPatch, MappingEntry
from hub.combis.topics import START_DATE, Topic
from hub.connections import installing
from hub.engine.hub import Hub
from hub.engine.mapping import Suggestion
from hub.engine.models import Combi, CombiStatus
from hub.engine.preview import Preview, PreviewDocument
from hub.engine.recipe import Recipe
from hub.engine.settings import CombiSettings, parse
from hub.kit import text
from hub.kit.problem import Problem
from hub.runs import repository as run_repository
from hub.runs import sentences
from hub.runs import service as runs
from hub.runs.schemas import RunIn
from hub.sdk.errors import VendorError
from hub.web import questions
from hub.web.pages.forms import BadForm
from hub.web.pages.runs import shown
from hub.web.pages.visit import Acting, Elsewhere, PageRoute, Visit, Visiting
from hub.web.questions import Question

CHECK, PREVIEW = "check", "preview"
SHOWN = 20
"""How many documents a preview shows."""


@dataclass(frozen=True)
class Draft:
    """A draft's installation, as somebody who may change it sees it."""

    visit: Visit
    combi: Combi
    recipe: Recipe

    @property
    def hub(self) -> Hub:
        """The hub."""
        return self.visit.hub

    @property
    def language(self) -> str:
        """In which the page speaks."""
        return self.visit.language

    @cached_property
    def topics(self) -> list[Topic]:
        """The pages with questions."""
        return topics.topics(self.recipe)

    @cached_property
    def steps(self) -> list[str]:
        """All steps after linking, in order."""
        return [*(topic.name for topic in self.topics), CHECK, PREVIEW]

    def topic(self, name: str) -> Topic:
        """The page of this name. Raises the 404 problem."""
        found = next((one for one in self.topics if one.name == name), None)
        if found is None:
            raise unknown("step")
        return found

    def path(self, step: str) -> str:
        """The address of a step."""
        return f"/combis/{self.combi.id}/setup/{step}"

    def after(self, step: str, form: Mapping[str, str]) -> str:
        """What follows a step: the check, for who wants to be there or came from there to set something right."""
        if CHECK in (self.visit.request.query_params.get("back"), form.get("go")):
            return self.path(CHECK)
        return self.path(self.steps[self.steps.index(step) + 1])

    def first_open(self) -> str:
        """Where somebody who returns goes on."""
        return next((topic.name for topic in self.topics if topic.name not in self.combi.answered), CHECK)


async def _draft(visit: Visit, combi_id: UUID) -> Draft:
    """Raises 404 for what is not there and for who may only look; who comes back after all was done sees the combi."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await runs.combi_of(session, combi_id)
    if not visit.may_act:
        raise unknown("combi")
    if combi.status != CombiStatus.draft:
        raise Elsewhere(f"/combis/{combi_id}")
    return Draft(visit, combi, service.recipe_of(combi))


router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/combis/{combi_id}/setup")
async def resume(combi_id: PathId, visit: Visiting) -> Response:
    """Goes on where somebody left."""
    draft = await _draft(visit, combi_id)
    return RedirectResponse(draft.path(draft.first_open()), 303)


@router.get("/combis/{combi_id}/setup/running")
async def running(combi_id: PathId, visit: Visiting) -> Response:
    """The first run while it goes on, and how it ended."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await runs.combi_of(session, combi_id)
        found = await run_repository.runs(session, combi_id, run_repository.NEWEST, 1)
    if combi.status == CombiStatus.draft or not found:
        return RedirectResponse(f"/combis/{combi_id}", 303)
    recipe = service.recipe_of(combi)
    return visit.page(
        "setup_running.html",
        place="combis",
        combi=combi,
        source=catalogue.title(recipe.source),
        target=catalogue.title(recipe.target),
        **shown(runs.run_out(found[0], visit.language)),
        going_on=await installing.return_of(visit.hub, combi_id),
    )


@router.get("/combis/{combi_id}/setup/{step}")
async def step(combi_id: PathId, step: str, visit: Visiting) -> Response:
    """One step."""
    draft = await _draft(visit, combi_id)
    if step == CHECK:
        return await _check_page(draft)
    if step == PREVIEW:
        return await _preview_page(draft)
    topic = draft.topic(step)
    if topic.table:
        return await _mapping_page(draft, topic)
    return _questions_page(
        draft, topic, await questions.ask(draft.hub, draft.combi, draft.recipe, topic, draft.language)
    )


@router.post("/combis/{combi_id}/setup/install")
async def install(combi_id: PathId, sent: Acting) -> Response:
    """Installs: the schedule starts, and the first run at once."""
    draft = await _draft(sent, combi_id)
    hub, organisation = sent.hub, sent.account.organisation_id
    await service.complete(hub, organisation, combi_id)
    findings = await hub.engine.check_settings(organisation, combi_id)
    if findings:
        return RedirectResponse(draft.path(CHECK), 303)
    async with hub.database.tenant(organisation) as session:
        locked = await runs.combi_of(session, combi_id, lock=True)
        if locked.status == CombiStatus.draft:
            await service.activate(hub, locked, findings, sent.language)
            sent.note(session, "combi.activated", combi_id)
            await session.flush()
            await runs.start(session, hub, combi_id, RunIn())
    return RedirectResponse(draft.path("running"), 303)


@router.post("/combis/{combi_id}/setup/{step}")
async def answer(combi_id: PathId, step: str, sent: Acting) -> Response:
    """Keeps the answers of one page, and goes on to the next."""
    draft = await _draft(sent, combi_id)
    topic = draft.topic(step)
    if topic.table:
        return await _keep_mapping(draft, topic, sent.form)
    asked = await questions.ask(draft.hub, draft.combi, draft.recipe, topic, draft.language)
    found = questions.answers(asked, sent.form)
    wrong = {name: text.sentence(key, draft.language) for name, key in found.wrong.items()}
    wrong = wrong or await _keep(draft, topic, found)
    if wrong:
        return _questions_page(draft, topic, questions.shown_again(asked, sent.form, wrong), 422)
    return RedirectResponse(draft.after(topic.name, sent.form), 303)


async def _keep(draft: Draft, topic: Topic, found: questions.Answers) -> dict[str, str]:
    """Stores answers in the draft; gives what is wrong with them, by field."""
    facts: dict[str, Any] = {"settings": found.settings}
    if START_DATE in topic.fields:
        facts["start_date"] = found.start_date
    if found.schedule:
        facts["schedule"] = found.schedule
    try:
        async with draft.hub.database.tenant(draft.combi.organisation_id) as session:
            combi = await runs.combi_of(session, draft.combi.id, lock=True)
            await service.change(session, draft.hub, combi, CombiPatch(**facts))
            _answered(combi, topic)
    except Problem as problem:
        return {
            error["field"].removeprefix("settings.").partition(".")[0]: text.sentence(
                "install.wrong.value", draft.language
            )
            for error in problem.errors
        }
    return {}


def _answered(combi: Combi, topic: Topic) -> None:
    combi.answered = [*dict.fromkeys([*combi.answered, topic.name])]


# --- pages ---------------------------------------------------------------------------------------------------------


def _page(draft: Draft, template: str, step: str, status: int = 200, **facts: Any) -> Response:
    current = draft.steps.index(step)
    done = {*draft.combi.answered, *({CHECK} if step == PREVIEW else ())}
    connecting = f"/install/{draft.recipe.source}/{draft.recipe.target}"
    steps = [
        {
            "words": text.sentence(f"install.step.{name}", draft.language),
            "href": draft.path(name) if _reached(draft, name) and number != current else "",
            "state": "current" if number == current else "done" if name in done else "",
        }
        for number, name in enumerate(draft.steps)
    ]
    return draft.visit.page(
        template,
        status,
        place="combis",
        combi=draft.combi,
        recipe=draft.recipe,
        source=catalogue.title(draft.recipe.source),
        target=catalogue.title(draft.recipe.target),
        connect_path=connecting,
        steps=steps,
        step=step,
        back=draft.path(draft.steps[current - 1])
        if current
        else f"/install/{draft.recipe.source}/{draft.recipe.target}",
        action=draft.path(step) + ("?back=check" if draft.visit.request.query_params.get("back") == CHECK else ""),
        **facts,
    )


def _reached(draft: Draft, name: str) -> bool:
    """Whether a step can be gone to: it was answered, or all before it were."""
    if name in draft.combi.answered:
        return True
    return draft.steps.index(name) <= draft.steps.index(draft.first_open()) or (
        name in (CHECK, PREVIEW) and draft.first_open() == CHECK
    )


def _questions_page(draft: Draft, topic: Topic, asked: Sequence[Question], status: int = 200) -> Response:
    return _page(draft, "setup_questions.html", topic.name, status, questions=asked)


async def _mapping_page(draft: Draft, topic: Topic) -> Response:
    """The table; a step with nothing to choose is passed by for who comes here for the first time."""
    entries, found, problem = await _mapping(draft, topic)
    choices = await questions.right_side(draft.hub, draft.combi, topic.table)
    words = dict(choices)
    by_itself = _by_itself(parse(draft.recipe, draft.combi.settings))
    lines = [_line(one, entries, words, by_itself) for one in found]
    seen = {one.source for one in found}
    lines += [_line(Suggestion(one, one, "", "none"), entries, words, by_itself) for one in entries if one not in seen]
    if not lines and not problem and topic.name not in draft.combi.answered:
        async with draft.hub.database.tenant(draft.combi.organisation_id) as session:
            _answered(await runs.combi_of(session, draft.combi.id, lock=True), topic)
        return RedirectResponse(draft.after(topic.name, {}), 303)
    return _page(draft, "setup_mapping.html", topic.name, lines=lines, options=choices, problem=problem)


async def _mapping(draft: Draft, topic: Topic) -> tuple[dict[str, str], list[Suggestion], str]:
    """The entries of the table, what the packages suggest, and why they could not be asked."""
    combi = draft.combi
    async with draft.hub.database.tenant(combi.organisation_id) as session:
        entries = {one.source: one.target for one in await repository.mapping(session, combi.id, topic.table)}
    try:
        return entries, await draft.hub.engine.suggest(combi.organisation_id, combi.id, topic.table), ""
    except VendorError as error:
        return entries, [], sentences.finding(error.finding(), draft.language).sentence


def _by_itself(settings: CombiSettings) -> frozenset[str]:
    """The origins of suggestions that come true without an entry in the table."""
    rules = {"leading_code": settings.revenue_account == "leading_code"}
    rules["same_code"] = settings.account_mode == "own_chart"
    return frozenset({"default", "fallback", *(origin for origin, holds in rules.items() if holds)})


def _line(
    one: Suggestion, entries: Mapping[str, str], words: Mapping[str, str], by_itself: frozenset[str]
) -> dict[str, str]:
    """A line of the table. `sign`: good (its account is known), warn (the default account), bad (nothing fits)."""
    target = entries.get(one.source) or one.target
    sign = "warn" if one.origin in ("default", "fallback") and one.source not in entries else "good"
    if not target or (words and target not in words):
        sign = "bad"
    return {
        "source": one.source,
        "label": one.source_label,
        "target": words.get(target, target),
        "sign": sign,
        "automatic": one.target if one.origin in by_itself else "",
        "origin": "chosen" if one.source in entries else one.origin,
    }


async def _keep_mapping(draft: Draft, topic: Topic, form: Mapping[str, str]) -> Response:
    """Stores what differs from what happens by itself."""
    choices = await questions.right_side(draft.hub, draft.combi, topic.table)
    field = Question("target", "search", "", options=choices)
    entries = []
    for number in range(len(form)):
        source = form.get(f"line.{number}.source", "")
        target = questions.value_of(field, form.get(f"line.{number}.target", "").strip())
        if source and target and target != form.get(f"line.{number}.automatic"):
            entries.append(MappingEntry(source=source[:300], target=target[:300]))
    async with draft.hub.database.tenant(draft.combi.organisation_id) as session:
        combi = await runs.combi_of(session, draft.combi.id, lock=True)
        try:
            await service.replace_mapping(session, draft.hub, combi, topic.table, entries)
        except Problem:
            raise BadForm from None
        _answered(combi, topic)
    return RedirectResponse(draft.after(topic.name, form), 303)


async def _check_page(draft: Draft) -> Response:
    """Everything at once: what keeps the whole combi from working, then what single documents run into."""
    combi = draft.combi
    await service.complete(draft.hub, combi.organisation_id, combi.id)
    blocking = await draft.hub.engine.check_settings(combi.organisation_id, combi.id)
    found = blocking or await draft.hub.engine.check_documents(combi.organisation_id, combi.id)
    told: dict[str, dict[str, str]] = {}
    for one in found:
        finding = sentences.finding(one, draft.language)
        topic = topics.topic_of(draft.recipe, one.field or "")
        fix = f"{draft.path(topic)}?back=check" if topic else ""
        told.setdefault(
            finding.sentence, {"sentence": finding.sentence, "words": finding.words or "", "fix": fix, "topic": topic}
        )
    return _page(
        draft,
        "setup_check.html",
        CHECK,
        blocking=bool(blocking),
        findings=list(told.values()),
        going_on=draft.path(PREVIEW),
    )


async def _preview_page(draft: Draft) -> Response:
    problem, found = "", Preview(documents=())
    try:
        found = await draft.hub.engine.preview(draft.combi.organisation_id, draft.combi.id, SHOWN)
    except VendorError as error:
        problem = sentences.finding(error.finding(), draft.language).sentence
    ordered = sorted(found.documents, key=lambda one: (one.date is None, one.date or date.min, one.number))
    documents = [_document(one, draft.language) for one in ordered]
    tally: dict[str, int] = {}
    for one in found.documents:
        tally[one.action] = tally.get(one.action, 0) + 1
    return _page(
        draft,
        "setup_preview.html",
        PREVIEW,
        documents=documents,
        tally=tally,
        complete=found.complete,
        problem=problem,
        install_path=draft.path("install"),
    )


def _document(one: PreviewDocument, language: str) -> dict[str, Any]:
    return {
        "document": one,
        "lines": one.posting,
        "debit": sum((line.debit for line in one.posting), Decimal(0)),
        "credit": sum((line.credit for line in one.posting), Decimal(0)),
        "findings": [sentences.finding(finding, language).sentence for finding in one.findings],
    }
