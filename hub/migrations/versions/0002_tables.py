"""All tables of the first release, each behind row-level security where it belongs to an organisation."""

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OWNED = text(
    """SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organisation_id'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY 1"""
)
TABLES = text(
    """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND NOT relispartition AND relname <> 'alembic_version'"""
)


def upgrade() -> None:
    """Make them, as they were at the release: later changes are revisions of their own."""
    connection = op.get_bind()
    connection.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    op.execute("CREATE TABLE log_rest PARTITION OF logentry DEFAULT")
    op.execute("GRANT USAGE ON SCHEMA public TO hub_app")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO hub_app")
    for (table,) in connection.execute(OWNED).all():
        op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        op.execute(
            f'CREATE POLICY tenant ON "{table}" TO hub_app USING '
            "(organisation_id = nullif(current_setting('hub.organisation', true), '')::uuid)"
        )
        op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO hub_app')


def downgrade() -> None:
    """Drop them."""
    for (table,) in op.get_bind().execute(TABLES).all():
        op.execute(f'DROP TABLE IF EXISTS "{table}" CASCADE')
    op.execute("DROP FUNCTION IF EXISTS audit_is_append_only()")
