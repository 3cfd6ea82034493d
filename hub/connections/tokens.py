"""The token endpoint of a package, with the vendors' differences as manifest facts."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote

from hub.kit import json
from hub.kit.log import redact_text
from hub.sdk.errors import ConfigError, ReauthRequired, TransientError, VendorError
from hub.sdk.manifest import Manifest, OAuth

LONGEST_LIFE_S = 10 * 365 * 24 * 3600
_UNREADABLE = (400, 415, 422)
"""What a package may answer to a body that it cannot read."""
_DEAD = ("invalid_grant", "invalid_refresh_token", "token_revoked", "refresh token")


@dataclass(frozen=True)
class Tokens:
    """What a token endpoint gave: our secrets by name, and the seconds they live (None: not said)."""

    secrets: Mapping[str, str]
    lifetime_s: int | None


async def ask(
    client: Any, manifest: Manifest, oauth: OAuth, url: str, own: Mapping[str, str], grant: Mapping[str, str]
) -> Tokens:
    """Trade a grant (`grant_type` with its code or refresh token) for tokens.

    Never repeated, save once in the other form of body when the package says no word about the grant: then it may not
    have been able to read the request.

    Raises ReauthRequired when the grant is refused, ConfigError when we are, TransientError for everything that says
    nothing about the grant (no answer, 5xx, 429, a page instead of JSON, an unreadable refusal).
    """
    fields = {name: value for name, value in grant.items() if value}
    headers = {"Accept": "application/json"}
    if oauth.token_request_auth == "basic":
        pair = f"{quote(own['client_id'], safe='')}:{quote(own['client_secret'], safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        fields |= {"client_id": own["client_id"], "client_secret": own["client_secret"]}
    forms = ("json", "data") if oauth.token_body == "json" else ("data", "json")
    status, answer = await _posted(client, manifest, url, headers, {forms[0]: fields})
    if status in _UNREADABLE and not _names_grant_or_client(answer):
        status, answer = await _posted(client, manifest, url, headers, {forms[1]: fields})
    if not 200 <= status < 300 or answer is None or as_word(answer.get("error")):
        raise _refusal(manifest, status, answer)
    return _tokens(manifest, oauth, answer)


async def _posted(
    client: Any, manifest: Manifest, url: str, headers: Mapping[str, str], body: Mapping[str, Any]
) -> tuple[int, Mapping[str, Any] | None]:
    try:
        response = await client.post(url, headers=headers, **body)
    except Exception as error:
        # Only the HTTP library raises here, and its errors are known to one module alone.
        raise TransientError("token_unreachable", package=manifest.title, words=type(error).__name__) from error
    return response.status_code, as_object(response.content)


def _names_grant_or_client(answer: Mapping[str, Any] | None) -> bool:
    said = _said(answer or {})
    return any(word in said.lower() for word in (*_DEAD, "invalid_client", "unauthorized_client"))


def _tokens(manifest: Manifest, oauth: OAuth, answer: Mapping[str, Any]) -> Tokens:
    inner = answer.get("data")
    if isinstance(inner, Mapping) and not any(name in answer for name in oauth.secrets.values()):
        answer = inner
    secrets = {ours: word for ours, theirs in oauth.secrets.items() if (word := as_word(answer.get(theirs)))}
    if missing := [name for name in oauth.secrets if name not in secrets and name != "refresh_token"]:
        raise TransientError("token_answer_broken", package=manifest.title, missing=", ".join(missing))
    return Tokens(secrets, as_seconds(answer.get("expires_in"), oauth.default_lifetime_s))


def _refusal(manifest: Manifest, status: int, answer: Mapping[str, Any] | None) -> VendorError:
    if status >= 500 or status in (408, 429) or 300 <= status < 400 or answer is None:
        return TransientError("token_unreachable", package=manifest.title, words=f"HTTP {status}")
    said = _said(answer)
    words = redact_text(said)[:300]
    if "invalid_client" in said or "unauthorized_client" in said:
        return ConfigError("oauth_client_refused", package=manifest.title, words=words)
    if any(word in said.lower() for word in _DEAD):
        return ReauthRequired("grant_refused", package=manifest.title, words=words)
    return TransientError("token_refused", package=manifest.title, words=words or f"HTTP {status}")


def _said(answer: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (as_word(answer.get(name)) for name in ("error", "error_description", "message"))))


def as_object(content: bytes) -> Mapping[str, Any] | None:
    """An answer's JSON object or form; None when it is neither."""
    try:
        answer = json.loads(content)
    except ValueError:
        text = content[:20_000].decode("utf-8", "replace")
        answer = dict(parse_qsl(text)) if "=" in text and "<" not in text else None
    return answer if isinstance(answer, Mapping) else None


def as_word(value: object) -> str:
    """The words in a value, however deep they sit; empty for none."""
    match value:
        case str():
            return value.strip()
        case bool() | None:
            return ""
        case int() | Decimal():
            return str(value)
        case Mapping():
            return " ".join(filter(None, map(as_word, value.values())))
        case list():
            return " ".join(filter(None, map(as_word, value)))
        case _:
            return ""


def as_seconds(value: object, default: int | None) -> int | None:
    """A life in whole seconds, at most `LONGEST_LIFE_S`; the default when it is none."""
    try:
        seconds = int(Decimal(as_word(value)))
    except (ArithmeticError, ValueError):
        return default
    return min(seconds, LONGEST_LIFE_S) if seconds > 0 else default
