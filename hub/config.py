"""The settings of the program, read once from the environment."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "HUB_"
TEST_PREFIX = "HUB_TEST_"
KEY_BYTES = 32

OAUTH_NAMES = ("client_id", "client_secret", "subscription_key")

# Kubernetes puts the address of every service into the environment of every pod, so a service named `hub` or `hub-web`
# gives HUB_SERVICE_HOST, HUB_PORT, HUB_WEB_PORT_8000_TCP_ADDR and so on.
_SERVICE_LINK = re.compile(r"HUB_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP)(_\w+)?)")


class ConfigurationError(Exception):
    """A setting is missing or wrong; `str()` is one line that names the variable, what is wrong and what to do."""


@dataclass(frozen=True)
class SecretKey:
    """One key of the key ring: a short id that is stored beside what it sealed, and 32 secret bytes."""

    id: str
    value: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> SecretKey:
        """Read `id:base64` or plain base64 of 32 bytes; raise ValueError otherwise, without repeating the text."""
        name, colon, encoded = text.strip().rpartition(":")
        try:
            value = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error:
            raise ValueError("is not base64") from None
        if len(value) != KEY_BYTES:
            raise ValueError(f"is {len(value)} bytes long instead of {KEY_BYTES}")
        if colon and not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", name):
            raise ValueError("has an id that is not 1 to 32 letters, digits, dots, dashes or underscores")
        return cls(name or hashlib.sha256(value).hexdigest()[:8], value)


class Config(BaseSettings):
    """Every setting of the hub; the names in the environment are these names in capitals after `HUB_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="ignore", frozen=True
    )

    database_url: str | None = Field(default=None, repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    data_dir: Path = Path("./.data")
    base_url: str = "http://127.0.0.1:8000"
    secret_keys: Annotated[list[SecretKey], NoDecode] = Field(default_factory=list, repr=False)
    smtp_url: SecretStr | None = None
    sandbox: bool = False
    log_format: Literal["json", "console"] = "console"
    oauth: dict[str, dict[str, str]] = Field(default_factory=dict, repr=False)
    endpoints: dict[str, dict[str, str]] = Field(default_factory=dict)

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"postgres(ql)?(\+psycopg)?://", url):
            raise ValueError("is not a PostgreSQL address; write postgresql://user:password@host/database")
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"(rediss?|unix)://", url):
            raise ValueError("is not a Redis address; write redis://host:6379/0")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.match(r"smtps?://[^/?]*[^/?@]", url.get_secret_value()):
            raise ValueError("is not a mail server; write smtp://user:password@host:587 or smtps://user:password@host")
        return url

    @field_validator("base_url")
    @classmethod
    def _is_public_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("is not a web address; write the public address, as https://hub.example.nl")
        return url.rstrip("/")

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        keys = []
        for number, text in enumerate(filter(None, (part.strip() for part in value.split(","))), start=1):
            try:
                keys.append(SecretKey.parse(text))
            except ValueError as error:
                raise ValueError(
                    f"key {number} {error}; make one with: openssl rand -base64 {KEY_BYTES}, newest first"
                ) from None
        if len({key.id for key in keys}) != len(keys):
            raise ValueError("names the same key id twice; give every key its own id")
        return keys

    @field_validator("oauth", mode="after")
    @classmethod
    def _lower_names(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        return {connector.lower(): {k.lower(): v for k, v in names.items()} for connector, names in value.items()}

    @field_validator("endpoints", mode="after")
    @classmethod
    def _endpoint_addresses(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for connector, names in value.items():
            for name, url in names.items():
                if not re.match(r"https?://\S+$", url):
                    raise ValueError(f"__{connector.upper()}__{name.upper()}|is not a web address; write http(s)://…")
        return {connector.lower(): {k.upper(): v for k, v in names.items()} for connector, names in value.items()}


def load() -> Config:
    """Read the environment; raise `ConfigurationError` with one line that names what is wrong.

    Without `HUB_SECRET_KEYS` a key is made once and kept in the data folder, on a loopback address only.
    """
    for name in sorted(os.environ):
        _refuse_unknown(name)
    try:
        config = Config()
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None
    config = config.model_copy(update={"data_dir": config.data_dir.expanduser().resolve()})
    if config.secret_keys:
        return config
    return config.model_copy(update={"secret_keys": _kept_keys(config)})


def is_loopback(url: str) -> bool:
    """Say whether a web address can be reached from this machine only."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_unknown(name: str) -> None:
    if not name.startswith(PREFIX) or name.startswith(TEST_PREFIX) or _SERVICE_LINK.fullmatch(name):
        return
    first, *rest = name.removeprefix(PREFIX).split("__")
    known = {f"{PREFIX}{field_name.upper()}" for field_name in Config.model_fields}
    nested = {"OAUTH", "ENDPOINTS"}
    if first in nested and len(rest) == 2 and all(rest):
        if first == "OAUTH" and rest[1].lower() not in OAUTH_NAMES:
            near = _nearest(rest[1], [known_name.upper() for known_name in OAUTH_NAMES])
            raise ConfigurationError(f"{name} is not a known setting; did you mean {PREFIX}OAUTH__{rest[0]}__{near}?")
        return
    if first in nested:
        last = "CLIENT_ID" if first == "OAUTH" else "API"
        raise ConfigurationError(f"{name} is not a known setting; write {PREFIX}{first}__<CONNECTOR>__{last}")
    if name not in known:
        raise ConfigurationError(
            f"{name} is not a known setting; did you mean {_nearest(name, sorted(known))}? Correct or remove it."
        )


def _nearest(name: str, known: list[str]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0)[0]


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    variable = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
    message = first["msg"].removeprefix("Value error, ")
    suffix, bar, rest = message.partition("|")
    if bar:
        variable, message = variable + suffix, rest
    if first["type"] != "value_error":
        message = f"is wrong: {message[:1].lower()}{message[1:]}; correct it or leave it out"
    return " ".join(f"{variable} {message}".split())


def _kept_keys(config: Config) -> list[SecretKey]:
    """Give the keys of the data folder, made at the first start."""
    if not is_loopback(config.base_url):
        raise ConfigurationError(
            f"{PREFIX}SECRET_KEYS is missing and {PREFIX}BASE_URL is a public address; "
            f"make a key with: openssl rand -base64 {KEY_BYTES}, and keep it outside this machine too"
        )
    path = config.data_dir / "secret_keys"
    try:
        if not path.exists():
            _write_once(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
        keys = [SecretKey.parse(line) for line in path.read_text().replace(",", "\n").split()]
    except OSError as error:
        raise ConfigurationError(
            f"{PREFIX}DATA_DIR cannot be used: {error.strerror} ({error.filename}); name a folder that can be written"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{PREFIX}SECRET_KEYS: a key in {path} {error}; restore the file") from None
    if not keys:
        raise ConfigurationError(f"{PREFIX}SECRET_KEYS: {path} is empty; restore the file")
    return keys


def _write_once(path: Path, text: str) -> None:
    """Write a private file complete or not at all; when two processes try, the first one's text stays."""
    # 0711: as root the embedded PostgreSQL runs as another user and must be able to pass through.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink(missing_ok=True)
