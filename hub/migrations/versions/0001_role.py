"""The role that requests and runs work under, so that row-level security applies to them."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the role, which all databases of a server share; it may use nothing but what each table grants it."""
    op.execute(
        """
        do $$
        begin
            if not exists (select from pg_roles where rolname = 'hub_app') then
                begin
                    create role hub_app nologin noinherit;
                exception when duplicate_object or unique_violation then
                    null; -- made for another database in the same moment
                end;
            end if;
            if not pg_has_role(current_user, 'hub_app', 'set') then
                execute format('grant hub_app to %I', current_user);
            end if;
        end
        $$
        """
    )
    op.execute("grant usage on schema public to hub_app")


def downgrade() -> None:
    """Take the right away; the role stays, other databases of the server may use it."""
    op.execute("revoke usage on schema public from hub_app")
