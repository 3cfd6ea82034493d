"""The delivery key of an item, from stored rows alone: for what a human says of a document outside any run."""

from sqlalchemy.ext.asyncio import AsyncSession

from hub.engine import recipe, registry, settings
from hub.engine.models import Combi, Item
from hub.engine.resolve import BOOKED_ONCE
from hub.kit.database import text
from hub.sdk.connector import Key


async def ends_of(session: AsyncSession, item: Item) -> tuple[str, str]:
    """Where an item's deliveries come from, and where they go: `package:` alone while that is not known yet."""
    combi = await session.get_one(Combi, item.combi_id)
    the_recipe = recipe.get(combi.recipe)
    found = await session.execute(
        text("SELECT id, connector, tenant FROM connection WHERE id IN (:source, :target, :side)"),
        {
            "source": combi.source_connection_id,
            "target": combi.target_connection_id,
            "side": combi.side_connection_id,
        },
    )
    sides = {row.id: f"{row.connector}:{row.tenant}" for row in found}
    source, target = sides[combi.source_connection_id], f"{the_recipe.target}:{item.administration}"
    if item.flow == "payments":
        return target, source
    if item.flow == recipe.SALARIES and combi.side_connection_id is not None:
        return source, sides[combi.side_connection_id]
    return source, target


async def key_for_item(session: AsyncSession, item: Item) -> Key:
    """The delivery key of an item, from stored rows alone."""
    source, target = await ends_of(session, item)
    if target.endswith(":"):
        combi = await session.get_one(Combi, item.combi_id)
        the_recipe = recipe.get(combi.recipe)
        chosen = settings.parse(the_recipe, combi.settings)
        document = registry.get(the_recipe.source).sources[item.flow].map(item.raw or {}, chosen)
        company = document.company if isinstance(document, BOOKED_ONCE) else ""
        target += chosen.administrations.get(company, "")
    return Key(source, item.flow, item.source_id, target)
