"""What holds for a package on this hub: its addresses, our name and secret there, and the chosen way to get in."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from hub.config import PREFIX, Config
from hub.sdk.errors import ConfigError
from hub.sdk.manifest import Auth, Manifest

_URL = re.compile(r"https?://([^/]+)(/.*)?")
_FIELD = re.compile(r"\{\w+\}")


def endpoints_of(manifest: Manifest, config: Config) -> Mapping[str, str]:
    """NAME -> URL template of a package: the manifest's, or the sandbox's, under what the operator overrides.

    The sandbox of `https://{domain}.example.nl/api` is `<base_url>/sandbox/<connector>/{domain}/api`. Raises
    ConfigError for an address of a manifest that is not https: only the operator may say otherwise.
    """
    found = {}
    overridden = config.endpoints.get(manifest.name, {})
    for name, template in manifest.endpoints.items():
        if name in overridden:
            found[name] = overridden[name]
        elif config.sandbox:
            found[name] = sandboxed(template, f"{config.base_url}/sandbox/{manifest.name}")
        elif template.startswith("https://"):
            found[name] = template
        else:
            raise ConfigError("endpoint_not_https", package=manifest.title, name=name)
    return MappingProxyType({**overridden, **found})


def sandboxed(template: str, base: str) -> str:
    """The same path under another base; fields in the host become the first parts of the path."""
    match = _URL.fullmatch(template)
    if match is None:
        return base
    fields = "".join(f"/{field}" for field in _FIELD.findall(match.group(1)))
    return f"{base}{fields}{match.group(2) or ''}"


def oauth_client_of(manifest: Manifest, config: Config) -> Mapping[str, str]:
    """Our `client_id` and `client_secret` at a package. Raises ConfigError that names the variable that is missing."""
    given = config.oauth.get(manifest.name, {})
    if config.sandbox:
        return {"client_id": f"hub-{manifest.name}", "client_secret": "sandbox-secret", **given}
    for name in ("client_id", "client_secret", *_operator(manifest)):
        if not given.get(name):
            variable = f"{PREFIX}OAUTH__{manifest.name.upper()}__{name.upper()}"
            raise ConfigError("oauth_client_missing", package=manifest.title, variable=variable)
    return given


def operator_secrets_of(manifest: Manifest, config: Config) -> dict[str, str]:
    """What the operator adds to every connection of a package, such as a subscription key."""
    given = config.oauth.get(manifest.name, {})
    played = dict.fromkeys(_operator(manifest), "sandbox-key") if config.sandbox else {}
    return played | {name: value for name, value in given.items() if name not in ("client_id", "client_secret")}


def _operator(manifest: Manifest) -> tuple[str, ...]:
    return tuple(name for way in manifest.auth if way.oauth is not None for name in way.oauth.operator)


def way_in(manifest: Manifest, kind: str | None) -> Auth | None:
    """The way to get in of this kind, the advised one when none is named; None when the package has none such."""
    if kind is None:
        return manifest.auth[0]
    return next((auth for auth in manifest.auth if auth.kind == kind), None)
