"""The bookkeeping behind vouchers: fiscal years, accounts per year and cost centre items (dossier 3.5)."""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache

from connectors.eaccounting.listing import everything
from connectors.eaccounting.reading import day, flag, ident, text, whole
from hub.accounting.chart import FiscalYear, Journal, LedgerAccount, Master
from hub.accounting.documents import Part
from hub.sdk.connector import Raw
from hub.sdk.errors import ConfigError, ReauthRequired, RecordRejected
from hub.sdk.http import Http


class Year(Part):
    """A fiscal year and the numbers of its accounts that can be booked on; None: they were not listed."""

    id: str
    start: date
    end: date
    locked: bool
    accounts: tuple[str, ...] | None


class Ledger(Part):
    """What `Master` has no place for."""

    years: tuple[Year, ...] = ()
    items: Mapping[str, tuple[int, str]] = {}
    """Cost centre code -> the number of its `CostCenterItemId` field and the item's id."""
    locked_to: date | None = None
    listed: bool = False
    """False when this connection may not see the bookkeeping: then nothing is concluded."""


async def read(http: Http, company: Raw) -> tuple[Ledger, list[LedgerAccount], list[FiscalYear], list[Journal]]:
    """All of it, a list per open year. A company without bookkeeping, or consent without it, has none to show."""
    locked_to = day(company.get("AccountingLockedTo"))
    try:
        found = await everything(http, "/fiscalyears")
        rows: dict[str, Raw] = {}
        years = [year for row in found if (year := await _year(http, row, rows)) is not None]
    except (RecordRejected, ConfigError, ReauthRequired):
        return Ledger(locked_to=locked_to), [], [], []
    years.sort(key=lambda one: one.start)
    centres = await _centres(http, company)
    ledger = Ledger(
        years=tuple(years),
        items={code: (place, own) for code, place, own, _ in centres},
        locked_to=locked_to,
        listed=any(year.accounts is not None for year in years),
    )
    accounts = [_account(row) for _, row in sorted(rows.items())]
    shown = [FiscalYear(year=one.end.year, start=one.start, end=one.end) for one in years]
    return ledger, accounts, shown, [Journal(id=code, name=name) for code, _, _, name in centres]


async def _year(http: Http, row: Raw, rows: dict[str, Raw]) -> Year | None:
    """A year; `rows` gathers the accounts of all years by number, a later year's going first."""
    own, start, end = ident(row.get("Id")), day(row.get("StartDate")), day(row.get("EndDate"))
    if not own or start is None or end is None:
        return None
    locked = flag(row.get("IsLockedForAccounting"))
    if locked:
        return Year(id=own, start=start, end=end, locked=True, accounts=None)
    listed = [one for one in await everything(http, f"/accounts/{own}") if text(one.get("Number"))]
    for one in listed:
        before = rows.get(text(one["Number"]))
        if before is None or (_usable(one) and (not _usable(before) or before["_from"] < start)):
            rows[text(one["Number"])] = {**one, "_from": start}
    return Year(
        id=own,
        start=start,
        end=end,
        locked=False,
        accounts=tuple(text(one["Number"]) for one in listed if _usable(one)),
    )


def _usable(row: Raw) -> bool:
    return (row.get("IsActive") is None or flag(row["IsActive"])) and not flag(row.get("IsBlockedForManualBooking"))


def _account(row: Raw) -> LedgerAccount:
    takes = row.get("IsCostCenterAllowed")
    return LedgerAccount(
        number=text(row["Number"]),
        name=text(row.get("Name")),
        blocked=not _usable(row),
        takes_cost_centre=takes is None or flag(takes),
    )


async def _centres(http: Http, company: Raw) -> list[tuple[str, int, str, str]]:
    """Code, field number, id and name of every active item. A code that two share is told apart by its centre."""
    if company.get("UsesCostCenter") is not None and not flag(company["UsesCostCenter"]):
        return []
    try:
        found = await everything(http, "/costcenters")
    except (RecordRejected, ConfigError, ReauthRequired):
        return []
    items = [
        (
            text(one.get("ShortName")) or text(one.get("Name")),
            whole(row.get("Number")) or at,
            one,
            text(row.get("Name")),
        )
        for at, row in enumerate(found, 1)
        if row.get("IsActive") is None or flag(row["IsActive"])
        for one in _items(row)
    ]
    codes = [code for code, _, _, _ in items]
    return [
        (code if codes.count(code) == 1 else f"{centre}/{code}", place, ident(one["Id"]), text(one.get("Name")))
        for code, place, one, centre in items
    ]


def _items(row: Raw) -> Iterable[Raw]:
    found = row.get("Items")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and ident(one.get("Id")) and (one.get("IsActive") is None or flag(one["IsActive"])):
            yield one


@lru_cache(maxsize=16)
def _read(stored: str) -> Ledger:
    return Ledger.model_validate_json(stored)


def ledger_of(known: Master) -> Ledger:
    """What `master` put into `extra`; nothing listed when it is another's master."""
    return _read(known.extra.get("ledger", "{}"))


def year_of(ledger: Ledger, on: date) -> Year | None:
    """The fiscal year that holds a day."""
    return next((one for one in ledger.years if one.start <= on <= one.end), None)
