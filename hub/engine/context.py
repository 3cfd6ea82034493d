"""What a run carries along: the combi as it was, its two links, its lease, its counts and its lines for the log."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hub.accounting.chart import Master
from hub.accounting.documents import Document, Finding
from hub.engine import words
from hub.engine.clients import Link
from hub.engine.models import Combi, MasterData, Run
from hub.engine.recipe import SALARIES, Recipe
from hub.engine.settings import CombiSettings
from hub.kit import json
from hub.kit.clock import Clock
from hub.kit.database import Database, text
from hub.sdk.connector import SourceStream, TargetWriter
from hub.sdk.errors import ConfigError, Exchange
from hub.sdk.manifest import WriterFacts

MASTER_AGE = timedelta(hours=1)
"""How old master data may be when nothing is wrong with it."""
MASTER_DOUBT = timedelta(seconds=60)
"""How old it may be when a document does not fit it."""

KEPT_DOCUMENTS = 1000
"""So many documents need not be made of their raw records a second time when they are booked in the slice that read
them; a first synchronisation of more takes no more memory for it."""

MARGIN_S = 26.0
"""How long before its end a lease allows no more calls: longer than one call to a package can take."""


class LeaseLost(Exception):
    """Another worker has this run, or may soon: not one more call."""


class Cancelled(Exception):
    """A human stopped the run."""


@dataclass(eq=False)
class Lease:
    """The right to work on a run, kept alive by heartbeats and measured by this machine's monotonic clock."""

    owner: str
    valid_until: float = float("inf")
    lost: bool = False
    cancelled: bool = False
    leaving: bool = False
    """The worker wants to stop: the slice ends at its next pause."""

    def check(self) -> None:
        """Returns when a document's calls may still be begun. Raises LeaseLost or Cancelled."""
        self.hold()
        if self.cancelled:
            raise Cancelled(self.owner)

    def hold(self) -> None:
        """Returns when one call may be made, in the middle of a document too. Raises LeaseLost."""
        if self.lost or time.monotonic() > self.valid_until - MARGIN_S:
            raise LeaseLost(self.owner)


@dataclass
class LogLine:
    """A line for the log, written with the next commit."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)
    level: str = "info"
    item_id: UUID | None = None
    evidence: Exchange | None = None


@dataclass
class Context:
    """Everything the steps of one slice share."""

    database: Database
    clock: Clock
    combi: Combi
    run: Run
    recipe: Recipe
    settings: CombiSettings
    mappings: Mapping[str, Mapping[str, str]]
    source: Link
    target: Link
    lease: Lease
    ends_at: float
    """Monotonic: when this slice gives the worker to others."""
    fresh: dict[tuple[str, str], Document] = field(default_factory=dict)
    """Documents by flow and source id that this slice has just read and not yet worked on: `KEPT_DOCUMENTS` at most."""
    side: Link | None = None
    """The third connection, when there is one that works."""
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    lines: list[LogLine] = field(default_factory=list)
    masters: dict[str, tuple[Master, datetime]] = field(default_factory=dict)
    positions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """How far each stream was read, as it was when the slice began and as this slice moved it."""
    at_hand: frozenset[str] | None = None
    """Flows with work, and `follow_up`, when this slice last looked; None: something was done since."""
    shown_at: float = field(default_factory=time.monotonic)
    """Monotonic: when the run's counts were last written down."""
    turns: dict[UUID, asyncio.Semaphore] = field(default_factory=dict)
    """For each connection: who may make a document's calls now."""
    window: int = 8
    """How many documents are marked as sent at once: grows while the target is fast."""

    @property
    def organisation_id(self) -> UUID:
        """The tenant."""
        return self.combi.organisation_id

    @property
    def out_of_time(self) -> bool:
        """True when the slice is over; raises when the run may not go on at all."""
        self.lease.check()
        return self.lease.leaving or time.monotonic() > self.ends_at

    @property
    def links(self) -> tuple[Link, ...]:
        """All connections: target, source, and the third one when there is one."""
        return (self.target, self.source, *((self.side,) if self.side is not None else ()))

    def flows(self) -> tuple[str, ...]:
        """The flows that run, in order."""
        wanted = self.settings.flows
        aside = (SALARIES,) if self.side is not None else ()
        return tuple(flow for flow in (*self.recipe.flows, *aside) if wanted is None or flow in wanted)

    def origin(self, flow: str) -> Link:
        """Where a flow's documents come from."""
        return self.target if self.recipe.direction(flow) == "back" else self.source

    def destination(self, flow: str) -> Link:
        """Where a flow's documents go. Raises ConfigError for salaries without a third connection that works."""
        match self.recipe.direction(flow):
            case "forth":
                return self.target
            case "back":
                return self.source
        if self.side is None:
            raise ConfigError("side_missing", field="side_connection_id")
        return self.side

    def stream(self, flow: str) -> SourceStream:
        """How a flow's documents are read."""
        return self.origin(flow).connector.sources[flow]

    def writer(self, flow: str) -> TargetWriter:
        """How a flow's documents are written."""
        return self.destination(flow).connector.targets[flow]

    def facts(self, flow: str) -> WriterFacts:
        """What the target promises of a flow."""
        return self.destination(flow).connector.manifest.targets[flow]

    def tally(self) -> dict[str, Any]:
        """The run's counts with this slice's added, and the calls made at each package."""
        counts: dict[str, Any] = {flow: Counter(tally) for flow, tally in self.run.counts.items()}
        for flow, tally in self.counts.items():
            counts[flow] = counts.get(flow, Counter()) + tally
        calls = counts.setdefault("calls", Counter())
        for link in self.links:
            calls[link.connector.manifest.name] += link.http.calls
        return {flow: dict(tally) for flow, tally in counts.items()}

    def take_lines(self) -> list[LogLine]:
        """The lines for the log that were not written yet, for who writes them."""
        lines, self.lines = self.lines, []
        return lines

    def log(self, key: str, *, level: str = "info", item: UUID | None = None, **values: object) -> None:
        """A line for the log."""
        self.lines.append(LogLine(key, values, level, item))

    def log_finding(self, finding: Finding, item: UUID | None, evidence: Exchange | None = None) -> None:
        """A finding as a line of the log."""
        self.lines.append(LogLine(words.key_of(finding.key), finding.values, "warning", item, evidence))

    async def master(self, administration: str, *, doubted: bool = False, anew: bool = False) -> Master:
        """The target's master data, from the store while young enough; `anew`: as read since the run was asked."""
        now = self.clock.now()
        oldest = self._asked_at(now) if anew else now - (MASTER_DOUBT if doubted else MASTER_AGE)
        known = self.masters.get(administration)
        if known is None:
            known = await self._stored_master(administration)
        if known is None or known[1] < oldest:
            known = (await self._fetched_master(administration), now)
        self.masters[administration] = known
        return known[0]

    async def use_stored_master(self, administration: str) -> None:
        """Takes the stored master data as good enough, however old."""
        known = await self._stored_master(administration)
        if known is not None:
            self.masters[administration] = (known[0], self.clock.now())

    def _asked_at(self, now: datetime) -> datetime:
        """Who mends something in the package and asks again at once is not answered from before."""
        return max(self.run.created_at, now - MASTER_DOUBT)

    def may_have_grown(self, administration: str) -> bool:
        """Whether the master data in use may lack what was made in the package since."""
        known = self.masters.get(administration)
        return known is not None and known[1] < self._asked_at(self.clock.now())

    async def _stored_master(self, administration: str) -> tuple[Master, datetime] | None:
        async with self.database.tenant(self.organisation_id) as session:
            row = await session.get(MasterData, (self.target.connection_id, administration))
        return (Master.model_validate(row.value, strict=False), row.fetched_at) if row else None

    async def _fetched_master(self, administration: str) -> Master:
        read = self.target.connector.master
        if read is None:
            return Master(administration=administration)
        self.lease.check()
        master = await read(self.target.http, administration)
        async with self.database.tenant(self.organisation_id) as session:
            await session.execute(
                text(
                    """INSERT INTO masterdata (organisation_id, connection_id, administration, value, fetched_at)
                    VALUES (:organisation, :connection, :administration, cast(:value AS jsonb), :now)
                    ON CONFLICT (connection_id, administration) DO UPDATE SET value = excluded.value,
                      fetched_at = excluded.fetched_at"""
                ),
                {
                    "organisation": self.organisation_id,
                    "connection": self.target.connection_id,
                    "administration": administration,
                    "value": json.dumps(master.model_dump(mode="json")),
                    "now": self.clock.now(),
                },
            )
        return master
