"""Lays out a new connector: the small package `acme` beside this file, under another name, with its first tests."""

import keyword
import re
from pathlib import Path

MODEL = "acme"
_HOME = Path(__file__).parent
_RELATIVE = re.compile(r"^from \.(\w*) import (.*)\n", re.MULTILINE)


def create(name: str, root: Path) -> list[Path]:
    """The files of a connector `name` under `root`, the folder of the connectors, and its tests beside that folder.

    Gives the paths written. Raises ValueError for a name that a package cannot have or that is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*", name) or keyword.iskeyword(name):
        raise ValueError(f"a connector's name is lower-case letters and digits, starting with a letter: {name!r}")
    tests = root.parent / "tests"
    made: dict[Path, Path | None] = {root / name / path.relative_to(_HOME / MODEL): path for path in _model()}
    made[tests / "connectors" / name / "__init__.py"] = None
    made[tests / "connectors" / name / f"test_{name}.py"] = _HOME / "test_acme.py.mako"
    made[tests / "conformance" / f"{name}.py"] = _HOME / "conformance_acme.py.mako"
    if taken := sorted(str(path) for path in [root / name, *made] if path.exists()):
        raise ValueError(f"it exists already: {', '.join(taken)}")
    for path, model in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_renamed(model.read_text(encoding="utf-8"), name) if model else "", encoding="utf-8")
    return list(made)


def _model() -> list[Path]:
    found = (_HOME / MODEL).rglob("*")
    return sorted(path for path in found if path.is_file() and path.suffix in (".py", ".yaml", ".md"))


def _renamed(text: str, name: str) -> str:
    """Under the new name. The relative imports that let the model live here become the house's, before its others."""
    own = "".join(
        f"from connectors.{MODEL}{'.' if module else ''}{module} import {names}\n"
        for module, names in _RELATIVE.findall(text)
    )
    if own:
        text = re.sub(r"\n+(\n(?:from \.[^\n]*\n)+)", "\n", text, count=1)
        text = re.sub(r"^from hub\.", own + "from hub.", text, count=1, flags=re.MULTILINE)
    return text.replace(MODEL, name).replace(MODEL.capitalize(), name.capitalize())
