"""Journals: chosen by hand, missed at the source, reversed in the target; the way a document goes, known when read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CLAIMED = "claim IS NOT NULL AND revision = 1 AND "


def upgrade() -> None:
    """New columns of items and runs; a booking that was reversed no longer claims its number."""
    for name in ("period", "route"):
        op.add_column("item", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column("item", sa.Column("chosen", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("missed_at", "vanished_at"):
        op.add_column("item", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("documents", postgresql.JSONB(), nullable=True))
    op.create_index("item_missed", "item", ["combi_id", "flow"], postgresql_where=sa.text("missed_at IS NOT NULL"))
    _claim("state NOT IN ('gone', 'reversed')")


def downgrade() -> None:
    """Back to the first release."""
    _claim("state <> 'gone'")
    op.drop_index("item_missed", "item")
    op.drop_column("run", "documents")
    for name in ("vanished_at", "missed_at", "chosen", "route", "period"):
        op.drop_column("item", name)


def _claim(standing: str) -> None:
    op.drop_index("delivery_claim", "delivery")
    op.create_index(
        "delivery_claim",
        "delivery",
        ["organisation_id", "target", "stream", "claim"],
        unique=True,
        postgresql_where=sa.text(CLAIMED + standing),
    )
