"""The demo: a whole hub with its sandboxes in one process, driven through the REST API and the consent pages.

Nothing is faked but the packages themselves: the accounts are linked by the packages' own pages or by typed keys, the
worker is the worker.
"""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import uvicorn
from rich.console import Console
from sqlalchemy import text

from hub import sandbox as playground
from hub.app import create_app
from hub.assembly import running
from hub.config import Config
from hub.demo import books, combis, days, tables
from hub.demo.combis import PLANS, install
from hub.demo.customer import LANGUAGE, Customer, DemoFailed
from hub.engine.hub import Hub
from hub.kit import embedded
from hub.organisations.service import ask_login, create_api_key
from hub.sdk.sandbox import Sandbox
from hub.worker import work

__all__ = ["DemoFailed", "demo"]

EMAIL = "demo@combihub.example"
PATIENCE_S = 180
KEEP_S = 1
TROUBLE = 3000
"""From this outcome on a run did not do its work."""
AT_REST = ("booked", "ignored", "skipped", "reversed")


async def demo(config: Config, *, once: bool, port: int) -> int:
    """Runs the demo; gives the exit code."""
    port = _free_port() if once else port
    config = config.model_copy(update={"sandbox": True, "smtp_url": None, "base_url": f"http://127.0.0.1:{port}"})
    console = Console(width=None if sys.stdout.isatty() else 150)
    kept = config.data_dir / "sandbox"
    boxes = _boxes(console, config, kept)
    async with running(config) as (hub, services), _serving(hub, boxes, port):
        key = await create_api_key(hub.database, hub.clock, EMAIL, "Demo", name="demo")
        worker = asyncio.create_task(work(hub, services.redis_url))
        keeper = asyncio.create_task(_keep_books(boxes, kept))
        _stop_politely()
        client = Customer(config.base_url, key)
        try:
            before = await _bookings(hub)
            made = await install(client)
            good = all(await asyncio.gather(*(_first_day(client, combi, boxes) for combi in made)))
            if not once and days.another_day(boxes):
                good = all(await asyncio.gather(*(_run(client, combi) for combi in made))) and good
            good = await _report(console, hub, client, made, boxes, before) and good
            if once:
                return _verdict(console, good=good)
            await _invite(console, hub, key)
            await worker
        finally:
            keeper.cancel()
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            playground.keep(boxes, kept, _form(boxes))
            await client.close()
    return 0


def _boxes(console: Console, config: Config, kept: Path) -> Mapping[str, Sandbox]:
    """The sandboxes with the books of the last demo, or as at the start. Raises DemoFailed when that cannot be."""
    boxes = _seeded()
    if kept.exists() and not playground.bring_back(boxes, kept, _form(boxes)):
        aside = _set_aside(config)
        console.print(f"De boeken van de zandbakken zijn van een andere uitgave; ze staan nu in {aside}.")
        console.print("De demo begint opnieuw.\n")
    return boxes


def _seeded() -> Mapping[str, Sandbox]:
    boxes = playground.load()
    days.furnish(boxes)
    return boxes


def _form(boxes: Mapping[str, Sandbox]) -> str:
    """Other plans, too, ask for other books."""
    return playground.form_of(boxes, days, combis)


def _set_aside(config: Config) -> Path:
    """Moves the last demo's books, and the hub's rows about them, out of the way; gives where they are."""
    folder = config.data_dir
    if config.database_url is not None:
        raise DemoFailed(
            f"{folder / 'sandbox'} is of another release than this demo: remove it, and let HUB_DATABASE_URL name an"
            " empty database"
        )
    if embedded.in_use(folder):
        raise DemoFailed(f"another process works in {folder}: stop it first")
    aside = folder.with_name(f"{folder.name}.{datetime.now(UTC):%Y%m%d-%H%M%S}")
    aside.mkdir(mode=0o711)
    for name in ("sandbox", "postgres", "valkey", "mail"):
        if (folder / name).exists():
            (folder / name).rename(aside / name)
    return aside


async def _keep_books(boxes: Mapping[str, Sandbox], kept: Path) -> None:
    """Stores the sandboxes' books now and then, so that a demo that is killed goes on where it was."""
    while True:
        playground.keep(boxes, kept, _form(boxes))
        await asyncio.sleep(KEEP_S)


def _stop_politely() -> None:
    """SIGTERM ends the demo as Ctrl-C does: by its own clean-up."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it runs in one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _first_day(client: Customer, combi: Any, boxes: Mapping[str, Sandbox]) -> bool:
    """A run to its end, and one more when customers paid meanwhile; False when one did not get there."""
    good = await _run(client, combi)
    if "payments" in combi["flows"] and days.customers_pay(boxes):
        good = await _run(client, combi) and good
    return good


async def _run(client: Customer, combi: Any) -> bool:
    run = await client.call("POST", f"/combis/{combi['id']}/runs", {})
    async with asyncio.timeout(PATIENCE_S):
        while not run["finished_at"]:
            await asyncio.sleep(0.3)
            run = await client.call("GET", f"/runs/{run['id']}")
    return int(run["outcome"]["code"]) < TROUBLE


async def _bookings(hub: Hub) -> int:
    """How many bookings of ours are recorded."""
    async with hub.database.system() as session:
        found = await session.execute(text("SELECT count(*) FROM delivery WHERE state = 'recorded' AND NOT adopted"))
        return int(found.scalar_one())


async def _report(
    console: Console, hub: Hub, client: Customer, made: Sequence[Any], boxes: Mapping[str, Sandbox], before: int
) -> bool:
    """Prints what stands where; False when it is other than it should be, which is said."""
    everything: list[tables.Row] = []
    wrong: list[str] = []
    for combi in made:
        items = await tables.items_of(hub, combi["id"])
        await tables.show(console, client, combi, items)
        wrong.extend(f"{combi['recipe']}: {one}" for one in unexpected(combi["recipe"], items))
        everything.extend(items)
    console.print(f"[bold]Samen[/]: {tables.tally(everything)}; nieuw geboekt: {await _bookings(hub) - before}")
    wrong.extend(await books.differences(hub, boxes, _seeded()))
    for line in wrong:
        console.print(f"[red]{line}[/]")
    return not wrong


def unexpected(recipe: str, items: Iterable[tables.Row]) -> list[str]:
    """Documents that are not at rest, other than those that the sandboxes hold in order to be findings."""
    known = next(plan.findings for plan in PLANS if plan.recipe == recipe)
    places = ((f"{one['flow']} {one['number'] or one['party']}", one["status"]) for one in items)
    return [f"{place} is {status}" for place, status in places if status not in AT_REST and place not in known]


def _verdict(console: Console, *, good: bool) -> int:
    if not good:
        console.print("[red]De demo is niet zoals het hoort.[/]")
        return 1
    console.print("[green]Alles staat er precies een keer, tot op de cent.[/]")
    return 0


async def _invite(console: Console, hub: Hub, key: str) -> None:
    """Says where the hub is and how to get in."""
    base, mail = hub.config.base_url, hub.config.data_dir / "mail"
    console.print(f"De hub draait op [bold]{base}[/] (stop met Ctrl-C)")
    console.print(f"  Mijn koppelingen  {await _login_link(hub, mail)}", soft_wrap=True)
    console.print(f"                    (een kwartier geldig; daarna {base}/login met {EMAIL}, de mail komt in {mail})")
    console.print(f"  API-sleutel       {key}", soft_wrap=True)
    console.print(f"  probeer           curl -H 'Authorization: Bearer {key}' {base}/v1/combis", soft_wrap=True)
    console.print(f"  installeren       {base}/catalogue")
    console.print(f"  zandbakken        {base}/sandbox/simplicate/… en zo voor elk pakket")


async def _login_link(hub: Hub, mail: Path) -> str:
    """A fresh one, as it was mailed."""
    await ask_login(hub.database, hub.clock, hub.mailer, hub.config, EMAIL, LANGUAGE)
    found = re.search(rf"{re.escape(hub.config.base_url)}/login/\S+", await asyncio.to_thread(_newest, mail))
    return found[0] if found else f"{hub.config.base_url}/login"


def _newest(folder: Path) -> str:
    """The text of the last mail."""
    path = max(folder.glob("*.eml"), default=None)
    return str(BytesParser(policy=policy.default).parsebytes(path.read_bytes()).get_content()) if path else ""


@asynccontextmanager
async def _serving(hub: Hub, boxes: Mapping[str, Sandbox], port: int) -> AsyncIterator[None]:
    app = create_app(hub)
    app.router.routes.extend(playground.mounts(boxes, "/sandbox"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            raise DemoFailed(f"port {port} cannot be used; name another with --port")
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
