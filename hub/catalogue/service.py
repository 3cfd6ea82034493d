"""The catalogue: what can be connected and paired, read from the manifests and recipes."""

from collections.abc import Mapping
from typing import Any

from hub.catalogue.schemas import (
    AuthOut,
    ConnectFieldOut,
    ConnectorOut,
    QuestionOut,
    RecipeDetail,
    RecipeOut,
    Role,
    TargetFlowOut,
)
from hub.engine import recipe as recipes
from hub.engine import registry
from hub.engine import settings as combi_settings
from hub.engine.recipe import Recipe
from hub.kit import text
from hub.sdk.connector import Connector
from hub.sdk.manifest import Auth, ConnectField


def title(name: str) -> str:
    """The name of a package for people; the name itself when it is no longer in the catalogue."""
    try:
        return registry.get(name).manifest.title
    except KeyError:
        return name


def connectors(language: str) -> list[ConnectorOut]:
    """Every package, by name."""
    return [connector(one, language) for _, one in sorted(registry.all_connectors().items())]


def connector(one: Connector, language: str) -> ConnectorOut:
    """One package as the API shows it."""
    manifest = one.manifest
    roles: list[Role] = []
    if set(one.sources) - {"payments"}:
        roles.append("source")
    if set(one.targets) - {"payments"}:
        roles.append("target")
    return ConnectorOut(
        name=manifest.name,
        title=manifest.title,
        docs=manifest.docs,
        roles=roles,
        sources=sorted(one.sources),
        settlements=sorted(one.settlements),
        targets=[
            TargetFlowOut(flow=flow, dedupe=facts.dedupe, on_change=facts.on_change)
            for flow, facts in sorted(manifest.targets.items())
        ],
        auth=[_auth(manifest.name, way, language) for way in manifest.auth],
        settings_schema=marked(one.settings.model_json_schema()),
    )


def recipe_list() -> list[RecipeOut]:
    """The offered pairs first, then every other possible one."""
    found = sorted(recipes.all_recipes().values(), key=lambda one: (not one.offered, one.id))
    return [RecipeOut(**_facts(one)) for one in found]


def recipe(one: Recipe, language: str) -> RecipeDetail:
    """One pair with its settings, as the API shows it."""
    model = combi_settings.model_of(one)
    return RecipeDetail(
        **_facts(one),
        settings=combi_settings.parse(one, {}).model_dump(mode="json"),
        settings_schema=marked(model.model_json_schema()),
        questions=[
            question(one, field, language)
            for field in recipes.questions(one, model.model_fields)
            if field in model.model_fields
        ],
    )


def question(one: Recipe, field: str, language: str) -> QuestionOut:
    """A settings field as a question; the connectors' own words go before the engine's."""
    places = [f"settings.{place}.{field}" for place in (one.target, one.source)] + [f"settings.{field}"]
    key = next((place for place in places if text.known(place)), "")
    aid = f"{key}.help"
    return QuestionOut(
        field=field,
        label=text.sentence(key, language) if key else field.replace("_", " "),
        help=text.sentence(aid, language) if key and text.known(aid) else "",
    )


def marked(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema whose live lists are marked with `x-choice` and `x-depends-on`."""
    properties = {}
    for name, facts in schema.get("properties", {}).items():
        plain = {key: value for key, value in facts.items() if key not in ("choice", "depends_on")}
        if "choice" in facts:
            plain["x-choice"] = facts["choice"]
            if facts.get("depends_on"):
                plain["x-depends-on"] = facts["depends_on"]
        properties[name] = plain
    return {**schema, "properties": properties}


def _facts(one: Recipe) -> dict[str, Any]:
    return {
        "id": one.id,
        "source": one.source,
        "target": one.target,
        "title": f"{title(one.source)} → {title(one.target)}",
        "offered": one.offered,
        "flows": list(one.flows),
        "schedule": one.schedule.value,
    }


def _auth(name: str, way: Auth, language: str) -> AuthOut:
    return AuthOut(kind=way.kind, fields=[_field(name, field, language) for field in way.fields])


def _field(name: str, field: ConnectField, language: str) -> ConnectFieldOut:
    key = f"connect.{name}.{field.name}"
    label = text.sentence(key, language) if text.known(key) else field.name.replace("_", " ")
    return ConnectFieldOut(
        name=field.name,
        label=label,
        pattern=field.pattern,
        secret=field.secret,
        optional=field.optional,
        example=field.example,
    )
