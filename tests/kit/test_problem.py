"""Every error of the web interface is a problem document."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import httpx2 as httpx
import pytest
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field, field_validator
from structlog.testing import capture_logs

from hub.kit import pagination
from hub.kit.problem import FieldError, Problem, install


class Settings(BaseModel):
    """What a body holds."""

    journal: str = Field(min_length=2)
    amount: Decimal

    @field_validator("journal")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "xx":
            raise ValueError("This journal does not exist.")
        return value


class Combi(BaseModel):
    """A body with settings in it."""

    settings: Settings


def make_app() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.post("/combis")
    async def create(body: Combi, dry: Annotated[int, Query(le=9)] = 0) -> None: ...

    @app.get("/list")
    async def listing(limit: pagination.Limit = pagination.DEFAULT_LIMIT, cursor: pagination.Cursor = None) -> int:
        if cursor is not None:
            pagination.decode(cursor)
        return limit

    @app.get("/busy")
    async def busy() -> None:
        errors = [FieldError(field="period", code="closed", message="This period is closed.")]
        raise Problem(409, "run_busy", "A run is going.", errors=errors, headers={"Retry-After": "5"}, run_id="r1")

    @app.get("/forbidden")
    async def forbidden() -> None:
        raise HTTPException(403, headers={"WWW-Authenticate": "Bearer"})

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("postgresql://hub:hunter2@db/hub")

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that answers every error as a problem."""
    transport = httpx.ASGITransport(make_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        yield client


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == "about:blank"
    assert body["title"]
    return body


async def test_a_problem_carries_its_code_errors_members_and_headers(client: httpx.AsyncClient) -> None:
    response = await client.get("/busy")
    body = problem(response, 409, "run_busy")
    assert body["errors"] == [{"field": "period", "code": "closed", "message": "This period is closed."}]
    assert body["run_id"] == "r1"
    assert response.headers["retry-after"] == "5"


async def test_a_wrong_body_names_every_wrong_field(client: httpx.AsyncClient) -> None:
    response = await client.post("/combis?dry=10", json={"settings": {"journal": "x"}})
    errors = problem(response, 422, "invalid")["errors"]
    assert isinstance(errors, list)
    assert {error["field"] for error in errors} == {"query.dry", "settings.journal", "settings.amount"}
    assert all(error["code"] and error["message"] for error in errors)


async def test_our_own_message_is_given_as_it_is(client: httpx.AsyncClient) -> None:
    response = await client.post("/combis", json={"settings": {"journal": "xx", "amount": "1.00"}})
    (error,) = response.json()["errors"]
    assert error["message"] == "This journal does not exist."


async def test_a_missing_body_and_broken_json_are_told_apart(client: httpx.AsyncClient) -> None:
    assert problem(await client.post("/combis"), 422, "invalid")["errors"]
    problem(await client.post("/combis", content="{", headers={"content-type": "application/json"}), 400, "bad_json")


async def test_unknown_routes_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    problem(await client.get("/nowhere"), 404, "not_found")
    response = await client.delete("/list")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


async def test_an_http_exception_keeps_its_headers(client: httpx.AsyncClient) -> None:
    response = await client.get("/forbidden")
    problem(response, 403, "forbidden")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_an_unexpected_error_shows_a_reference_and_nothing_inside(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        response = await client.get("/broken")
    body = problem(response, 500, "internal_error")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    assert body["correlation_id"] == logs[0]["reference"]


@pytest.mark.parametrize("limit", ["0", "201", "x"])
async def test_a_limit_is_1_to_200(client: httpx.AsyncClient, limit: str) -> None:
    body = problem(await client.get("/list", params={"limit": limit}), 422, "invalid")
    assert body["errors"][0]["field"] == "query.limit"  # type: ignore[index]
    assert (await client.get("/list")).json() == 50


async def test_a_cursor_gives_its_values_back_with_their_types() -> None:
    values: list[pagination.CursorValue] = [
        datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC),
        date(2026, 3, 9),
        UUID(int=7),
        Decimal("1.50"),
        3,
        None,
        "é",
    ]
    cursor = pagination.encode(values)
    assert pagination.decode(cursor) == values
    assert httpx.URL("http://hub/", params={"cursor": cursor}).query == f"cursor={cursor}".encode()


@pytest.mark.parametrize(
    "cursor", ["x", "!!!!", "é", "bnVsbA", "W3sidCI6IjIwMjYifV0x", "W3sidCI6ICJ4In1d", "W3sidSI6InkifV0", "eyJhIjoxfQ"]
)
async def test_a_cursor_that_is_not_ours_is_a_bad_cursor(client: httpx.AsyncClient, cursor: str) -> None:
    problem(await client.get("/list", params={"cursor": cursor}), 400, "bad_cursor")


def test_a_cursor_of_another_list_is_a_bad_cursor() -> None:
    with pytest.raises(Problem, match="bad_cursor"):
        pagination.decode(pagination.encode([1]), length=2)
