"""The demo: a whole hub with its sandboxes in one process, driven through the REST API and the consent pages.

Nothing is faked but the packages themselves: the accounts are linked by OAuth round trips, the worker is the worker.
"""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import uvicorn
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from hub import sandbox as playground
from hub.app import create_app
from hub.assembly import running
from hub.config import Config
from hub.engine import words
from hub.engine.hub import Hub
from hub.kit.text import amount
from hub.organisations.service import create_api_key
from hub.sdk.http import new_browser
from hub.sdk.sandbox import Sandbox
from hub.worker import work

EMAIL = "demo@combihub.example"
LANGUAGE = "nl"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "simplicate-minox": {
        "journal": "VERK",
        "administrations": {
            "myorganizationprofile:91c0de77aa10b2c4": "41207/3",
            "myorganizationprofile:5e20bb01cc93d7aa": "41207/4",
        },
    },
    "minuba-eaccounting": {"own_link_off": True, "attach_document": True},
    "loket-finmaster": {"administrations": {"91d5b2c8-0a7e-4b36-8c4f-52e9f1d7a603": "GK2026"}, "loket_mark": True},
}
"""What a customer would answer, per offered pair."""
CONNECT: Mapping[str, Mapping[str, str]] = {
    "simplicate": {"domain": "waterlinie"},
    "finmaster": {"token": "finmaster_demo_goudenkorst"},
}
"""What a customer types before connecting."""
LOGIN: Mapping[str, Mapping[str, str]] = {
    "minox": {"customer_number": "41207", "username": "MINOX", "password": "waterlelie"},
}
"""What a customer fills in at a package's consent page where the page itself does not propose it."""


class DemoFailed(Exception):
    """The demo is not as it should be; `str()` says what."""


async def demo(config: Config, *, once: bool, port: int) -> int:
    """Runs the demo; gives the exit code."""
    port = _free_port() if once else port
    config = config.model_copy(update={"sandbox": True, "base_url": f"http://127.0.0.1:{port}"})
    boxes = playground.load()
    books = config.data_dir / "sandbox"
    playground.bring_back(boxes, books)
    console = Console(width=None if sys.stdout.isatty() else 150)
    async with running(config) as (hub, services), _serving(hub, boxes, port):
        key = await create_api_key(hub.database, hub.clock, EMAIL, "Demo", name="demo")
        worker = asyncio.create_task(work(hub, services.redis_url))
        keeper = asyncio.create_task(_keep_books(boxes, books))
        _stop_politely()
        try:
            client = Customer(config.base_url, key)
            combis = await _install(client)
            complete = await _first_runs(client, combis, boxes)
            for combi in combis:
                await _show(console, hub, combi)
            if once:
                return _verdict(console, complete, await _wrong(hub, boxes))
            _invite(console, config, key)
            await worker
        finally:
            worker.cancel()
            keeper.cancel()
            playground.keep(boxes, books)
            await client.close()
    return 0


async def _keep_books(boxes: Mapping[str, Sandbox], books: Path) -> None:
    """Stores the sandboxes' books now and then, so that a demo that is killed goes on where it was."""
    while True:
        await asyncio.sleep(5)
        playground.keep(boxes, books)


def _stop_politely() -> None:
    """SIGTERM ends the demo as Ctrl-C does: by its own clean-up."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it runs in one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


class Customer:
    """A customer with an API key and a browser."""

    def __init__(self, base_url: str, key: str) -> None:
        self._api = new_browser(base_url, {"Authorization": f"Bearer {key}", "Accept-Language": LANGUAGE})
        self._browser = new_browser(base_url, {"Accept-Language": LANGUAGE})

    async def close(self) -> None:
        """Closes both."""
        await self._api.aclose()
        await self._browser.aclose()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a call to the API. Raises DemoFailed with the problem document."""
        answer = await self._api.request(method, f"/v1{path}", json=body)
        if answer.status_code == 409 and "run_id" in answer.json():
            return await self.call("GET", f"/runs/{answer.json()['run_id']}")
        if answer.status_code >= 400:
            raise DemoFailed(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def consent(self, url: str, login: Mapping[str, str]) -> None:
        """Follows an authorisation through the package's own pages: logs in, accepts, comes back."""
        answer = await self._browser.get(url)
        for _ in range(12):
            if answer.is_redirect:
                answer = await self._browser.get(urljoin(str(answer.url), answer.headers["location"]))
            elif posted := _FORM_POST.search(answer.text):
                # A page that posts itself, as a browser would do it: from another site, so without our cookies.
                fields = {name: unescape(value) for name, value in re.findall(_INPUT, answer.text)}
                kept, self._browser.cookies = self._browser.cookies, type(self._browser.cookies)()
                answer = await self._browser.post(unescape(posted[1]), data=fields)
                self._browser.cookies = kept
            elif "<form" in answer.text and 'name="consent"' in answer.text:
                fields = {name: unescape(value) for name, value in re.findall(_INPUT, answer.text)}
                form = {**fields, **{name: value for name, value in login.items() if name in fields}, "consent": "yes"}
                answer = await self._browser.post(str(answer.url), data=form)
            else:
                break
        if answer.status_code >= 400:
            raise DemoFailed(f"consent ended at {answer.url}: {answer.status_code} {answer.text[:500]}")


_FORM_POST = re.compile(r'<body onload="document\.forms\[0\]\.submit\(\)">\s*<form[^>]* action="([^"]+)"')
_INPUT = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')


async def _install(client: Customer) -> list[Any]:
    """The offered combis of which we know the answers, made and switched on; those of an earlier demo are kept."""
    present = {combi["recipe"]: combi for combi in (await client.call("GET", "/combis"))["data"]}
    combis = []
    for recipe in (await client.call("GET", "/recipes"))["data"]:
        if recipe["id"] not in SETTINGS:
            continue
        combi = present.get(recipe["id"]) or await _new_combi(client, recipe)
        await _connect_again(client, combi)
        combis.append(await client.call("GET", f"/combis/{combi['id']}"))
    return combis


async def _new_combi(client: Customer, recipe: Mapping[str, Any]) -> Any:
    source = await _connect(client, recipe["source"])
    target = await _connect(client, recipe["target"])
    body = {
        "recipe": recipe["id"],
        "source_connection_id": source,
        "target_connection_id": target,
        "settings": SETTINGS[recipe["id"]],
    }
    combi = await client.call("POST", "/combis", body)
    return await client.call("POST", f"/combis/{combi['id']}/activate")


async def _connect(client: Customer, connector: str) -> str:
    made = await client.call("POST", "/connections", {"connector": connector, "fields": CONNECT.get(connector, {})})
    if made["status"] == "pending":
        await client.consent(made["authorization_url"], LOGIN.get(connector, {}))
        made = await client.call("GET", f"/connections/{made['id']}")
    if made["status"] != "active":
        raise DemoFailed(f"{connector} is {made['status']} after consent")
    return str(made["id"])


async def _connect_again(client: Customer, combi: Mapping[str, Any]) -> None:
    """Gives consent again where sandboxes were emptied since the last demo."""
    for side in ("source", "target"):
        link = combi[side]
        checked = await client.call("POST", f"/connections/{link['connection_id']}/check", {})
        if checked["status"] != "active":
            asked = await client.call("POST", f"/connections/{link['connection_id']}/reauthorize", {})
            await client.consent(asked["authorization_url"], LOGIN.get(link["connector"], {}))
    if combi["status"] != "active":
        await client.call("POST", f"/combis/{combi['id']}/activate")


async def _first_runs(client: Customer, combis: list[Any], boxes: Mapping[str, Sandbox]) -> bool:
    """Runs every combi to its end; then some customers pay, and it runs once more."""
    good = True
    for combi in combis:
        good = await _run(client, combi["id"]) and good
        if _customers_pay(boxes):
            good = await _run(client, combi["id"]) and good
    return good


async def _run(client: Customer, combi_id: str) -> bool:
    run = await client.call("POST", f"/combis/{combi_id}/runs", {})
    async with asyncio.timeout(180):
        while not run["finished_at"]:
            await asyncio.sleep(0.3)
            run = await client.call("GET", f"/runs/{run['id']}")
    return int(run["outcome"]["code"]) < 3000


def _customers_pay(boxes: Mapping[str, Sandbox]) -> bool:
    """On the first day of a demo one invoice is paid in full and another in part; gives whether that happened now."""
    minox: Any = boxes.get("minox")
    if minox is None or minox.books.get("demo_paid"):
        return False
    items = [item for item in minox.receivables("41207/3") if item["balance"] > 0][:2]
    for item, share in zip(items, (1, 2), strict=False):
        minox.pay(item["account_id"], item["invoice_number"], Decimal(item["balance"]) / share)
    minox.books["demo_paid"] = bool(items)
    return bool(items)


async def _show(console: Console, hub: Hub, combi: Mapping[str, Any]) -> None:
    """A table of what stands where, and a line that sums it up."""
    async with hub.database.system() as session:
        found = await session.execute(
            text("SELECT * FROM item WHERE combi_id = :id ORDER BY flow DESC, number, party, id"), {"id": combi["id"]}
        )
        items = found.mappings().all()
    for flow, title in (
        ("customers", "Debiteuren"),
        ("invoices", "Verkoopfacturen"),
        ("journals", "Loonjournaalposten"),
        ("payments", "Betalingen"),
    ):
        rows = [item for item in items if item["flow"] == flow]
        if rows:
            console.print(_table(f"{combi['recipe']} · {title}", rows))
    tally: dict[str, int] = {}
    for item in items:
        tally[item["status"]] = tally.get(item["status"], 0) + 1
    said = ", ".join(f"{count} {_STATUS.get(status, status)}" for status, count in sorted(tally.items()))
    console.print(f"[bold]{combi['recipe']}[/]: {said}\n")


_STATUS = {
    "booked": "geboekt",
    "finding": "met aandachtspunt",
    "ignored": "genegeerd",
    "rejected": "geweigerd",
    "waiting": "wachtend",
    "skipped": "overgeslagen",
    "unknown": "onzeker",
    "changed": "gewijzigd",
}


def _table(title: str, rows: list[Any]) -> Table:
    table = Table(title=title, title_justify="left")
    for name, justify in (("Nummer", "left"), ("Datum", "left"), ("Naam", "left"), ("Bedrag", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("Stand")
    table.add_column("Geboekt als / wat er is", overflow="fold")
    for row in rows:
        what = row["target_label"] or row["target_ref"]
        for finding in row["findings"]:
            said = words.sentence_of(finding["key"], finding["values"], LANGUAGE)
            what = f"{what}\n{said}".strip()
        money = f"{row['currency']} {amount(row['amount'], LANGUAGE)}" if row["amount"] is not None else ""
        day = row["date"].strftime("%d-%m-%Y") if row["date"] else ""
        status = _STATUS.get(row["status"], row["status"])
        table.add_row(row["number"], day, row["party"], money, status, what)
    return table


async def _wrong(hub: Hub, boxes: Mapping[str, Sandbox]) -> list[str]:
    """Compares our rows with the packages' own books: each booked document stands there once, to the cent."""
    wrong = []
    async with hub.database.system() as session:
        found = await session.execute(
            text(
                """SELECT i.number, d.total, d.ref, d.target FROM item i JOIN delivery d ON d.id = i.delivery_id
                WHERE i.flow IN ('invoices', 'journals') AND i.status = 'booked'"""
            )
        )
        for number, total, ref, target in found:
            package, _, administration = target.partition(":")
            stands = _STANDS[package](boxes[package], administration, ref)
            if stands != total:
                wrong.append(f"{number}: {stands} staat in {package}, {total} hoort er te staan")
    return wrong


def _in_minox(minox: Any, administration: str, ref: str) -> Decimal:
    lines = minox.batches(administration).get(ref, [])
    owed = (one["debit"] - one["credit"] for one in lines if one["account"]["type"] == "customer")
    return sum(owed, Decimal(0))


def _in_eaccounting(box: Any, company: str, ref: str) -> Decimal:
    found = [one for one in box.documents(company) if ref in (one["Id"], one.get("CreatedFromDraftId"))]
    signed = (-abs(one["TotalAmount"]) if one["IsCreditInvoice"] else one["TotalAmount"] for one in found)
    return sum(signed, Decimal(0))


def _in_finmaster(box: Any, administration: str, ref: str) -> Decimal:
    found = [one for one in box.entries(administration) if one["boekstuknummer"] == ref]
    return sum((Decimal(line["debet"]) for one in found for line in one["regels"]), Decimal(0))


_STANDS: Mapping[str, Callable[[Any, str, str], Decimal]] = {
    "minox": _in_minox,
    "eaccounting": _in_eaccounting,
    "finmaster": _in_finmaster,
}
"""What stands under a reference in a package's own books, with the invoice's sign."""


def _verdict(console: Console, complete: bool, wrong: list[str]) -> int:
    for line in wrong:
        console.print(f"[red]{line}[/]")
    if wrong or not complete:
        console.print("[red]De demo is niet zoals het hoort.[/]")
        return 1
    console.print("[green]Alles staat er precies een keer, tot op de cent.[/]")
    return 0


def _invite(console: Console, config: Config, key: str) -> None:
    console.print(f"De hub draait op [bold]{config.base_url}[/] (stop met Ctrl-C)")
    console.print(f"  API-sleutel   {key}")
    console.print(f"  probeer       curl -H 'Authorization: Bearer {key}' {config.base_url}/v1/combis")
    console.print(f"  installeren   {config.base_url}/install/simplicate/minox")
    console.print(f"  inloggen      {config.base_url}/login met {EMAIL}; de mail komt in {config.data_dir / 'mail'}")
    console.print(f"  zandbakken    {config.base_url}/sandbox/simplicate/… en /sandbox/minox/…")


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
