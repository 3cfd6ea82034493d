"""The only module that knows arq: a doorbell that says "there is work", and the worker that answers it.

Jobs carry nothing but a hint; rows are the truth. Losing Redis costs seconds: every worker also looks for due rows by
itself. What arq does badly is avoided here: no pickle, no job ids with a meaning, no results kept, no arq schedules,
no retries, short time-outs.
"""

from typing import Protocol


class Doorbell(Protocol):
    """Wakes workers."""

    async def ring(self, times: int = 1) -> None:
        """Ask for `times` workers to look for work. Never raises: a bell that cannot ring is only slower."""
