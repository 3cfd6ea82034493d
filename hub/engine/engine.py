"""The engine: claims due combis and runs, works them in slices, and answers what an installation asks."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.accounting.documents import Finding
from hub.engine import asking, mapping, salaries
from hub.engine import preview as previews
from hub.engine import recipe as recipes
from hub.engine import run as runs
from hub.engine.clients import Clients
from hub.engine.context import Context, Lease
from hub.engine.entry_rules import joined
from hub.engine.models import Combi, Run
from hub.engine.outcome import Outcome
from hub.engine.queue import Doorbell
from hub.engine.schedule import Schedule, missed
from hub.kit import json
from hub.kit.clock import Clock
from hub.kit.database import Database, after_commit, text
from hub.kit.ids import new_id
from hub.kit.metrics import QUEUE_LAG_SECONDS, SLOT_LATENESS_SECONDS
from hub.sdk.errors import VendorError
from hub.sdk.settings import Option

_log = structlog.get_logger(__name__)

SWEEP = 500
"""How many due combis one sweep claims."""
KEPT_MONTHS = 13
"""How long log lines are kept."""
WARNINGS = frozenset({"own_link_unconfirmed"})
"""Findings of `Engine.check` with which a combi works all the same."""
RAW_DAYS = 180
"""How long the source's own words of a document at rest are kept; its booking stays."""

OnFinish = Callable[[UUID, UUID, UUID, Outcome], Awaitable[None]]
"""(organisation, combi, run, outcome) of a run that ended."""


class AlreadyRunning(Exception):
    """The combi has a run going; `run_id` says which."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(str(run_id))
        self.run_id = run_id


@dataclass(frozen=True)
class Choices:
    """A live list for a settings field. `keys` is the left-hand side of a table such as `administrations`."""

    options: Sequence[Option]
    keys: Sequence[Option] | None = None


class Engine:
    """One per process. Everything it knows is in the database; it can be thrown away at any moment."""

    def __init__(self, database: Database, clock: Clock, clients: Clients, doorbell: Doorbell) -> None:
        self.database = database
        self.clock = clock
        self.clients = clients
        self.doorbell = doorbell
        self.name = uuid.uuid4().hex
        self.resting = False
        """True: begins no more slices."""
        self._in_hand: set[Lease] = set()
        self.on_finish: list[OnFinish] = []

    # Working

    async def sweep(self) -> int:
        """Turns due combis into runs; gives how many runs are due to be worked on."""
        now = self.clock.now()
        async with self.database.system() as session:
            found = await session.execute(
                text(
                    """SELECT id, organisation_id, schedule, slot, settings, settings_version FROM combi c
                    WHERE status = 'active' AND deleted_at IS NULL AND slot <= :now
                      AND (not_before IS NULL OR not_before <= :now)
                      AND NOT EXISTS (SELECT 1 FROM run r WHERE r.combi_id = c.id AND r.finished_at IS NULL)
                    ORDER BY slot LIMIT :limit FOR UPDATE SKIP LOCKED"""
                ),
                {"now": now, "limit": SWEEP},
            )
            due = found.mappings().all()
            if due:
                await self._plan(session, due, now)
            lag = await session.execute(
                text(
                    """SELECT count(*) AS due, min(wake_at) AS oldest FROM run WHERE finished_at IS NULL
                    AND wake_at <= :now AND (lease_until IS NULL OR lease_until < clock_timestamp())"""
                ),
                {"now": now},
            )
            row = lag.one()
        QUEUE_LAG_SECONDS.set((now - row.oldest).total_seconds() if row.oldest else 0)
        return int(row.due)

    async def _plan(self, session: AsyncSession, due: Sequence[RowMapping], now: datetime) -> None:
        """A run row per due slot, and the next slot of each combi, counted from the planned one."""
        rows = []
        for combi in due:
            skipped, upcoming = missed(Schedule(combi["schedule"]), combi["id"], combi["slot"], now)
            SLOT_LATENESS_SECONDS.observe((now - combi["slot"]).total_seconds())
            rows.append({"id": new_id(self.clock), "combi": combi["id"], "skipped": skipped, "next": upcoming})
        await session.execute(
            text(
                """WITH due AS (SELECT * FROM jsonb_to_recordset(cast(:rows AS jsonb))
                     AS r(id uuid, combi uuid, skipped int, next timestamptz)),
                made AS (INSERT INTO run (id, organisation_id, combi_id, slot, skipped_slots, trigger, mode, scope,
                     settings, settings_version, created_at, wake_at, cancelled, progress, counts)
                   SELECT due.id, c.organisation_id, c.id, c.slot, due.skipped, 'schedule', 'write',
                     'missing_or_failed', c.settings, c.settings_version, :now, c.slot, false, '{}', '{}'
                   FROM due JOIN combi c ON c.id = due.combi ON CONFLICT DO NOTHING)
                UPDATE combi c SET slot = due.next FROM due WHERE c.id = due.combi"""
            ),
            {"rows": json.dumps(rows), "now": now},
        )

    async def drain(self) -> int:
        """Works on due runs until there is none; gives how many slices were worked."""
        worked = 0
        while not self.resting:
            # The lease is counted from before it was asked for: a process that is held up here does not overrate it.
            lease = Lease(f"{self.name}:{uuid.uuid4().hex[:8]}", time.monotonic() + runs.LEASE_S)
            run = await self._claim(lease.owner)
            if run is None:
                break
            lease.cancelled, lease.leaving = run.cancelled, self.resting
            self._in_hand.add(lease)
            try:
                await runs.work(self, run, lease)
            finally:
                self._in_hand.discard(lease)
            worked += 1
        return worked

    def rest(self) -> None:
        """Begins no more slices, and ends those in hand at their next pause between two calls."""
        self.resting = True
        for lease in self._in_hand:
            lease.leaving = True

    async def _claim(self, owner: str) -> Run | None:
        async with self.database.system() as session:
            found = await session.execute(
                text(
                    f"""UPDATE run SET lease_owner = :owner, started_at = coalesce(started_at, :now),
                      lease_until = clock_timestamp() + interval '{runs.LEASE_S} seconds'
                    WHERE id = (SELECT id FROM run WHERE finished_at IS NULL AND wake_at <= :now
                        AND (lease_until IS NULL OR lease_until < clock_timestamp())
                      ORDER BY wake_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
                    RETURNING *"""
                ),
                {"owner": owner, "now": self.clock.now()},
            )
            row = found.mappings().first()
        return Run.model_validate(dict(row)) if row else None

    async def run_to_end(self, run_id: UUID, *, patience_s: float = 120) -> Run:
        """Works until this run has ended; for the command line and the demo. Raises TimeoutError."""
        async with asyncio.timeout(patience_s):
            while True:
                await self.drain()
                async with self.database.system() as session:
                    run = await session.get_one(Run, run_id)
                if run.finished_at is not None:
                    return run
                await asyncio.sleep(0.2)

    async def maintain(self) -> None:
        """Makes next month's log partition, drops those that are too old, and forgets raw records at rest."""
        first = self.clock.today().replace(day=1)
        async with self.database.system() as session:
            for start in (first, _months_on(first, 1)):
                await _make_partition(session, start)
            names = await session.execute(
                text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'logentry'::regclass")
            )
            oldest = _partition(_months_on(first, -KEPT_MONTHS))
            for (name,) in names:
                if name.startswith("log_2") and name < oldest:
                    await session.execute(text(f"DROP TABLE {name}"))
            await session.execute(
                text(
                    """UPDATE item SET raw = NULL WHERE id IN (SELECT id FROM item WHERE raw IS NOT NULL
                      AND status IN ('booked', 'ignored', 'reversed') AND updated_at < :before LIMIT 10000)"""
                ),
                {"before": self.clock.now() - timedelta(days=RAW_DAYS)},
            )
            await salaries.expire(session, self.clock.now())

    # Asking

    async def start_run(
        self,
        session: AsyncSession,
        combi: Combi,
        *,
        trigger: str = "manual",
        mode: str = "write",
        scope: str = "missing_or_failed",
        period: dict[str, Any] | None = None,
        documents: Sequence[str] | None = None,
    ) -> Run:
        """A run beside the schedule, at once; `documents`: of these source ids alone. Raises AlreadyRunning."""
        run = Run(
            id=new_id(self.clock),
            organisation_id=combi.organisation_id,
            combi_id=combi.id,
            trigger=trigger,
            mode=mode,
            scope=scope,
            period=period,
            documents=list(documents) if documents is not None else None,
            settings=combi.settings,
            settings_version=combi.settings_version,
            created_at=self.clock.now(),
            wake_at=self.clock.now(),
        )
        try:
            async with session.begin_nested():
                session.add(run)
        except IntegrityError:
            found = await session.execute(
                text("SELECT id FROM run WHERE combi_id = :id AND finished_at IS NULL"), {"id": combi.id}
            )
            raise AlreadyRunning(found.scalar_one()) from None
        after_commit(session, self._ring)
        return run

    async def _ring(self) -> None:
        await self.doorbell.ring()

    async def context(
        self, organisation_id: UUID, combi_id: UUID, settings: Mapping[str, Any] | None = None
    ) -> Context:
        """A context outside any run, for questions; `settings` instead of the combi's. Raises the VendorErrors of
        opening a link."""
        async with self.database.tenant(organisation_id) as session:
            combi = await session.get_one(Combi, combi_id)
        run = Run(
            id=new_id(self.clock),
            organisation_id=organisation_id,
            combi_id=combi_id,
            settings=combi.settings if settings is None else dict(settings),
            settings_version=combi.settings_version,
            created_at=self.clock.now(),
            wake_at=self.clock.now(),
        )
        return await runs.open_context(self, run, Lease("question"))

    async def options(self, organisation_id: UUID, combi_id: UUID, field: str) -> Choices:
        """The live choices of a settings field. Raises KeyError when it has none, VendorError when unreadable."""
        ctx = await self.context(organisation_id, combi_id)
        extra = type(ctx.settings).model_fields[field].json_schema_extra
        if not isinstance(extra, dict) or "choice" not in extra:
            raise KeyError(field)
        provider = str(extra["choice"])
        chosen = {**ctx.settings.model_dump(mode="json"), "flows": ctx.flows()}
        for link in ctx.links:
            if provider in link.connector.options:
                options = await link.connector.options[provider](link.http, chosen)
                keys = await _companies(ctx) if field == "administrations" else None
                return Choices(options, keys)
        if any(provider in one.options for one in recipes.sides(ctx.recipe)):
            return Choices([])  # of the third connection, which this combi does not have
        return Choices(await asking.master_options(ctx, provider))

    async def preview(self, organisation_id: UUID, combi_id: UUID, limit: int = previews.LIMIT) -> previews.Preview:
        """What would be booked now. Raises VendorError when a package cannot be read."""
        return await previews.preview(await self._as_activated(organisation_id, combi_id), limit)

    async def _as_activated(self, organisation_id: UUID, combi_id: UUID) -> Context:
        """A context under the settings that activation would make of the combi's; nothing is stored."""
        return await self.context(organisation_id, combi_id, await self.complete(organisation_id, combi_id))

    async def preview_of(
        self, organisation_id: UUID, combi_id: UUID, flow: str, raw: Mapping[str, Any]
    ) -> previews.PreviewDocument | None:
        """What one stored record would be booked as under the settings of now; None: unreadable. Raises VendorError."""
        ctx = await self.context(organisation_id, combi_id)
        for place in set(ctx.settings.administrations.values()):
            await ctx.use_stored_master(place)  # nobody waits for a package to look at a document
        return await previews.single(ctx, flow, raw)

    async def suggest(
        self, organisation_id: UUID, combi_id: UUID, table: str, *, stored: bool = False
    ) -> list[mapping.Suggestion]:
        """Suggestions for a mapping table; `stored`: held against the master data at hand, however old."""
        ctx = await self.context(organisation_id, combi_id)
        for place in set(ctx.settings.administrations.values()) if stored else ():
            await ctx.use_stored_master(place)
        return await mapping.suggest(ctx, table)

    async def refresh_master(self, organisation_id: UUID, combi_id: UUID) -> None:
        """Read the master data of the combi's administrations anew, unless that was just done. Raises VendorError."""
        ctx = await self.context(organisation_id, combi_id)
        for place in sorted(set(ctx.settings.administrations.values())):
            await ctx.master(place, doubted=True)

    async def complete(self, organisation_id: UUID, combi_id: UUID) -> dict[str, Any]:
        """The settings with what needs no question filled in: one company and one administration belong together."""
        ctx = await self.context(organisation_id, combi_id)
        if ctx.settings.administrations or "administrations" not in ctx.target.connector.options:
            return dict(ctx.combi.settings)
        companies = [one for one in await _companies(ctx) if one.value not in ctx.settings.ignored_companies]
        places = await ctx.target.connector.options["administrations"](ctx.target.http, {})
        if len(companies) == 1 and len(places) == 1:
            return {**ctx.combi.settings, "administrations": {companies[0].value: places[0].value}}
        return dict(ctx.combi.settings)

    async def check_settings(self, organisation_id: UUID, combi_id: UUID) -> list[Finding]:
        """What keeps the whole combi from working: consent, administrations, accounts. Asks the live packages."""
        try:
            ctx = await self._as_activated(organisation_id, combi_id)
            for link in ctx.links:
                await link.connector.identify(link.http)
            findings = await _check_administrations(ctx)
            for administration in sorted(set(ctx.settings.administrations.values())):
                if not any(one.key == "administration_unknown" for one in findings):
                    wrong = asking.check_master(ctx, await ctx.master(administration, doubted=True))
                    if wrong and ctx.may_have_grown(administration):
                        wrong = asking.check_master(ctx, await ctx.master(administration, anew=True))
                    findings.extend(wrong)
        except VendorError as error:
            return [error.finding()]
        return findings

    async def check(self, organisation_id: UUID, combi_id: UUID) -> list[Finding]:
        """Everything that would go wrong: the settings first, then what the documents at hand would run into, and the
        questions on which only a warning hangs (`WARNINGS`)."""
        findings = await self.check_settings(organisation_id, combi_id)
        return findings or await self.check_documents(organisation_id, combi_id)

    async def check_documents(self, organisation_id: UUID, combi_id: UUID) -> list[Finding]:
        """What the documents at hand would run into under settings that are right."""
        try:
            ctx = await self._as_activated(organisation_id, combi_id)
            shown = await previews.preview(ctx, 100)
        except VendorError as error:
            return [error.finding()]
        troubled = (document.findings for document in shown.documents if document.action == "attention")
        return [*joined([one for findings in troubled for one in findings]), *_open_questions(ctx)]


def _open_questions(ctx: Context) -> list[Finding]:
    """What the customer was asked and has not confirmed."""
    link = recipes.own_link(ctx.recipe)
    if link is None or ctx.settings.own_link_off:
        return []
    package, other = (one.manifest.title for one in link)
    values = {"package": package, "other": other}
    return [Finding(key="own_link_unconfirmed", values=values, field="own_link_off")]


async def _companies(ctx: Context) -> Sequence[Option]:
    provider = ctx.source.connector.options.get("companies")
    chosen = ctx.settings.model_dump(mode="json")
    return await provider(ctx.source.http, chosen) if provider else [Option(ctx.source.tenant, ctx.source.tenant)]


async def _check_administrations(ctx: Context) -> list[Finding]:
    """Every company has an administration that exists, or is left out on purpose.

    Of a payroll package companies are chosen, out of perhaps all clients of an accountant: at least one.
    """
    if "administrations" not in ctx.target.connector.options:
        return []
    findings: list[Finding] = []
    companies = await _companies(ctx)
    enough = "journals" in ctx.flows() and bool(ctx.settings.administrations)
    places = {one.value for one in await ctx.target.connector.options["administrations"](ctx.target.http, {})}
    for company in companies:
        place = ctx.settings.administrations.get(company.value)
        if place is None and not enough and company.value not in ctx.settings.ignored_companies:
            values = {"company": company.label}
            findings.append(Finding(key="company_without_administration", values=values, field="administrations"))
        elif place is not None and place not in places:
            values = {"company": company.label, "administration": place}
            findings.append(Finding(key="administration_unknown", values=values, field="administrations"))
    known = {company.value for company in companies}
    findings.extend(
        Finding(key="company_unknown", values={"company": one}, field="administrations")
        for one in sorted(set(ctx.settings.administrations) - known)
    )
    return findings


def _months_on(first: date, months: int) -> date:
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def _partition(first: date) -> str:
    return f"log_{first:%Y_%m}"


async def _make_partition(session: AsyncSession, first: date) -> None:
    """A month of the log. When lines of that month stand in the default partition already, they stay there."""
    try:
        async with session.begin_nested():
            await session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {_partition(first)} PARTITION OF logentry "
                    f"FOR VALUES FROM ('{first}') TO ('{_months_on(first, 1)}')"
                )
            )
    except SQLAlchemyError:
        _log.info("partition_not_made", month=str(first))
