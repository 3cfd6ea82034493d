"""Who is connected, and what its administrations allow: tenants, ledger accounts, journals and fiscal years."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.minox.listing import everything
from connectors.minox.reading import amount, day, flag, ident, number, part, place, text
from hub.accounting.chart import FiscalYear, Journal, LedgerAccount, Master
from hub.accounting.documents import Finding
from hub.sdk.connector import Identity, Raw
from hub.sdk.errors import ConfigError, ReauthRequired, RecordRejected
from hub.sdk.http import Http
from hub.sdk.settings import Option

_SALES = re.compile(r"verk|sale|sold|debit|omzet|factu|invoice", re.IGNORECASE)
_OTHER = re.compile(
    r"general|memo|inko|purchas|crediteur|creditor|bank|kas\b|cash|giro|open|begin|balans|loon|salar|payroll",
    re.IGNORECASE,
)
_MEMORIAL = re.compile(r"general|memo|loon|salar|payroll|diver", re.IGNORECASE)
_NO_MEMORIAL = re.compile(
    r"verk|sale|sold|debit|omzet|factu|invoice|inko|purchas|crediteur|creditor|bank|kas\b|cash|giro|open|begin|balans",
    re.IGNORECASE,
)
_UNCHARGED = re.compile(r"verlegd|\bicp\b", re.IGNORECASE)


async def identify(http: Http) -> Identity:
    """The customer number of the subscription. Raises ConfigError when the login reaches none (dossier 1)."""
    answer = await _inspected(http)
    found = _tenants(answer)
    if not found:
        raise ConfigError("minox.no_tenant")
    known = http.fields.get("tenant", "")
    tenant = known if known in found else min(found, key=int)
    offered = await everything(http, f"/tenant/{tenant}/administration")
    name = found[tenant] or next((text(row.get("name")) for row in offered if text(row.get("name"))), "Minox")
    user = next((text(answer.get(key)) for key in ("user", "username", "user_name") if text(answer.get(key))), "")
    email = text(answer.get("email"))
    return Identity(tenant=tenant, name=f"{name} ({tenant})", email=email, user=user)


async def _inspected(http: Http) -> Raw:
    """What the token reaches; the tenant we know already when the inspection says nothing of use."""
    known = {"linked_tenants": [http.fields["tenant"]]} if http.fields.get("tenant") else {}
    try:
        answer = await _inspect(http)
    except RecordRejected as refused:
        if not known:
            raise ReauthRequired("minox.no_tenant", words=refused.words) from refused
        return known
    except ReauthRequired:
        if not known:
            raise
        return known
    return answer if _tenants(answer) else known


async def _inspect(http: Http) -> Raw:
    token = await http.token()
    try:
        return part(await http.ask("/inspect", {"token": token}, as_client=True))
    except RecordRejected as refused:  # The guide still names the GET form (dossier 1).
        if refused.exchange is None or refused.exchange.status not in (404, 405, 410):
            raise
    return part(await http.get(f"/inspect/{token}", as_client=True))


def _tenants(answer: Raw) -> dict[str, str]:
    """Customer number -> name, of every tenant the token reaches."""
    linked = answer.get("linked_tenants") or answer.get("tenants") or []
    if isinstance(linked, Mapping):
        linked = list(linked.values()) if all(isinstance(one, Mapping) for one in linked.values()) else [linked]
    found: dict[str, str] = {}
    for one in [*(linked if isinstance(linked, list) else [linked]), {"tenant_id": answer.get("tenant_id")}]:
        record = part(one) or {"tenant_id": one}
        own = next(
            (number(record.get(key)) for key in ("tenant_id", "tenant", "tenantId", "id") if number(record.get(key))),
            "",
        )
        name = next((text(record.get(key)) for key in ("name", "description") if text(record.get(key))), "")
        if own:
            found.setdefault(own, name)
    return found


async def administrations(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The administrations of every tenant that the token reaches; the value is `<tenant>/<administration>`."""
    tenants = _tenants(await _inspected(http))
    options: list[Option] = []
    refused: list[Exception] = []
    for tenant in sorted(tenants, key=int):
        try:
            offered = await everything(http, f"/tenant/{tenant}/administration")
        except (RecordRejected, ConfigError) as error:  # A client company without a licence of its own.
            refused.append(error)
            continue
        owner = f" ({tenants[tenant] or tenant})" if len(tenants) > 1 else ""
        found = {number(row.get("id")): text(row.get("name")) for row in offered if number(row.get("id"))}
        options += [Option(f"{tenant}/{own}", f"{own} · {name}{owner}") for own, name in found.items()]
    if refused and not options:
        raise refused[0]
    return options


def _chosen(chosen: Mapping[str, Any]) -> list[str]:
    """The administrations a choice is about: the one named, or all that the settings name."""
    one = chosen.get("administration")
    several = chosen.get("administrations")
    named = several.values() if isinstance(several, Mapping) else several or ()
    return [str(own) for own in dict.fromkeys([one] if one else [own for own in named if own])]


def _only_entries(chosen: Mapping[str, Any]) -> bool:
    return set(chosen.get("flows") or ()) == {"journals"}


async def journals(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The journals that fit: where only journal entries flow those of the memorial, else those for sales first."""
    likeness = memorial_likeness if _only_entries(chosen) else sales_likeness
    found: dict[str, Journal] = {}
    for administration in _chosen(chosen):
        for row in await everything(http, f"{place(administration)}/journal"):
            if ident(row.get("id")):
                found.setdefault(ident(row["id"]), journal(row))
    ordered = sorted(found.values(), key=lambda one: (-likeness(one), one.id))
    if likeness is memorial_likeness:
        ordered = [one for one in ordered if likeness(one) >= 0] or ordered
    return [Option(one.id, f"{one.id} · {one.name}") for one in ordered]


async def accounts(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The ledger accounts that can be booked on, revenue first, or by number where only journal entries flow."""
    entries = _only_entries(chosen)
    found: dict[str, tuple[bool, LedgerAccount]] = {}
    for administration in _chosen(chosen):
        for row in await everything(http, f"{place(administration)}/ledger_account"):
            if ident(row.get("id")):
                found.setdefault(ident(row["id"]), (entries or _revenue(row), account(row)))
    ordered = sorted(found.values(), key=lambda one: (not one[0], one[1].number.zfill(6)))
    return [Option(one.number, f"{one.number} · {one.name}") for _, one in ordered if not one.blocked]


async def cost_centres(http: Http, chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The cost centres, by number."""
    found: dict[str, Journal] = {}
    for administration in _chosen(chosen):
        found |= {one.id: one for one in await _cost_centres(http, place(administration)) or ()}
    return [Option(one.id, f"{one.id} · {one.name}") for one in sorted(found.values(), key=lambda one: int(one.id))]


async def master(http: Http, administration: str) -> Master:
    """The master data of one administration, in four lists. Raises ConfigError when it is not there."""
    home = place(administration)
    tenant, own = administration.split("/")
    offered = await everything(http, f"/tenant/{tenant}/administration")
    facts = next((row for row in offered if number(row.get("id")) == number(own)), None)
    if facts is None:
        raise ConfigError("minox.administration_unknown", field="administrations", administration=administration)
    ledger = await everything(http, f"{home}/ledger_account")
    books = await everything(http, f"{home}/journal")
    return Master(
        administration=administration,
        name=text(facts.get("name")),
        currency=_currency(facts.get("currency")),
        accounts=tuple(account(row) for row in ledger if ident(row.get("id"))),
        journals=tuple(journal(row) for row in books if ident(row.get("id"))),
        fiscal_years=tuple(year for row in facts.get("fiscal_years") or () for year in _year(part(row))),
        cost_centres=await _cost_centres(http, home),
    )


async def _cost_centres(http: Http, home: str) -> tuple[Journal, ...] | None:
    """The cost centres; None where the administration or the token has none to show."""
    try:
        found = await everything(http, f"{home}/cost_center")
    except (RecordRejected, ConfigError):
        return None
    return tuple(
        Journal(id=number(row["id"]), name=text(row.get("description"))) for row in found if number(row.get("id"))
    )


def _currency(value: object) -> str:
    code = text(part(value).get("id") if isinstance(value, Mapping) else value).upper()
    return code if len(code) == len("EUR") and code.isalpha() else "EUR"


def account(row: Raw) -> LedgerAccount:
    """A ledger account; what is charged on a reverse-charged or ICP code is nothing, whatever its percentage."""
    code = part(row.get("vat"))
    percentage = amount(code.get("percentage"))
    set_up = bool(ident(code.get("id")) or percentage)
    percentage = percentage if set_up else None
    if set_up and _UNCHARGED.search(text(code.get("type"))):
        percentage = Decimal(0)
    blocked, cost_type = row.get("blocked"), ident(part(row.get("cost_type")).get("id"))
    return LedgerAccount(
        number=ident(row["id"]),
        name=text(row.get("description")),
        blocked=flag(part(blocked).get("active") if isinstance(blocked, Mapping) else blocked),
        vat_known="vat" in row and isinstance(row["vat"], Mapping | None) and (not set_up or percentage is not None),
        vat_percentage=percentage,
        vat_account=ident(code.get("account_id")),
        needs_cost_centre=bool(cost_type),
        takes_cost_centre=bool(cost_type),
    )


def journal(row: Raw) -> Journal:
    """A journal; its type is data (dossier 4.4)."""
    return Journal(id=ident(row["id"]), name=text(row.get("description")), kind=text(row.get("type")))


def sales_likeness(one: Journal) -> int:
    """2: its type says sales; 1: its name or code does; 0: nothing does; -1: it says something else."""
    return _likeness(one, _SALES, _OTHER)


def memorial_likeness(one: Journal) -> int:
    """The same for journal entries: `general` is the only type that a source names (dossier 4.4)."""
    return _likeness(one, _MEMORIAL, _NO_MEMORIAL)


def _likeness(one: Journal, wanted: re.Pattern[str], other: re.Pattern[str]) -> int:
    for score, words in ((2, one.kind), (1, f"{one.id} {one.name}")):
        if other.search(words):
            return -1
        if wanted.search(words):
            return score
    return 0


def sales_journal(found: Sequence[Journal] | None, chosen: str) -> Journal | Finding:
    """The journal chosen, or the only one that is for sales; a finding that names the choices otherwise."""
    return _journal_of(found, chosen, sales_likeness, "minox.journal_choose")


def memorial(found: Sequence[Journal] | None, chosen: str) -> Journal | Finding:
    """The journal chosen, or the only one that is for journal entries; a finding that names the choices otherwise."""
    return _journal_of(found, chosen, memorial_likeness, "minox.memorial_choose")


def _journal_of(
    found: Sequence[Journal] | None, chosen: str, likeness: Callable[[Journal], int], unclear: str
) -> Journal | Finding:
    if chosen and found is None:
        return Journal(id=chosen)
    if chosen:
        likely = [one for one in found or () if one.id == chosen][:1]
    else:
        best = max((likeness(one) for one in found or ()), default=0)
        likely = [one for one in found or () if likeness(one) == best and best > 0]
    if len(likely) == 1:
        return likely[0]
    choices = {"choices": ", ".join(one.id for one in found or ())}
    if chosen:
        return Finding(key="minox.journal_unknown", values={"journal": chosen, **choices}, field="journal")
    return Finding(key=unclear, values=choices, field="journal")


def _revenue(row: Raw) -> bool:
    return ident(row.get("id")).startswith("8") or (
        text(row.get("debit_credit_suggestion")).lower() == "credit" and not flag(row.get("isBalance"))
    )


def _year(row: Raw) -> list[FiscalYear]:
    """A fiscal year with its days; one whose days cannot be read is left out, and so booked in by nobody."""
    try:
        start, end = day(row.get("start_date")), day(row.get("end_date"))
    except ValueError:
        return []
    own, periods = number(row.get("fiscal_year")), number(row.get("number_of_periods"))
    return (
        [FiscalYear(year=int(own), start=start, end=end, periods=int(periods or 12))] if own and start and end else []
    )


async def fiscal_years(http: Http, administration: str) -> list[FiscalYear]:
    """The fiscal years of one administration."""
    tenant, _, own = administration.partition("/")
    place(administration)
    offered = await everything(http, f"/tenant/{tenant}/administration")
    mine = [row for row in offered if number(row.get("id")) == number(own)]
    return [year for row in mine for found in row.get("fiscal_years") or () for year in _year(part(found))]
