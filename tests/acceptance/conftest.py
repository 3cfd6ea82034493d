"""One hub of real processes for all acceptance tests, and the vendors it talks to."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.moods import MOODS, live
from tests.acceptance.stage import Processes, Scene
from tests.acceptance.story import Story
from tests.acceptance.vendors.eaccounting import Eaccounting
from tests.acceptance.vendors.eboekhouden import Eboekhouden
from tests.acceptance.vendors.finmaster import Finmaster
from tests.acceptance.vendors.house import Street
from tests.acceptance.vendors.loket import Loket
from tests.acceptance.vendors.minox import Minox
from tests.acceptance.vendors.minuba import Minuba
from tests.acceptance.vendors.nmbrs import Nmbrs
from tests.acceptance.vendors.simplicate import Simplicate


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All of it, running."""
    simplicate, minox, minuba, eaccounting = Simplicate(), Minox(), Minuba(), Eaccounting()
    houses = {"simplicate": simplicate, "minox": minox, "minuba": minuba, "eaccounting": eaccounting}
    eboekhouden = Eboekhouden()
    payroll = {"eboekhouden": eboekhouden, "nmbrs": Nmbrs(), "loket": Loket(), "finmaster": Finmaster()}
    street = Street({**houses, **payroll})
    street.open()
    folder: Path = tmp_path_factory.mktemp("acceptance")
    hub = Processes(folder, street)
    try:
        hub.open()
        keys = [hub.command("apikey", "create", "--email", f"{name}@kantoor.example") for name in ("eva", "boris")]
        yield Scene(hub, simplicate, minox, minuba, eaccounting, eboekhouden, street, keys)
    finally:
        hub.close()
        street.close()


@pytest.fixture(scope="session", autouse=True)
def stories(request: pytest.FixtureRequest, scene: Scene) -> list[Future[Story]]:
    """All moods' stories at once, beside the other tests: their organisations share one hub and one worker."""
    if not any("test_moods.py" in item.nodeid for item in request.session.items):
        return []
    pool = ThreadPoolExecutor(len(MOODS))
    return [pool.submit(live, scene, number) for number in range(len(MOODS))]
