"""The account: who one is and where one is logged in, colleagues, API keys, and who did what."""

import re
from datetime import datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from hub.catalogue.path import PathId, unknown
from hub.engine.hub import hub_of
from hub.kit.clock import AMSTERDAM
from hub.kit.text import LANGUAGES, sentence
from hub.organisations import browser as browsers
from hub.organisations import repository, service
from hub.organisations.access import SCOPES
from hub.organisations.models import ApiKey, Membership, Organisation, Role, User
from hub.web.pages.forms import BadForm, read_form
from hub.web.pages.visit import Managing, NobodyHere, PageRoute, Sent, Visit, Visiting, go

router = APIRouter(include_in_schema=False, route_class=PageRoute)

NOBODY = UUID(int=0)
MOST = 100
"""How many lines a page shows."""
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


async def _own(request: Request) -> Sent:
    """A form about oneself: readers send it too."""
    hub = hub_of(request)
    if await browsers.logged_in(hub, request) is None:
        raise NobodyHere
    form, account = await read_form(hub, request)
    if account is None:
        raise BadForm
    return Sent(hub, request, account, account.language, form)


Own = Annotated[Sent, Depends(_own)]


@router.get("/account")
async def profile(visit: Visiting) -> Response:
    """Who one is, in which language and organisation, and where one is logged in."""
    hub, account = visit.hub, visit.account
    async with hub.database.system() as session:
        sessions = await repository.sessions_of(session, account.user_id, hub.clock.now())
        places = await repository.organisations_of(session, account.user_id)
    here = next((name for own, name, _ in places if own == account.organisation_id), "")
    return visit.page(
        "account_profile.html",
        place="account",
        tab="profile",
        here=here,
        places=[{"id": own, "name": name, "role": role} for own, name, role in places],
        sessions=[
            {"id": one.id, "browser": _browser(one.agent), "current": one.id == account.id, "row": one}
            for one in sessions
        ],
    )


@router.post("/account/language")
async def speak(sent: Own) -> Response:
    """Choose the language of screens and mails."""
    language = sent.form.get("language", "")
    if language not in LANGUAGES:
        raise BadForm
    async with sent.hub.database.system() as session:
        user = await session.get_one(User, sent.account.user_id)
        user.language = language
    response = go("/account", "account_language")
    browsers.speak(sent.hub, response, language)
    return response


@router.post("/account/sessions/end")
async def end_session(sent: Own) -> Response:
    """Log one of one's browsers out, or all but this one."""
    wanted, now = sent.form.get("session", ""), sent.hub.clock.now()
    async with sent.hub.database.system() as session:
        own = {one.id for one in await repository.sessions_of(session, sent.account.user_id, now)}
        if wanted == "others":
            await repository.revoke_other_sessions(session, sent.account.user_id, sent.account.id, now)
            return go("/account", "account_sessions_ended")
        if wanted not in own:
            raise unknown("session")
        await repository.revoke_session(session, wanted, now)
    return go("/account", "account_session_ended")


@router.post("/account/organisation")
async def switch(sent: Own) -> Response:
    """Work in another organisation of one's own."""
    wanted = _id(sent.form.get("organisation", ""))
    async with sent.hub.database.system() as session:
        if wanted not in {own for own, _, _ in await repository.organisations_of(session, sent.account.user_id)}:
            raise unknown("organisation")
        await repository.enter(session, sent.account.id, wanted)
    return RedirectResponse("/", 303)


@router.get("/account/members")
async def members(visit: Visiting) -> Response:
    """The colleagues."""
    return await _members_page(visit)


async def _members_page(visit: Visit, status: int = 200, **facts: Any) -> Response:
    async with visit.hub.database.system() as session:
        rows = await repository.members(session, visit.account.organisation_id, None, MOST)
        organisation = await session.get_one(Organisation, visit.account.organisation_id)
    given = {"wrong": "", "email": "", "problem": "", **facts}
    return visit.page(
        "account_members.html", status, place="account", tab="members", rows=rows, here=organisation.name,
        roles=[one.value for one in Role], **given,
    )  # fmt: skip


@router.post("/account/members")
async def invite(sent: Managing) -> Response:
    """Invite a colleague."""
    hub, account = sent.hub, sent.account
    email, role = service.email_of(sent.form.get("email", "")), _role(sent.form.get("role", ""))
    if email is None:
        wrong = sentence("account.wrong.not_an_address", sent.language)
        return await _members_page(sent, 422, wrong=wrong, email=sent.form.get("email", "")[:254])
    membership, _, new = await service.invite(
        hub.database, hub.clock, hub.mailer, hub.config, account.organisation_id, email, role
    )
    if new:
        await _note(sent, "member.invited", membership.id, role=role.value)
    return go("/account/members", "account_invited" if new else "account_member_stands")


@router.post("/account/members/{member_id}")
async def change_member(member_id: PathId, sent: Managing) -> Response:
    """Give a colleague another role, or take the place away."""
    away = sent.form.get("remove") == "yes"
    role = _role(sent.form.get("role", "")) if not away else Role.reader
    try:
        async with sent.hub.database.tenant(sent.account.organisation_id) as session:
            membership = await service.member_leaving(
                session, sent.account.organisation_id, member_id, stays_owner=role == Role.owner
            )
            if membership is None:
                raise unknown("member")
            await _change(session, membership, role, away=away)
    except service.LastOwner:
        return await _members_page(sent, 409, problem=sentence("account.wrong.last_owner", sent.language))
    if away:
        await _note(sent, "member.removed", member_id)
        return go("/account/members", "account_member_removed")
    await _note(sent, "member.changed", member_id, role=role.value)
    return go("/account/members", "account_member_changed")


async def _change(session: Any, membership: Membership, role: Role, *, away: bool) -> None:
    if away:
        await session.delete(membership)
    else:
        membership.role = role


@router.get("/account/keys")
async def keys(visit: Visiting) -> Response:
    """The API keys."""
    return await _keys_page(visit)


async def _keys_page(visit: Visit, status: int = 200, **facts: Any) -> Response:
    rows: Any = []
    if visit.may_manage:
        async with visit.hub.database.tenant(visit.account.organisation_id) as session:
            rows = await repository.api_keys(session, None, MOST)
    given = {"wrong": {}, "form": {}, "secret": "", "made": "", **facts}
    return visit.page("account_keys.html", status, place="account", tab="keys", rows=rows, scopes=SCOPES, **given)


@router.post("/account/keys")
async def make_key(sent: Managing) -> Response:
    """Make a key. Its text is on this page and nowhere else."""
    hub, account = sent.hub, sent.account
    scopes = [one for one in SCOPES if sent.form.get("scope") == one or one in sent.form.all_of("scope")]
    expires, wrong = _end_of(sent.form.get("expires", ""), hub.clock.now())
    if not scopes:
        wrong["scope"] = "account.wrong.no_rights"
    if wrong:
        said = {name: sentence(key, sent.language) for name, key in wrong.items()}
        return await _keys_page(sent, 422, wrong=said, form=dict(sent.form))
    name = " ".join(sent.form.get("name", "").split())[:200]
    async with hub.database.tenant(account.organisation_id) as session:
        key, secret = service.new_key(
            session, hub.clock, account.organisation_id, name=name, scopes=scopes, expires_at=expires,
            created_by=account.user_id,
        )  # fmt: skip
    await _note(sent, "api_key.created", key.id, scopes=key.scopes)
    return await _keys_page(sent, secret=secret, made=name or key.prefix)


@router.post("/account/keys/{key_id}/revoke")
async def revoke_key(key_id: PathId, sent: Managing) -> Response:
    """Revoke a key; it stops working within seconds."""
    async with sent.hub.database.tenant(sent.account.organisation_id) as session:
        key = await session.get(ApiKey, key_id)
        if key is None or key.revoked_at is not None:
            raise unknown("key")
        key.revoked_at = sent.hub.clock.now()
    await _note(sent, "api_key.revoked", key_id)
    return go("/account/keys", "account_key_revoked")


@router.get("/account/audit")
async def audit(visit: Visiting) -> Response:
    """Who did what, the newest first."""
    rows: Any = []
    names: dict[UUID, str] = {}
    before = _id(visit.request.query_params["before"]) if "before" in visit.request.query_params else None
    if visit.may_manage:
        async with visit.hub.database.tenant(visit.account.organisation_id) as session:
            rows = await repository.audit_log(session, before, MOST + 1)
        async with visit.hub.database.system() as session:
            names = await repository.doers(session, visit.account.organisation_id, rows)
    return visit.page(
        "account_audit.html",
        place="account",
        tab="audit",
        entries=[{"row": one, "who": names.get(one.user_id or one.api_key_id or NOBODY, "")} for one in rows[:MOST]],
        first="/account/audit" if before else "",
        following=f"/account/audit?before={rows[MOST - 1].id}" if len(rows) > MOST else "",
    )


@router.get("/language/{language}")
async def language(language: str, request: Request) -> Response:
    """Choose a language where nobody is logged in."""
    going_on = service.own_path(request.query_params.get("next", "/"))
    response = RedirectResponse(going_on, 303, {"Cache-Control": "no-store"})
    if language in LANGUAGES:
        browsers.speak(hub_of(request), response, language)
    return response


async def _note(sent: Sent, action: str, subject: UUID, **facts: Any) -> None:
    account = sent.account
    async with sent.hub.database.tenant(account.organisation_id) as session:
        service.audit(
            session, sent.hub.clock, account.organisation_id, action, subject, user_id=account.user_id, **facts
        )


def _role(written: str) -> Role:
    try:
        return Role(written)
    except ValueError:
        raise BadForm from None


def _id(written: str) -> UUID:
    try:
        return UUID(written)
    except ValueError:
        raise unknown("address") from None


def _end_of(written: str, now: datetime) -> tuple[datetime | None, dict[str, str]]:
    """The last moment of a day in Amsterdam; None for no day."""
    if not written:
        return None, {}
    try:
        day = datetime.combine(datetime.fromisoformat(written).date(), time.min, AMSTERDAM)
    except ValueError:
        return None, {"expires": "install.wrong.date"}
    end = day + timedelta(days=1)
    return (end, {}) if end > now else (None, {"expires": "account.wrong.past"})


def _browser(agent: str) -> str:
    """What a browser called itself, in two words; empty when it said nothing we know."""
    name = next((words for mark, words in _BROWSERS if mark in agent), "")
    system = next((words for mark, words in _SYSTEMS if mark in agent), "")
    return " · ".join(filter(None, (name, system))) or re.sub(r"[^\w ./-]", "", agent)[:40]
