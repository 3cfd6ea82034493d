"""The facts about one package, as data: what `manifest.yaml` may say and what each word means."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Facts(BaseModel):
    """A part of a manifest: unknown words are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Dedupe(StrEnum):
    """How a write is found again when its answer got lost."""

    key = "key"
    """By a key of ours that the package stores: absence is proof."""
    reference = "reference"
    """By a searchable reference of ours; the search may lag."""
    none = "none"
    """It cannot: an unknown outcome waits for a human."""


class OnChange(StrEnum):
    """What the package allows when a document changed after it was booked."""

    update = "update"
    reverse = "reverse"
    manual = "manual"


class ConnectField(Facts):
    """What the customer types before connecting, such as a domain. Labels stand in the connector's strings."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    pattern: str
    """The whole value must match; this is also the wall against hostile hosts."""
    secret: bool = False
    optional: bool = False
    """May be left empty."""
    example: str = ""
    strip: tuple[str, ...] = ()
    """Prefixes and suffixes that people paste along (`https://`, `.simplicate.nl`): taken off before matching."""

    @property
    def regex(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern)


class OAuth(Facts):
    """How this package's OAuth 2.0 authorization-code flow differs from the RFC."""

    scopes: tuple[str, ...] = ()
    pkce: Literal["S256", "S256_hex", "none"] = "S256"
    """`S256_hex`: standard base64 of the hexadecimal text of the digest (seen at Simplicate)."""
    token_body: Literal["form", "json"] = "form"
    token_request_auth: Literal["body", "basic"] = "body"
    send_redirect_uri: bool = True
    """Whether the token request repeats `redirect_uri`."""
    response_mode: Literal["query", "form_post"] = "query"
    authorize_params: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {"access_token": "access_token", "refresh_token": "refresh_token"}
    """Our secret's name -> the token answer's field that holds it. All but `refresh_token` must be in the answer."""
    refresh: Literal["rotates", "keeps", "none"] = "rotates"
    refresh_optional: bool = False
    """True: even the answer to a consent may hold no refresh token; an older one is kept, without one the connection
    works for as long as its access token lives."""
    default_lifetime_s: int | None = None
    """Used when the answer holds no `expires_in`; None: taken as never expiring until a 401 says so."""
    operator: tuple[str, ...] = ()
    """What the operator has to set besides our client's id and secret, and the headers name (`subscription_key`)."""


class Session(Facts):
    """How this package trades a lasting token for a session that ends."""

    path: str = "/session"
    endpoint: str = "API"
    body: Mapping[str, str]
    """Field -> value of the JSON that opens a session; `{name}` is replaced by that secret or field."""
    token_field: str = "token"
    """The answer's field that holds the session's token; it becomes our secret `session_token`."""
    lifetime_field: str = "expiresIn"
    """The answer's field with the seconds that the session lives."""
    default_lifetime_s: int = 3600
    code_field: str = "code"
    dead_codes: tuple[str, ...] = ()
    """Codes of a refusal that say that the lasting token itself has ended. A 401 says so too."""
    end: Literal["DELETE", "none"] = "none"
    """The method, on the same path, that ends a session."""


class Auth(Facts):
    """One way to get in. A package may offer several; the first is what we advise."""

    kind: Literal["oauth", "key", "session", "file"]
    """`file`: nothing is ever called; what is booked waits for a file that the customer imports by hand."""
    fields: tuple[ConnectField, ...] = ()
    headers: Mapping[str, str] = {}
    """Headers of every call; `{name}` is replaced by that secret or field, `session_token` among them."""
    oauth: OAuth | None = None
    session: Session | None = None

    @property
    def typed(self) -> bool:
        """True when the customer types what opens the door, so that it can be tried at once."""
        return self.kind != "oauth"

    @model_validator(mode="after")
    def _kind_has_its_facts(self) -> "Auth":
        for kind, facts in (("oauth", self.oauth), ("session", self.session)):
            if (self.kind == kind) != (facts is not None):
                raise ValueError(f"`{kind}` facts belong to kind `{kind}`, and only there")
        return self


class RateLimit(Facts):
    """What the package grants per connection, and the headers by which it says so."""

    per_minute: float
    burst: int = 5
    remaining_header: str = ""
    reset_header: str = ""
    reset_unit: Literal["seconds_left", "epoch_s", "epoch_ms"] = "seconds_left"
    default_pause_s: float = 10
    """How long to keep still after a 429 that names no time."""


class WriterFacts(Facts):
    """What is promised of one target flow."""

    dedupe: Dedupe
    settle_s: float = 5
    """How long after a write a search for it may still miss it."""
    on_change: OnChange = OnChange.manual
    personal: bool = False
    """True when what is written are people's names, accounts and pay: no call is kept as evidence, and the document's
    own words are forgotten as soon as the target has them."""


class Manifest(Facts):
    """Everything about a package that is a fact and not a decision."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
    title: str
    docs: str
    auth: tuple[Auth, ...]
    endpoints: Mapping[str, str]
    """NAME -> URL template; `API` always, `AUTHORIZE` and `TOKEN` with OAuth. Overridable from the environment."""
    rate_limit: RateLimit
    sources: tuple[str, ...] = ()
    settlements: tuple[str, ...] = ()
    targets: Mapping[str, WriterFacts] = {}
    salaries: bool = False
    """Whether a payroll run's own payment file can be had, to be offered for payment."""
    own_links: tuple[str, ...] = ()
    """Connectors with which the package has a link of its own: with both on, everything is booked twice."""
    timeout_s: float = 20

    @model_validator(mode="after")
    def _endpoints_are_complete(self) -> "Manifest":
        needed = {"API"} | ({"AUTHORIZE", "TOKEN"} if any(way.kind == "oauth" for way in self.auth) else set())
        if missing := needed - set(self.endpoints):
            raise ValueError(f"endpoints lack {', '.join(sorted(missing))}")
        return self


def load(folder: Path) -> Manifest:
    """The manifest of a connector folder. Raises pydantic.ValidationError naming what is wrong."""
    return Manifest.model_validate(yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8")))
