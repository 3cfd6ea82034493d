"""The sentence of a finding: the engine's own stand under `finding.`, a connector's under its own name."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal

from hub.accounting.documents import Finding
from hub.kit import text

_AMOUNT = re.compile(r"-?\d{1,15}\.\d{2}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def key_of(finding: str) -> str:
    """The translation key of a finding's key."""
    own = f"finding.{finding}"
    return own if text.known(own) or not text.known(finding) else finding


def sentence(finding: Finding, language: str) -> str:
    """What a finding says, in this language."""
    return sentence_of(finding.key, finding.values, language)


def sentence_of(key: str, values: Mapping[str, object], language: str) -> str:
    """The same for a stored finding."""
    return text.sentence(key_of(key), language, typed(values))


def typed(values: Mapping[str, object]) -> dict[str, object]:
    """Stored values as what they are: amounts and days are written the way the reader's language writes them."""
    return {name: _typed(value) for name, value in values.items()}


def _typed(value: object) -> object:
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return Decimal(value)
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return value
