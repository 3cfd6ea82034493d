"""Structured logging that keeps secrets out."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["bind_contextvars", "bound_contextvars", "clear_contextvars", "register_secret", "set_up"]

MASK = "***"
_MAX_DEPTH = 8
_MIN_SECRET = 6

# A key with one of these words is masked, unless it is named in _HARMLESS: what nobody thought of stays hidden.
_SENSITIVE = frozenset(
    [
        "authorization",
        "authorisation",
        "auth",
        "secret",
        "secrets",
        "token",
        "tokens",
        "password",
        "passwd",
        "passphrase",
        "code",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "apikey",
        "key",
        "signature",
        "session",
        "csrf",
        "bsn",
        "iban",
        "otp",
        "pin",
        "verifier",
        "assertion",
    ]
)
_HARMLESS = frozenset(
    [
        "status_code",
        "error_code",
        "outcome_code",
        "problem_code",
        "finding_code",
        "exit_code",
        "http_code",
        "country_code",
        "vat_code",
        "key_id",
        "text_key",
        "setting_key",
        "idempotency_hit",
        "auth_kind",
        "session_count",
        "token_expires_at",
        "delivery_key",
        "ledger_code",
    ]
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic|token)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)([?&;](?:[\w-]*(?:code|token|secret|password|key|state|signature))=)[^&\s\"'#]+"), rf"\1{MASK}"),
    (re.compile(r"(\w+://)[^\s/@:]*:[^\s/@]+@"), rf"\1{MASK}@"),
)

_LARGEST = 500
_secrets: dict[str, None] = {}
"""The last secrets that were in use, oldest first: a net below the masking by key, and nets must stay light."""
_pattern: re.Pattern[str] | None = None


def register_secret(value: str) -> None:
    """Mask this exact text wherever it turns up in a log line; texts under six characters are left alone.

    The last few hundred are kept: a process that serves thousands of connections still masks those in use.
    """
    global _pattern  # noqa: PLW0603 - one compiled pattern for the process
    if len(value) < _MIN_SECRET:
        return
    if _secrets.pop(value, True) is not None:
        _pattern = None
    _secrets[value] = None
    while len(_secrets) > _LARGEST:
        _secrets.pop(next(iter(_secrets)))


def _known_secrets() -> re.Pattern[str] | None:
    """One pattern of all of them, made when it is first needed."""
    global _pattern  # noqa: PLW0603 - see above
    if _pattern is None and _secrets:
        _pattern = re.compile("|".join(re.escape(secret) for secret in sorted(_secrets, key=len, reverse=True)))
    return _pattern


def set_up(log_format: Literal["json", "console"] = "console", level: int = logging.INFO) -> None:
    """Send structlog and the standard library's logging through the same processors to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if log_format == "json"
        else structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=str)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # Our own client logs each call, redacted, and a migration is one line of ours.
    for name in ("httpx2", "httpcore2", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Mask secrets in a log line, at every depth: by the words of a key, by known value, by their look."""
    return {key: value if key.startswith("_") else _masked(key, value, 0) for key, value in event_dict.items()}


def is_sensitive(key: str) -> bool:
    """Say whether a value under this key has to be masked."""
    name = key.lower().replace("-", "_")
    if name in _HARMLESS:
        return False
    return not _SENSITIVE.isdisjoint(word.lower() for word in _WORD.findall(key))


def redact_text(text: str) -> str:
    """Mask known secrets and what looks like one in a text."""
    pattern = _known_secrets()
    if pattern is not None:
        text = pattern.sub(MASK, text)
    for look, replacement in _IN_TEXT:
        text = look.sub(replacement, text)
    return text


def _masked(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if key and is_sensitive(key):
        return MASK
    if depth > _MAX_DEPTH:
        return "…"
    match value:
        case str():
            return redact_text(value)
        case bytes():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {str(name): _masked(str(name), item, depth + 1) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked("", item, depth + 1) for item in value]
        case int() | float():
            return value
        case _:
            return redact_text(str(value))
