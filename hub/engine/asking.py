"""What an installation asks: whether what the settings name exists, and live choices."""

from collections.abc import Iterator, Mapping, Sequence

from hub.accounting.chart import Master
from hub.accounting.documents import Finding
from hub.engine import entry_rules
from hub.engine.context import Context
from hub.sdk.settings import Option


def check_master(ctx: Context, master: Master) -> list[Finding]:
    """The accounts, journals and cost centres that the settings and tables name exist in the administration."""
    where = master.name or master.administration
    findings: list[Finding] = []
    for field, key in (
        ("default_revenue_account", "default_account_unknown"),
        ("fallback_account", "fallback_account_unknown"),
    ):
        account = entry_rules.code_of(getattr(ctx.settings, field), master)
        if account and not entry_rules.account_stands(account, master):
            findings.append(Finding(key=key, values={"account": account, "administration": where}, field=field))
    for field in _fields(ctx, "journals"):
        journal = getattr(ctx.settings, field)
        if journal and master.journals is not None and journal not in {one.id for one in master.journals}:
            findings.append(
                Finding(key="journal_unknown", values={"journal": journal, "administration": where}, field=field)
            )
    centre = entry_rules.centre_code(ctx.settings.default_cost_centre, master)
    if centre and not entry_rules.centre_stands(centre, master):
        values = {"cost_centre": centre, "administration": where}
        findings.append(Finding(key="default_cost_centre_unknown", values=values, field="default_cost_centre"))
    return [*findings, *_check_tables(ctx, master, where)]


def _check_tables(ctx: Context, master: Master, where: str) -> Iterator[Finding]:
    lost = {
        source: account
        for source, target in ctx.mappings.get("ledger_accounts", {}).items()
        if not entry_rules.account_stands(account := entry_rules.code_of(target, master), master)
    }
    if "invoices" in ctx.flows():
        for source, account in lost.items():
            values = {"account": account, "revenue_group": source}
            yield Finding(key="account_unknown", values=values, field="ledger_accounts")
    elif lost:
        yield _together("accounts_unknown", "accounts", lost, where, "ledger_accounts")
    centres = {
        source: centre
        for source, target in ctx.mappings.get("cost_centres", {}).items()
        if not entry_rules.centre_stands(centre := entry_rules.centre_code(target, master), master)
    }
    if centres:
        yield _together("cost_centres_unknown", "cost_centres", centres, where, "cost_centres")


def _together(key: str, name: str, lost: Mapping[str, str], where: str, field: str) -> Finding:
    named = entry_rules.SEPARATOR.join(f"{source} → {target}" for source, target in lost.items())
    return Finding(key=key, values={name: named, "administration": where}, field=field)


def _fields(ctx: Context, provider: str) -> Iterator[str]:
    """The settings fields whose choices come from this live list."""
    for name, field in type(ctx.settings).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("choice") == provider and isinstance(getattr(ctx.settings, name), str):
            yield name


async def master_options(ctx: Context, provider: str) -> Sequence[Option]:
    """Choices that the administrations' master data answer: `accounts`, `cost_centres` or `journals`.

    Raises KeyError when there is no such list.
    """
    found: dict[str, str] = {}
    for place in sorted(set(ctx.settings.administrations.values())) if provider in MASTER_LISTS else ():
        master = await ctx.master(place)
        if provider == "accounts":
            found |= {one.number: one.name for one in master.accounts or () if not one.blocked}
        else:
            found |= {one.id: one.name for one in getattr(master, provider) or ()}
    if provider not in MASTER_LISTS:
        raise KeyError(provider)
    return [Option(code, f"{code} {name}".strip()) for code, name in sorted(found.items())]


MASTER_LISTS = ("accounts", "cost_centres", "journals")
