"""Telling Loket.nl that a run was booked: its status becomes "Journaal geëxporteerd" (dossier 4.4)."""

from typing import Any
from urllib.parse import quote

from connectors.loket.account import RUNS, status
from connectors.loket.journals import shown
from connectors.loket.listing import detail
from connectors.loket.reading import ident, part, value
from connectors.loket.runs import EXPORTED
from connectors.loket.settings import own
from hub.sdk.connector import Raw
from hub.sdk.errors import ConfigError, OutcomeUnknown, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Settings

_LONGEST = 255


async def acknowledge(http: Http, raw: Raw, booked_as: str, settings: Settings) -> None:
    """Marks the run as processed where the customer wants it and it is not marked yet.

    Raises RecordRejected when it cannot be marked, OutcomeUnknown when that is not clear: it is looked at again.
    """
    chosen, run = own(settings), part(raw, "run")
    own_id = ident(value(run, "id"))
    if not chosen.loket_mark or not own_id:
        return
    path = f"{RUNS}/{quote(own_id, safe='')}"
    if await _is_marked(http, path):
        return
    body: dict[str, Any] = {"action": "MarkAsProcessed", "message": f"Geboekt als {booked_as}"[:_LONGEST]}
    if chosen.loket_application:
        body["application"] = {"key": int(chosen.loket_application)}
    try:
        await http.write("PATCH", path, body)
    except ConfigError as refused:
        raise RecordRejected("loket.no_right_mark", words=refused.words, run=shown(run)) from refused
    except RecordRejected as refused:
        if not await _is_marked(http, path):
            raise RecordRejected("loket.not_marked", words=refused.words, run=shown(run)) from refused
    except OutcomeUnknown as lost:
        raise OutcomeUnknown("loket.mark_unclear", words=lost.words, run=shown(run)) from lost


async def _is_marked(http: Http, path: str) -> bool:
    """False too where that may not be read: a client is allowed each activity by itself (dossier 1.5, 6)."""
    try:
        return status(detail(await http.get(path))) == EXPORTED
    except (ConfigError, RecordRejected):
        return False
