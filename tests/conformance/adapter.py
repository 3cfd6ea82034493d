"""What the conformance kit must know of a connector that its code does not say: how to get in, and where to look."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from hub.accounting.booking import Booking
from hub.sdk.connector import Connector, Key
from hub.sdk.http import Http
from hub.sdk.sandbox import Sandbox
from tests.connectors.support import FixedCredentials, NoLimit, connected


@dataclass(frozen=True)
class Reading:
    """A source stream: `path` is a part of its calls, `ids` all source ids that the books hold for it."""

    path: str
    ids: Callable[[Any], set[str]]


@dataclass(frozen=True)
class Writing:
    """A target writer. `stands` counts, in the books themselves, what was written under a key."""

    method: str
    path: str
    booking: Callable[[Any], Booking]
    key: Callable[[Booking], Key]
    stands: Callable[[Any, Booking, Key], int]


@dataclass(frozen=True)
class Adapter:
    """One connector's facts for the kit: `ADAPTER` in `tests/conformance/<name>.py`."""

    connector: Connector
    sandbox: Callable[[], Any]
    """A sandbox with books in it and pages so small that every listing has several."""
    api: str
    secrets: Callable[[Any], Mapping[str, str]]
    """Secrets that the sandbox accepts; each call may give others."""
    reads: Mapping[str, Reading] = field(default_factory=dict)
    writes: Mapping[str, Writing] = field(default_factory=dict)
    way: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    oauth_client: Mapping[str, str] = field(default_factory=dict)
    types: Callable[[Any], Mapping[str, str]] = lambda _: {}
    """What a customer of the seeded sandbox types here to link it: connect field -> value."""
    linked_by: int = 0
    """The way by which they link it, among those that the manifest offers."""
    consents: Callable[[Any], Mapping[str, str]] = lambda _: {}
    """What they type on the package's own consent page, beyond what stands there already."""
    stand: Callable[[Any], int] | None = None
    """How many documents stand in the books, all administrations together."""

    def connect(
        self, box: Sandbox, credentials: FixedCredentials | None = None, limiter: NoLimit | None = None
    ) -> AbstractAsyncContextManager[Http]:
        """A connection to this sandbox."""
        return connected(
            self.connector,
            box,
            self.api,
            {} if credentials else self.secrets(box),
            way=self.way,
            fields=self.fields,
            credentials=credentials,
            oauth_client=self.oauth_client,
            limiter=limiter,
        )
