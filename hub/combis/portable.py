"""A combi as a file: its choices and mappings, never a secret, to keep or to carry to another hub."""

from collections.abc import Mapping as Map
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from hub.engine import recipe, settings
from hub.engine.models import Combi, Mapping
from hub.kit.clock import Clock
from hub.kit.database import Database
from hub.kit.ids import new_id

FORM = 1


async def exported(database: Database, combi_id: UUID) -> dict[str, Any]:
    """The combi's recipe, companies, schedule, settings and mappings. Raises ValueError when there is none such."""
    async with database.system() as session:
        combi = await session.get(Combi, combi_id)
        if combi is None or combi.deleted_at is not None:
            raise ValueError(f"there is no combi {combi_id}")
        rows = (await session.execute(select(Mapping).where(Mapping.combi_id == combi_id))).scalars().all()
        found = await session.execute(
            text("SELECT id, connector, tenant FROM connection WHERE id IN (:source, :target, :side)"),
            {
                "source": combi.source_connection_id,
                "target": combi.target_connection_id,
                "side": combi.side_connection_id,
            },
        )
        ends = {row.id: row for row in found}
    side = ends[combi.side_connection_id] if combi.side_connection_id is not None else None
    tables: dict[str, dict[str, str]] = {}
    for row in sorted(rows, key=lambda one: (one.table_name, one.source)):
        tables.setdefault(row.table_name, {})[row.source] = row.target
    return {
        "form": FORM,
        "recipe": combi.recipe,
        "name": combi.name,
        "source_company": ends[combi.source_connection_id].tenant,
        "target_company": ends[combi.target_connection_id].tenant,
        "side": {"connector": side.connector, "company": side.tenant} if side is not None else None,
        "schedule": str(combi.schedule),
        "start_date": combi.start_date.isoformat() if combi.start_date else None,
        "settings": dict(combi.settings),
        "mappings": tables,
    }


async def imported(database: Database, clock: Clock, organisation_id: UUID, file: Map[str, Any]) -> UUID:
    """A draft from an exported file. Raises ValueError that says what does not fit."""
    if not isinstance(file, dict) or file.get("form") != FORM:
        raise ValueError(f"this is not an exported combi of form {FORM}")
    try:
        the_recipe = recipe.get(str(file["recipe"]))
    except KeyError:
        raise ValueError(f"there is no recipe {file.get('recipe')}") from None
    settings.parse(the_recipe, file.get("settings") or {})
    async with database.tenant(organisation_id) as session:
        source = await _connection(session, the_recipe.source, file["source_company"])
        target = await _connection(session, the_recipe.target, file["target_company"])
        aside = file.get("side")
        if aside and aside["connector"] not in {one.manifest.name for one in recipe.sides(the_recipe)}:
            raise ValueError(f"{the_recipe.id} has no third connection to {aside['connector']}")
        side = await _connection(session, aside["connector"], aside["company"]) if aside else None
        now = clock.now()
        combi = Combi(
            id=new_id(clock),
            organisation_id=organisation_id,
            recipe=the_recipe.id,
            name=str(file.get("name") or ""),
            source_connection_id=source,
            target_connection_id=target,
            side_connection_id=side,
            side_since=now if side else None,
            settings=dict(file.get("settings") or {}),
            schedule=str(file.get("schedule") or the_recipe.schedule),
            start_date=file.get("start_date"),
            created_at=now,
            updated_at=now,
        )
        combi = Combi.model_validate(combi.model_dump())
        session.add(combi)
        await session.flush()
        session.add_all(
            Mapping(
                id=new_id(clock),
                organisation_id=organisation_id,
                combi_id=combi.id,
                table_name=table,
                source=source,
                target=target,
            )
            for table, entries in (file.get("mappings") or {}).items()
            for source, target in entries.items()
        )
    return combi.id


async def _connection(session: AsyncSession, connector: str, tenant: object) -> UUID:
    found = await session.execute(
        text(
            "SELECT id FROM connection WHERE connector = :c AND tenant = :t AND status = 'active' ORDER BY id LIMIT 1"
        ),
        {"c": connector, "t": str(tenant)},
    )
    one: UUID | None = found.scalar_one_or_none()
    if one is None:
        raise ValueError(f"connect {connector} ({tenant}) in this organisation first")
    return one
