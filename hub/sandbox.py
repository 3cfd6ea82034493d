"""The sandbox runner: all packages' sandboxes on one port, `/sandbox/<connector>/…` and `/<connector>/…`.

The only product code that imports sandboxes.
"""

import hashlib
import importlib
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from hub.engine import registry
from hub.sdk.sandbox import Sandbox


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


def keep(sandboxes: Mapping[str, Sandbox], folder: Path, form: str) -> None:
    """Stores the books and what form they have, so that the next demo finds them as this one left them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, sandbox in sandboxes.items():
        _put(folder / f"{name}.books", pickle.dumps(sandbox.state()))
    _put(folder / "form", form.encode())


def _put(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def bring_back(sandboxes: Mapping[str, Sandbox], folder: Path, form: str) -> bool:
    """Reads the books of the last demo. False, with nothing read, when they are of another form or cannot be read."""
    try:
        if (folder / "form").read_text() != form:
            return False
        states = {name: pickle.loads((folder / f"{name}.books").read_bytes()) for name in sandboxes}  # noqa: S301 - ours
    except (OSError, ValueError, pickle.PickleError, AttributeError, EOFError, ImportError, IndexError):
        return False
    for name, state in states.items():
        sandboxes[name].__dict__.update(state)
    return True


def form_of(sandboxes: Mapping[str, Sandbox], *furnishers: ModuleType) -> str:
    """What the books look like: any change of a program that fills them may have changed it."""
    programs = {sys.modules[kind.__module__] for box in sandboxes.values() for kind in type(box).__mro__[:-1]}
    sources = sorted(Path(str(one.__file__)).read_bytes() for one in {*programs, *furnishers})
    return hashlib.sha256(b"".join(sources)).hexdigest()
