"""What is done for combis when nobody waits for it."""

from datetime import timedelta

from hub.combis import repository
from hub.engine.hub import Hub

BATCH = 5000
GRACE = timedelta(minutes=1)


async def remove_rest(hub: Hub) -> int:
    """Removes documents, positions and tables of deleted combis, a batch per combi; gives how many rows went."""
    gone = 0
    async with hub.database.system() as session:
        for combi_id in await repository.deleted_with_rest(session, hub.clock.now() - GRACE):
            gone += await repository.remove_rest(session, combi_id, BATCH)
    return gone
