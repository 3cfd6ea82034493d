"""What both of Nmbrs' APIs can tell: the seam behind which SOAP and REST stand."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hub.sdk.errors import VendorError
from hub.sdk.http import Http
from hub.sdk.reading import text

LAST_PERIOD = 53
Split = Literal["company", "cost_centre"]


@dataclass(frozen=True)
class Company:
    """A company as a listing names it. `id` differs between the APIs, `number` and `name` do not."""

    id: str
    number: str
    name: str
    debtor: str = ""
    """The id of its debtor, where the listing says so."""


@dataclass(frozen=True)
class Run:
    """A payroll run as a listing names it (dossier 4, 6). `id` differs between the APIs, the other facts do not."""

    id: str
    number: str
    year: int
    first: int
    """The first and the last period that it pays."""
    last: int
    description: str = ""
    made_at: str = ""
    locked: bool = False
    type: str = ""
    """REST only."""

    def __post_init__(self) -> None:
        """Raises ValueError for periods that cannot be."""
        if not 1 <= self.first <= self.last <= LAST_PERIOD:
            raise ValueError(f"periods {self.first} to {self.last}")


@dataclass(frozen=True)
class Runs:
    """The runs of one company and year. `odd`: how many records could not be read."""

    runs: Sequence[Run]
    odd: int = 0


@dataclass(frozen=True)
class Asked:
    """A run whose journal is asked for. `task`: of a file that was not ready the last time (REST)."""

    run: Run
    split: Split
    task: str = ""


@dataclass(frozen=True)
class Content:
    """What came of asking for one run's journal: its XML (empty: no journal), or what went wrong."""

    run: Run
    xml: str = ""
    trouble: VendorError | None = None


@dataclass(frozen=True)
class Transport:
    """One of the two APIs."""

    companies: Callable[[Http], Awaitable[list[Company]]]
    """All companies that the login sees."""
    debtors: Callable[[Http, Sequence[Company]], Awaitable[Mapping[str, str]]]
    """Company id -> number of its debtor. A company of which it cannot be known is left out."""
    runs: Callable[[Http, str, int], Awaitable[Runs]]
    """The complete list of one company (id) and year."""
    contents: Callable[[Http, str, Sequence[Asked]], AsyncIterator[Content]]
    """The journals of these runs of one company (id), in any order."""
    kind: Callable[[Http, str], Awaitable[str]]
    """How a company (id) pays: `month`, `4-weeks`, `week`; empty when that is not known."""
    cost_centres: Callable[[Http, str], Awaitable[Mapping[str, str]]]
    """Code -> words of the cost centres of a company (id)."""


def period_kind(said: str) -> str:
    """A period type in any of its spellings (`2010-5-M`, `4W`, `1-week`): month, 4-weeks, week; empty for others."""
    word = said.strip().lower()
    if word[:4].isdecimal() and word.count("-") >= 2:
        word = word.split("-", 2)[2]
    word = word.replace("-", "").replace("_", "").replace(" ", "")
    if word in ("m", "month", "monthly", "maand"):
        return "month"
    if word in ("4w", "4weeks", "4week", "week4", "fourweekly", "4weekly"):
        return "4-weeks"
    return "week" if word in ("w", "1w", "1week", "week", "weekly", "1weeks") else ""


def number(value: object) -> str:
    """A company's or run's number: the same text, whether it came as 7, "7" or "007" (an int in SOAP)."""
    word = text(value)
    return str(int(word)) if word.isdecimal() else word
