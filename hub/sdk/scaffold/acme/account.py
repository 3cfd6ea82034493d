"""Who is connected at Acme, and between which companies can be chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.sdk.connector import Identity
from hub.sdk.errors import ConfigError
from hub.sdk.http import Http
from hub.sdk.settings import Option


async def identify(http: Http) -> Identity:
    """The company behind the key. Raises ConfigError when the answer names none."""
    found = await http.get("/me")
    if not isinstance(found, Mapping) or not found.get("id"):
        raise ConfigError("acme.no_company")
    return Identity(str(found["id"]), str(found.get("name") or found["id"]), str(found.get("email") or ""))


async def companies(http: Http, _chosen: Mapping[str, Any]) -> Sequence[Option]:
    """The one company of this key."""
    found = await identify(http)
    return [Option(found.tenant, found.name)]
