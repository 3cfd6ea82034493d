"""The sentence of a finding: the engine's own stand under `finding.`, a connector's under its own name."""

from collections.abc import Mapping

from hub.accounting.documents import Finding
from hub.kit import text


def key_of(finding: str) -> str:
    """The translation key of a finding's key."""
    own = f"finding.{finding}"
    return own if text.known(own) or not text.known(finding) else finding


def sentence(finding: Finding, language: str) -> str:
    """What a finding says, in this language."""
    return text.sentence(key_of(finding.key), language, finding.values)


def sentence_of(key: str, values: Mapping[str, object], language: str) -> str:
    """The same for a stored finding."""
    return text.sentence(key_of(key), language, values)
