"""Which documents flow between which packages: the offered pairs as data, every other possible pair by itself."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from hub.engine import registry
from hub.engine.schedule import Schedule
from hub.sdk.connector import Connector

SALARIES = "salaries"
FLOWS = ("customers", "invoices", "journals", SALARIES, "payments")
"""In the order in which a run does them: a debtor before its invoice, a payment after it."""


_DIRECTIONS: Mapping[str, Literal["back", "aside"]] = {"payments": "back", SALARIES: "aside"}


class Recipe(BaseModel):
    """One pair. `settings` are the defaults that differ from the engine's and the connectors' own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    source: str
    target: str
    flows: tuple[str, ...]
    schedule: Schedule = Schedule.every_15_minutes
    settings: Mapping[str, Any] = {}
    questions: tuple[str, ...] = ()
    offered: bool = True

    def direction(self, flow: str) -> Literal["forth", "back", "aside"]:
        """Payments flow from the target back to the source, salaries to the third connection, everything else forth."""
        return _DIRECTIONS.get(flow, "forth")


def own_link(recipe: Recipe) -> tuple[Connector, Connector] | None:
    """(the package that has it, the other one) when one of a pair has a link of its own with the other."""
    source, target = registry.get(recipe.source), registry.get(recipe.target)
    for one, other in ((source, target), (target, source)):
        if other.manifest.name in one.manifest.own_links:
            return one, other
    return None


def sides(recipe: Recipe) -> tuple[Connector, ...]:
    """The packages that a combi of this pair may have as its third connection: those that salaries are offered to."""
    if "journals" not in recipe.flows or not registry.get(recipe.source).manifest.salaries:
        return ()
    return tuple(one for one in registry.all_connectors().values() if SALARIES in one.targets)


def questions(recipe: Recipe, known: Iterable[str]) -> list[str]:
    """The settings that an installation asks, in order: those the recipe names, else all that are known. Whether the
    packages' own link with each other is off is asked where there is such a link, and only there."""
    linked = own_link(recipe) is not None
    asked = [field for field in recipe.questions or known if linked or field != "own_link_off"]
    return [*asked, "own_link_off"] if linked and "own_link_off" not in asked else asked


def possible_flows(source: Connector, target: Connector) -> tuple[str, ...]:
    """What these two packages can exchange, in run order."""
    forth = [flow for flow in source.sources if flow in target.targets]
    back = ["payments"] if "payments" in source.targets and set(target.settlements) & set(forth) else []
    return tuple(flow for flow in FLOWS if flow in (*forth, *back))


@cache
def _offered() -> Mapping[str, Recipe]:
    folder = Path(__file__).parent.parent / "recipes"
    recipes = [Recipe.model_validate(yaml.safe_load(path.read_text())) for path in sorted(folder.glob("*.yaml"))]
    return {recipe.id: recipe for recipe in recipes}


def all_recipes() -> Mapping[str, Recipe]:
    """The offered pairs first, then every other pair of which a document can flow."""
    known = registry.all_connectors()
    found = {name: one for name, one in _offered().items() if one.source in known and one.target in known}
    for source in known.values():
        for target in known.values():
            name = f"{source.manifest.name}-{target.manifest.name}"
            flows = possible_flows(source, target)
            if name not in found and source is not target and set(flows) - {"customers"}:
                schedule = Schedule.nightly if "journals" in flows else Schedule.every_15_minutes
                found[name] = Recipe(
                    id=name,
                    source=source.manifest.name,
                    target=target.manifest.name,
                    flows=flows,
                    schedule=schedule,
                    offered=False,
                )
    return found


def get(name: str) -> Recipe:
    """The recipe of this id. Raises KeyError."""
    offered, known = _offered().get(name), registry.all_connectors()
    if offered is not None and offered.source in known and offered.target in known:
        return offered
    return all_recipes()[name]
