"""The whole hub between two packages by another hand: each document once, each payment once, whatever they choose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import stamina

from connectors.minox import unclear
from hub.config import Config
from hub.engine.outcome import NOTHING, WRITTEN
from hub.kit.embedded import Services
from tests.conformance.variants.other_minox import OtherMinox
from tests.conformance.variants.other_simplicate import PROFILE, OtherSimplicate, Record, invoice, organization
from tests.engine import world as stage
from tests.engine.world import ADMINISTRATION, World, a_world, unhurried


class Simplicate(OtherSimplicate):
    """As the stage sets it up."""

    faults = ()

    def reset(self) -> None:
        return None

    def add_key(self, _: str) -> tuple[str, str]:
        return "k" * 32, "s" * 32


class Minox(OtherMinox):
    """As the stage sets it up."""

    faults = ()

    def add_administration(self, *_: Any) -> None:
        return None

    def grant(self, _: str) -> tuple[str, str]:
        return "access-token", "refresh-token"


def plain(number: int, sign: int = 1, at: str = "2026-03-09 09:14:40") -> Record:
    """121 euros, or minus that."""
    made = invoice(number, at=at)
    line = made["invoice_lines"][0]
    line |= {"amount": Decimal(sign), "price": Decimal(100), "total_vat": Decimal(21 * sign)}
    totals = {"total_excluding_vat": 100, "total_vat": 21, "total_including_vat": 121, "total_outstanding": 121}
    return made | {"invoice_lines": [line]} | {name: Decimal(one * sign) for name, one in totals.items()}


@asynccontextmanager
async def between(
    monkeypatch: pytest.MonkeyPatch, config: Config, services: Services, source: Any, target: Any
) -> AsyncIterator[World]:
    monkeypatch.setattr(stage, "SIMPLICATE", partial(Simplicate, **source))
    monkeypatch.setattr(stage, "MINOX", partial(Minox, **target))
    monkeypatch.setattr(unclear, "READ_BACK_S", (0.0, 0.0))
    with stamina.set_testing(True, attempts=3, cap=True), unhurried():
        async with a_world(config, services) as made:
            yield made


PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing is answered": ({"post": "204", "metadata": "never"}, {"put": "204", "post": "204", "patch": "204"}),
    "all is answered whole": (
        {"post": "object", "metadata": "always", "status": "object"},
        {"put": "lines", "post": "201", "patch": "object", "paid": "zero", "lists": "collection", "found": "object"},
    ),
    "numbers are texts": (
        {"numbers": "six", "absent": "null", "days": "moment"},
        {"money": str, "ids": str, "put": "lines", "account": "id"},
    ),
    "numbers are numbers": ({"numbers": "number"}, {"money": int, "ids": int, "put": "object", "paid": "both"}),
    "pages are small": ({"cap": 2}, {"paging": "path", "paid": "404"}),
    "pages are cursors": ({"cap": 3, "metadata": "page"}, {"paging": "cursor", "paid": "listed"}),
    "filters are deaf": ({"filters": "ignored", "known": (), "sort": "ignored"}, {"status_filter": False}),
    "filters answer nothing": ({"filters": "nothing"}, {"missing": "[]", "batch_missing": "empty"}),
    "moments are missing": ({"moments": "missing"}, {"missing": "null", "batch_missing": "204"}),
    "answers get lost": ({"lose": 2}, {"put": "text", "post": "bare_id", "lag": 2}),
    "nobody says what a line is": ({"links": "nested"}, {"account_type": False, "put": "lines", "vat_lines": False}),
    "credit notes bear no sign": ({"single": "list"}, {"credit": 1, "paid": "zero"}),
}


@pytest.mark.parametrize("pair", PAIRS)
async def test_every_document_and_payment_stands_once(
    pair: str,
    monkeypatch: pytest.MonkeyPatch,
    clean: None,
    database: object,
    config: Config,
    services: Services,
) -> None:
    async with between(monkeypatch, config, services, *PAIRS[pair]) as world:
        source, target = world.simplicate, world.minox
        source.add(organization(), *(plain(number) for number in range(1, 6)), plain(6, sign=-1))
        combi = await world.combi(administrations={PROFILE: ADMINISTRATION})

        run = await world.run(combi)

        assert run.outcome == WRITTEN.code, run.counts
        assert booked(target) == {20260000 + at: Decimal(121 if at < 6 else -121) for at in range(1, 7)}
        assert len(target.customers) == 1
        assert source.payments == {}
        again = await world.run(combi)
        assert (again.outcome, len(target.batches)) == (NOTHING.code, 6)

        changed = source.invoices[f"invoice:{1:032x}"]
        changed |= plain(1) | {"date": "2026-03-10", "updated_at": "2026-03-16 08:00:00"}
        source.add(plain(7, at="2026-03-16 08:00:01"))
        (customer,) = map(str, target.customers)
        for number in (20260002, 20260003):
            target.pay(customer, number, Decimal(121))
        target.pay(customer, 20260004, Decimal(100))
        for _ in range(3):
            world.clock.advance(3600)
            await world.run(combi)

        assert set(booked(target)) == {20260000 + at for at in range(1, 8)}
        assert day_of(target, 20260001) == "2026-03-10"
        assert len(target.customers) == 1
        assert sorted(paid_for(source)) == [f"invoice:{number:032x}" for number in (2, 3)]
        assert {one["amount"] for one in source.payments.values()} == {Decimal(121)}


def booked(target: OtherMinox) -> dict[int, Decimal]:
    """Invoice number -> what the debtor owes; fails when a number stands there twice."""
    found: dict[int, Decimal] = {}
    for lines in target.batches.values():
        assert lines[0]["invoice_number"] not in found
        found[lines[0]["invoice_number"]] = Decimal(lines[0]["debit"]) - Decimal(lines[0]["credit"])
    return found


def day_of(target: OtherMinox, number: int) -> str:
    (lines,) = [lines for lines in target.batches.values() if lines[0]["invoice_number"] == number]
    return str(lines[0]["document_date"])


def paid_for(source: OtherSimplicate) -> list[str]:
    return [one.get("invoice_id") or one["invoice"]["id"] for one in source.payments.values()]
