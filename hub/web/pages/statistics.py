"""The figures of a combi: documents, amounts and runs per period, and the reconciliation of a month."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from hub.catalogue.path import PathId
from hub.engine.outcome import OUTCOMES
from hub.kit import text
from hub.runs.service import combi_of
from hub.statistics import repository, service, table
from hub.statistics.schemas import Group, Interval, Period, Reconciliation, Statistics
from hub.web import chart
from hub.web.pages.combis import combi_facts
from hub.web.pages.visit import PageRoute, Visit, Visiting

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LAYERS: Mapping[str, tuple[str, ...]] = {
    "booked": ("booked", "reversed"),
    "wanting": ("finding", "changed", "unknown", "waiting"),
    "rejected": ("rejected",),
    "left_out": ("ignored", "skipped"),
}
"""The layers of a bar, in the order of the legend, and the statuses in each."""
MONTHS = 12
Layers = tuple[Decimal, ...]


@router.get("/combis/{combi_id}/statistics")
async def statistics(combi_id: PathId, visit: Visiting) -> Response:
    """Charts with their tables."""
    first, last, interval, wrong = _asked(visit)
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        found = await service.statistics(session, await combi_of(session, combi_id), first, last, interval)
    labels = [_label(period, interval, visit.language) for period in found.periods]
    flows = [flow for flow in combi["flows"] if any(group.flow == flow for group in found.totals)]
    return visit.page(
        "statistics.html",
        place="combis",
        combi=combi,
        tab="statistics",
        figures=found,
        first=first,
        last=last,
        interval=interval.value,
        intervals=[one.value for one in Interval],
        wrong=wrong,
        layers=list(LAYERS),
        parts=[_part(found, flow, labels, visit.language) for flow in flows],
        outcomes=_outcomes(found, visit.language),
        csv=f"/combis/{combi_id}/statistics.csv?from={first}&to={last}&interval={interval.value}",
    )


@router.get("/combis/{combi_id}/statistics.csv")
async def statistics_csv(combi_id: PathId, visit: Visiting) -> Response:
    """The same figures for a spreadsheet."""
    first, last, interval, _ = _asked(visit)
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_of(session, combi_id)
        found = await service.statistics(session, combi, first, last, interval)
    columns = ("start", "end", "flow", "status", "currency", "documents", "amount")
    return table.response(f"statistics-{combi_id}", columns, service.statistics_rows(found))


@router.get("/combis/{combi_id}/reconciliation")
async def reconciliation(combi_id: PathId, visit: Visiting) -> Response:
    """One month, to be printed: source, delivered, present in the target, and every difference by name."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_facts(session, combi_id, visit.language)
        months = await repository.months(session, combi_id)
        month = _month(visit, months)
        found = await service.reconciliation(session, await combi_of(session, combi_id), month, visit.language)
    day = date.fromisoformat(f"{month}-01")
    return visit.page(
        "reconciliation.html",
        place="combis",
        combi=combi,
        tab="reconciliation",
        found=found,
        day=day,
        months=[(f"{one:%Y-%m}", text.month(one, visit.language)) for one in sorted({*months, day}, reverse=True)],
        month=month,
        totals=_totals(found),
    )


@router.get("/combis/{combi_id}/reconciliation.csv")
async def reconciliation_csv(combi_id: PathId, visit: Visiting) -> Response:
    """The same for a spreadsheet."""
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        combi = await combi_of(session, combi_id)
        month = _month(visit, await repository.months(session, combi_id))
        found = await service.reconciliation(session, combi, month, visit.language)
    columns = ("month", "administration", "flow", "currency", "line", "count", "total", "number", "date", "party",
               "source", "target", "item_id")  # fmt: skip
    return table.response(f"reconciliation-{combi_id}-{month}", columns, service.reconciliation_rows(found))


def _asked(visit: Visit) -> tuple[date, date, Interval, str]:
    """The period in the address; without one the year up to now by month. What cannot be read is named."""
    query = visit.request.query_params
    today = visit.hub.clock.today()
    start = (today.replace(day=1) - timedelta(days=30 * (MONTHS - 1))).replace(day=1)
    interval = Interval(query["interval"]) if query.get("interval") in set(Interval) else Interval.month
    try:
        first = date.fromisoformat(query["from"]) if query.get("from") else start
        last = date.fromisoformat(query["to"]) if query.get("to") else today
    except ValueError:
        return start, today, interval, "day"
    days = {Interval.day: 366, Interval.week: 366 * 3, Interval.month: 366 * 20}[interval]
    if not 0 <= (last - first).days <= days:
        return start, today, Interval.month, "range"
    return first, last, interval, ""


def _month(visit: Visit, months: list[date]) -> str:
    """The month in the address, else the last one that has documents."""
    asked = visit.request.query_params.get("month", "")
    if asked:
        service.month_days(asked)
        return asked
    return f"{(months[0] if months else visit.hub.clock.today()):%Y-%m}"


def _part(found: Statistics, flow: str, labels: list[str], language: str) -> dict[str, Any]:
    """The charts and the table of one flow."""
    periods = list(zip(labels, found.periods, strict=True))
    rows = [(label, _documents(period.groups, flow), _booked(period.groups, flow)) for label, period in periods]
    currencies = sorted({group.currency for group in found.totals if group.flow == flow and Decimal(group.amount)})
    charts = [("documents", "", _draw([(label, layers) for label, layers, _ in rows], flow, "", language))]
    for currency in currencies:
        bars = [(label, _amounts(period.groups, flow, currency)) for label, period in periods]
        charts.append(("amounts", currency, _draw(bars, flow, currency, language)))
    totals = _documents(found.totals, flow)
    return {
        "flow": flow,
        "charts": charts,
        "rows": [row for row in rows if any(row[1])],
        "totals": totals,
        "booked": _booked(found.totals, flow),
        "present": [number for number, total in enumerate(totals) if total],
    }


def _documents(groups: list[Group], flow: str) -> Layers:
    """How many documents each layer holds."""
    return _layers([(one.status, Decimal(one.documents)) for one in groups if one.flow == flow])


def _amounts(groups: list[Group], flow: str, currency: str) -> Layers:
    """What the documents of each layer amount to."""
    return _layers(
        [(one.status, Decimal(one.amount)) for one in groups if one.flow == flow and one.currency == currency]
    )


def _layers(values: list[tuple[str, Decimal]]) -> Layers:
    return tuple(
        sum((value for status, value in values if status in statuses), Decimal(0)) for statuses in LAYERS.values()
    )


def _booked(groups: list[Group], flow: str) -> dict[str, Decimal]:
    """What was booked, by currency."""
    found: dict[str, Decimal] = {}
    for group in groups:
        if group.flow == flow and group.status in LAYERS["booked"]:
            found[group.currency] = found.get(group.currency, Decimal(0)) + Decimal(group.amount)
    return found


def _draw(rows: list[tuple[str, Layers]], flow: str, currency: str, language: str) -> Markup:
    """The picture of numbers of documents, or of amounts in a currency."""

    def exact(value: Decimal) -> str:
        return text.money(value, currency, language) if currency else text.whole(int(value), language)

    names = [text.sentence(f"statistics.layer.{name}", language) for name in LAYERS]
    bars = []
    for label, layers in rows:
        told = [f"{name} {exact(value)}" for name, value in zip(names, layers, strict=True) if value]
        bars.append(chart.Bar(label, f"{label}: {', '.join(told)}", layers))
    ticks = tuple((value, text.whole(int(value), language)) for value in chart.measures(bars))
    what = text.sentence(f"web.flow.{flow}", language)
    name = text.sentence(f"statistics.chart.{'amounts' if currency else 'documents'}", language, {"flow": what})
    beside = text.sentence("statistics.chart.beside", language)
    return chart.draw(chart.Chart(tuple(bars), ticks), name, beside)


def _label(period: Period, interval: Interval, language: str) -> str:
    if interval is Interval.month:
        return text.short_month(period.start, language)
    return f"{period.start.day}-{period.start.month}" if language == "nl" else f"{period.start:%b} {period.start.day}"


def _outcomes(found: Statistics, language: str) -> list[tuple[str, int]]:
    """How the runs ended, in words."""
    return [
        (
            text.sentence(f"runs.outcome.{OUTCOMES[int(code)].name if int(code) in OUTCOMES else 'unknown'}", language),
            count,
        )
        for code, count in found.runs.by_outcome.items()
    ]


def _totals(found: Reconciliation) -> list[dict[str, Any]]:
    """Sums per flow and currency over all administrations."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found.administrations:
        mine = sums.setdefault((one.flow, one.currency), {"flow": one.flow, "currency": one.currency})
        for side in ("source", "delivered", "present"):
            figures = getattr(one, side)
            count, total = mine.get(side, (0, Decimal(0)))
            mine[side] = (count + figures.count, total + Decimal(figures.total))
    return list(sums.values())
