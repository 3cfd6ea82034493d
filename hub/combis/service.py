"""What can be done with a combi."""

import difflib
from collections.abc import Mapping as Map
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import RowMapping

from hub.accounting.documents import Finding
from hub.catalogue import service as catalogue
from hub.catalogue.path import unknown
from hub.combis import repository
from hub.combis.schemas import CombiIn, CombiOut, CombiPatch, MappingEntry
from hub.engine import recipe as recipes
from hub.engine import schedule as schedules
from hub.engine import settings as combi_settings
from hub.engine.hub import Hub
from hub.engine.mapping import TABLES
from hub.engine.models import Combi, CombiStatus, Mapping
from hub.engine.recipe import Recipe
from hub.engine.schedule import Schedule
from hub.kit import text
from hub.kit.database import HubSession
from hub.kit.ids import new_id
from hub.kit.problem import FieldError, Problem
from hub.runs import sentences
from hub.runs.service import combi_of
from hub.sdk.errors import VendorError


def recipe_of(combi: Combi) -> Recipe:
    """The recipe of a stored combi. Raises the 409 problem when a package left the catalogue."""
    try:
        return recipes.get(combi.recipe)
    except KeyError:
        raise Problem(409, "recipe_gone", "The packages of this combi are no longer in the catalogue.") from None


async def create(session: HubSession, hub: Hub, organisation_id: UUID, asked: CombiIn) -> Combi:
    """A draft. Raises the 422 problem that names every wrong field."""
    errors: list[FieldError] = []
    recipe = recipes.all_recipes().get(asked.recipe)
    if recipe is None:
        near = difflib.get_close_matches(asked.recipe, recipes.all_recipes(), n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise _invalid([FieldError(field="recipe", code="unknown_recipe", message=f"There is no such recipe.{hint}")])
    wanted = {"source_connection_id": asked.source_connection_id, "target_connection_id": asked.target_connection_id}
    if asked.side_connection_id is not None:
        wanted["side_connection_id"] = asked.side_connection_id
    errors += await _connection_errors(session, recipe, wanted)
    errors += settings_errors(recipe, asked.settings)
    if errors:
        raise _invalid(errors)
    now = hub.clock.now()
    combi = Combi(
        id=new_id(hub.clock),
        organisation_id=organisation_id,
        recipe=recipe.id,
        name=asked.name,
        source_connection_id=asked.source_connection_id,
        target_connection_id=asked.target_connection_id,
        side_connection_id=asked.side_connection_id,
        side_since=now if asked.side_connection_id else None,
        settings=asked.settings,
        schedule=asked.schedule or recipe.schedule,
        start_date=asked.start_date,
        created_at=now,
        updated_at=now,
    )
    session.add(combi)
    await session.flush()
    return combi


async def create_draft(
    session: HubSession,
    hub: Hub,
    organisation_id: UUID,
    recipe: str,
    source_connection_id: UUID,
    target_connection_id: UUID,
) -> Combi:
    """A draft with the recipe's defaults, as an installation makes it."""
    asked = CombiIn(recipe=recipe, source_connection_id=source_connection_id, target_connection_id=target_connection_id)
    return await create(session, hub, organisation_id, asked)


async def change(session: HubSession, hub: Hub, combi: Combi, asked: CombiPatch) -> None:
    """Applies a patch to a locked combi; positions are never touched. Raises the 422 problem."""
    recipe = recipe_of(combi)
    given = asked.model_fields_set
    errors: list[FieldError] = []
    relinked = {
        side: wanted
        for side in ("source_connection_id", "target_connection_id")
        if (wanted := getattr(asked, side)) is not None and wanted != getattr(combi, side)
    }
    side = asked.side_connection_id if "side_connection_id" in given else combi.side_connection_id
    new_side = {"side_connection_id": side} if side is not None and side != combi.side_connection_id else {}
    errors += await _connection_errors(session, recipe, {**relinked, **new_side})
    if not errors and not asked.confirm_other_administration:
        errors += await _other_company_errors(session, combi, relinked)
    merged = merge(combi.settings, asked.settings) if asked.settings is not None else combi.settings
    if merged != combi.settings:
        errors += settings_errors(recipe, merged)
    if errors:
        raise _invalid(errors)
    for field, wanted in relinked.items():
        setattr(combi, field, wanted)
    if side != combi.side_connection_id:
        combi.side_connection_id, combi.side_since = side, hub.clock.now() if side is not None else None
    if asked.name is not None:
        combi.name = asked.name
    if merged != combi.settings or relinked or ("start_date" in given and asked.start_date != combi.start_date):
        combi.settings_version += 1
    combi.settings = merged
    if "start_date" in given:
        combi.start_date = asked.start_date
    if asked.schedule is not None and asked.schedule != combi.schedule:
        combi.schedule = asked.schedule
        if combi.status == CombiStatus.active:
            combi.slot = schedules.next_slot(asked.schedule, combi.id, hub.clock.now())
    touch(combi, hub)


def merge(stored: Map[str, Any], patch: Map[str, Any]) -> dict[str, Any]:
    """A merge patch (RFC 7396): null removes, objects merge, everything else replaces."""
    merged = dict(stored)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Map):
            present = merged.get(name)
            merged[name] = merge(present if isinstance(present, Map) else {}, value)
        else:
            merged[name] = value
    return merged


def touch(combi: Combi, hub: Hub) -> None:
    """Notes a change: whoever holds an older `ETag` has to read again."""
    combi.version += 1
    combi.updated_at = hub.clock.now()


async def complete(hub: Hub, organisation_id: UUID, combi_id: UUID) -> None:
    """Fills in what needs no question, such as the only administration for the only company."""
    try:
        settings = await hub.engine.complete(organisation_id, combi_id)
    except VendorError:  # the check that follows says what is wrong
        return
    async with hub.database.tenant(organisation_id) as session:
        combi = await combi_of(session, combi_id, lock=True)
        if settings != combi.settings:
            combi.settings = settings
            combi.settings_version += 1
            combi.updated_at = hub.clock.now()


async def activate(hub: Hub, combi: Combi, findings: Sequence[Finding], language: str) -> None:
    """Starts the schedule of a locked combi. Raises 422 with the findings when something would go wrong."""
    if findings:
        told = [sentences.finding(one, language) for one in findings]
        raise Problem(
            422,
            "not_ready",
            text.sentence("problem.not_ready", language),
            errors=[FieldError(field=_place(one.field), code=one.key, message=one.sentence) for one in told],
            findings=[one.model_dump() for one in told],
        )
    combi.status, combi.reason, combi.failures, combi.not_before = CombiStatus.active, None, 0, None
    combi.slot = schedules.next_slot(Schedule(combi.schedule), combi.id, hub.clock.now())
    touch(combi, hub)


def _place(field: str | None) -> str:
    return f"settings.{field}" if field else "combi"


async def pause(session: HubSession, hub: Hub, combi: Combi) -> None:
    """Stops a locked combi: nothing starts any more, and what runs stops at its next safe point."""
    if combi.status == CombiStatus.draft:
        raise Problem(409, "not_active", "The combi is not active yet.")
    combi.status, combi.slot = CombiStatus.paused, None
    await repository.stop_runs(session, combi.id)
    touch(combi, hub)


async def remove(session: HubSession, hub: Hub, combi: Combi) -> None:
    """Deletes a locked combi for its owner.

    Its documents, positions and tables are removed soon after by `tasks.remove_rest`; its runs and log lines go at
    the end of their retention. Deliveries stay for ever, so that installing it again books nothing twice.
    """
    combi.deleted_at = hub.clock.now()
    combi.status, combi.slot = CombiStatus.paused, None
    await repository.stop_runs(session, combi.id)
    touch(combi, hub)


async def replace_mapping(
    session: HubSession, hub: Hub, combi: Combi, table: str, entries: Sequence[MappingEntry]
) -> None:
    """Replaces a table of a locked combi; parked documents are tried again under it. Raises 404 and 422 problems."""
    known_table(table)
    seen: set[str] = set()
    errors: list[FieldError] = []
    for number, entry in enumerate(entries):
        if entry.source in seen:
            message = f"`{entry.source}` stands in the table twice."
            errors.append(FieldError(field=f"entries.{number}.source", code="duplicate", message=message))
        seen.add(entry.source)
    if errors:
        raise _invalid(errors)
    await repository.clear_mapping(session, combi.id, table)
    session.add_all(
        Mapping(
            id=new_id(hub.clock),
            organisation_id=combi.organisation_id,
            combi_id=combi.id,
            table_name=table,
            source=entry.source,
            target=entry.target,
        )
        for entry in entries
    )
    combi.settings_version += 1
    touch(combi, hub)


async def map_one(session: HubSession, hub: Hub, combi: Combi, table: str, entry: MappingEntry) -> None:
    """Puts one entry into a table of a locked combi; parked documents are tried again under it. Raises 404."""
    known_table(table)
    await repository.map_one(
        session,
        Mapping(
            id=new_id(hub.clock),
            organisation_id=combi.organisation_id,
            combi_id=combi.id,
            table_name=table,
            source=entry.source,
            target=entry.target,
        ),
    )
    combi.settings_version += 1
    touch(combi, hub)


def known_table(table: str) -> None:
    """Returns when there is such a mapping table. Raises the 404 problem."""
    if table not in TABLES:
        raise unknown("mapping table")


def settings_errors(recipe: Recipe, settings: Map[str, Any]) -> list[FieldError]:
    """Everything that is wrong with a customer's choices."""
    try:
        combi_settings.parse(recipe, settings)
    except ValidationError as error:
        names = list(combi_settings.model_of(recipe).model_fields)
        return [_settings_error(one, names) for one in error.errors(include_url=False, include_input=False)]
    return []


def _settings_error(error: ErrorDetails, names: list[str]) -> FieldError:
    place = [str(part) for part in error["loc"]]
    field = ".".join(["settings", *place])
    if error["type"] == "extra_forbidden" and len(place) == 1:
        near = difflib.get_close_matches(place[0], names, n=1, cutoff=0.0)
        return FieldError(
            field=field,
            code="unknown_setting",
            message=f"There is no setting `{place[0]}`; did you mean `{near[0]}`?" if near else "Unknown setting.",
        )
    return FieldError(field=field, code=error["type"], message=error["msg"].removeprefix("Value error, "))


async def _connection_errors(session: HubSession, recipe: Recipe, wanted: Map[str, UUID]) -> list[FieldError]:
    found = await repository.connections(session, list(wanted.values())) if wanted else {}
    errors: list[FieldError] = []
    for field, connection_id in wanted.items():
        connection = found.get(connection_id)
        allowed = _allowed(recipe, field)
        if connection is None:
            errors.append(FieldError(field=field, code="unknown_connection", message="There is no such connection."))
        elif connection["connector"] not in allowed:
            needs = f"needs {' or '.join(allowed)}" if allowed else "has no third connection"
            message = f"This is a connection to {connection['connector']}; the recipe {needs}."
            errors.append(FieldError(field=field, code="wrong_connector", message=message))
        elif connection["status"] != "active":
            message = f"The connection is {connection['status']}; it must be active."
            errors.append(FieldError(field=field, code="connection_not_active", message=message))
    return errors


def _allowed(recipe: Recipe, field: str) -> list[str]:
    if field.startswith("side"):
        return sorted(one.manifest.name for one in recipes.sides(recipe))
    return [recipe.source if field.startswith("source") else recipe.target]


async def _other_company_errors(session: HubSession, combi: Combi, relinked: Map[str, UUID]) -> list[FieldError]:
    present = {side: getattr(combi, side) for side in relinked}
    found = await repository.connections(session, [*present.values(), *relinked.values()]) if relinked else {}
    message = "This connection reaches another company. Send `confirm_other_administration` to use it all the same."
    return [
        FieldError(field=side, code="other_administration", message=message)
        for side, wanted in relinked.items()
        if found[wanted]["tenant"] != found[present[side]]["tenant"]
    ]


def _invalid(errors: Sequence[FieldError]) -> Problem:
    return Problem(422, "invalid", "The request is not valid.", "See errors for each field.", errors=errors)


async def shown(session: HubSession, combi: Combi, language: str) -> CombiOut:
    """A combi as the API shows it, with the settings in force."""
    row = await repository.row(session, combi.id)
    if row is None:
        raise unknown("combi")
    flows, settings = _in_force(combi)
    return CombiOut(
        **row_facts(row, language),
        source_connection_id=combi.source_connection_id,
        target_connection_id=combi.target_connection_id,
        flows=flows,
        settings=settings,
        settings_version=combi.settings_version,
    )


def _in_force(combi: Combi) -> tuple[list[str], dict[str, Any]]:
    try:
        recipe = recipes.get(combi.recipe)
        settings = combi_settings.parse(recipe, combi.settings)
    except (KeyError, ValidationError):  # a package left, or a connector's settings changed: the check will say so
        return [], dict(combi.settings)
    wanted = settings.flows
    flows = (*recipe.flows, *((recipes.SALARIES,) if combi.side_connection_id else ()))
    return [one for one in flows if wanted is None or one in wanted], settings.model_dump(mode="json")


_PLAIN = (
    "id", "recipe", "name", "status", "schedule", "start_date", "next_run_at", "version", "created_at", "updated_at",
)  # fmt: skip


def row_facts(row: RowMapping, language: str) -> dict[str, Any]:
    """The members of a `CombiRow`: plain values, since a list of them has to be quick."""
    counts = {status: row[status] for status in repository.COUNTED}
    return {
        **{name: row[name] for name in _PLAIN},
        "reason": sentences.finding(row["reason"], language) if row["reason"] else None,
        "source": _side(row, "source"),
        "target": _side(row, "target"),
        "side": _side(row, "side") if row["side_connection_id"] is not None else None,
        "last_run": _last_run(row, language),
        "counts": counts,
        "needs_attention": row["status"] == CombiStatus.attention
        or any(counts[status] for status in ("finding", "rejected", "changed", "unknown")),
    }


def _side(row: RowMapping, side: str) -> dict[str, Any]:
    connector = row[f"{side}_connector"]
    return {
        "connection_id": row[f"{side}_connection_id"],
        "connector": connector,
        "title": catalogue.title(connector),
        "status": row[f"{side}_status"],
        "name": row[f"{side}_name"],
    }


def _last_run(row: RowMapping, language: str) -> dict[str, Any] | None:
    if row["run_id"] is None:
        return None
    outcome = sentences.outcome(row["run_outcome"], row["run_reason"], language)
    return {
        "id": row["run_id"],
        "outcome": row["run_outcome"],
        "good": outcome.good if outcome else False,
        "sentence": outcome.sentence if outcome else "",
        "action": outcome.action if outcome else "",
        "finished_at": row["run_finished_at"],
    }
