"""The role that requests and runs work under, so that row-level security applies to them."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the role, shared by all databases of a server, and give it the use of every table made from now on."""
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
    op.execute("alter default privileges in schema public grant select, insert, update, delete on tables to hub_app")
    op.execute("alter default privileges in schema public grant usage, select on sequences to hub_app")


def downgrade() -> None:
    """Take the rights away; the role stays, other databases of the server may use it."""
    op.execute("alter default privileges in schema public revoke select, insert, update, delete on tables from hub_app")
    op.execute("alter default privileges in schema public revoke usage, select on sequences from hub_app")
    op.execute("revoke usage on schema public from hub_app")
