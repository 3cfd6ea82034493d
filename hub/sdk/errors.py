"""What can go wrong between us and a package, named after what happens next.

    VendorError
    ├── ReauthRequired     stop; ask the customer to connect again
    ├── ConfigError        stop; show the field that must change
    ├── RecordRejected     park this item, go on with the others
    ├── TransientError     nothing happened; try again (after `retry_after` seconds)
    └── OutcomeUnknown     it may have landed: `find` first

Every error carries a translation key with values (for the customer) and the package's own words (underneath).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.accounting.documents import Finding


@dataclass(frozen=True)
class Exchange:
    """One call, for the evidence on an item. Not redacted yet: whoever stores it does that."""

    method: str
    path: str
    status: int | None
    request: Any
    response: Any


class VendorError(Exception):
    """Root of the five. `key` and `values` make the sentence; `words` is what the package itself said."""

    def __init__(self, key: str, *, words: str = "", field: str | None = None, **values: object) -> None:
        super().__init__(f"{key} {words}".strip())
        self.key = key
        self.words = words
        self.field = field
        self.exchange: Exchange | None = None
        """The call it came from, when there was one."""
        self.values: Mapping[str, str] = {name: str(value) for name, value in values.items()}

    def finding(self) -> Finding:
        """The same, as a finding on an item or a combi."""
        return Finding(key=self.key, values={"words": self.words, **self.values}, field=self.field)


class ReauthRequired(VendorError):
    """The grant is dead: no retry helps, a human must connect again."""


class ConfigError(VendorError):
    """A setting is wrong for everything this combi does; `field` names it."""


class RecordRejected(VendorError):
    """The package refuses this one record and nothing was stored; `findings` lists all that is wrong when known."""

    def __init__(
        self, key: str, *, words: str = "", field: str | None = None, findings: Sequence[Finding] = (), **values: object
    ) -> None:
        super().__init__(key, words=words, field=field)
        self.values = {name: str(value) for name, value in values.items()}
        self._findings = tuple(findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that is wrong; without a list of its own the error itself, with the values it has by now."""
        return self._findings or (self.finding(),)


class TransientError(VendorError):
    """Nothing happened at the other side. `retry_after` is the package's wish in seconds, when it said one."""

    def __init__(self, key: str, *, retry_after: float | None = None, words: str = "", **values: object) -> None:
        super().__init__(key, words=words)
        self.values = {name: str(value) for name, value in values.items()}
        self.retry_after = retry_after


class OutcomeUnknown(VendorError):
    """The write may have landed (timeout, 5xx, a broken answer): look before writing again."""


class Malformed(Exception):
    """A raw record cannot be read as a document. `findings` says everything that is wrong with it."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(finding.key for finding in findings))
        self.findings = findings
