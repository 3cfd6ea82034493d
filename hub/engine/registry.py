"""The one place that loads connectors: the folder listing is the catalogue."""

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import connectors
from hub.kit import text
from hub.sdk.connector import Connector

_extra: dict[str, Connector] = {}


def root() -> Path:
    """The folder that holds the connectors."""
    (found,) = [Path(path) for path in connectors.__path__]
    return found


def folders() -> list[Path]:
    """The connector folders, by name."""
    return sorted(path.parent for path in root().glob("*/manifest.yaml"))


@cache
def _shipped() -> Mapping[str, Connector]:
    found: dict[str, Connector] = {}
    for folder in folders():
        connector: Connector = importlib.import_module(f"connectors.{folder.name}").CONNECTOR
        text.register(folder / "strings")
        found[folder.name] = connector
    return MappingProxyType(found)


def all_connectors() -> Mapping[str, Connector]:
    """Every connector by name."""
    return {**_shipped(), **_extra}


def get(name: str) -> Connector:
    """The connector of this name. Raises KeyError."""
    return _extra[name] if name in _extra else _shipped()[name]


def add(connector: Connector) -> None:
    """A connector that lives outside the folder, such as a benchmark's or a test's own."""
    _extra[connector.manifest.name] = connector
