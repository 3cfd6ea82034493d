"""Another account for one side of a combi: chosen or connected, and asked whether it is the same administration."""

from collections.abc import Mapping
from typing import Any, Literal, cast
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from hub.catalogue.path import PathId, unknown
from hub.combis import service
from hub.combis.schemas import CombiPatch
from hub.connections import connecting, oauth, repository
from hub.connections.clients import ConnectionClients
from hub.connections.models import Connection, ConnectionStatus
from hub.engine import recipe as recipes
from hub.engine import registry
from hub.engine.models import Combi
from hub.kit.problem import Problem
from hub.organisations import browser as browsers
from hub.organisations import html
from hub.runs.service import combi_of
from hub.web import packages
from hub.web.pages.combis import combi_facts
from hub.web.pages.forms import way_facts
from hub.web.pages.visit import Acting, PageRoute, Sent, Visit, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Side = Literal["source", "target", "side"]
"""`side`: the third connection, to which salaries are offered."""
MOST = 200
"""How many accounts of a package are offered."""


@router.get("/combis/{combi_id}/relink/{side}")
async def relink(combi_id: PathId, side: Side, visit: Visiting) -> Response:
    """The accounts to choose from; with `connection_id` the question about that one."""
    if not visit.may_act:
        raise unknown("address")
    return await _page(visit, combi_id, side, visit.request.query_params.get("connection_id", ""))


@router.post("/combis/{combi_id}/relink/{side}")
async def choose(combi_id: PathId, side: Side, sent: Acting) -> Response:
    """Use another account, once somebody said that it is the same administration or the package says so itself."""
    chosen = _id(sent.form.get("connection_id", ""))
    if sent.form.get("same") == "no":
        return await _page(sent, combi_id, side, str(chosen), other=True)
    patch = {f"{side}_connection_id": chosen, "confirm_other_administration": sent.form.get("same") == "yes"}
    try:
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            combi = await combi_of(session, combi_id, lock=True)
            _package(combi, side)
            await service.change(session, sent.hub, combi, CombiPatch(**patch))
            sent.note(session, "combi.relinked", combi_id, side=side)
    except Problem as problem:
        if any(error["code"] == "other_administration" for error in problem.errors):
            return await _page(sent, combi_id, side, str(chosen), status=422)
        raise
    return go(f"/combis/{combi_id}/edit", "relinked")


@router.post("/combis/{combi_id}/relink/{side}/connect")
async def connect(combi_id: PathId, side: Side, sent: Acting) -> Response:
    """Connect an account that is not here yet, and come back to the question."""
    clients = cast(ConnectionClients, sent.hub.clients)
    organisation = sent.account.organisation_id
    given = {name.removeprefix("fields."): value for name, value in sent.form.items() if name.startswith("fields.")}
    async with sent.hub.database.tenant(organisation) as session:
        name = _package(await combi_of(session, combi_id), side)
    back = f"/combis/{combi_id}/relink/{side}"
    try:
        asked = connecting.wanted(name, sent.form.get("auth"), given)
        if asked.auth.kind != "oauth":
            identity = await connecting.tried(clients, asked, f"relink/{combi_id}/{side}", sent.language)
            async with sent.hub.database.tenant(organisation) as session:
                kept = await connecting.keep_key(session, clients, organisation, asked, identity)
            return go(f"{back}?connection_id={kept.id}")
    except Problem as problem:
        return await _page(sent, combi_id, side, "", problem=problem, given=sent.form, status=problem.status)
    secret = browsers.binding(sent.hub, sent.request) or html.new_secret()
    async with sent.hub.database.tenant(organisation) as session:
        begun = await connecting.start(session, clients, organisation, asked, sent.hub.config.base_url + back)
        url = oauth.begin(clients, session, begun, browsers.hashed(secret), None)
    response = sent.page("leave.html", url=url, package=asked.connector.manifest.title)
    browsers.bind(sent.hub, response, secret)
    return response


@router.post("/combis/{combi_id}/relink/side/remove")
async def remove(combi_id: PathId, sent: Acting) -> Response:
    """Offer no salaries any more; the connection itself stays."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        combi = await combi_of(session, combi_id, lock=True)
        await service.change(session, sent.hub, combi, CombiPatch(side_connection_id=None))
        sent.note(session, "combi.side_removed", combi_id)
    return go(f"/combis/{combi_id}/edit", "saved")


def _package(combi: Combi, side: Side) -> str:
    """The package that a side connects to. Raises the 404 problem for a third connection where there can be none."""
    recipe = service.recipe_of(combi)
    if side != "side":
        return recipe.source if side == "source" else recipe.target
    packages = recipes.sides(recipe)
    if not packages:
        raise unknown("address")
    return packages[0].manifest.name


async def _page(
    visit: Visit | Sent,
    combi_id: UUID,
    side: Side,
    chosen: str,
    *,
    other: bool = False,
    problem: Problem | None = None,
    given: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    async with visit.hub.database.tenant(visit.account.organisation_id) as session:
        shown = await combi_facts(session, combi_id, visit.language)
        combi = await combi_of(session, combi_id)
        now = getattr(combi, f"{side}_connection_id")
        present = await repository.holder(session, now) if now else None
        every = await repository.page(session, None, MOST)
        wanted = await repository.holder(session, _id(chosen)) if chosen else None
    name = _package(combi, side)
    title = registry.get(name).manifest.title
    if chosen and (wanted is None or wanted.connector != name):
        raise unknown("connection")
    return visit.page(
        "relink.html",
        status,
        place="combis",
        combi=shown,
        tab="edit",
        side=side,
        connector=name,
        package=title,
        present=_facts(present),
        choices=[_facts(one) for one in every if _may_be_chosen(one, name, present)],
        chosen=_facts(wanted),
        same=wanted is not None and (present is None or wanted.tenant == present.tenant),
        consented=wanted is not None and wanted.status == ConnectionStatus.active,
        other=other,
        ways=[way_facts(auth) for auth in registry.get(name).manifest.auth],
        problem=packages.refusal(problem, title, visit.language) if problem else "",
        wrong=packages.wrong_fields(problem, title, visit.language) if problem else {},
        given=dict(given or {}),
    )


def _may_be_chosen(one: Connection, connector: str, present: Connection | None) -> bool:
    return (
        one.connector == connector
        and one.status == ConnectionStatus.active
        and (present is None or one.id != present.id)
    )


def _facts(connection: Connection | None) -> dict[str, Any]:
    if connection is None:
        return {}
    identity = connection.identity
    return {
        "id": connection.id,
        "name": identity.get("name") or identity.get("email") or connection.tenant,
        "email": identity.get("email", ""),
        "tenant": connection.tenant,
        "status": str(connection.status),
    }


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise unknown("connection") from None
