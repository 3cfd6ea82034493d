"""File batches: bookings that the customer imports by hand, each in one numbered file."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables, behind row-level security."""
    op.create_table(
        "filebatch",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("combi_id", sa.Uuid(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("company", postgresql.JSONB(), nullable=False),
        sa.Column("recipe", sa.String(), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_filebatch_organisation_id", "filebatch", ["organisation_id"])
    op.create_index("ix_filebatch_combi_id", "filebatch", ["combi_id"])
    op.create_index("file_batch_number", "filebatch", ["organisation_id", "target", "number"], unique=True)
    op.create_table(
        "fileentry",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), primary_key=True),
        sa.Column("batch_id", sa.Uuid(), sa.ForeignKey("filebatch.id"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
    )
    op.create_index("ix_fileentry_organisation_id", "fileentry", ["organisation_id"])
    op.create_index("ix_fileentry_batch_id", "fileentry", ["batch_id"])
    for table in ("filebatch", "fileentry"):
        op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
        op.execute(
            f'CREATE POLICY tenant ON "{table}" TO hub_app USING '
            "(organisation_id = nullif(current_setting('hub.organisation', true), '')::uuid)"
        )
        op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO hub_app')


def downgrade() -> None:
    """Drop them."""
    op.drop_table("fileentry")
    op.drop_table("filebatch")
