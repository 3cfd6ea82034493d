"""The combis of the demo: what a customer types and answers for each offered pair, and how they are installed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.demo import days
from hub.demo.customer import Customer, DemoFailed


@dataclass(frozen=True)
class Link:
    """One account at a package: made once, whichever combis use it."""

    connector: str
    auth: str
    fields: Mapping[str, str] = field(default_factory=dict)
    """What the customer types before connecting."""
    login: Mapping[str, str] = field(default_factory=dict)
    """What the customer fills in at the consent page where the page itself does not propose it."""

    @property
    def name(self) -> str:
        """What tells it apart from the others."""
        return f"{self.connector}:{self.auth}"


@dataclass(frozen=True)
class Plan:
    """One combi: its links, the answers that nobody can guess, and what is known to need a human."""

    recipe: str
    source: Link
    target: Link
    side: Link | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    company: str = ""
    """A company of the source that is booked in the only administration of the target."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """The table of ledger accounts: the source's -> the target's."""
    findings: frozenset[str] = frozenset()
    """`flow number` of every document that the sandboxes hold in order to be a finding."""

    def links(self) -> dict[str, Link]:
        """By side."""
        both = {"source": self.source, "target": self.target}
        return both | ({"side": self.side} if self.side else {})


MINOX = Link("minox", "oauth", login={"customer_number": "41207", "username": "MINOX", "password": "waterlelie"})
PLANS = (
    Plan(
        "simplicate-minox",
        Link("simplicate", "oauth", {"domain": "waterlinie"}),
        MINOX,
        settings={
            "journal": "VERK",
            "administrations": {
                "myorganizationprofile:91c0de77aa10b2c4": "41207/3",
                "myorganizationprofile:5e20bb01cc93d7aa": "41207/4",
            },
        },
        findings=frozenset({"invoices F2026-0425"}),  # revenue without a ledger account
    ),
    Plan(
        "minuba-eaccounting",
        Link("minuba", "oauth"),
        Link("eaccounting", "oauth"),
        settings={"own_link_off": True, "attach_document": True},
        # A customer without number and address, its invoice, and one with a rate of VAT that Dutch books do not have.
        findings=frozenset({"customers VvE Voorbeeldkade", "invoices 20261195", "invoices 20261196"}),
    ),
    Plan(
        "nmbrs-minox",
        Link("nmbrs", "oauth"),
        MINOX,
        side=Link("bizcuit", "oauth"),
        settings={
            "own_link_off": True,
            "administrations": {"1": "41207/5"},
            "start_year": 2025,
            "start_period": 11,
            "journal": "MEMO",
            "account_mode": "transpose",
            "net_pay_account": "2100",
        },
        accounts={
            "4000": "4000",
            "4010": "4020",
            "4050": "4010",
            "4060": "4030",
            "4070": "4040",
            "1700": "1720",
            "1720": "1760",
            "1830": "1750",
            "2100": "1740",
        },
    ),
    Plan(
        "nmbrs-eboekhouden",
        Link("nmbrs", "key", days.HAULIER),
        Link("eboekhouden", "session", {"api_token": days.HAULIERS_BOOKS}),
        settings={"start_year": 2026, "split": "cost_centre"},
        company="7",
        findings=frozenset({"journals 2026-04 run 4"}),  # a ledger account that e-Boekhouden.nl does not have
    ),
    Plan(
        "loket-finmaster",
        Link("loket", "oauth"),
        Link("finmaster", "key", {"token": "finmaster_demo_goudenkorst"}),
        settings={"administrations": {"91d5b2c8-0a7e-4b36-8c4f-52e9f1d7a603": "GK2026"}, "loket_mark": True},
        findings=frozenset(
            {"journals 2026-08 run 8"}
        ),  # made anew on the second day; FinMaster has no way to change it
    ),
)
"""Every offered pair."""


async def install(client: Customer) -> list[Any]:
    """All offered combis, made and switched on. Raises DemoFailed for a pair that has no plan."""
    offered = [recipe["id"] for recipe in (await client.call("GET", "/recipes"))["data"] if recipe["offered"]]
    plans = {plan.recipe: plan for plan in PLANS}
    present = {combi["recipe"]: combi for combi in (await client.call("GET", "/combis"))["data"]}
    links = {
        link.name: combi[side]["connection_id"]
        for recipe, combi in present.items()
        if recipe in plans
        for side, link in plans[recipe].links().items()
    }
    if bare := set(offered) - set(plans):
        raise DemoFailed(f"hub/demo/combis.py has no plan for {', '.join(sorted(bare))}, which is offered")
    combis: list[Any] = []
    for recipe, plan in reversed(plans.items()):  # the newest stands on top of My combis
        combi = present.get(recipe) or await _new_combi(client, plan, links)
        await _connect_again(client, combi, plan)
        combis.insert(0, await client.call("GET", f"/combis/{combi['id']}"))
    return combis


async def _new_combi(client: Customer, plan: Plan, links: dict[str, str]) -> Any:
    for link in plan.links().values():
        if link.name not in links:
            links[link.name] = await _connect(client, link)
    body = {
        "recipe": plan.recipe,
        **{f"{side}_connection_id": links[link.name] for side, link in plan.links().items()},
        "settings": plan.settings,
    }
    combi = await client.call("POST", "/combis", body)
    if plan.company:
        (only,) = (await client.call("GET", f"/combis/{combi['id']}/options/administrations"))["options"]
        answer = {"settings": {"administrations": {plan.company: only["value"]}}}
        await client.call("PATCH", f"/combis/{combi['id']}", answer)
    if plan.accounts:
        entries = [{"source": theirs, "target": ours} for theirs, ours in plan.accounts.items()]
        await client.call("PUT", f"/combis/{combi['id']}/mappings/ledger_accounts", {"entries": entries})
    return await client.call("POST", f"/combis/{combi['id']}/activate")


async def _connect(client: Customer, link: Link) -> str:
    asked = {"connector": link.connector, "auth": link.auth, "fields": link.fields}
    made = await client.call("POST", "/connections", asked)
    if made["status"] == "pending":
        await client.consent(made["authorization_url"], link.login)
        made = await client.call("GET", f"/connections/{made['id']}")
    if made["status"] != "active":
        raise DemoFailed(f"{link.connector} is {made['status']} after consent")
    return str(made["id"])


async def _connect_again(client: Customer, combi: Mapping[str, Any], plan: Plan) -> None:
    """Gives consent again where a grant has ended since the last demo."""
    for side, link in plan.links().items():
        place = f"/connections/{combi[side]['connection_id']}"
        if (await client.call("POST", f"{place}/check", {}))["status"] != "active":
            asked = await client.call("POST", f"{place}/reauthorize", {"fields": link.fields})
            if asked["authorization_url"]:
                await client.consent(asked["authorization_url"], link.login)
    if combi["status"] != "active":
        await client.call("POST", f"/combis/{combi['id']}/activate")
