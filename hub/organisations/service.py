"""What organisations, users and keys can do."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.config import Config
from hub.kit.clock import Clock
from hub.kit.database import Database
from hub.kit.ids import new_id
from hub.kit.log import register_secret
from hub.kit.mail import Mailer, MailNotSent
from hub.kit.text import register, sentence
from hub.organisations import repository
from hub.organisations.access import DEFAULT_PER_MINUTE, SCOPES, key_hash
from hub.organisations.browser import hashed
from hub.organisations.models import ApiKey, AuditEntry, LoginLink, Membership, Organisation, Role, User

register(Path(__file__).parent / "strings")

OPERATOR_PER_MINUTE = 10 * DEFAULT_PER_MINUTE
"""What a key that the operator makes may do: scripts and checks run with it."""
LINK_LIFE = timedelta(minutes=15)
LINKS_PER_ADDRESS = 5
"""In one `LINK_LIFE`."""
LINKS_PER_PLACE = 30
# One plain address and nothing around it; domains of a company's own network (`.local`, `.test`) are fine.
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9-]{1,63})*")
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def audit(
    session: AsyncSession,
    clock: Clock,
    organisation_id: UUID,
    action: str,
    subject: object = "",
    *,
    user_id: UUID | None = None,
    api_key_id: UUID | None = None,
    **facts: Any,
) -> None:
    """Note who did what; the entry commits together with the deed. Never give it a secret."""
    entry = AuditEntry(
        id=new_id(clock),
        organisation_id=organisation_id,
        at=clock.now(),
        user_id=user_id,
        api_key_id=api_key_id,
        action=action,
        subject=str(subject),
        facts=facts,
    )
    session.add(entry)


def email_of(written: str) -> str | None:
    """An e-mail address in lower case; None when it is none."""
    address = written.strip().lower()
    return address if len(address) <= 254 and _EMAIL.fullmatch(address) else None


def own_path(written: str) -> str:
    """A path of our own to go on at; `/` for everything else."""
    return written if len(written) <= 1000 and _PATH.fullmatch(written) else "/"


async def user_for(session: AsyncSession, clock: Clock, email: str, language: str = "nl") -> User:
    """The user of an address, made when there is none. For the system's session."""
    await session.execute(
        text(
            """INSERT INTO "user" (id, email, language, created_at) VALUES (:id, :email, :language, :now)
            ON CONFLICT (email) DO NOTHING"""
        ),
        {"id": new_id(clock), "email": email, "language": language, "now": clock.now()},
    )
    user = await repository.user_by_email(session, email)
    assert user is not None  # noqa: S101 - it was just made
    return user


async def found_organisation(session: AsyncSession, clock: Clock, name: str, user: User) -> Organisation:
    """A new organisation with its owner. For the system's session."""
    organisation = Organisation(id=new_id(clock), name=name[:200], created_at=clock.now())
    session.add(organisation)
    await session.flush()
    join(session, clock, organisation.id, user.id, Role.owner)
    audit(session, clock, organisation.id, "organisation.created", organisation.id, user_id=user.id)
    return organisation


def join(session: AsyncSession, clock: Clock, organisation_id: UUID, user_id: UUID, role: Role) -> Membership:
    """Give a user a place in an organisation."""
    membership = Membership(
        id=new_id(clock), organisation_id=organisation_id, user_id=user_id, role=role, created_at=clock.now()
    )
    session.add(membership)
    return membership


def new_key(
    session: AsyncSession,
    clock: Clock,
    organisation_id: UUID,
    *,
    name: str = "",
    scopes: Sequence[str] = SCOPES,
    per_minute: int = DEFAULT_PER_MINUTE,
    expires_at: datetime | None = None,
    created_by: UUID | None = None,
) -> tuple[ApiKey, str]:
    """A key and its secret text, which nobody can read again. Raises ValueError for an unknown scope."""
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise ValueError(f"there is no scope {unknown[0]}; the scopes are {', '.join(SCOPES)}")
    prefix = secrets.token_hex(6)
    secret = f"hub_{prefix}_{secrets.token_hex(24)}"
    register_secret(secret)
    key = ApiKey(
        id=new_id(clock),
        organisation_id=organisation_id,
        name=name,
        prefix=prefix,
        hash=key_hash(secret),
        scopes=",".join(scope for scope in SCOPES if scope in scopes),
        per_minute=per_minute,
        created_by=created_by,
        created_at=clock.now(),
        expires_at=expires_at,
    )
    session.add(key)
    return key, secret


async def create_api_key(
    database: Database,
    clock: Clock,
    email: str,
    organisation: str | None = None,
    scopes: Sequence[str] = SCOPES,
    *,
    name: str = "command line",
    per_minute: int = OPERATOR_PER_MINUTE,
) -> str:
    """A key for a user's organisation; user and organisation are made when absent. Gives the key's text.

    Without `organisation` it is the user's oldest one, or a new one named after the address. Raises ValueError with a
    line for the operator when the address or a scope is wrong.
    """
    address = email_of(email)
    if address is None:
        raise ValueError(f"{email} is not an e-mail address")
    async with database.system() as session:
        user = await user_for(session, clock, address)
        organisation_id = await _organisation_for(session, clock, user, organisation)
        key, secret = new_key(
            session,
            clock,
            organisation_id,
            name=name,
            scopes=tuple(scopes) or SCOPES,
            per_minute=per_minute,
            created_by=user.id,
        )
        audit(session, clock, organisation_id, "api_key.created", key.id, user_id=user.id, scopes=key.scopes)
    return secret


async def _organisation_for(session: AsyncSession, clock: Clock, user: User, name: str | None) -> UUID:
    if name:
        found = await repository.organisation_named(session, user.id, name)
        return found.id if found else (await found_organisation(session, clock, name, user)).id
    places = await repository.memberships_of(session, user.id)
    return places[0].organisation_id if places else (await found_organisation(session, clock, user.email, user)).id


async def ask_login(
    database: Database,
    clock: Clock,
    mailer: Mailer,
    config: Config,
    email: str,
    language: str,
    *,
    place: str = "",
    next_page: str = "/",
    installation_id: UUID | None = None,
) -> None:
    """Mail a login link, when the address has an account (or an installation makes it one). Says nothing either way."""
    now = clock.now()
    token = secrets.token_urlsafe(32)
    asked_from = hashed(place) if place else ""
    async with database.system() as session:
        # One after the other per address, so that a burst of requests is counted right.
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:email))"), {"email": email})
        of_email, of_place = await repository.links_asked(session, email, asked_from, now - LINK_LIFE)
        if of_email >= LINKS_PER_ADDRESS or of_place >= LINKS_PER_PLACE:
            return
        user = await repository.user_by_email(session, email)
        link = LoginLink(
            id=hashed(token),
            email=email,
            asked_from=asked_from,
            next_page=own_path(next_page),
            installation_id=installation_id,
            created_at=now,
            expires_at=now + LINK_LIFE,
        )
        session.add(link)
        known = user is not None or installation_id is not None
        language = user.language if user is not None else language
    if known:
        await mail_login(mailer, config, email, language, token)


async def mail_login(mailer: Mailer, config: Config, email: str, language: str, token: str) -> None:
    """Send the link."""
    values = {"url": f"{config.base_url}/login/{token}", "minutes": int(LINK_LIFE.total_seconds() // 60)}
    subject = sentence("organisations.mail.login_subject", language, values)
    try:
        await mailer.send(email, subject, sentence("organisations.mail.login_text", language, values))
    except MailNotSent:
        # The same page for everybody; the operator sees the mailer's own line in the log.
        return


async def usable_link(session: AsyncSession, clock: Clock, token: str) -> LoginLink | None:
    """The link of a token while it can be used, locked. For the system's session."""
    link = await repository.login_link(session, hashed(token))
    if link is None or link.used_at is not None or link.expires_at <= clock.now():
        return None
    return link


async def invite(
    database: Database, clock: Clock, mailer: Mailer, config: Config, organisation_id: UUID, email: str, role: Role
) -> tuple[Membership, User, bool]:
    """Give an address a place and mail it; False when it had one already. The mail holds no login link."""
    async with database.system() as session:
        user = await user_for(session, clock, email)
        standing = [
            m for m in await repository.memberships_of(session, user.id) if m.organisation_id == organisation_id
        ]
        if standing:
            return standing[0], user, False
        membership = join(session, clock, organisation_id, user.id, role)
        organisation = await session.get_one(Organisation, organisation_id)
    values = {"organisation": organisation.name, "url": f"{config.base_url}/login"}
    subject = sentence("organisations.mail.invite_subject", user.language, values)
    try:
        await mailer.send(email, subject, sentence("organisations.mail.invite_text", user.language, values))
    except MailNotSent:
        return membership, user, True
    return membership, user, True


class LastOwner(Exception):
    """An organisation keeps at least one owner."""


async def member_leaving(
    session: AsyncSession, organisation_id: UUID, member_id: UUID, *, stays_owner: bool = False
) -> Membership | None:
    """A membership that is to change or go, with the owners locked; None when there is none such. Raises LastOwner."""
    owners = await repository.lock_owners(session, organisation_id)
    membership = await session.get(Membership, member_id)
    if membership is not None and not stays_owner and owners == [member_id]:
        raise LastOwner
    return membership


async def sweep(database: Database, clock: Clock) -> None:
    """Remove sessions, links and remembered requests that have had their time. Call it now and then."""
    async with database.system() as session:
        await repository.sweep(session, clock.now())
