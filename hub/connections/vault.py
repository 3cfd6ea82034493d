"""Secrets of connections at rest: sealed for one connection of one organisation."""

import hashlib
from collections.abc import Mapping
from uuid import UUID

from hub.connections.models import Connection
from hub.kit import json
from hub.kit.log import register_secret
from hub.kit.secrets import KeyRing, SecretUnreadable
from hub.sdk.errors import ConfigError


def context(organisation_id: UUID, connection_id: UUID) -> str:
    """What a sealed value is bound to."""
    return f"{organisation_id}/{connection_id}"


def lock_up(keys: KeyRing, connection: Connection, secrets: Mapping[str, str]) -> None:
    """Put new secrets into a connection."""
    for value in secrets.values():
        register_secret(value)
    plain = json.dumps(dict(secrets)).encode()
    connection.secrets = keys.seal(plain, context(connection.organisation_id, connection.id))
    connection.secrets_version += 1


def opened(keys: KeyRing, connection: Connection) -> dict[str, str]:
    """The secrets of a connection; empty when it has none. Raises ConfigError when no key fits."""
    if connection.secrets is None:
        return {}
    try:
        plain = keys.open(connection.secrets, context(connection.organisation_id, connection.id))
    except SecretUnreadable as error:
        raise ConfigError("secrets_unreadable", words=str(error)) from error
    secrets = {str(name): str(value) for name, value in json.loads(plain).items()}
    for value in secrets.values():
        register_secret(value)
    return secrets


def hashed(secret: str) -> str:
    """What is stored of a long random secret that only has to be recognised."""
    return hashlib.sha256(secret.encode()).hexdigest()
