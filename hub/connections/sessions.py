"""The session endpoint of a package: a lasting token traded for a session that ends."""

from collections.abc import Mapping
from typing import Any

from hub.connections.tokens import Tokens, as_object, as_seconds, as_word
from hub.kit.log import redact_text, register_secret
from hub.sdk.errors import ReauthRequired, TransientError, VendorError
from hub.sdk.http import fill
from hub.sdk.manifest import Manifest, Session

TOKEN = "session_token"
"""The secret that holds the session's token, beside the lasting one."""


def address(session: Session, endpoints: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """The URL that opens and ends sessions. Raises ConfigError naming a connect field that is missing."""
    return fill(endpoints[session.endpoint], fields).rstrip("/") + session.path


async def ask(client: Any, manifest: Manifest, session: Session, url: str, values: Mapping[str, str]) -> Tokens:
    """Open a session with the secrets and fields in `values`. Never repeated.

    Raises ReauthRequired when the lasting token is refused, TransientError for everything that says nothing about it
    (no answer, 5xx, 429, a page instead of JSON, an unreadable refusal).
    """
    body = {name: fill(template, values, quoted=False) for name, template in session.body.items()}
    try:
        response = await client.post(url, headers={"Accept": "application/json"}, json=body)
    except Exception as error:
        # Only the HTTP library raises here, and its errors are known to one module alone.
        raise TransientError("token_unreachable", package=manifest.title, words=type(error).__name__) from error
    answer = as_object(response.content)
    if not 200 <= response.status_code < 300 or answer is None:
        raise _refusal(manifest, session, response.status_code, answer, bool(response.content.strip()))
    token = as_word(answer.get(session.token_field))
    if not token:
        raise TransientError("token_answer_broken", package=manifest.title, missing=session.token_field)
    register_secret(token)
    return Tokens({TOKEN: token}, as_seconds(answer.get(session.lifetime_field), session.default_lifetime_s))


async def end(client: Any, session: Session, url: str, headers: Mapping[str, str]) -> None:
    """End a session as a courtesy: whatever the package answers, it ends by itself in time."""
    if session.end == "none":
        return
    try:
        await client.request(session.end, url, headers=dict(headers))
    except Exception:
        # Only the HTTP library raises here, and its errors are known to one module alone.
        return


def _refusal(
    manifest: Manifest, session: Session, status: int, answer: Mapping[str, Any] | None, says_something: bool
) -> VendorError:
    page = answer is None and says_something
    if status >= 500 or status in (408, 429) or status < 400 or page:
        return TransientError("token_unreachable", package=manifest.title, words=f"HTTP {status}")
    facts = answer or {}
    said = " ".join(filter(None, (as_word(facts.get(name)) for name in (session.code_field, "title", "message"))))
    words = redact_text(said)[:300]
    if status == 401 or as_word(facts.get(session.code_field)) in session.dead_codes:
        return ReauthRequired("lasting_token_refused", package=manifest.title, words=words)
    return TransientError("token_refused", package=manifest.title, words=words or f"HTTP {status}")
