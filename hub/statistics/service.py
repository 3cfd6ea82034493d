"""Figures for people: periods without holes, amounts that stay exact, differences by name."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from hub.engine import recipe as recipes
from hub.engine.models import Combi
from hub.kit import text
from hub.kit.clock import AMSTERDAM
from hub.kit.database import HubSession
from hub.kit.problem import FieldError, Problem
from hub.runs.sentences import sentence
from hub.runs.service import amount
from hub.statistics import repository
from hub.statistics.schemas import (
    AdministrationOut,
    Difference,
    Group,
    HumanFigures,
    Interval,
    LogLine,
    Period,
    Reconciliation,
    RunFigures,
    Statistics,
    Sum,
)

MOST_PERIODS = 1100
YEARS = range(1900, 3000)
"""In which there can be documents; beyond, the calendar itself ends."""
MOST_DIFFERENCES = 1000
_Place = tuple[str, str, str]
_ZERO = (0, Decimal(0))


def log_line(row: RowMapping, language: str) -> LogLine:
    """A line of the log in words."""
    said = sentence(row["key"], row["values"], language)
    return LogLine(**{**row, "sentence": said, "words": (row["values"] or {}).get("words") or None})


async def statistics(session: HubSession, combi: Combi, first: date, last: date, interval: Interval) -> Statistics:
    """Figures of [first, last]. Raises the 422 problem for an impossible or endless range."""
    starts = list(_starts(first, last, interval))
    rows = await repository.documents(session, combi.id, first, last, interval)
    start = datetime.combine(first, time(), AMSTERDAM)
    end = datetime.combine(last + timedelta(days=1), time(), AMSTERDAM)
    runs = await repository.runs(session, combi.id, start, end)
    documents, alone = await repository.without_human(session, combi.id, first, last)
    return Statistics(
        from_=first,
        to=last,
        interval=interval,
        periods=_periods(rows, starts, last),
        totals=_totals(rows),
        runs=RunFigures(
            count=runs["count"],
            by_outcome=await repository.outcomes(session, combi.id, start, end),
            p50_s=_seconds(runs["p50"]),
            p95_s=_seconds(runs["p95"]),
        ),
        human=HumanFigures(
            documents=documents, without_human=alone, share=round(alone / documents, 4) if documents else None
        ),
    )


def _seconds(value: Any) -> float | None:
    return None if value is None else round(float(value), 3)


def _starts(first: date, last: date, interval: Interval) -> Iterator[date]:
    """The first day of each period; the first one may begin before `first`."""
    days = (last - first).days
    most = MOST_PERIODS * {"day": 1, "week": 7, "month": 30}[interval]
    if not 0 <= days <= most or first.year not in YEARS or last.year not in YEARS:
        message = f"Give at most {MOST_PERIODS} periods from {YEARS[0]} to {YEARS[-1]}, and `from` before `to`."
        raise Problem(
            422, "invalid", "The range is not valid.", message,
            errors=[FieldError(field="from", code="range", message=message)],
        )  # fmt: skip
    start = first
    if interval is Interval.week:
        start = first - timedelta(days=first.weekday())
    elif interval is Interval.month:
        start = first.replace(day=1)
    while start <= last:
        yield start
        start = _following(start, interval)


def _following(start: date, interval: Interval) -> date:
    match interval:
        case Interval.day:
            return start + timedelta(days=1)
        case Interval.week:
            return start + timedelta(days=7)
        case Interval.month:
            return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def _periods(rows: Sequence[RowMapping], starts: Sequence[date], last: date) -> list[Period]:
    places: list[_Place] = sorted({(row["flow"], row["status"], row["currency"]) for row in rows})
    found = {
        (row["start"], row["flow"], row["status"], row["currency"]): (row["documents"], row["amount"]) for row in rows
    }
    ends = [*(start - timedelta(days=1) for start in starts[1:]), last]
    return [
        Period(start=start, end=end, groups=[_group(place, found.get((start, *place), _ZERO)) for place in places])
        for start, end in zip(starts, ends, strict=True)
    ]


def _totals(rows: Sequence[RowMapping]) -> list[Group]:
    totals: dict[_Place, tuple[int, Decimal]] = {}
    for row in rows:
        place = (row["flow"], row["status"], row["currency"])
        count, total = totals.get(place, _ZERO)
        totals[place] = (count + row["documents"], total + row["amount"])
    return [_group(place, figures) for place, figures in sorted(totals.items())]


def _group(place: _Place, figures: tuple[int, Decimal]) -> Group:
    flow, status, currency = place
    return Group(flow=flow, status=status, currency=currency, documents=figures[0], amount=amount(figures[1]) or "0.00")


def month_days(month: str) -> tuple[date, date]:
    """The first and last day of `YYYY-MM`. Raises the 422 problem."""
    try:
        first = datetime.strptime(month, "%Y-%m").date()  # noqa: DTZ007 - a month has no time zone
        YEARS.index(first.year)
    except ValueError:
        error = FieldError(field="month", code="month", message="Write a month as 2026-03.")
        raise Problem(422, "invalid", "The month is not valid.", error["message"], errors=[error]) from None
    return first, _following(first, Interval.month) - timedelta(days=1)


async def reconciliation(session: HubSession, combi: Combi, month: str, language: str) -> Reconciliation:
    """One month of a combi: source, delivered, present in the target, and every difference by name."""
    first, last = month_days(month)
    sums = await repository.reconciled(session, combi.id, first, last)
    differing = await repository.differing(session, combi.id, first, last, MOST_DIFFERENCES)
    target = recipes.get(combi.recipe).target
    strangers = await repository.only_in_target(session, combi.id, target, first, last, MOST_DIFFERENCES)
    differences: dict[_Place, list[Difference]] = {}
    for row in differing:
        place = (row["administration"], row["flow"], row["currency"])
        differences.setdefault(place, []).append(_difference(row, language))
    found = [_administration(row, differences.get(_place(row), [])) for row in sums]
    _add_strangers(found, strangers, language)
    return Reconciliation(month=month, balanced=all(one.balanced for one in found), administrations=found)


def _place(row: RowMapping) -> _Place:
    return row["administration"], row["flow"], row["currency"]


def _administration(row: RowMapping, differences: list[Difference]) -> AdministrationOut:
    return AdministrationOut(
        administration=row["administration"],
        flow=row["flow"],
        currency=row["currency"],
        source=Sum(count=row["source_count"], total=amount(row["source_total"]) or "0.00"),
        delivered=Sum(count=row["delivered_count"], total=amount(row["delivered_total"]) or "0.00"),
        present=Sum(count=row["present_count"], total=amount(row["present_total"]) or "0.00"),
        balanced=not differences,
        differences=differences,
    )


def _difference(row: RowMapping, language: str) -> Difference:
    kind = _kind(row)
    return Difference(
        kind=kind,
        item_id=row["id"],
        number=row["number"],
        date=row["date"],
        party=row["party"],
        source=None if row["vanished"] else amount(row["amount"]),
        target=amount(row["total"]) if row["state"] == "recorded" else None,
        status=row["status"],
        target_ref=row["target_ref"],
        sentence=text.sentence(f"reconciliation.{kind}", language, {"number": row["number"] or str(row["id"])}),
    )


def _kind(row: RowMapping) -> str:
    if row["vanished"]:
        return "only_in_target"
    if row["status"] in ("ignored", "skipped"):
        return "ignored"
    if row["state"] == "gone":
        return "gone"
    if row["state"] != "recorded":
        return "not_delivered"
    if row["amount"] is not None and row["total"] is not None and abs(row["total"] - row["amount"]) >= Decimal("0.005"):
        return "amount"
    return "not_read_back"


def _add_strangers(found: list[AdministrationOut], rows: Sequence[RowMapping], language: str) -> None:
    """What only the target has goes with its administration and counts as present."""
    for row in rows:
        mine = next((a for a in found if (a.administration, a.flow) == (row["administration"], row["flow"])), None)
        if mine is None:
            nothing = Sum(count=0, total="0.00")
            mine = AdministrationOut(
                administration=row["administration"], flow=row["flow"], currency="", source=nothing,
                delivered=nothing, present=nothing, balanced=False, differences=[],
            )  # fmt: skip
            found.append(mine)
        total = Decimal(mine.present.total) + (row["total"] or 0)
        mine.present = Sum(count=mine.present.count + 1, total=amount(total) or "0.00")
        mine.balanced = False
        mine.differences.append(_stranger(row, language))


def _stranger(row: RowMapping, language: str) -> Difference:
    number = row["number"] or row["label"] or row["ref"]
    return Difference(
        kind="only_in_target",
        item_id=None,
        number=row["number"],
        date=row["date"],
        party="",
        source=None,
        target=amount(row["total"]),
        status="",
        target_ref=row["ref"],
        sentence=text.sentence("reconciliation.only_in_target", language, {"number": number}),
    )


def statistics_rows(found: Statistics) -> list[tuple[object, ...]]:
    """The statistics as lines of a table."""
    return [
        (period.start, period.end, group.flow, group.status, group.currency, group.documents, Decimal(group.amount))
        for period in found.periods
        for group in period.groups
    ]


def reconciliation_rows(found: Reconciliation) -> list[tuple[object, ...]]:
    """The reconciliation as lines of a table: per administration its sums, then its differences."""
    rows: list[tuple[object, ...]] = []
    for one in found.administrations:
        place = (found.month, one.administration, one.flow, one.currency)
        for name, figures in (("source", one.source), ("delivered", one.delivered), ("present", one.present)):
            rows.append((*place, name, figures.count, Decimal(figures.total), "", "", "", "", "", ""))
        rows.extend(
            (
                *place, d.kind, "", "", d.number, d.date, d.party, _number(d.source), _number(d.target),
                d.item_id or "",
            )
            for d in one.differences
        )  # fmt: skip
    return rows


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def log_rows(lines: Sequence[LogLine]) -> list[tuple[object, ...]]:
    """The log as lines of a table."""
    return [
        (one.at, one.level, one.number, one.sentence, one.words, one.key, _id(one.run_id), _id(one.item_id))
        for one in lines
    ]


def _id(value: UUID | None) -> str:
    return "" if value is None else str(value)
