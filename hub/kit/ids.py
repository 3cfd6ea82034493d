"""Identifiers that sort by the moment they were made."""

import secrets
import threading
from uuid import UUID

from hub.kit.clock import Clock

_lock = threading.Lock()
_last = (0, 0)
_COUNTER_BITS = 12
_COUNTER_MAX = (1 << _COUNTER_BITS) - 1


def new_id(clock: Clock) -> UUID:
    """Give a UUID version 7; ids of one process and one clock never go down, also within a millisecond."""
    global _last  # noqa: PLW0603 - the order holds for the whole process
    moment = int(clock.now().timestamp() * 1000)
    with _lock:
        last_moment, counter = _last
        # A clock that went back a little keeps the order; one that was set back keeps its own time.
        if last_moment - 1000 <= moment <= last_moment:
            moment, counter = (last_moment, counter + 1) if counter < _COUNTER_MAX else (last_moment + 1, 0)
        else:
            counter = 0
        _last = (moment, counter)
    value = (moment & (1 << 48) - 1) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)
