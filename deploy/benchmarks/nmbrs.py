"""What Nmbrs → Minox costs in calls at Nmbrs: per booked journal, and on nights on which nothing happened."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog

from connectors.minox.sandbox import SANDBOX as MINOX
from connectors.minox.sandbox import ledger_account
from connectors.nmbrs.sandbox import OWNER, SUBSCRIPTION, TOKEN, NmbrsSandbox, payroll
from deploy.benchmarks.drafts import calls_of, run_combi, served
from deploy.benchmarks.report import Row
from deploy.benchmarks.stage import Stage
from deploy.benchmarks.work import lift_limits
from hub.assembly import hub as assembled
from hub.kit.clock import FakeClock
from hub.sdk.sandbox import Sandbox

HISTORIES = (1, 3, 10)
"""Years of history."""
MONTHS, NIGHTS = 12, 28
NOW = datetime(2026, 11, 16, 2, 30, tzinfo=UTC)
TENANT, BOOKS = "41207", "41207/3"
CHART = ("4000", "4010", "4050", "4060", "4070", "1700", "1720", "1830", "2100")
Way = Literal["key", "oauth"]


async def calls_per_journal(stage: Stage) -> list[Row]:
    """One company that pays by the month, for 1, 3 and 10 years, over both of Nmbrs' APIs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    lift_limits()
    rows: list[Row] = []
    for way, shown in (("key", "SOAP"), ("oauth", "REST")):
        for years in HISTORIES if not stage.quick else HISTORIES[:2]:
            rows += await _history(stage, way, shown, years)  # type: ignore[arg-type]
    return rows


async def _history(stage: Stage, way: Way, shown: str, years: int) -> list[Row]:
    box, minox, clock = NmbrsSandbox(), MINOX(), FakeClock(NOW)
    box.now = minox.now = lambda: clock.now().timestamp()
    box.switches |= {"expires_in": 10**8, "tasks_pending": 2}
    minox.switches |= {"access_life_s": 10**8, "rate_per_minute": 6_000_000, "rate_burst": 6_000_000}
    first = NOW.year - years + 1
    _fill(box, minox, first)
    boxes: dict[str, Sandbox] = {"nmbrs": box, "minox": minox}
    async with served(boxes) as url:
        own = stage.hub.config.model_copy(update={"base_url": url})
        async with assembled(own, stage.services, clock=clock) as hub:
            combi = await _combi(stage, box, minox, way, first)
            await run_combi(hub, combi)
            made = calls_of(boxes)["nmbrs"]
            await run_combi(hub, combi, "schedule")
            idle = calls_of(boxes)["nmbrs"]
            for _ in range(NIGHTS):
                clock.advance(timedelta(days=1))
                await run_combi(hub, combi, "schedule")
            nights = calls_of(boxes)["nmbrs"]
    runs, stand = len(box.books["runs"]), len(minox.batches(BOOKS))
    if stand != runs:
        raise RuntimeError(f"{stand} of {runs} journals stand in Minox")
    return [
        Row(f"calls per booked journal, Nmbrs over {shown}, {years} y", made / runs, "", "", note=f"{runs} journals"),
        Row(f"calls of an idle night per company and year, {shown}, {years} y", idle / years, "", "<=", 1,
            f"{idle} calls; years before the last are looked at once a week"),
        Row(f"calls of a night with its share of journals read again, {shown}, {years} y", nights / NIGHTS,
            note=f"mean of {NIGHTS} nights, without a change at Nmbrs"),
    ]  # fmt: skip


def _fill(box: NmbrsSandbox, minox: MINOX, first: int) -> None:
    company = box.add_company("Bakkerij Van der Meulen B.V.", 1)
    for year in range(first, NOW.year + 1):
        for month in range(1, MONTHS + 1):
            if (year, month) < (NOW.year, NOW.month):
                box.add_run(company, year, month, 0, payroll(f"{year}-{month:02}-28", "9450.10"))
    minox.add_administration(3, "Bakkerij Van der Meulen B.V.", TENANT)
    books = minox.administration(BOOKS)
    for account in CHART:
        books["ledger_accounts"][account] = ledger_account(int(account), account, None, account < "4")
    books["facts"]["fiscal_years"] = [
        {"fiscal_year": year, "number_of_periods": 12, "start_date": f"{year}-01-01", "end_date": f"{year}-12-31"}
        for year in range(first, NOW.year + 2)
    ]


async def _combi(stage: Stage, box: NmbrsSandbox, minox: MINOX, way: Way, first: int) -> UUID:
    secrets = {"email": OWNER, "api_token": TOKEN}
    if way == "oauth":
        secrets = {"access_token": box.grant()[0], "subscription_key": SUBSCRIPTION}
    tokens = dict(zip(("access_token", "refresh_token"), minox.grant(TENANT), strict=True))
    settings = {"administrations": {"1": BOOKS}, "start_year": first, "cost_centre_mode": "none"}
    source, target = ("nmbrs", way, "vandermeulen", secrets), ("minox", "oauth", TENANT, tokens)
    return await stage.combi("nmbrs-minox", source, target, settings)
