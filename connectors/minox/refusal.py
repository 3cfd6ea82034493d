"""Minox's own "no": an array of messages, a bare string or an object (dossier 2)."""

import re

from connectors.minox.reading import messages, words
from hub.sdk.http import Answer, Refusal

_MAIN_USER = re.compile(r"hoofdgebruiker|main.?user|user MINOX", re.IGNORECASE)
_FIRST_ERROR = 400


def refusal(answer: Answer) -> Refusal | None:
    """The words of a refusal and what it means; None where the status alone says it."""
    if answer.status < _FIRST_ERROR or answer.status == 401:
        return None
    said = words(messages(answer.body))
    if answer.status == 403:
        main_user = bool(_MAIN_USER.search(said))
        return Refusal(
            said, "reauth" if main_user else "config", "minox.main_user_only" if main_user else "minox.no_rights"
        )
    if answer.status in (404, 410):
        return Refusal(said, key="minox.not_found")
    return Refusal(said, key="minox.refused")
