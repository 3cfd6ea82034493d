"""Tables as CSV for spreadsheets: nothing in them is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from fastapi import Request
from fastapi.responses import Response

_NUMBERS = (int, float, Decimal, date, datetime)


def wanted(request: Request) -> bool:
    """Whether the caller prefers CSV over JSON."""
    accepted = request.headers.get("accept", "").lower()
    return "text/csv" in accepted and "application/json" not in accepted.split("text/csv")[0]


def response(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A CSV answer in UTF-8 with a byte-order mark, which spreadsheets need to read it as such."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return Response(
        "\N{BYTE ORDER MARK}" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Vary": "Accept"},
    )


def cell(value: object) -> str:
    """A value as text; words that a spreadsheet would run as a formula get an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, _NUMBERS):
        return value.isoformat() if isinstance(value, date) else str(value)
    words = str(value)
    if words.lstrip()[:1] in ("=", "+", "-", "@") or words[:1] in ("\t", "\r", "\n"):
        return "'" + words
    return words
