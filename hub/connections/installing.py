"""Installations: a source and a target linked in one browser, for a customer whom we may not know yet."""

from datetime import timedelta
from uuid import UUID

from fastapi import Request
from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import RedirectResponse, Response

from hub.combis.service import create_draft
from hub.connections import connecting, oauth, recognition, repository, vault
from hub.connections.clients import ConnectionClients
from hub.connections.connecting import Wanted
from hub.connections.models import Connection, ConnectionStatus, Installation, InstallLink
from hub.connections.oauth import Refused
from hub.engine import recipe as recipes
from hub.engine.hub import Hub
from hub.engine.models import Combi, CombiStatus
from hub.kit.ids import new_id
from hub.organisations import browser as browsers
from hub.organisations import repository as accounts
from hub.organisations import service as organisations
from hub.organisations.access import language_of
from hub.organisations.models import Organisation, Role

LIFE = timedelta(days=1)


async def standing(hub: Hub, browser: str, source: str, target: str) -> Installation | None:
    """What this browser has begun of a pair and not finished."""
    async with hub.database.system() as session:
        found = await repository.installation(session, browser, source, target)
        if found is None or found.expires_at <= hub.clock.now():
            return None
        combi = await session.get(Combi, found.combi_id) if found.combi_id else None
    return found if combi is None or (combi.status == CombiStatus.draft and combi.deleted_at is None) else None


async def begin(
    hub: Hub, request: Request, browser: str, source: str, target: str, email: str, partner: str
) -> Installation:
    """Begin the installation of a pair in a browser; in the organisation that is logged in, or in a provisional one."""
    now = hub.clock.now()
    visitor = await browsers.logged_in(hub, request)
    async with hub.database.system() as session:
        link = await session.get(InstallLink, link_id_of(partner)) if link_id_of(partner) else None
        if link is not None and (link.source, link.target) != (source, target):
            link = None
        if visitor is not None and visitor.role != Role.reader:
            organisation_id = visitor.organisation_id
        else:
            organisation = Organisation(
                id=new_id(hub.clock),
                name="",
                provisional=True,
                partner=str(link.id) if link else "",
                created_at=now,
            )
            session.add(organisation)
            organisation_id = organisation.id
        installation = Installation(
            id=new_id(hub.clock),
            browser=browser,
            source=source,
            target=target,
            email=email[:254],
            install_link_id=link.id if link else None,
            owner_organisation_id=organisation_id,
            language=language_of(request),
            created_at=now,
            expires_at=now + LIFE,
        )
        session.add(installation)
    return installation


async def connect(hub: Hub, clients: ConnectionClients, installation: Installation, side: str, asked: Wanted) -> str:
    """Start a side's connection: gives the consent page, or nothing when keys do. Raises Problem, ConfigError."""
    assert installation.owner_organisation_id is not None  # noqa: S101 - `begin` sets it
    organisation_id = installation.owner_organisation_id
    identity = None
    if asked.auth.typed:
        identity = await connecting.tried(clients, asked, f"{organisation_id}/{side}", installation.language)
    url = ""
    async with hub.database.system() as session:
        if identity is not None:
            connection = await connecting.keep_key(session, clients, organisation_id, asked, identity)
        else:
            connection = await connecting.start(session, clients, organisation_id, asked, "")
            url = oauth.begin(clients, session, connection, installation.browser, installation.id)
        row = await session.get_one(Installation, installation.id)
        row.notice = None
        standing = await _side(session, row, side)
        # An account that is linked stays until there is consent for another.
        if identity is not None or standing is None or standing.status != ConnectionStatus.active:
            setattr(row, f"{side}_connection_id", connection.id)
    return url


async def sides(hub: Hub, installation: Installation) -> tuple[Connection | None, Connection | None]:
    """The connections of both sides, as far as there are any."""
    async with hub.database.system() as session:
        return await _sides(session, installation)


async def consented(
    hub: Hub, request: Request, installation_id: UUID, connection: tuple[str, UUID] | None = None
) -> Response:
    """After a side was connected: know whose it is, make the combi when both are there, and go on with the page.

    `connection` is the package and the id of what was consented to.
    """
    async with hub.database.system() as session:
        installation = await _locked(session, installation_id)
        if connection is not None:
            side = "source" if connection[0] == installation.source else "target"
            setattr(installation, f"{side}_connection_id", connection[1])
    response = RedirectResponse(f"/install/{installation.source}/{installation.target}", 303)
    user_id = await claim(hub, installation)
    if user_id is not None and installation.owner_organisation_id is not None:
        await browsers.log_in(hub, request, response, user_id, installation.owner_organisation_id)
    await complete(hub, installation.id)
    return response


async def refused(hub: Hub, installation_id: UUID, refusal: Refused) -> Response:
    """After a consent that came to nothing: back to the page, which says why."""
    async with hub.database.system() as session:
        row = await _locked(session, installation_id)
        row.notice = {"key": refusal.sentence, "values": {"words": "", **refusal.values}}
    return RedirectResponse(f"/install/{row.source}/{row.target}", 303, {"Cache-Control": "no-store"})


async def claim(hub: Hub, installation: Installation) -> UUID | None:
    """Make the account that the source's e-mail address names. Gives its new user; None when there is nothing to make.

    An account that exists already is never entered on a package's word: its owner gets a login link by mail.
    """
    async with hub.database.system() as session:
        row = await _locked(session, installation.id)
        organisation = await session.get_one(Organisation, row.owner_organisation_id)
        source, _ = await _sides(session, row)
        if not organisation.provisional or source is None or source.status != ConnectionStatus.active:
            return None
        email = organisations.email_of(str(source.identity.get("email", "")))
        if email is None or row.claim_email == email:
            return None
        created = await _created_user(session, hub, email, row.language)
        if created is not None:
            await _settle(session, hub, organisation, source, created, email)
            return created
        row.claim_email = email
    await organisations.ask_login(
        hub.database,
        hub.clock,
        hub.mailer,
        hub.config,
        email,
        installation.language,
        next_page=f"/install/{installation.source}/{installation.target}",
        installation_id=installation.id,
    )
    return None


async def adopt(
    hub: Hub, installation_id: UUID, browser: str | None, user_id: UUID, into: UUID | None = None
) -> UUID | None:
    """Add an unclaimed installation to the account of somebody who logged in, in the browser that began it.

    Gives the organisation that has it now; None when it is not theirs to take (another browser, claimed already).
    """
    async with hub.database.system() as session:
        row = await _locked(session, installation_id)
        if browser is None or row.browser != browser or row.owner_organisation_id is None:
            return None
        provisional = await session.get_one(Organisation, row.owner_organisation_id)
        if not provisional.provisional:
            return None
        places = await accounts.memberships_of(session, user_id)
        places = [place for place in places if place.role != Role.reader]
        if not places:
            provisional.provisional = False
            source, _ = await _sides(session, row)
            provisional.name = str(source.identity.get("name", "")) if source else ""
            organisations.join(session, hub.clock, provisional.id, user_id, Role.owner)
            return provisional.id
        home = next((place.organisation_id for place in places if place.organisation_id == into), None)
        home = home or places[0].organisation_id
        for connection in await _sides(session, row):
            if connection is not None:
                await _move(session, hub, connection, home)
        row.owner_organisation_id = home
        organisations.audit(session, hub.clock, home, "installation.adopted", row.id, user_id=user_id)
    return home


async def complete(hub: Hub, installation_id: UUID) -> UUID | None:
    """Make the draft combi once both sides are connected and the customer is known; gives it.

    A draft that stands follows the accounts that were linked last.
    """
    async with hub.database.system() as session:
        row = await _locked(session, installation_id)
        organisation = await session.get_one(Organisation, row.owner_organisation_id)
        source, target = await _sides(session, row)
        if organisation.provisional or source is None or target is None:
            return row.combi_id
        if {source.status, target.status} != {ConnectionStatus.active}:
            return row.combi_id
        if row.combi_id is not None:
            await _relink(session, row.combi_id, source, target)
            return row.combi_id
        recipe = recipe_of(row.source, row.target)
        async with hub.database.tenant(organisation.id) as tenant:
            combi = await create_draft(tenant, hub, organisation.id, recipe, source.id, target.id)
        row.combi_id = combi.id
        organisations.audit(session, hub.clock, organisation.id, "combi.installed", combi.id)
    return row.combi_id


async def return_of(hub: Hub, combi_id: UUID) -> str:
    """The partner's page to go back to after installing a combi; empty when it came by no partner's link."""
    async with hub.database.system() as session:
        row = (await session.exec(select(Installation).where(Installation.combi_id == combi_id))).first()
        link = await session.get(InstallLink, row.install_link_id) if row and row.install_link_id else None
    return link.return_url if link is not None else ""


def recipe_of(source: str, target: str) -> str:
    """The id of a pair's recipe. Raises KeyError when nothing can flow between the two."""
    for recipe in recipes.all_recipes().values():
        if (recipe.source, recipe.target) == (source, target):
            return recipe.id
    raise KeyError(f"{source}-{target}")


async def sweep(hub: Hub) -> None:
    """Remove attempts and installations that came to nothing, with their provisional organisations and secrets."""
    old = hub.clock.now() - LIFE
    async with hub.database.system() as session:
        for statement in (
            "DELETE FROM oauthattempt WHERE expires_at < :old",
            """DELETE FROM connection WHERE organisation_id IN
                (SELECT id FROM organisation WHERE provisional AND created_at < :older)""",
            "DELETE FROM installation WHERE expires_at < :old",
            "DELETE FROM organisation WHERE provisional AND created_at < :older",
        ):
            await session.execute(text(statement), {"old": old, "older": old - LIFE})


async def _relink(session: AsyncSession, combi_id: UUID, source: Connection, target: Connection) -> None:
    """Give a draft the accounts of both sides; answers about another company are asked anew."""
    combi = await session.get_one(Combi, combi_id, with_for_update=True)
    if combi.status != CombiStatus.draft:
        return
    for side, connection in (("source", source), ("target", target)):
        present = await repository.get(session, getattr(combi, f"{side}_connection_id"))
        if present is not None and present.tenant != connection.tenant:
            combi.settings, combi.answered = {}, []
        setattr(combi, f"{side}_connection_id", connection.id)


async def _side(session: AsyncSession, row: Installation, side: str) -> Connection | None:
    source, target = await _sides(session, row)
    return source if side == "source" else target


async def _locked(session: AsyncSession, installation_id: UUID) -> Installation:
    return await session.get_one(Installation, installation_id, with_for_update=True, populate_existing=True)


async def _sides(session: AsyncSession, row: Installation) -> tuple[Connection | None, Connection | None]:
    found = [
        await repository.get(session, one) if one else None
        for one in (row.source_connection_id, row.target_connection_id)
    ]
    return found[0], found[1]


async def _created_user(session: AsyncSession, hub: Hub, email: str, language: str) -> UUID | None:
    if await accounts.user_by_email(session, email) is not None:
        return None
    return (await organisations.user_for(session, hub.clock, email, language)).id


async def _settle(
    session: AsyncSession, hub: Hub, organisation: Organisation, source: Connection, user_id: UUID, email: str
) -> None:
    organisation.provisional = False
    organisation.name = str(source.identity.get("name") or email)[:200]
    organisations.join(session, hub.clock, organisation.id, user_id, Role.owner)
    organisations.audit(session, hub.clock, organisation.id, "organisation.created", organisation.id, user_id=user_id)


async def _move(session: AsyncSession, hub: Hub, connection: Connection, home: UUID) -> None:
    """Give a connection to another organisation, its secrets sealed anew for it."""
    secrets = vault.opened(hub.keys, connection)
    connection.organisation_id = home
    if not secrets:
        return
    who = recognition.stored(connection)
    twin = await recognition.recognised(session, home, connection.connector, connection.auth, who, connection.id)
    if twin is None or twin.status == ConnectionStatus.revoked:
        connection.tenant = "" if twin is not None else connection.tenant
        recognition.take(connection, connection.auth, who, twin)
        vault.lock_up(hub.keys, connection, secrets)
        return
    # The same company is connected there already: the newest grant counts, under the connection that stands.
    recognition.take(twin, connection.auth, who)
    twin.fields = connection.fields
    twin.status, twin.reason = ConnectionStatus.active, None
    twin.issued_at, twin.expires_at = connection.issued_at, connection.expires_at
    vault.lock_up(hub.keys, twin, secrets)
    connection.same_as = twin.id
    connection.secrets = None


def link_id_of(written: str) -> UUID | None:
    """The id that an address names; None when it is none."""
    try:
        return UUID(written)
    except ValueError:
        return None
