"""One hub of real processes for all acceptance tests, and the vendors it talks to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.stage import Processes, Stranger
from tests.acceptance.vendors.house import Street
from tests.acceptance.vendors.minox import Minox
from tests.acceptance.vendors.simplicate import Simplicate


@dataclass
class Scene:
    """The hub, its vendors, and keys for whoever comes."""

    hub: Processes
    simplicate: Simplicate
    minox: Minox
    street: Street
    keys: list[str]

    def stranger(self, number: int = 0) -> Stranger:
        """Somebody of the first, second … organisation."""
        return Stranger(self.hub, self.keys[number])


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All of it, running."""
    simplicate, minox = Simplicate(), Minox()
    street = Street({"simplicate": simplicate, "minox": minox})
    street.open()
    folder: Path = tmp_path_factory.mktemp("acceptance")
    hub = Processes(folder, street)
    try:
        hub.open()
        keys = [hub.command("apikey", "create", "--email", f"{name}@kantoor.example") for name in ("eva", "boris")]
        yield Scene(hub, simplicate, minox, street, keys)
    finally:
        hub.close()
        street.close()
