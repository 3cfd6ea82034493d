"""What a package or the engine refuses, as a problem document in the caller's language."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from hub.kit.problem import FieldError, Problem
from hub.organisations.access import language_of
from hub.runs.sentences import finding as finding_out
from hub.runs.sentences import sentence
from hub.sdk.errors import ConfigError, OutcomeUnknown, ReauthRequired, RecordRejected, TransientError, VendorError

_KINDS: tuple[tuple[type[VendorError], int, str], ...] = (
    (ReauthRequired, 409, "needs_reauth"),
    (ConfigError, 422, "setting_wrong"),
    (RecordRejected, 422, "rejected"),
    (OutcomeUnknown, 502, "outcome_unknown"),
    (TransientError, 502, "package_unavailable"),
)


def problem(error: VendorError, language: str) -> Problem:
    """The error as an answer: `title` is our sentence, `detail` the package's own words."""
    status, code = next(((s, c) for kind, s, c in _KINDS if isinstance(error, kind)), (502, "package_unavailable"))
    said = sentence(error.key, error.values, language)
    errors = [FieldError(field=f"settings.{error.field}", code=error.key, message=said)] if error.field else []
    if isinstance(error, RecordRejected):
        for one in error.findings:
            told = finding_out(one, language)
            errors.append(FieldError(field=told.field or "document", code=told.key, message=told.sentence))
    wait = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(max(1, round(wait)))} if wait else {}
    return Problem(status, code, said, error.words or None, errors=errors, headers=headers, key=error.key)


def install(app: FastAPI) -> None:
    """Make every error of a package a problem document."""
    app.add_exception_handler(VendorError, _on_vendor_error)


async def _on_vendor_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VendorError)  # noqa: S101 - the handler is registered for this class
    return problem(error, language_of(request)).response()
