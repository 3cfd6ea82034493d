"""The command line: `hub <command>`."""

import asyncio
import sys

import typer

from hub import config as configuration
from hub.config import ConfigurationError
from hub.kit import embedded, log
from hub.kit.embedded import ServicesError
from hub.migrations import MigrationError
from hub.migrations import migrate as migrate_database

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


@app.callback()
def _hub() -> None:
    """A connector hub for Dutch bookkeeping."""


@app.command()
def migrate() -> None:
    """Bring the database to the newest tables."""
    config = configuration.load()
    log.set_up(config.log_format)

    async def work() -> None:
        async with embedded.services(config) as services:
            await migrate_database(services.database_url)

    asyncio.run(work())


@app.command()
def serve() -> None:
    """Serve the API and the screens."""
    raise NotImplementedError


def main() -> None:
    """Run a command; what the operator has to mend is one line on standard error, exit code 2."""
    try:
        app()
    except (ConfigurationError, MigrationError, ServicesError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
