"""Settings from the environment: what is read, and how a wrong one is told."""

import base64
import os
import stat
from pathlib import Path

import pytest

from hub.config import Config, ConfigurationError, load

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("HUB_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load()
    line = str(raised.value)
    assert line.startswith(name)
    assert "\n" not in line
    return line


def test_without_settings_everything_is_embedded_on_this_machine(tmp_path: Path) -> None:
    config = load()
    assert (config.database_url, config.redis_url, config.smtp_url) == (None, None, None)
    assert config.base_url == "http://127.0.0.1:8000"
    assert config.data_dir == tmp_path / ".data"


def test_the_generated_key_is_private_and_stays_the_same(tmp_path: Path) -> None:
    first, second = load(), load()
    path = tmp_path / ".data" / "secret_keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.secret_keys == second.secret_keys
    assert len(first.secret_keys[0].value) == 32


def test_no_key_is_generated_for_a_public_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUB_BASE_URL", "https://hub.example.nl")
    with pytest.raises(ConfigurationError, match=r"^HUB_SECRET_KEYS is missing") as raised:
        load()
    assert "openssl" in str(raised.value)
    assert not (tmp_path / ".data").exists()


def test_keys_are_read_newest_first_with_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SECRET_KEYS", f"2026b:{KEY}, {base64.b64encode(bytes(32)).decode()}")
    newest, oldest = load().secret_keys
    assert newest.id == "2026b"
    assert oldest.value == bytes(32)


@pytest.mark.parametrize("value", ["short:AAAA", "not base64!", f"a:{KEY},a:{KEY}", f"two words:{KEY}"])
def test_a_wrong_key_is_named_without_showing_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    line = failing(monkeypatch, "HUB_SECRET_KEYS", value)
    assert value not in line
    assert KEY not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_DATABASE_URL", "mysql://localhost/hub"),
        ("HUB_REDIS_URL", "localhost:6379"),
        ("HUB_BASE_URL", "hub.example.nl"),
        ("HUB_SMTP_URL", "mail.example.nl"),
        ("HUB_SANDBOX", "perhaps"),
        ("HUB_LOG_FORMAT", "yaml"),
        ("HUB_ENDPOINTS__MINOX__API", "api.minox.nl"),
        ("HUB_OAUTH", "x"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    failing(monkeypatch, name, value)


def test_an_unknown_name_is_told_with_the_nearest_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "HUB_DATABASE_URL" in failing(monkeypatch, "HUB_DATBASE_URL", "x")


def test_an_unknown_oauth_name_is_told_with_the_nearest_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    line = failing(monkeypatch, "HUB_OAUTH__NMBRS__SUBSCRIPTIONKEY", "x")
    assert "HUB_OAUTH__NMBRS__SUBSCRIPTION_KEY" in line


def test_names_for_tests_and_kubernetes_service_links_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUB_TEST_MINOX_TOKEN", "HUB_SERVICE_HOST", "HUB_PORT_8000_TCP_ADDR", "HUB_WEB_PORT"):
        monkeypatch.setenv(name, "tcp://10.0.0.1:8000")
    load()


def test_an_empty_value_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_DATABASE_URL", "")
    assert load().database_url is None


def test_oauth_and_endpoints_are_read_per_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_OAUTH__MINOX__CLIENT_ID", "12")
    monkeypatch.setenv("HUB_OAUTH__NMBRS__SUBSCRIPTION_KEY", '{"a": 1}')
    monkeypatch.setenv("HUB_ENDPOINTS__SIMPLICATE__API", "http://127.0.0.1:9000/{domain}/api/v2")
    config = load()
    assert config.oauth == {"minox": {"client_id": "12"}, "nmbrs": {"subscription_key": '{"a": 1}'}}
    assert config.endpoints == {"simplicate": {"API": "http://127.0.0.1:9000/{domain}/api/v2"}}


def test_no_secret_shows_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SECRET_KEYS", f"a:{KEY}")
    monkeypatch.setenv("HUB_DATABASE_URL", "postgresql://hub:hunter2@db/hub")
    monkeypatch.setenv("HUB_REDIS_URL", "redis://:hunter2@queue/0")
    monkeypatch.setenv("HUB_SMTP_URL", "smtp://me:hunter2@mail")
    monkeypatch.setenv("HUB_OAUTH__MINOX__CLIENT_SECRET", "hunter2")
    config: Config = load()
    assert config.oauth["minox"]["client_secret"] == "hunter2"
    assert "hunter2" not in repr(config)
    assert str(bytes(range(32))) not in repr(config) + repr(config.secret_keys)


def test_a_data_folder_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failing(monkeypatch, "HUB_DATA_DIR", str(tmp_path / "file" / "data"))
