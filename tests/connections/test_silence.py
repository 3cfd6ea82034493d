"""No log line, mail or page holds a secret."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from hub.kit import log
from tests.connections.house import House, follow


@pytest.fixture
def loud() -> Iterator[None]:
    """Every line is written, as in a running hub."""
    root = logging.getLogger()
    before = root.handlers, root.level
    log.set_up("json", logging.DEBUG)
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


async def test_no_secret_reaches_a_log_line_a_mail_or_a_page(
    house: House, capsys: pytest.CaptureFixture[str], loud: None
) -> None:
    house.vendor.access["a-plain-key"] = house.vendor.person
    pages = []
    async with house.api() as api, house.browser() as browser:
        fields = {"domain": "acme", "access_token": "a-plain-key"}
        pages.append((await api.post("/v1/connections", json={"connector": "vend", "fields": fields})).text)
        made = await house.pending()
        pages.append((await follow(browser, made["authorization_url"])).text)
        house.vendor.access.clear()
        house.vendor.refresh.clear()
        pages.append((await api.post(f"/v1/connections/{made['id']}/check")).text)
    written = capsys.readouterr().err
    assert "connection_needs_reauth" in written
    secrets = ["a-plain-key", "access-token-", "refresh-token-", "sandbox-secret", house.key.split("_")[2]]
    secrets.append(made["authorization_url"].rsplit("/", 1)[1])
    for secret in secrets:
        assert secret not in written, secret
        assert not any(secret in page for page in pages), secret
        assert not any(secret in text for _, text in house.mails()), secret
