"""The catalogue: the packages, the pairs that are offered, and a page for every pair."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hub.catalogue import service as catalogue
from hub.engine import recipe as recipes
from hub.engine import registry
from hub.engine.hub import hub_of
from hub.engine.recipe import Recipe
from hub.kit import text
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.organisations.access import language_of
from hub.web import packages

router = APIRouter(include_in_schema=False)


@router.get("/catalogue")
async def overview(request: Request) -> Response:
    """Every pair, the offered ones first, and every package."""
    await browsers.logged_in(hub_of(request), request)
    language = language_of(request)
    found = [_pair(one, language) for one in recipes.all_recipes().values()]
    return html.page(
        request,
        "catalogue.html",
        place="catalogue",
        offered=[one for one in found if one["offered"]],
        possible=[one for one in found if not one["offered"]],
        packages=[_package(name, language) for name in sorted(registry.all_connectors())],
    )


@router.get("/catalogue/{recipe_id}")
async def pair(recipe_id: str, request: Request) -> Response:
    """One pair: what flows, what to prepare in each package, and the way to install it."""
    await browsers.logged_in(hub_of(request), request)
    recipe = recipes.all_recipes().get(recipe_id)
    if recipe is None:
        return html.message(request, 404, "web.no_such_pair")
    language = language_of(request)
    sides = [_package(name, language) for name in (recipe.source, recipe.target)]
    return html.page(request, "pair.html", place="catalogue", pair=_pair(recipe, language), sides=sides)


def _pair(recipe: Recipe, language: str) -> dict[str, Any]:
    titles = {"source": catalogue.title(recipe.source), "target": catalogue.title(recipe.target)}
    flows = [text.sentence(f"catalogue.flow.{flow}.name", language) for flow in recipe.flows]
    return {
        **titles,
        "id": recipe.id,
        "offered": recipe.offered,
        "path": f"/catalogue/{recipe.id}",
        "install": f"/install/{recipe.source}/{recipe.target}",
        "summary": text.written(flows, language),
        "flows": [
            {
                "back": recipe.direction(flow) == "back",
                "name": text.sentence(f"catalogue.flow.{flow}.short", language, titles),
                "words": text.sentence(f"catalogue.flow.{flow}.words", language, titles),
            }
            for flow in recipe.flows
        ],
        "schedule": text.sentence(f"catalogue.schedule.{recipe.schedule}", language),
    }


def _package(name: str, language: str) -> dict[str, Any]:
    manifest = registry.get(name).manifest
    key = f"package.{name}"
    return {
        "name": name,
        "title": manifest.title,
        "about": text.sentence(key, language) if text.known(key) else "",
        "docs": manifest.docs,
        "ways": [auth.kind for auth in manifest.auth],
        "hints": packages.hints(name, language),
    }
