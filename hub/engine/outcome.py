"""How a run ended: a number, a sentence and one thing to do. The sentences stand in the translation files."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hub.kit import text


@dataclass(frozen=True)
class Outcome:
    """One way to end. `good`: nobody needs to do anything."""

    code: int
    name: str
    good: bool = False

    @property
    def key(self) -> str:
        """Translation key of the sentence."""
        return f"outcome.{self.name}"

    @property
    def action_key(self) -> str:
        """Translation key of what to do."""
        return f"outcome.{self.name}.action"


WRITTEN = Outcome(2000, "written", good=True)
NOTHING = Outcome(2040, "nothing_to_do", good=True)
PREVIEWED = Outcome(2050, "previewed", good=True)
PARTLY = Outcome(2060, "partly")
INTERRUPTED = Outcome(3000, "interrupted")
AT_LIMIT = Outcome(3290, "at_limit")
SETTING = Outcome(4000, "setting_wrong")
CONSENT = Outcome(4010, "consent_needed")
DUPLICATE = Outcome(4090, "duplicate")
OURS = Outcome(5000, "our_fault")
DOWN = Outcome(5030, "package_down")

OUTCOMES: Mapping[int, Outcome] = MappingProxyType(
    {
        one.code: one
        for one in (
            WRITTEN, NOTHING, PREVIEWED, PARTLY, INTERRUPTED, AT_LIMIT, SETTING, CONSENT, DUPLICATE, OURS, DOWN,
        )
    }
)  # fmt: skip


def sentence(code: int, language: str, values: Mapping[str, object] | None = None) -> tuple[str, str]:
    """The sentence and the thing to do, in this language."""
    outcome = OUTCOMES[code]
    return text.sentence(outcome.key, language, values or {}), text.sentence(outcome.action_key, language, values or {})
