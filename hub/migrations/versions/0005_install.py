"""How far an installation has come, and which browser a session is of."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; what stands has nothing there."""
    op.execute("ALTER TABLE combi ADD COLUMN answered JSONB NOT NULL DEFAULT '[]'")
    op.execute("ALTER TABLE installation ADD COLUMN notice JSONB")
    op.execute("ALTER TABLE browsersession ADD COLUMN agent VARCHAR NOT NULL DEFAULT ''")


def downgrade() -> None:
    """Take it away."""
    op.execute("ALTER TABLE combi DROP COLUMN answered")
    op.execute("ALTER TABLE installation DROP COLUMN notice")
    op.execute("ALTER TABLE browsersession DROP COLUMN agent")
