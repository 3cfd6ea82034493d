"""Who is connected, what can be chosen, and Simplicate's own words for "no" (dossier 1.3, 2.5, 3.3, 3.7)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal
from weakref import WeakKeyDictionary

from connectors.simplicate.listing import walk
from connectors.simplicate.reading import AMSTERDAM, flag, one, part, plain, rows, text, words
from hub.sdk.connector import Identity, Note, Options
from hub.sdk.errors import ConfigError, TransientError, VendorError
from hub.sdk.http import Answer, Http, Refusal
from hub.sdk.settings import Option

NOT_THERE = (400, 403, 404)
PROFILES = "/crm/myorganizationprofile"
MESSAGE_TYPE = "messagetype:852d47ec82cb8055"
_message_types: "WeakKeyDictionary[Http, str]" = WeakKeyDictionary()
Kind = Literal["rejected", "config", "reauth", "transient", "unknown"]


async def identify(http: Http) -> Identity:
    """The user behind the grant and the company's name. Raises ConfigError when nothing at all may be read."""
    user = one(await http.get("/users/user", absent=NOT_THERE)) or {}
    reached = bool(user) or await _answers(http)
    body = await http.get(PROFILES, [("limit", "100"), ("offset", "0")], absent=(403, 404))
    if not reached and body is None:
        raise ConfigError("simplicate.nothing_readable", field="domain", domain=http.fields.get("domain", ""))
    tenant = http.fields["domain"].lower()
    full_name = " ".join(filter(None, (plain(user.get("first_name")), plain(user.get("family_name")))))
    first = next(iter(rows(body)), {})
    email = next((word for name in ("email", "username") if "@" in (word := text(user.get(name)))), "")
    return Identity(tenant, plain(first.get("name")) or tenant, email.lower(), full_name)


async def _answers(http: Http) -> bool:
    """The vendor's own test of credentials; its body is unknown and need not be JSON."""
    try:
        return await http.get("/base/test", absent=NOT_THERE) is not None
    except TransientError as error:
        if error.key == "answer_not_json":
            return True
        raise


def _listed(path: str) -> Options:
    async def options(http: Http, _chosen: Mapping[str, Any]) -> Sequence[Option]:
        found = [row async for step in walk(http, path, []) for row in step.rows]
        return [
            Option(text(row["id"]), plain(row.get("name")) or plain(row.get("label")) or text(row["id"]))
            for row in found
            if text(row.get("id")) and not flag(row.get("blocked"))
        ]

    return options


OPTIONS: Mapping[str, Options] = {
    "companies": _listed(PROFILES),
    "revenue_groups": _listed("/sales/revenuegroup"),
    "vat_classes": _listed("/invoices/vatclass"),
}


async def note(http: Http, message: Note) -> None:
    """A message on the timeline of what the source id names."""
    if http not in _message_types:
        _message_types[http] = await _message_type(http)
    kind = message.source_id.split(":", 1)[0]
    body = {
        "messagetype_id": _message_types[http],
        "title": message.title,
        "content": escape(message.text, quote=False).replace("\n", "<br>"),
        "display_date": datetime.now(UTC).astimezone(AMSTERDAM).strftime("%Y-%m-%d %H:%M:%S"),
        "linked_to": {f"{kind}_id": message.source_id},
    }
    await http.write("POST", "/timeline/message", body)


async def _message_type(http: Http) -> str:
    """The type that Simplicate's own plugin uses, where it is listed or nothing is; else the first that is open."""
    try:
        found = [option.value for option in await _listed("/timeline/messagetype")(http, {})]
    except VendorError:
        return MESSAGE_TYPE
    return MESSAGE_TYPE if MESSAGE_TYPE in found or not found else found[0]


def refusal(answer: Answer) -> Refusal | None:
    """Errors as objects or texts. A 200 may carry them: beside an id the record landed, without one it is a no."""
    body = answer.body
    said = "; ".join(words(body))[:500]
    if answer.status < 300:
        return _inside_success(body, said)
    match answer.status:
        case 401:
            return Refusal(said, "reauth", "simplicate.access_refused")
        case 403:
            return Refusal(said, "config", "simplicate.no_rights")
        case 404 | 410:
            return Refusal(said, "rejected", "simplicate.not_found")
        case status if status < 500 and said:
            return Refusal(said, "rejected", "simplicate.refused")
        case _:
            return Refusal(said) if said else None


def _inside_success(body: object, said: str) -> Refusal | None:
    if not isinstance(body, Mapping) or not body.get("errors"):
        return None
    if text(part(body.get("data")).get("id")):
        return None
    errors = body["errors"] if isinstance(body["errors"], list) else [body["errors"]]
    codes = {text(part(error).get("code")) for error in errors}
    kinds: tuple[tuple[str, Kind, str], ...] = (
        ("401", "reauth", "simplicate.access_refused"),
        ("403", "config", "simplicate.no_rights"),
        ("429", "transient", "simplicate.maintenance"),
        ("503", "transient", "simplicate.maintenance"),
    )
    for code, kind, key in kinds:
        if code in codes:
            return Refusal(said, kind, key)
    certain = any(text(part(error).get("type")) == "Validation" for error in errors) or codes & {"400", "404", "422"}
    return Refusal(said, "rejected" if certain else "unknown", "simplicate.refused")
