"""The third connection of a combi, to which salaries are offered."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; no combi has one."""
    op.execute("ALTER TABLE combi ADD COLUMN side_connection_id UUID REFERENCES connection (id)")
    op.execute("ALTER TABLE combi ADD COLUMN side_since TIMESTAMP WITH TIME ZONE")
    op.execute("CREATE INDEX ix_combi_side_connection_id ON combi (side_connection_id)")


def downgrade() -> None:
    """Take it away."""
    op.execute("ALTER TABLE combi DROP COLUMN side_since")
    op.execute("ALTER TABLE combi DROP COLUMN side_connection_id")
