"""Keys, members and the audit log over HTTP."""

from typing import cast
from uuid import UUID

from fastapi import APIRouter, Request

from hub.catalogue.path import PathId, unknown
from hub.engine.hub import hub_of
from hub.kit import pagination
from hub.kit.pagination import Cursor, CursorValue, Limit
from hub.kit.problem import FieldError, Problem
from hub.organisations import repository, service
from hub.organisations.access import Admin, HubRoute, Principal, Reader, TenantSession
from hub.organisations.models import ApiKey, Membership, Role
from hub.organisations.schemas import (
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyList,
    ApiKeyOut,
    AuditList,
    AuditOut,
    MemberChange,
    MemberInvite,
    MemberList,
    MemberOut,
)

router = APIRouter(prefix="/v1", tags=["organisation"], route_class=HubRoute)


@router.get("/api-keys", operation_id="list_api_keys")
async def list_api_keys(
    caller: Admin,  # noqa: ARG001 - only who may administer sees them
    session: TenantSession,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ApiKeyList:
    """All keys that were not revoked, the oldest first."""
    rows = await repository.api_keys(session, _after(cursor), limit + 1)
    data = [_key(row) for row in rows[:limit]]
    return ApiKeyList(data=data, next_cursor=pagination.encode([data[-1].id]) if len(rows) > limit else None)


@router.post("/api-keys", status_code=201, operation_id="create_api_key")
async def create_api_key(asked: ApiKeyCreate, request: Request, caller: Admin, session: TenantSession) -> ApiKeyCreated:
    """Make a key. Its text is in this answer and nowhere else; a key never holds more than the caller does."""
    clock = hub_of(request).clock
    if asked.expires_at is not None and asked.expires_at <= clock.now():
        raise _wrong("expires_at", "past", "This moment has passed.")
    if beyond := sorted(set(asked.scopes) - caller.scopes):
        raise _wrong("scopes", "beyond_own", f"You do not hold the scope {beyond[0]} yourself.")
    key, secret = service.new_key(
        session,
        clock,
        caller.organisation_id,
        name=asked.name,
        scopes=asked.scopes,
        per_minute=asked.per_minute,
        expires_at=asked.expires_at,
        created_by=caller.user_id,
    )
    _note(session, request, caller, "api_key.created", key.id, scopes=key.scopes)
    return ApiKeyCreated(**_key(key).model_dump(), key=secret)


@router.delete("/api-keys/{key_id}", status_code=204, operation_id="revoke_api_key")
async def revoke_api_key(key_id: PathId, request: Request, caller: Admin, session: TenantSession) -> None:
    """Revoke a key; it stops working within seconds."""
    key = await session.get(ApiKey, key_id)
    if key is None or key.revoked_at is not None:
        raise unknown("key")
    key.revoked_at = hub_of(request).clock.now()
    _note(session, request, caller, "api_key.revoked", key.id)


@router.get("/members", operation_id="list_members")
async def list_members(request: Request, caller: Reader, limit: Limit = 50, cursor: Cursor = None) -> MemberList:
    """Everybody with a place in the organisation, the oldest first."""
    async with hub_of(request).database.system() as session:
        rows = await repository.members(session, caller.organisation_id, _after(cursor), limit + 1)
    data = [
        MemberOut(id=row["id"], email=row["email"], role=row["role"], created_at=row["created_at"])
        for row in rows[:limit]
    ]
    return MemberList(data=data, next_cursor=pagination.encode([data[-1].id]) if len(rows) > limit else None)


@router.post("/members", status_code=201, operation_id="invite_member")
async def invite_member(asked: MemberInvite, request: Request, caller: Admin, session: TenantSession) -> MemberOut:
    """Give an address a place and mail it; who is a member already keeps their role."""
    hub = hub_of(request)
    email = service.email_of(asked.email)
    if email is None:
        raise _wrong("email", "not_an_address", "This is not an e-mail address.")
    membership, user, new = await service.invite(
        hub.database, hub.clock, hub.mailer, hub.config, caller.organisation_id, email, Role(asked.role)
    )
    if new:
        _note(session, request, caller, "member.invited", membership.id, role=membership.role)
    return _member(membership, user.email)


@router.patch("/members/{member_id}", operation_id="change_member")
async def change_member(
    member_id: PathId, asked: MemberChange, request: Request, caller: Admin, session: TenantSession
) -> MemberOut:
    """Give a member another role. The last owner stays owner."""
    membership = await _membership(session, caller, member_id, leaves=asked.role != Role.owner)
    membership.role = Role(asked.role)
    _note(session, request, caller, "member.changed", membership.id, role=asked.role)
    async with hub_of(request).database.system() as system:
        email = await repository.email_of_user(system, membership.user_id)
    return _member(membership, email)


@router.delete("/members/{member_id}", status_code=204, operation_id="remove_member")
async def remove_member(member_id: PathId, request: Request, caller: Admin, session: TenantSession) -> None:
    """Take a member's place away; their sessions end. The last owner stays."""
    membership = await _membership(session, caller, member_id, leaves=True)
    await session.delete(membership)
    _note(session, request, caller, "member.removed", membership.id)


@router.get("/audit-log", operation_id="list_audit_log")
async def list_audit_log(
    caller: Admin,  # noqa: ARG001 - only who may administer sees it
    session: TenantSession,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AuditList:
    """Who did what, the newest first."""
    rows = await repository.audit_log(session, _after(cursor), limit + 1)
    data = [AuditOut(**row.model_dump(exclude={"organisation_id"})) for row in rows[:limit]]
    return AuditList(data=data, next_cursor=pagination.encode([data[-1].id]) if len(rows) > limit else None)


async def _membership(session: TenantSession, caller: Principal, member_id: UUID, *, leaves: bool) -> Membership:
    try:
        membership = await service.member_leaving(session, caller.organisation_id, member_id, stays_owner=not leaves)
    except service.LastOwner:
        raise Problem(409, "last_owner", "An organisation keeps at least one owner.") from None
    if membership is None:
        raise unknown("member")
    return membership


def _after(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    value: CursorValue = pagination.decode(cursor, 1)[0]
    if not isinstance(value, UUID):
        pagination.decode("")
    return cast(UUID, value)


def _key(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut.model_validate({**key.model_dump(), "scopes": key.scopes.split(",")})


def _member(membership: Membership, email: str) -> MemberOut:
    role = Role(membership.role).value
    return MemberOut(id=membership.id, email=email, role=role, created_at=membership.created_at)


def _note(
    session: TenantSession, request: Request, caller: Principal, action: str, subject: UUID, **facts: str
) -> None:
    service.audit(
        session,
        hub_of(request).clock,
        caller.organisation_id,
        action,
        subject,
        user_id=caller.user_id,
        api_key_id=caller.api_key_id,
        **facts,
    )


def _wrong(field: str, code: str, message: str) -> Problem:
    errors = [FieldError(field=field, code=code, message=message)]
    return Problem(422, "invalid", "The request is not valid.", "See errors for each field.", errors=errors)
