"""All tables of the first release, each behind row-level security where it belongs to an organisation."""

from alembic import op
from sqlalchemy import text
from sqlmodel import SQLModel

import hub.migrations.tables  # noqa: F401

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    connection = op.get_bind()
    SQLModel.metadata.create_all(connection)
    op.execute("CREATE TABLE log_rest PARTITION OF logentry DEFAULT")
    op.execute("GRANT USAGE ON SCHEMA public TO hub_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO hub_app")
    for table in SQLModel.metadata.sorted_tables:
        if "organisation_id" in table.columns:
            connection.execute(text(f'ALTER TABLE "{table.name}" ENABLE ROW LEVEL SECURITY'))
            connection.execute(
                text(
                    f'CREATE POLICY tenant ON "{table.name}" TO hub_app USING '
                    "(organisation_id = nullif(current_setting('hub.organisation', true), '')::uuid)"
                )
            )
            connection.execute(text(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table.name}" TO hub_app'))


def downgrade() -> None:
    """Drop them."""
    SQLModel.metadata.drop_all(op.get_bind())
