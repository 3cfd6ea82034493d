"""Who is connected and from which bank accounts can be paid (dossier 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from stdnum import iban as ibans

from hub.sdk.connector import Identity, Options
from hub.sdk.errors import ConfigError
from hub.sdk.http import Answer, Http, Refusal
from hub.sdk.reading import flag, text
from hub.sdk.settings import Option

ACCOUNTS = "/openapi/bank_accounts"
_INACTIVE = ("account_link_inactive", "consent_missing")
_FIRST_ERROR = 400


def by_file(http: Http) -> bool:
    """True when this connection delivers by file: no call is ever made on it."""
    return http.way == "file"


def said(told: object, *names: str) -> str:
    """The first of these members that says something, as text."""
    return next((word for name in names if isinstance(told, Mapping) and (word := text(told.get(name)))), "")


def masked(iban: str) -> str:
    """An account as it may be shown: its country and its last four characters."""
    return f"{iban[:2]}…{iban[-4:]}" if iban else ""


async def bank_accounts(http: Http) -> Mapping[str, bool]:
    """IBAN -> whether it is linked to the bank. One without `active` is taken as linked: the bank will say (3)."""
    body = await http.get(ACCOUNTS)
    listed = body.get("bank_accounts") if isinstance(body, Mapping) else body
    found: dict[str, bool] = {}
    for one in listed if isinstance(listed, list) else [listed] if isinstance(listed, Mapping) else []:
        iban = ibans.compact(said(one, "iban")) if isinstance(one, Mapping) else ""
        if iban:
            found[iban] = flag(one.get("active"), default=True)
    return found


async def identify(http: Http) -> Identity:
    """The owner of the bank accounts; by file who was typed. Raises ConfigError when there is nothing to pay from."""
    if by_file(http):
        iban = http.fields["iban"]
        if not ibans.is_valid(iban):
            raise ConfigError("bizcuit.iban_wrong", field="iban", account=masked(iban))
        return Identity(tenant=iban, name=f"{http.fields['company']} ({masked(iban)})", marks=(iban,))
    found = await bank_accounts(http)
    if not found:
        raise ConfigError("bizcuit.no_accounts")
    known = http.fields.get("tenant", "")
    tenant = known if known in found else min(found)
    return Identity(tenant=tenant, name=", ".join(masked(one) for one in sorted(found)), marks=tuple(sorted(found)))


async def choices(http: Http, _: Mapping[str, Any]) -> Sequence[Option]:
    """The accounts that are linked to a bank."""
    if by_file(http):
        return [Option(http.fields["iban"], http.fields["iban"])]
    return [Option(iban, iban) for iban, active in (await bank_accounts(http)).items() if active]


OPTIONS: Mapping[str, Options] = {"bank_accounts": choices}


def refusal(answer: Answer) -> Refusal | None:
    """`{error, message}` as our own contract has it (5.3, 8.5); Bizcuit's own error form is unknown."""
    if answer.status < _FIRST_ERROR or not isinstance(answer.body, Mapping):
        return None
    code, words = said(answer.body, "error"), said(answer.body, "message", "error_description")
    if code in _INACTIVE:
        return Refusal(words, key=f"bizcuit.{code}")
    if answer.status in (401, 403) or not code:
        return None
    return Refusal(words or code)
