"""Who is connected, and what the administration allows: ledgers and cost centres by id, looked up by code."""

import re
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
_SUSPENSE = re.compile(r"verrekening|tussenrekening|vraagpost|kruispost|suspense|clearing", re.IGNORECASE)


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


async def accounts(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The ledgers that can be booked on, profit and loss first; in a memorial all can (dossier 5.2)."""
    entries = set(chosen.get("flows") or ()) == {"journals"}
    found = [row for row in await _ledgers(http) if entries or category(row) not in NOT_IN_ROWS]
    order = {name: place for place, name in enumerate(_REVENUE_FIRST)}
    return [_option(row) for row in sorted(found, key=lambda row: (order.get(category(row), 9), text(row.get("code"))))]


async def debtor_accounts(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The debtor ledgers."""
    return [_option(row) for row in await _ledgers(http) if category(row) == "DEB"]


async def suspense_accounts(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The ledgers that a memorial may be booked against: balance accounts, those called a suspense account first."""
    found = [row for row in await _ledgers(http) if category(row) in ("BAL", "")]
    return [
        _option(row) for row in sorted(found, key=lambda row: (not _likely(text(row.get("description"))), row["code"]))
    ]


def _likely(name: str) -> bool:
    return bool(_SUSPENSE.search(name))


async def cost_centres(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The active cost centres, by the code that their name starts with."""
    return [Option(code, text(row.get("description"))) for code, row in _coded(await _cost_centres(http)).items()]


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
    centres = _coded(await _cost_centres(http))
    facts |= {f"centre:{code}": ident(row["id"]) for code, row in centres.items()}
    return Master(
        administration=administration,
        accounts=tuple(LedgerAccount(number=text(row["code"]), name=text(row.get("description"))) for row in ledgers),
        cost_centres=tuple(
            Journal(id=code, name=text(row.get("description")), kind=text(row.get("fullPath")))
            for code, row in centres.items()
        ),
        extra=facts,
    )


async def _cost_centres(http: Http) -> list[Raw]:
    try:
        return await everything(http, "/costcenter")
    except (RecordRejected, ConfigError):  # A token without this right books without them.
        return []


def _coded(found: Iterable[Raw]) -> dict[str, Raw]:
    """The active cost centres by code: there is no such field, a name starts with it (dossier 6.2) or is it.

    Where several would share one, the next that tells them apart is taken: the whole name, its path, its id.
    """
    active = [row for row in found if ident(row.get("id")) and ("active" not in row or flag(row["active"]))]
    coded: dict[str, Raw] = {}
    for spelt in (_first_word, _name_of, lambda row: text(row.get("fullPath")), lambda row: ident(row["id"])):
        codes = [spelt(row) for row in active]
        coded |= {code: row for code, row in zip(codes, active, strict=True) if code and codes.count(code) == 1
                  and code not in coded}  # fmt: skip
        active = [row for row in active if row not in coded.values()]
    return coded


def _first_word(row: Raw) -> str:
    first, _, rest = _name_of(row).partition(" ")
    return first if rest and first[:1].isdigit() else ""


def _name_of(row: Raw) -> str:
    return text(row.get("description"))


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


def suspense(master: Master, chosen: str) -> str | Finding:
    """The code of the suspense account: the one chosen, or the only one that is called so; a finding otherwise."""
    offered = [one for one in master.accounts or () if master.extra.get(f"category:{one.number}") in ("BAL", "")]
    likely = [one.number for one in offered if _likely(one.name)]
    values = {"account": chosen, "choices": ", ".join(likely or [one.number for one in offered])}
    if chosen:
        words = (chosen, chosen.split(maxsplit=1)[0])
        found = next((word for word in words if word in master.by_number), None)
        return found or Finding(key="eboekhouden.suspense_unknown", values=values, field="suspense_account")
    if len(likely) == 1:
        return likely[0]
    return Finding(key="eboekhouden.suspense_choose", values=values, field="suspense_account")


def centre_id(master: Master, code: str) -> str:
    """The id of the cost centre with this code; empty when there is none."""
    return master.extra.get(f"centre:{code}", "")


def cost_centre(master: Master, name: str, code: str = "") -> str | None:
    """The id of the cost centre with this name, else the only one whose name starts with this code (dossier 6.2)."""
    known = master.cost_centres or ()
    for wanted in filter(None, (name.casefold(), code.casefold())):
        same = [one.id for one in known if wanted in (one.name.casefold(), one.kind.casefold())]
        begins = [one.id for one in known if one.name.casefold().split(maxsplit=1)[:1] == [wanted]]
        for found in (same, begins):
            if len(found) == 1:
                return centre_id(master, found[0])
    return None
