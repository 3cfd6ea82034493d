"""The lock file: complete, hashed, and free of addresses."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LOCK = (PROJECT / "requirements.lock").read_text()


def test_every_package_the_project_names_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    named = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", LOCK, flags=re.MULTILINE))
    assert {re.split(r"[\[<>=~! ;]", name)[0].lower().replace("_", "-") for name in named} <= locked


def test_every_locked_package_has_hashes() -> None:
    entries = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_host_and_no_path() -> None:
    assert re.findall(r"://|--(?:index|extra-index|find-links|trusted)\S*|@ \S+", LOCK) == []
