"""Sessions, row-level security, JSON and restarts on a real PostgreSQL."""

from uuid import uuid4

from sqlalchemy import text

from hub.kit.database import Database


async def test_a_tenant_session_works_under_the_application_role(database: Database) -> None:
    organisation = uuid4()
    async with database.tenant(organisation) as session:
        row = (await session.execute(text("select current_user, current_setting('hub.organisation')"))).one()
    assert row == ("hub_app", str(organisation))
