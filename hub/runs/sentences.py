"""Keys with values become sentences in the caller's language."""

from collections.abc import Mapping
from typing import Any

from hub.accounting.documents import Finding
from hub.engine import outcome as outcomes
from hub.engine.words import typed
from hub.kit import text
from hub.runs.schemas import FindingOut, OutcomeOut


def sentence(key: str, values: Mapping[str, Any] | None, language: str) -> str:
    """The sentence of a key that may stand under `finding.`; the package's own words stay out of it."""
    name = key if text.known(key) else f"finding.{key}"
    return text.sentence(name if text.known(name) else key, language, typed(values or {}))


def finding(stored: Finding | Mapping[str, Any], language: str) -> FindingOut:
    """A finding, live or as stored, with its sentence."""
    facts = stored.model_dump() if isinstance(stored, Finding) else stored
    values = {name: str(value) for name, value in (facts.get("values") or {}).items()}
    words = values.pop("words", None)
    return FindingOut(
        key=str(facts.get("key", "")),
        sentence=sentence(str(facts.get("key", "")), values, language),
        field=facts.get("field"),
        values=values,
        words=words,
    )


def outcome(code: int | None, reason: Mapping[str, Any] | None, language: str) -> OutcomeOut | None:
    """How a run ended, in words; None while it goes on."""
    if code is None:
        return None
    known = outcomes.OUTCOMES.get(code)
    if known is None:
        return OutcomeOut(code=code, name="unknown", good=False, sentence=str(code), action="")
    said, action = outcomes.sentence(code, language, (reason or {}).get("values") or {})
    return OutcomeOut(code=code, name=known.name, good=known.good, sentence=said, action=action)
