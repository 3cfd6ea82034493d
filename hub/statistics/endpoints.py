"""The log, the statistics and the reconciliation over HTTP, as JSON or as CSV by `Accept`."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError

from hub.catalogue.path import PathId
from hub.engine.hub import hub_of
from hub.kit import metrics, pagination
from hub.kit.pagination import Cursor, Limit
from hub.migrations import head
from hub.organisations.access import HubRoute, Reader, TenantSession
from hub.runs.service import combi_of
from hub.statistics import repository, service, table
from hub.statistics.schemas import Interval, LogList, Reconciliation, Statistics

router = APIRouter(prefix="/v1", tags=["statistics"], route_class=HubRoute)
health = APIRouter(tags=["health"])


_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
_LAST = 2**63 - 1
_MOST_LINES = 50_000


@router.get("/combis/{combi_id}/log", operation_id="list_log", response_model=LogList, responses=_CSV)
async def list_log(
    combi_id: PathId,
    request: Request,
    caller: Reader,
    session: TenantSession,
    level: Annotated[Literal["info", "warning", "error"] | None, Query(description="Only lines of this level.")] = None,
    run: Annotated[UUID | None, Query(description="Only lines of this run.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="In a line, its values and its number.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response | LogList:
    """What happened, the newest first. As CSV: all of it, up to 50,000 lines."""
    combi = await combi_of(session, combi_id)
    csv = table.wanted(request)
    before = _LAST if cursor is None else _number(pagination.decode(cursor, 1)[0])
    most = _MOST_LINES if csv else limit
    rows = await repository.log(session, combi.id, before, most + 1, level=level, run_id=run, q=q)
    lines = [service.log_line(row, caller.language) for row in rows[:most]]
    if csv:
        columns = ("at", "level", "number", "sentence", "words", "key", "run_id", "item_id")
        return table.response(f"log-{combi.id}", columns, service.log_rows(lines))
    return LogList(data=lines, next_cursor=pagination.encode([lines[-1].id]) if len(rows) > most else None)


@router.get("/combis/{combi_id}/statistics", operation_id="get_statistics", response_model=Statistics, responses=_CSV)
async def get_statistics(
    combi_id: PathId,
    request: Request,
    session: TenantSession,
    caller: Reader,  # noqa: ARG001 - only who may read sees them
    from_: Annotated[date | None, Query(alias="from", description="Default: the first day of the month.")] = None,
    to: Annotated[date | None, Query(description="This day included; default: today.")] = None,
    interval: Interval = Interval.day,
) -> Response | Statistics:
    """Documents and amounts per period, flow and outcome; durations of runs; the share that needed no human."""
    combi = await combi_of(session, combi_id)
    last = to or hub_of(request).clock.today()
    found = await service.statistics(session, combi, from_ or last.replace(day=1), last, interval)
    if table.wanted(request):
        columns = ("start", "end", "flow", "status", "currency", "documents", "amount")
        return table.response(f"statistics-{combi.id}", columns, service.statistics_rows(found))
    return found


@router.get(
    "/combis/{combi_id}/reconciliation",
    operation_id="get_reconciliation",
    response_model=Reconciliation,
    responses=_CSV,
)
async def get_reconciliation(
    combi_id: PathId,
    request: Request,
    caller: Reader,
    session: TenantSession,
    month: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$", description="`YYYY-MM`; default: this month.")] = None,
) -> Response | Reconciliation:
    """Per administration: count and total at the source, delivered, present in the target; differences by name."""
    combi = await combi_of(session, combi_id)
    wanted = month or hub_of(request).clock.today().strftime("%Y-%m")
    found = await service.reconciliation(session, combi, wanted, caller.language)
    if table.wanted(request):
        columns = (
            "month", "administration", "flow", "currency", "line", "count", "total", "number", "date", "party",
            "source", "target", "item_id",
        )  # fmt: skip
        return table.response(f"reconciliation-{combi.id}-{wanted}", columns, service.reconciliation_rows(found))
    return found


@health.get("/health/live", operation_id="health_live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@health.get("/health/ready", operation_id="health_ready", response_model=dict[str, str])
async def ready(request: Request) -> JSONResponse:
    """Database, queue and tables are there; 503 says which is not."""
    hub = hub_of(request)
    parts = {"database": "ok", "redis": "ok", "migrations": "ok"}
    try:
        async with hub.database.system() as session:
            if await repository.health(session) != head():
                parts["migrations"] = "pending"
    except (SQLAlchemyError, OSError):
        parts |= {"database": "down", "migrations": "unknown"}
    try:
        await hub.redis.ping()
    except Exception:
        parts["redis"] = "down"
    good = set(parts.values()) == {"ok"}
    return JSONResponse({"status": "ok" if good else "unavailable", **parts}, 200 if good else 503)


@health.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
async def prometheus() -> Response:
    """Counters and timings for Prometheus."""
    content, media_type = metrics.exposition()
    return Response(content, headers={"Content-Type": media_type})


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        pagination.decode("")
    return int(str(value))
