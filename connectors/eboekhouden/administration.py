"""Who is connected, and what the administration allows: ledgers and cost centres by id, looked up by code."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from connectors.eboekhouden.listing import everything
from connectors.eboekhouden.reading import flag, ident, one_of, text
from connectors.eboekhouden.settings import SalesCode
from hub.accounting.chart import Journal, LedgerAccount, Master
from hub.accounting.documents import Finding
from hub.sdk.connector import Identity, Raw
from hub.sdk.errors import ConfigError, ReauthRequired, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Option

NOT_IN_ROWS = ("FIN", "DEB", "CRED")
"""Ledgers of these categories cannot be booked on in the rows of a sale (dossier 5.5, MUT_106)."""
_REVENUE_FIRST = ("VW", "BAL")


async def identify(http: Http) -> Identity:
    """The administration that the token opens.

    No call tells its name or id to an ordinary token (dossier 2), but ledger ids are unique over the whole platform
    and ledgers cannot be deleted by the API: the first debtor ledger's id stands for the administration.
    """
    ledgers = [row for row in await everything(http, "/ledger") if ident(row.get("id"))]
    if not ledgers:
        raise ConfigError("eboekhouden.no_ledgers")
    ids = {ident(row["id"]) for row in ledgers}
    known = http.fields.get("tenant", "")
    debtors = {ident(row["id"]) for row in ledgers if category(row) == "DEB"}
    tenant = known if known in ids else min(debtors or ids, key=int)
    return Identity(tenant=tenant, name=await _name(http) or f"e-Boekhouden.nl {tenant}")


async def _name(http: Http) -> str:
    """The company's name, which only tokens of accountants may ask for."""
    try:
        return text(one_of(await http.get("/administration")).get("company"))
    except (RecordRejected, ConfigError, ReauthRequired):
        return ""


async def administrations(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The only administration of the token."""
    found = await identify(http)
    return [Option(found.tenant, found.name)]


async def accounts(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The ledgers that can be booked on in a sale, profit and loss first."""
    found = [row for row in await _ledgers(http) if category(row) not in NOT_IN_ROWS]
    order = {name: place for place, name in enumerate(_REVENUE_FIRST)}
    return [_option(row) for row in sorted(found, key=lambda row: (order.get(category(row), 9), text(row.get("code"))))]


async def debtor_accounts(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The debtor ledgers."""
    return [_option(row) for row in await _ledgers(http) if category(row) == "DEB"]


async def vat_codes(_http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The VAT codes of sales; e-Boekhouden.nl has no list of them (dossier 3)."""
    return [Option(code, code) for code in get_args(SalesCode)]


def _option(row: Raw) -> Option:
    return Option(text(row.get("code")), f"{text(row.get('code'))} · {text(row.get('description'))}")


async def _ledgers(http: Http) -> list[Raw]:
    return [row for row in await everything(http, "/ledger") if ident(row.get("id")) and text(row.get("code"))]


async def master(http: Http, administration: str) -> Master:
    """The chart with its ids, in two lists. Raises ConfigError when the token opens another administration."""
    at_home = http.fields.get("tenant", administration)
    if administration != at_home:
        raise ConfigError("eboekhouden.administration_unknown", field="administrations", administration=administration)
    ledgers = await _ledgers(http)
    facts: dict[str, str] = {}
    for row in ledgers:
        facts[f"id:{text(row['code'])}"] = ident(row["id"])
        facts[f"category:{text(row['code'])}"] = category(row)
    return Master(
        administration=administration,
        accounts=tuple(LedgerAccount(number=text(row["code"]), name=text(row.get("description"))) for row in ledgers),
        cost_centres=tuple(_centres(await _cost_centres(http))),
        extra=facts,
    )


async def _cost_centres(http: Http) -> list[Raw]:
    try:
        return await everything(http, "/costcenter")
    except (RecordRejected, ConfigError):  # A token without this right books without them.
        return []


def _centres(found: Iterable[Raw]) -> Iterable[Journal]:
    for row in found:
        own = ident(row.get("id"))
        if own and ("active" not in row or flag(row["active"])):
            yield Journal(id=own, name=text(row.get("description")), kind=text(row.get("fullPath")))


def category(row: Raw) -> str:
    """A ledger's category, such as VW or DEB."""
    return text(row.get("category")).upper()


def ledger_id(master: Master, code: str) -> int | None:
    """The id of the ledger with this code; None when there is none."""
    found = master.extra.get(f"id:{code}", "")
    return int(found) if found else None


def debtor(master: Master, chosen: str) -> str | Finding:
    """The code of the debtor account: the one chosen, or the only one; a finding that names the choices otherwise."""
    offered = [one.number for one in master.accounts or () if master.extra.get(f"category:{one.number}") == "DEB"]
    values = {"account": chosen, "choices": ", ".join(offered)}
    if chosen:
        found = next((one for one in offered if one == chosen or one == chosen.split(maxsplit=1)[0]), None)
        return found or Finding(key="eboekhouden.debtor_account_unknown", values=values, field="debtor_account")
    if len(offered) == 1:
        return offered[0]
    return Finding(key="eboekhouden.debtor_account_choose", values=values, field="debtor_account")


def cost_centre(master: Master, name: str, code: str = "") -> str | None:
    """The id of the cost centre with this name, else the only one whose name starts with this code (dossier 6.2)."""
    known = master.cost_centres or ()
    for wanted in filter(None, (name.casefold(), code.casefold())):
        same = [one.id for one in known if wanted in (one.name.casefold(), one.kind.casefold())]
        begins = [one.id for one in known if one.name.casefold().split(maxsplit=1)[:1] == [wanted]]
        for found in (same, begins):
            if len(found) == 1:
                return found[0]
    return None
