"""Errors of the web interface as RFC 9457 problem documents."""

import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypedDict

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger(__name__)


class FieldError(TypedDict):
    """What is wrong with one field; `field` is its path with dots, as `settings.journal`."""

    field: str
    code: str
    message: str


class Problem(Exception):
    """An answer that is not what was asked for; `code` is stable, `title` and `detail` are for people."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        """Describe the problem; further members (a run's id, say) become members of the document."""
        super().__init__(f"{status} {code}: {title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = members

    def document(self) -> dict[str, Any]:
        """Give the JSON members of RFC 9457, plus `code` and `errors`."""
        document: dict[str, Any] = {"type": "about:blank", "status": self.status, "code": self.code}
        document["title"] = self.title
        if self.detail is not None:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = self.errors
        return {**document, **self.members}

    def response(self) -> Response:
        """Give the problem as an HTTP response."""
        return JSONResponse(self.document(), self.status, self.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(DataError, _on_unstorable)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - the handler is registered for this class
    return error.response()


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """An error of the framework as a problem document."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for this class
    status = HTTPStatus(error.status_code)
    if status < 400 or status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return Response(status_code=status, headers=error.headers)
    detail = error.detail if error.detail != status.phrase else None
    code = status.phrase.lower().replace(" ", "_").replace("-", "_").replace("'", "")
    return Problem(status, code, status.phrase, detail, headers=error.headers).response()


async def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler is registered for this class
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return Problem(400, "bad_json", "The body is not valid JSON.", str(details[0]["msg"])).response()
    errors = [
        FieldError(field=_field(detail["loc"]), code=str(detail["type"]), message=_message(detail))
        for detail in details
    ]
    return Problem(422, "invalid", "The request is not valid.", "See errors for each field.", errors=errors).response()


async def _on_unstorable(request: Request, error: Exception) -> Response:
    problem = unstorable(error)
    return problem.response() if problem else await _on_unexpected(request, error)


def unstorable(error: Exception) -> Problem | None:
    """The one character that PostgreSQL takes in no text; whatever else it cannot store is a fault of ours."""
    if not isinstance(error, DataError) or "NUL (0x00)" not in str(error):
        return None
    return Problem(422, "invalid", "The request is not valid.", "No text may hold the character NUL.")


async def _on_unexpected(_request: Request, error: Exception) -> Response:
    reference = secrets.token_hex(8)
    _log.error("unexpected_error", reference=reference, exc_info=error)
    return Problem(
        500,
        "internal_error",
        "Something went wrong on our side.",
        f"Nothing is known to be wrong with the request. Mention {reference} when you ask for help.",
        correlation_id=reference,
    ).response()


def _field(location: Sequence[int | str]) -> str:
    """Write a location as a path; the part of the request is named only when it is not the body."""
    parts = [str(part) for part in location]
    if parts and parts[0] == "body" and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts)


def _message(detail: Mapping[str, Any]) -> str:
    return str(detail["msg"]).removeprefix("Value error, ")
