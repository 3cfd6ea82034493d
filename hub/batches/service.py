"""File batches: what waits becomes a numbered file once, and the same file for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hub.batches import repository
from hub.batches.models import FileBatch, FileEntry
from hub.batches.schemas import BatchList, BatchOut
from hub.catalogue.path import unknown
from hub.connections.models import Connection
from hub.engine import recipe, registry, settings
from hub.engine.hub import Hub
from hub.engine.models import Combi
from hub.kit.database import HubSession
from hub.kit.ids import new_id
from hub.kit.problem import Problem
from hub.runs.service import amount, combi_of
from hub.sdk.connector import Batch, File, Filed, Files


@dataclass(frozen=True)
class _Shelf:
    """A combi of which the target, or the third connection, takes files."""

    combi: Combi
    files: dict[str, Files]
    """By stream."""
    targets: list[str]
    """Where its documents go, as deliveries name it."""
    chosen: settings.CombiSettings


async def listed(session: HubSession, combi_id: UUID) -> BatchList:
    """All batches, and how much waits for the next. Raises the 404 problem, 409 when the target takes no files."""
    shelf = await _shelf(session, combi_id)
    return await _out(session, shelf, await repository.batches(session, combi_id, shelf.targets))


async def make(session: HubSession, hub: Hub, combi_id: UUID) -> BatchList:
    """Puts all that waits into new batches, one per administration and fiscal year; none when nothing waits."""
    shelf = await _shelf(session, combi_id, lock=True)
    groups: dict[tuple[str, str, int], list[UUID]] = {}
    for row in await repository.waiting(session, shelf.targets, list(shelf.files)):
        year = shelf.files[row["stream"]].year(row["payload"])
        groups.setdefault((row["target"], row["stream"], year), []).append(row["id"])
    made: list[FileBatch] = []
    for (target, stream, year), ids in groups.items():
        batch = FileBatch(
            id=new_id(hub.clock),
            organisation_id=shelf.combi.organisation_id,
            combi_id=combi_id,
            target=target,
            stream=stream,
            number=await repository.last_number(session, target) + 1,
            year=year,
            made_on=hub.clock.today(),
            company=dict((await _connection(session, shelf.combi, stream)).fields),
            recipe=shelf.combi.recipe,
            settings=shelf.chosen.model_dump(mode="json"),
            created_at=hub.clock.now(),
        )
        session.add(batch)
        await session.flush()
        for position, delivery_id in enumerate(ids, start=1):
            facts: dict[str, Any] = {"organisation_id": batch.organisation_id, "batch_id": batch.id}
            session.add(FileEntry(delivery_id=delivery_id, position=position, **facts))
        await session.flush()
        made.append(batch)
    return await _out(session, shelf, made)


async def file(session: HubSession, combi_id: UUID, batch_id: UUID, form: str) -> File:
    """A batch in a format. Raises the 404 problem for what is not there."""
    shelf = await _shelf(session, combi_id)
    batches = {one.id: one for one in await repository.batches(session, combi_id, shelf.targets)}
    batch = batches.get(batch_id)
    files = shelf.files.get(batch.stream) if batch is not None else None
    write = files.formats.get(form) if files is not None else None
    if batch is None or write is None:
        raise unknown("file")
    found = await repository.documents(session, batch_id)
    if any(not row["payload"] for row in found):
        raise Problem(410, "forgotten", "What this file held of people was removed after 30 days.")
    return write(
        Batch(
            number=batch.number,
            year=batch.year,
            made_on=batch.made_on,
            company={name: str(told) for name, told in batch.company.items()},
            settings=settings.parse(recipe.get(batch.recipe), batch.settings),
            documents=tuple(Filed(row["ref"], row["payload"]) for row in found),
        )
    )


async def _shelf(session: HubSession, combi_id: UUID, *, lock: bool = False) -> _Shelf:
    combi = await combi_of(session, combi_id, lock=lock)
    the_recipe = recipe.get(combi.recipe)
    chosen = settings.parse(the_recipe, combi.settings)
    target = registry.get(the_recipe.target)
    files = {name: one.files for name, one in target.targets.items() if one.files is not None}
    targets = [f"{the_recipe.target}:{one}" for one in sorted(set(chosen.administrations.values()))] if files else []
    if combi.side_connection_id is not None:
        side = await session.get_one(Connection, combi.side_connection_id)
        writer = registry.get(side.connector).targets[recipe.SALARIES]
        if writer.files is not None:
            files[recipe.SALARIES] = writer.files
            targets.append(f"{side.connector}:{side.tenant}")
    if not files:
        raise Problem(409, "no_files", f"{target.manifest.title} takes no files.")
    return _Shelf(combi, files, targets, chosen)


async def _connection(session: HubSession, combi: Combi, stream: str) -> Connection:
    """The connection that a stream's documents go to."""
    own = combi.side_connection_id if stream == recipe.SALARIES else None
    return await session.get_one(Connection, own or combi.target_connection_id)


async def _out(session: HubSession, shelf: _Shelf, found: Sequence[FileBatch]) -> BatchList:
    sizes = await repository.sizes(session, [one.id for one in found])
    return BatchList(
        data=[
            BatchOut(
                id=one.id,
                number=one.number,
                administration=one.target.partition(":")[2],
                year=one.year,
                documents=sizes[one.id]["documents"],
                total=amount(sizes[one.id]["total"]) or "0.00",
                formats=sorted(shelf.files[one.stream].formats),
                created_at=one.created_at,
            )
            for one in found
            if one.stream in shelf.files  # of a third connection that was taken away nothing is shown
        ],
        waiting=await repository.count_waiting(session, shelf.targets, list(shelf.files)),
    )
