"""Log lines without secrets."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from hub.kit import log, metrics


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    log.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_holds_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("json")
    with log.bound_contextvars(run="r1", combi="c1", organisation="o1"):
        structlog.get_logger("hub.test").info("run_started", documents=3)
    (line,) = lines(capsys)
    assert line.items() >= {"event": "run_started", "run": "r1", "combi": "c1", "documents": 3, "level": "info"}.items()


@pytest.mark.parametrize(
    "key",
    ["authorization", "Authorization", "client_secret", "refreshToken", "PASSWORD", "code", "set-cookie", "api_key"],
)
def test_a_value_under_a_telling_key_is_masked_at_every_depth(capsys: pytest.CaptureFixture[str], key: str) -> None:
    log.set_up("json")
    structlog.get_logger().info("called", **{key: "hunter22"}, nested={"deep": [{key: {"x": "hunter22"}}]})
    assert "hunter22" not in capsys.readouterr().err


@pytest.mark.parametrize("key", ["status_code", "outcome_code", "vat_code", "delivery_key", "text_key"])
def test_codes_of_the_trade_stay_readable(key: str) -> None:
    assert not log.is_sensitive(key)


def test_a_registered_secret_is_masked_wherever_it_turns_up(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up("json")
    log.register_secret("s3cr3t-value")
    structlog.get_logger().warning(
        "vendor says s3cr3t-value", body="{'a': 's3cr3t-value'}", thing=ValueError("s3cr3t-value")
    )
    logging.getLogger("library").error("refused %s", "s3cr3t-value")
    try:
        int("s3cr3t-value")
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert written.count("\n") == 3
    assert "s3cr3t" not in written


@pytest.mark.parametrize(
    "told",
    [
        "Authorization: Bearer abcdefgh12345678",
        "GET https://vendor/token?code=abcdefgh12345678&x=1",
        "GET /oauth/callback?state=abcdefgh12345678",
        "postgresql://hub:abcdefgh12345678@db/hub",
        "redis://:abcdefgh12345678@queue/0",
    ],
)
def test_what_looks_like_a_secret_is_masked_in_any_text(told: str) -> None:
    assert "abcdefgh12345678" not in log.redact_text(told)
    assert log.MASK in log.redact_text(told)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_values(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    log.set_up("json" if log_format == "json" else "console")
    hidden = "-".join(["local", "value"])
    try:
        int(hidden[:3])
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "local-value" not in written


def test_metrics_are_exposed_and_name_no_customer() -> None:
    metrics.RUNS.labels("written").inc()
    body, content_type = metrics.exposition()
    assert b'hub_runs_total{outcome="written"}' in body
    assert content_type.startswith("text/plain")
    labels = {name for metric in (metrics.RUNS, metrics.ITEMS, metrics.VENDOR_CALLS) for name in metric._labelnames}
    assert labels == {"outcome", "connector", "result"}
