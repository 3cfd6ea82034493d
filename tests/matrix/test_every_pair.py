"""Every pair of the catalogue, from consent to the books: each document once, to the cent; then no more."""

from collections import Counter
from typing import Any

import pytest

from hub.engine import recipe as recipes
from hub.engine.recipe import Recipe
from hub.organisations.service import create_api_key
from hub.sdk.sandbox import Sandbox
from tests.matrix.package import Package, digits, package
from tests.matrix.town import Customer, Town

PAIRS = list(recipes.all_recipes().values())


@pytest.mark.parametrize("recipe", PAIRS, ids=[one.id for one in PAIRS])
async def test_what_the_source_has_stands_in_the_target_once(recipe: Recipe, town: Town, clean: None) -> None:
    source, target = package(recipe.source), package(recipe.target)
    there, books = town.boxes[recipe.source], town.boxes[recipe.target]
    for box, facts in ((there, source), (books, target)):
        box.reset()
        facts.furnish(box)
    key = await create_api_key(town.hub.database, town.hub.clock, f"{recipe.id}@kantoor.example")
    customer = Customer(town, key)
    try:
        combi = await _installed(customer, recipe, source, target)
        await _run_well(customer, combi)
        _stand(recipe, source, target, there, books)
        if "payments" in recipe.flows:
            await _payment_comes_back(customer, combi, source, target, there, books)
        written = _writes(there) + _writes(books)
        await _run_well(customer, combi)
        _stand(recipe, source, target, there, books)
        assert _writes(there) + _writes(books) == written
    finally:
        await customer.close()


async def _installed(customer: Customer, recipe: Recipe, source: Package, target: Package) -> str:
    """Both links, the answers that nobody can guess, and every company into the first administration; then on."""
    links = {
        "source_connection_id": await customer.connect(recipe.source, source),
        "target_connection_id": await customer.connect(recipe.target, target),
    }
    journal = next((name for flow, name in target.journal.items() if flow in recipe.flows), None)
    answers = {**source.answers, **target.answers, **({"journal": journal} if journal else {})}
    made = await customer.call("POST", "/combis", {"recipe": recipe.id, **links, "settings": answers}, 201)
    place = f"/combis/{made['id']}"
    live = await customer.call("GET", f"{place}/options/administrations")
    chosen = {one["value"]: live["options"][0]["value"] for one in live["keys"]}
    await customer.call("PATCH", place, {"settings": {"administrations": chosen}})
    table = (
        {}
        if "invoices" not in recipe.flows
        else {words: target.accounts[kind] for words, kind in source.words.items() if kind in target.accounts}
    )
    if table:
        entries = [{"source": words, "target": account} for words, account in table.items()]
        await customer.call("PUT", f"{place}/mappings/ledger_accounts", {"entries": entries})
    checked = await customer.call("POST", f"{place}/check")
    assert checked["ok"], checked["findings"]
    assert [one["key"] for one in checked["findings"]] == (["own_link_unconfirmed"] if recipes.own_link(recipe) else [])
    await customer.call("PATCH", place, {"settings": {"own_link_off": True}})
    assert (await customer.call("POST", f"{place}/check"))["findings"] == []
    assert (await customer.call("POST", f"{place}/activate"))["status"] == "active"
    return str(made["id"])


async def _run_well(customer: Customer, combi: str) -> None:
    run = await customer.run(combi)
    items = await customer.items(combi)
    wrong = [one for one in items if one["status"] not in ("booked", "ignored")]
    assert run["outcome"]["good"], (run["outcome"], run["reason"], wrong)
    assert not wrong, [(one["number"], one["status"], one["findings"]) for one in wrong]
    assert items


def _stand(recipe: Recipe, source: Package, target: Package, there: Sandbox, books: Sandbox) -> None:
    """The books themselves, not what the hub says of them."""
    if "invoices" in recipe.flows:
        assert source.invoices
        assert target.invoices
        wanted = source.invoices(there)
        assert wanted
        assert target.invoices(books) == wanted
    if "journals" in recipe.flows:
        assert source.journals
        assert target.journals
        due = source.journals(there)
        assert due
        assert sorted(map(_spelt, target.journals(books))) == sorted(map(_spelt, due))


def _spelt(balances: Any) -> list[tuple[str, str]]:
    return sorted((account, f"{balance:.2f}") for account, balance in balances.items() if balance)


async def _payment_comes_back(
    customer: Customer, combi: str, source: Package, target: Package, there: Any, books: Any
) -> None:
    """One invoice is paid in full: that one is written back, once, and no other."""
    assert source.invoices
    assert source.paid
    assert target.pay
    number, total = next((number, total) for number, total in source.invoices(there).items() if total > 0)
    assert target.pay(books, number) == total
    await _run_well(customer, combi)
    assert source.paid(there) == {digits(number): total}


def _writes(box: Sandbox) -> Counter[str]:
    """Calls that change a package's books; consents and sessions are none, and over SOAP every question is posted."""
    doors = ("/oauth", "/connect/", "/session", "/token", "/inspect", "/soap/")
    return Counter(
        {
            call: count
            for call, count in box.calls.items()
            if not call.startswith("GET ") and not any(door in call for door in doors)
        }
    )
