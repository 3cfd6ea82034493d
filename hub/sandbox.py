"""The sandbox runner: all packages' sandboxes on one port, `/sandbox/<connector>/…` and `/<connector>/…`.

The only product code that imports sandboxes.
"""

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from hub.engine import registry
from hub.sdk.sandbox import Sandbox

_log = structlog.get_logger(__name__)


def load(*, seeded: bool = True) -> dict[str, Sandbox]:
    """A sandbox of every connector that has one, with the books of a believable company when `seeded`."""
    found: dict[str, Sandbox] = {}
    for folder in registry.folders():
        if (folder / "sandbox.py").exists():
            sandbox: Sandbox = importlib.import_module(f"connectors.{folder.name}.sandbox").SANDBOX()
            if seeded:
                sandbox.seed()
            found[folder.name] = sandbox
    return found


def mounts(sandboxes: Mapping[str, Sandbox], prefix: str = "") -> list[BaseRoute]:
    """The routes of all sandboxes under a prefix."""
    return [Mount(f"{prefix}/{name}", app=sandbox.app) for name, sandbox in sandboxes.items()]


def create_app(sandboxes: Mapping[str, Sandbox]) -> Starlette:
    """All sandboxes as one application."""
    return Starlette(routes=[*mounts(sandboxes, "/sandbox"), *mounts(sandboxes)])


def keep(sandboxes: Mapping[str, Sandbox], folder: Path) -> None:
    """Stores the books, so that the next demo finds them as this one left them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sandbox in sandboxes.items():
        fresh = folder / f"{name}.books.new"
        fresh.write_bytes(pickle.dumps(sandbox.state()))
        fresh.replace(folder / f"{name}.books")


def bring_back(sandboxes: Mapping[str, Sandbox], folder: Path) -> None:
    """Reads the books of the last demo; books that cannot be read are left as the seed made them."""
    for name, sandbox in sandboxes.items():
        path = folder / f"{name}.books"
        if path.exists():
            try:
                sandbox.__dict__.update(pickle.loads(path.read_bytes()))  # noqa: S301 - our own file, of fakes
            except (pickle.PickleError, AttributeError, EOFError, ImportError, IndexError):
                _log.warning("sandbox_books_unreadable", sandbox=name)
