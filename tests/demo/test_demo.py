"""The demo as a newcomer starts it: every offered pair, to the cent, once; and a hub that one logs in to."""

import asyncio
import io
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from hub import demo
from hub import sandbox as playground
from hub.config import Config
from hub.demo.combis import PLANS
from hub.engine import recipe as recipes
from hub.kit import embedded
from tests.browser.stage import free_port

NEW = re.compile(r"nieuw geboekt: (\d+)")
PATIENCE_S = 240


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return {**kept, "HUB_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}


def once(folder: Path) -> tuple[int, str]:
    """`deploy/demo --once` on a data folder: its exit code and what it printed."""
    command = [sys.executable, "-m", "hub.cli", "demo", "--once"]
    done = subprocess.run(
        command, env=_environment(folder), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """`deploy/demo`, from the moment that it invites until it is told to stop; gives all that it printed."""
    command = [sys.executable, "-m", "hub.cli", "demo", "--port", str(free_port())]
    with subprocess.Popen(command, env=_environment(folder), stdout=subprocess.PIPE, text=True) as process:
        said = []
        try:
            for line in process.stdout or ():
                said.append(line)
                if "zandbakken" in line:
                    break
            yield "".join(said)
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the demos of this module live, one after the other."""
    with tempfile.TemporaryDirectory(prefix="combihub-") as made:
        Path(made).chmod(0o711)  # as root the embedded PostgreSQL runs as another user
        yield Path(made)


@pytest.fixture(scope="module")
def first(folder: Path) -> str:
    """What the first demo printed."""
    code, said = once(folder)
    assert code == 0, said
    return said


def books(folder: Path, package: str) -> Any:
    """A sandbox's books as the demo left them."""
    return _state(folder / "demo" / "sandbox" / f"{package}.books")["books"]


def _state(path: Path) -> Any:
    return pickle.loads(path.read_bytes())  # noqa: S301 - the demo's own file


def test_every_offered_pair_has_a_plan() -> None:
    assert {plan.recipe for plan in PLANS} == {one.id for one in recipes.all_recipes().values() if one.offered}


@pytest.mark.timeout(300)
def test_the_first_demo_books_every_pair_where_the_packages_have_it(folder: Path, first: str) -> None:
    for title in (
        "Simplicate → Minox Online · verkoopfacturen",
        "Simplicate → Minox Online · betalingen terug",
        "Minuba → Visma eAccounting · verkoopfacturen",
        "Nmbrs → Minox Online · loonjournaalposten",
        "Nmbrs → Minox Online · salarissen aangeboden aan Bizcuit",
        "Nmbrs → e-Boekhouden.nl · loonjournaalposten",
        "Loket.nl → FinMaster · loonjournaalposten",
    ):
        assert title in first
    minox = books(folder, "minox")["tenants"]["41207"]["administrations"]
    assert [len(minox[own]["batches"]) for own in ("3", "4", "5")] == [9, 1, 6]
    assert len(books(folder, "bizcuit")["proposals"]) == 6
    assert len(books(folder, "eboekhouden")["administrations"]["noordtransport"]["mutations"]) == 3
    assert len(books(folder, "finmaster")["administrations"]["GK2026"]["entries"]) == 1 + 10
    assert "Alles staat er precies een keer" in first


@pytest.mark.timeout(300)
def test_a_second_demo_books_nothing(folder: Path, first: str) -> None:
    before = {name: books(folder, name) for name in ("minox", "eaccounting", "eboekhouden", "finmaster", "bizcuit")}
    code, said = once(folder)
    assert code == 0, said
    assert [int(found[1]) for found in (NEW.search(first), NEW.search(said)) if found][1:] == [0]
    assert {name: books(folder, name) for name in before} == before


@pytest.mark.timeout(300)
def test_a_demo_that_stays_lets_one_in_at_my_combis(folder: Path, first: str) -> None:
    with running(folder) as said, httpx.Client(follow_redirects=True, timeout=30) as browser:
        link = re.search(r"http://\S+/login/\S+", said)
        assert link, said
        button = browser.get(link[0])
        page = browser.post(link[0], data={"csrf": re.findall(r'name="csrf" value="([^"]+)"', button.text)[0]})
        assert page.url.path == "/"
        assert len(set(re.findall(r"/combis/([0-9a-f-]{36})/log", page.text))) == len(PLANS)
        assert "gewijzigd" in said
        key = re.search(r"hub_\w+", said)
        assert key
        api = f"{link[0].partition('/login/')[0]}/v1"
        shown = browser.get(f"{api}/combis", headers={"Authorization": f"Bearer {key[0]}"}).json()["data"]
        assert {one["recipe"] for one in shown} == {plan.recipe for plan in PLANS}
    code, said = once(folder)
    assert code == 0, said


@pytest.mark.timeout(300)
def test_a_booking_that_went_missing_is_told(folder: Path, first: str) -> None:
    path = folder / "demo" / "sandbox" / "finmaster.books"
    state = _state(path)
    entries = state["books"]["administrations"]["GK2026"]["entries"]
    gone = next(own for own, one in entries.items() if one["boekstuknummer"] == "2026-0003")
    entries.pop(gone)
    path.write_bytes(pickle.dumps(state))
    code, said = once(folder)
    assert code == 1
    assert "2026-0003: staat niet in finmaster:GK2026" in said


def _config(folder: Path) -> Config:
    return Config(data_dir=folder / "demo")


@pytest.mark.parametrize("form", [None, "another"])
def test_books_of_an_older_release_are_set_aside(tmp_path: Path, form: str | None) -> None:
    kept = tmp_path / "demo" / "sandbox"
    boxes = demo._seeded()
    old = dict(boxes)
    del old["loket"].books["payroll_runs"]
    playground.keep(old, kept, "another")
    if form is None:
        (kept / "form").unlink()
    (tmp_path / "demo" / "postgres").mkdir()
    said = io.StringIO()
    fresh = demo._boxes(Console(file=said, width=200), _config(tmp_path), kept)
    assert "andere uitgave" in said.getvalue()
    assert fresh["loket"].books["payroll_runs"]
    (aside,) = [one for one in tmp_path.iterdir() if one.name != "demo"]
    assert sorted(one.name for one in aside.iterdir()) == ["postgres", "sandbox"]
    assert not kept.exists()


def test_books_of_this_release_come_back(tmp_path: Path) -> None:
    kept = tmp_path / "demo" / "sandbox"
    boxes = demo._seeded()
    boxes["minox"].books["tenants"]["41207"]["name"] = "Bekend"
    playground.keep(boxes, kept, demo._form(boxes))
    back = demo._boxes(Console(file=io.StringIO()), _config(tmp_path), kept)
    assert back["minox"].books["tenants"]["41207"]["name"] == "Bekend"


async def test_a_folder_in_which_a_hub_works_is_left_alone(tmp_path: Path) -> None:
    async with embedded.services(Config(data_dir=tmp_path / "demo")):
        with pytest.raises(demo.DemoFailed, match="stop it first"):
            await asyncio.to_thread(demo._set_aside, _config(tmp_path))
    assert not embedded.in_use(tmp_path / "demo")
