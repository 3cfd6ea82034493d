"""The largest tables are not asked by organisation alone, so no index tempts PostgreSQL to read all that one has."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("item", "delivery", "logentry")


def upgrade() -> None:
    """Drop them."""
    for table in TABLES:
        op.execute(f"DROP INDEX IF EXISTS ix_{table}_organisation_id")


def downgrade() -> None:
    """Make them again."""
    for table in TABLES:
        op.execute(f"CREATE INDEX ix_{table}_organisation_id ON {table} (organisation_id)")
