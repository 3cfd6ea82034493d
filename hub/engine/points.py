"""The points at which a process may die; a test sets HUB_TEST_DIE_AT to the name of one and the process dies there."""

import os
import signal

BEFORE_INTENT = "before_intent"
AFTER_INTENT = "after_intent"
BEFORE_SEND = "before_send"
AFTER_SEND = "after_send"
BEFORE_RECORD = "before_record"
AFTER_RECORD = "after_record"
BEFORE_CURSOR = "before_cursor"
AFTER_CURSOR = "after_cursor"
BEFORE_FINISH = "before_finish"

ALL = (
    BEFORE_INTENT,
    AFTER_INTENT,
    BEFORE_SEND,
    AFTER_SEND,
    BEFORE_RECORD,
    AFTER_RECORD,
    BEFORE_CURSOR,
    AFTER_CURSOR,
    BEFORE_FINISH,
)

_deadly, _, _count = os.environ.get("HUB_TEST_DIE_AT", "").partition(":")
_left = int(_count or 1)


def reach(point: str) -> None:
    """Passes; dies by SIGKILL when this is the point (`name` or `name:3` for the third passing) under test."""
    global _left  # noqa: PLW0603 - counts the passings of this process
    if point == _deadly:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
