"""The catalogue over HTTP: packages and pairs."""

from fastapi import APIRouter

from hub.catalogue import service
from hub.catalogue.path import unknown
from hub.catalogue.schemas import ConnectorList, ConnectorOut, RecipeDetail, RecipeList
from hub.engine import recipe as recipes
from hub.engine import registry
from hub.organisations.access import HubRoute, Reader

router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=HubRoute)


@router.get("/connectors", operation_id="list_connectors")
async def list_connectors(caller: Reader) -> ConnectorList:
    """All packages that can be connected."""
    return ConnectorList(data=service.connectors(caller.language))


@router.get("/connectors/{name}", operation_id="get_connector")
async def get_connector(name: str, caller: Reader) -> ConnectorOut:
    """One package: how one gets in, what it reads and writes, what can be chosen."""
    try:
        return service.connector(registry.get(name), caller.language)
    except KeyError:
        raise unknown("connector") from None


@router.get("/recipes", operation_id="list_recipes")
async def list_recipes(caller: Reader) -> RecipeList:  # noqa: ARG001 - only who may read sees it
    """The offered pairs first, then every other possible pair."""
    return RecipeList(data=service.recipe_list())


@router.get("/recipes/{recipe_id}", operation_id="get_recipe")
async def get_recipe(recipe_id: str, caller: Reader) -> RecipeDetail:
    """One pair with all its settings and the order of the questions."""
    try:
        return service.recipe(recipes.get(recipe_id), caller.language)
    except KeyError:
        raise unknown("recipe") from None
