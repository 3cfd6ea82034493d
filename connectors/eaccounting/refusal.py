"""eAccounting's own "no": a number, a sentence and an id for its support (dossier 2)."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from connectors.eaccounting.reading import text, whole
from hub.sdk.http import Answer, Refusal

_SECONDS = re.compile(r"in (\d+) second", re.IGNORECASE)
_MODULE = re.compile(r"module|access|licen[cs]e", re.IGNORECASE)
_VAT = re.compile(r"vat.?number|vies", re.IGNORECASE)
_FIRST_ERROR = 400
_ERRORS = yaml.safe_load((Path(__file__).parent / "errors.yaml").read_text(encoding="utf-8"))
VERDICTS: Mapping[int, Refusal] = {code: Refusal("", **facts) for code, facts in _ERRORS.items()}


def refusal(answer: Answer) -> Refusal | None:
    """The verdict over a refusal by its code; None where the status alone says it."""
    if answer.status < _FIRST_ERROR or not isinstance(answer.body, Mapping):
        return None
    said = {str(name).lower(): value for name, value in answer.body.items()}
    code = whole(said.get("errorcode")) or 0
    message = text(said.get("developererrormessage")) or text(said.get("message"))
    parts = (message, f"({code})" if code else "", text(said.get("errorid")))
    words = " ".join(one for one in parts if one)[:1000]
    verdict = VERDICTS.get(code)
    if verdict is None:
        return None if answer.status in (401, 403) else Refusal(words, key="eaccounting.refused")
    if code == 4002 and (answer.status == 403 or _MODULE.search(message)):
        verdict = replace(verdict, kind="config", key="eaccounting.module_missing")
    if code == 2000 and _VAT.search(message):
        verdict = replace(verdict, key="eaccounting.vat_number_refused", field="invalid_vat_number")
    waits = _SECONDS.search(message) if verdict.kind == "transient" else None
    return replace(verdict, words=words, retry_after=float(waits[1]) if waits and int(waits[1]) else None)
