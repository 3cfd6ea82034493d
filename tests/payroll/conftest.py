"""A hub with a source of payroll runs and each of the packages that take journal entries, in turn."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from hub import sandbox as runner
from hub.assembly import hub as assembled
from hub.config import Config
from hub.engine import registry
from hub.kit.clock import FakeClock
from hub.kit.embedded import Services
from hub.kit.ids import new_id
from hub.organisations.models import Organisation
from hub.sdk.http import new_client
from tests.engine.payroll import COMPANY, START, Payroll, Source
from tests.engine.world import BrokenPipes, QuietBell, connect
from tests.payroll.packages import TARGETS, Balances, Target


@dataclass
class Office(Payroll):
    """A payroll office that books in a package of this world: `box` is its sandbox."""

    box: Any = None
    facts: Target = field(default=TARGETS[0])

    async def link(self, **settings: Any) -> UUID:
        """An active combi of the one company into the one administration."""
        chosen = {"administrations": {COMPANY: self.facts.administration}, **self.facts.settings, **settings}
        return await self.active(f"payroll-{self.facts.name}", chosen)

    def fault(self, kind: str, **facts: Any) -> None:
        """Something happens to the next call that books."""
        method, path = self.facts.write
        self.box.fault(kind, method=method, path=path, **facts)

    def balances(self) -> Balances:
        """What stands in the package's own books."""
        return self.facts.balances(self.box)

    def entries(self) -> int:
        """How many entries stand there."""
        return self.facts.entries(self.box)

    async def findings(self) -> list[str]:
        """The keys of what is wrong with the one item there is."""
        return [one["key"] for one in (await self.only()).findings]


@pytest.fixture(params=TARGETS, ids=[one.name for one in TARGETS])
async def office(
    request: pytest.FixtureRequest, clean: None, database: object, config: Config, services: Services
) -> AsyncIterator[Office]:
    """Both packages empty and linked."""
    facts: Target = request.param
    clock, source, box = FakeClock(START), Source(), facts.sandbox()
    box.now = lambda: clock.now().timestamp()
    registry.add(source.connector())
    shipped = registry.get(facts.name)
    rate = shipped.manifest.rate_limit.model_copy(update={"per_minute": 600_000, "burst": 10_000})
    registry.add(replace(shipped, manifest=shipped.manifest.model_copy(update={"rate_limit": rate})))
    client = new_client(BrokenPipes(app=runner.create_app({facts.name: box})))
    try:
        async with assembled(config, services, clock=clock, client=client, bell=QuietBell()) as hub:
            organisation = new_id(clock)
            async with hub.database.system() as session:
                session.add(Organisation(id=organisation, name="Loon", created_at=clock.now()))
            left = await connect(hub, organisation, "payroll", "key", "t1", {})
            right = await connect(hub, organisation, facts.name, facts.way, facts.tenant, facts.secrets(box))
            yield Office(hub, None, None, organisation, left, right, clock, runs=source, box=box, facts=facts)
    finally:
        registry._extra.clear()
