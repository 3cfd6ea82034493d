"""What became of a write whose answer does not tell: it is looked up before anything is believed (dossier 7)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from connectors.minox.reading import refusing, words
from hub.sdk.connector import Raw
from hub.sdk.errors import OutcomeUnknown, RecordRejected, VendorError

READ_BACK_S = (0.0, 0.5, 1.5)
"""Waits before what was written is looked up: the search may lag behind the answer."""
T = TypeVar("T")


async def settled(look: Callable[[], Awaitable[T | None]], said: Sequence[Raw]) -> T:
    """What stands there after all; `look` gives None while nothing does.

    Raises RecordRejected where nothing stands and Minox called it an error (should it show itself yet, it bears our
    key), else OutcomeUnknown.
    """
    for wait in READ_BACK_S:
        await asyncio.sleep(wait)
        try:
            found = await look()
        except VendorError as error:  # It may stand there: nothing else may be concluded.
            raise OutcomeUnknown("minox.unclear_answer", words=words(said)) from error
        if found is not None:
            return found
    if any(refusing(one) for one in said):
        raise RecordRejected("minox.refused", words=words(said))
    raise OutcomeUnknown("minox.unclear_answer", words=words(said))
