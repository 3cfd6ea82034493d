"""The command line: `hub <command>`."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
import uvicorn
import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from hub import config as configuration
from hub import sandbox as playground
from hub.app import create_app, openapi
from hub.assembly import running
from hub.combis import portable
from hub.config import Config, ConfigurationError
from hub.connections.service import rotate_secrets
from hub.demo import DemoFailed
from hub.demo import demo as run_demo
from hub.engine import registry
from hub.engine.hub import Hub
from hub.engine.models import Combi, Run
from hub.engine.outcome import sentence
from hub.kit import embedded, log
from hub.kit.embedded import ServicesError
from hub.migrations import MigrationError
from hub.migrations import migrate as migrate_database
from hub.organisations.access import SCOPES
from hub.organisations.service import create_api_key
from hub.worker import work, work_until_stopped

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
apikey = typer.Typer(no_args_is_help=True, help="Keys of the REST API.")
combi = typer.Typer(no_args_is_help=True, help="Combis.")
connector = typer.Typer(no_args_is_help=True, help="Connectors.")
keys = typer.Typer(no_args_is_help=True, help="The key ring that seals secrets.")
for group, name in ((apikey, "apikey"), (combi, "combi"), (connector, "connector"), (keys, "keys")):
    app.add_typer(group, name=name)

console = Console()
Port = Annotated[int, typer.Option(help="Where to listen.")]


@app.callback()
def _hub() -> None:
    """A connector hub for Dutch bookkeeping."""


def _with_hub(task: Callable[[Hub, str], Awaitable[Any]]) -> Any:
    """Runs a task on a hub of this process."""

    async def go() -> Any:
        async with running(configuration.load()) as (hub, services):
            return await task(hub, services.redis_url)

    return asyncio.run(go())


@app.command()
def serve(host: str = "127.0.0.1", port: Port = 8000, worker: bool = False) -> None:
    """Serve the API and the screens; `--worker` also works in this process."""

    async def go(hub: Hub, redis_url: str) -> None:
        site = create_app(hub)
        if hub.config.sandbox:
            # A partner's playground: the packages' sandboxes live beside the API, where the connectors look for them.
            site.router.routes.extend(playground.mounts(playground.load(), "/sandbox"))
        server = uvicorn.Server(
            uvicorn.Config(site, host=host, port=port, log_config=None, proxy_headers=True, access_log=False)
        )
        helper = asyncio.create_task(work(hub, redis_url)) if worker else None
        await server.serve()
        if helper is not None:
            helper.cancel()
            with suppress(asyncio.CancelledError):
                await helper

    _with_hub(go)


@app.command("worker")
def work_command() -> None:
    """Work: sweep for due combis and run them, until stopped."""
    _with_hub(work_until_stopped)


@app.command()
def migrate() -> None:
    """Bring the database to the newest tables."""
    config = configuration.load()
    log.set_up(config.log_format)

    async def go() -> None:
        async with embedded.services(config) as services:
            await migrate_database(services.database_url)

    asyncio.run(go())


@app.command()
def sandbox(host: str = "127.0.0.1", port: Port = 8100) -> None:
    """Serve all packages' sandboxes, /<connector>/…"""
    uvicorn.run(playground.create_app(playground.load()), host=host, port=port, access_log=False)


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="Run every demo combi once, print what was booked, stop.")] = False,
    port: Port = 8000,
) -> None:
    """A hub with sandboxes and living data."""
    sys.exit(asyncio.run(run_demo(_demo_config(), once=once, port=port)))


def _demo_config() -> Config:
    """The demo's data and keys lie in a folder of their own, so that other commands can be pointed at it."""
    config = configuration.load()
    if config.database_url is not None:
        return config
    os.environ["HUB_DATA_DIR"] = str(config.data_dir / "demo")
    return configuration.load()


@app.command("openapi")
def show_openapi() -> None:
    """Print the description of the REST API, as openapi.yaml holds it."""
    print(yaml.safe_dump(openapi(), sort_keys=False, allow_unicode=True, width=120), end="")


@apikey.command("create")
def create_key(
    email: Annotated[str, typer.Option(help="Whose key.")],
    organisation: Annotated[str | None, typer.Option(help="In which organisation; made when absent.")] = None,
    scopes: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(SCOPES),
) -> None:
    """Make an API key and print it, alone."""
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]

    async def go(hub: Hub, _: str) -> str:
        return await create_api_key(hub.database, hub.clock, email, organisation, wanted)

    print(_with_hub(go))


@combi.command("list")
def list_combis() -> None:
    """All combis with their state."""

    async def go(hub: Hub, _: str) -> Any:
        async with hub.database.system() as session:
            found = await session.execute(
                text("SELECT id, recipe, status, schedule, slot FROM combi WHERE deleted_at IS NULL ORDER BY id")
            )
            return found.all()

    table = Table("id", "recipe", "status", "schedule", "next")
    for row in _with_hub(go):
        table.add_row(*(str(value or "") for value in row))
    console.print(table)


@combi.command("run")
def run_combi(combi_id: UUID, preview: Annotated[bool, typer.Option(help="Write nothing.")] = False) -> None:
    """Run a combi once, here and now."""

    async def go(hub: Hub, _: str) -> Run:
        async with hub.database.system() as session:
            row = await session.get(Combi, combi_id)
        if row is None:
            raise typer.BadParameter(f"there is no combi {combi_id}")
        async with hub.database.tenant(row.organisation_id) as session:
            run = await hub.engine.start_run(session, row, mode="preview" if preview else "write")
        return await hub.engine.run_to_end(run.id, patience_s=3600)

    run = _with_hub(go)
    said, action = sentence(run.outcome or 0, "nl")
    console.print(f"{run.outcome} {said} {action}")
    for flow, counts in run.counts.items():
        console.print(f"  {flow}: {counts}")
    for document in (run.result or {}).get("documents", []):
        console.print(document)


@combi.command("export")
def export_combi(combi_id: UUID) -> None:
    """Print a combi's choices and mappings as YAML; never a secret."""

    async def go(hub: Hub, _: str) -> dict[str, Any]:
        return await portable.exported(hub.database, combi_id)

    print(yaml.safe_dump(_with_hub(go), sort_keys=False, allow_unicode=True), end="")


@combi.command("import")
def import_combi(
    file: Path,
    organisation: Annotated[UUID, typer.Option(help="In which organisation.")],
) -> None:
    """Make a draft combi from an exported file; connections are found by package and company."""

    content = yaml.safe_load(file.read_text())

    async def go(hub: Hub, _: str) -> UUID:
        return await portable.imported(hub.database, hub.clock, organisation, content)

    print(_with_hub(go))


@connector.command("list")
def list_connectors() -> None:
    """All packages."""
    table = Table("name", "package", "reads", "writes", "settles", "gets in by")
    for name, one in sorted(registry.all_connectors().items()):
        facts = one.manifest
        ways = ", ".join(way.kind for way in facts.auth)
        table.add_row(
            name, facts.title, ", ".join(facts.sources), ", ".join(facts.targets), ", ".join(facts.settlements), ways
        )
    console.print(table)


@connector.command("check")
def check_connector(name: str) -> None:
    """Check a connector's structure; exit code 1 when something is wrong."""
    folder = next((one for one in registry.folders() if one.name == name), None)
    if folder is None:
        raise typer.BadParameter(
            f"there is no connector {name}; known: {', '.join(one.name for one in registry.folders())}"
        )
    from hub.sdk import conformance

    checks = conformance.check(folder)
    for one in checks:
        console.print(f"{'[green]✓[/]' if one.ok else '[red]✗[/]'} {one.name}: {one.sentence}")
    sys.exit(0 if all(one.ok for one in checks) else 1)


@connector.command("new")
def new_connector(name: str) -> None:
    """Lay out a connector that passes its structure checks."""
    from hub.sdk import scaffold

    for path in scaffold.create(name, registry.root()):
        print(path)


@keys.command("rotate")
def rotate_keys() -> None:
    """Seal all secrets anew under the newest key."""

    async def go(hub: Hub, _: str) -> int:
        return await rotate_secrets(hub.database, hub.keys)

    print(f"{_with_hub(go)} sealed anew")


def main() -> None:
    """Run a command; what the operator has to mend is one line on standard error, exit code 2."""
    try:
        app()
    except (ConfigurationError, MigrationError, ServicesError, DemoFailed, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


if __name__ == "__main__":
    main()
