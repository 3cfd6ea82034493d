"""One authenticated client of one connection: signs, limits, retries reads, and raises only our five errors.

The only module that imports the HTTP library, with `hub.sdk.network` under it.
"""

import asyncio
import base64
import string
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Literal, NoReturn, Protocol
from urllib.parse import quote

import httpx2 as httpx
import stamina

from hub.kit import json
from hub.kit.limiter import NotNow
from hub.kit.metrics import VENDOR_CALLS
from hub.sdk.errors import (
    ConfigError,
    Exchange,
    OutcomeUnknown,
    ReauthRequired,
    RecordRejected,
    TransientError,
    VendorError,
)
from hub.sdk.manifest import Auth, Manifest
from hub.sdk.network import CONNECT_S, UNPACKED, Call, Heard, Network, Standing, Wire, parted, quoted

AGENT = "Combihub/1"
_SAID = {"User-Agent": AGENT, "Accept-Encoding": UNPACKED}
READ_ATTEMPTS = 3
SHORT_PAUSE_S = 3.0
"""A pause of at most so long is waited for by a read; a longer one gives the worker back."""
Kind = Literal["rejected", "config", "reauth", "transient", "unknown"]
"""What a refusal means for us, by the error it becomes."""
Query = Mapping[str, str | int | None] | Sequence[tuple[str, str]]
ClientResponse = httpx.Response
"""The library's response, for those who run an authorisation flow and not a connection."""


class Credentials(Protocol):
    """The secrets of a connection, renewed once for all workers."""

    async def current(self) -> Mapping[str, str]:
        """Secrets and connect fields by name, as the manifest's header templates name them.

        Raises ReauthRequired when the grant is known to be dead.
        """

    async def renewed(self, stale: Mapping[str, str]) -> Mapping[str, str]:
        """Fresh ones after `stale` was refused with 401; another worker's refresh is used when there was one.

        Raises ReauthRequired when no fresh ones can be had, TransientError when the package is unreachable.
        """


class Limiter(Protocol):
    """The turn-taking of all workers on one connection."""

    async def turn(self, key: str, per_minute: float, burst: int) -> None:
        """Returns when a call may be made; raises NotNow when that is not soon."""

    async def pause(self, key: str, seconds: float) -> None:
        """Nobody calls on this connection for so long."""


@dataclass(frozen=True)
class Answer:
    """What came back: `body` is parsed JSON, or the text when it was not JSON, or None when empty."""

    status: int
    body: Any
    is_json: bool
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A package's own "no", read out of an answer, with its words and what it means for us."""

    words: str
    kind: Kind = "rejected"
    key: str = "refused"
    field: str | None = None
    retry_after: float | None = None
    """For how long to keep still, when the answer's headers do not say."""
    values: tuple[tuple[str, str], ...] = ()
    """What the sentence of `key` names besides the package."""


def by_status(answer: Answer, told: Callable[[object], str], package: str) -> Refusal | None:
    """A "no" whose meaning follows from the status alone, in the package's own sentences (`<package>.refused`, …).

    `told` reads the package's words out of a body; it is asked for refusals only.
    """
    if answer.status < 400:
        return None
    words = told(answer.body)
    match answer.status:
        case 401:
            return Refusal(words, "reauth", f"{package}.access_refused")
        case 403:
            return Refusal(words, "config", f"{package}.no_rights")
        case 404 | 410:
            return Refusal(words, "rejected", f"{package}.not_found")
        case status if status < 500:
            return Refusal(words, "rejected", f"{package}.refused")
        case _:
            return Refusal(words) if words else None


class Client(httpx.AsyncClient):
    """A connection pool for all tenants: keeps no cookies, follows no redirects, trusts no proxy variables."""

    def __init__(self, transport: httpx.AsyncBaseTransport, timeout_s: float) -> None:
        super().__init__(
            transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": AGENT},
        )
        self.wire: Wire = transport if isinstance(transport, Network) else Standing(transport)
        """Carries a call that is signed already, past the library's handling of cookies, redirects and logins."""
        self.timeout_s = timeout_s


def new_client(transport: httpx.AsyncBaseTransport | None = None, timeout_s: float = 20) -> Client:
    """A client over the network, or over a transport that stands in for it."""
    return Client(transport or Network(), timeout_s)


def new_browser(base_url: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
    """One visitor's browser, cookies included; redirects are left to the caller. For the demo and the tests."""
    return httpx.AsyncClient(base_url=base_url, headers=dict(headers), timeout=30, trust_env=False)


def fill(template: str, values: Mapping[str, str], *, quoted: bool = True) -> str:
    """A URL or header template with its `{names}` filled in. Raises ConfigError naming what is missing."""
    names = _names(template)
    if missing := sorted(names - values.keys()):
        raise ConfigError("connection_field_missing", field=missing[0], name=missing[0])
    return template.format_map({name: quote(values[name], safe="") if quoted else values[name] for name in names})


@cache
def _names(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)


class Http:
    """The client that a connector's functions get."""

    def __init__(
        self,
        client: Client,
        manifest: Manifest,
        auth: Auth,
        credentials: Credentials,
        limiter: Limiter,
        *,
        connection: str,
        endpoints: Mapping[str, str],
        fields: Mapping[str, str],
        oauth_client: Mapping[str, str] | None = None,
        refusal: Callable[[Answer], Refusal | None] | None = None,
    ) -> None:
        self._client = client
        self._manifest = manifest
        self._auth = auth
        self._credentials = credentials
        self._limiter = limiter
        self._connection = connection
        self._endpoints = endpoints
        self._refusal = refusal
        self._oauth_client = oauth_client or {}
        self.fields = fields
        """The connection's facts that are no secret: connect fields, and `tenant` once it is known."""
        self.calls = 0
        """Calls made so far, failed ones and retries included."""
        self.guard: Callable[[], None] | None = None
        """Called with a connection in hand, just before each call; raises when this process may make none any more."""

    @property
    def way(self) -> str:
        """The kind of the way in (`oauth`, `key`, `session`), for packages that are spoken to differently by each."""
        return self._auth.kind

    def url(self, path: str, endpoint: str = "API") -> str:
        """The absolute URL of a path under a manifest endpoint."""
        return fill(self._endpoints[endpoint], self.fields).rstrip("/") + path

    async def token(self) -> str:
        """The access token, for packages that want it inside a body."""
        return (await self._credentials.current()).get("access_token", "")

    async def get(
        self,
        path: str,
        query: Query = (),
        *,
        absent: Sequence[int] = (),
        endpoint: str = "API",
        as_client: bool = False,
    ) -> Any:
        """Parsed JSON of a read; None when the answer is empty or its status is one of `absent`.

        `as_client` signs with the OAuth client's own name and secret (Basic) instead of the connection's.
        """
        answer = await self._read("GET", path, query, absent=absent, endpoint=endpoint, as_client=as_client)
        return None if answer.status in absent else answer.body

    async def ask(self, path: str, body: object, *, as_client: bool = False) -> Any:
        """Parsed JSON of a POST that changes nothing (an inspection, a search); repeated like a read.

        `as_client` signs with the OAuth client's own name and secret (Basic) instead of the connection's.
        """
        return (await self._read("POST", path, (), json_body=body, as_client=as_client)).body

    async def download(self, path: str, *, accept: str = "application/json") -> bytes:
        """The bytes of a file, asked for as `accept`. Raises RecordRejected when the package has none."""
        return await self._with_retries(  # type: ignore[no-any-return]
            lambda: self._exchange("GET", path, (), None, None, binary=True, accept=accept)
        )

    async def collect(self, path: str) -> bytes | None:
        """The bytes of a file that the package makes in its own time; None while it answers 202."""
        found = await self._with_retries(
            lambda: self._exchange("GET", path, (), None, None, binary=True, absent=(202,))
        )
        return found if isinstance(found, bytes) else None

    async def inquire(
        self,
        path: str,
        compose: Callable[[Mapping[str, str]], str],
        judge: Callable[[int, bytes], Refusal | None],
        *,
        headers: Mapping[str, str],
        endpoint: str = "API",
    ) -> bytes:
        """The bytes that answer a POST of text which changes nothing, such as a SOAP envelope; repeated like a read.

        `compose` makes the text out of the connection's fields and secrets. `judge` reads the package's own "no" out of
        an answer of any status; to one of kind `reauth` renewed secrets are tried, once.
        """
        return await self._with_retries(lambda: self._inquire(path, compose, judge, headers, endpoint))  # type: ignore[no-any-return]

    async def write(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Query = (),
        *,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> Any:
        """Parsed JSON of a write, or None when the answer is empty. Never repeated, but after a 401 or in a queue.

        Raises OutcomeUnknown for everything that does not prove that nothing happened.
        """
        answer: Answer = await self._exchange(method, path, query, body, files, writing=True)
        return answer.body

    async def _read(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        absent: Sequence[int] = (),
        endpoint: str = "API",
        json_body: object = None,
        as_client: bool = False,
    ) -> Answer:
        answer: Answer = await self._with_retries(
            lambda: self._exchange(
                method, path, query, json_body, None, absent=absent, endpoint=endpoint, as_client=as_client
            )
        )
        return answer

    async def _with_retries(self, call: Callable[[], Any]) -> Any:
        async for attempt in stamina.retry_context(
            on=_passes_soon,
            attempts=READ_ATTEMPTS,
            wait_initial=0.3,
            wait_max=3,
            timeout=None,
        ):
            with attempt:
                return await call()
        raise AssertionError("stamina ends with a return or a raise")

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Query,
        body: object,
        files: Mapping[str, tuple[str, bytes, str]] | None,
        *,
        writing: bool = False,
        binary: bool = False,
        absent: Sequence[int] = (),
        endpoint: str = "API",
        as_client: bool = False,
        accept: str = "application/json",
    ) -> Any:
        secrets = await self._credentials.current()
        for attempt in (1, 2):
            headers = {**_SAID, "Accept": accept, **(self._client_headers() if as_client else self._headers(secrets))}
            call = _call(method, self.url(path, endpoint), query, body, files, headers)
            status, received, content = await self._send(call, writing, Exchange(method, path, None, body, None))
            if status == 401 and attempt == 1 and not as_client:
                secrets = await self._credentials.renewed(secrets)
                continue
            if binary and status == 200:
                return content
            answer = _answer(status, content, received)
            if status in absent:
                return answer
            self._judge(answer, writing, binary, Exchange(method, path, status, body, answer.body))
            return answer
        raise AssertionError("the second attempt returns or raises")

    async def _inquire(
        self,
        path: str,
        compose: Callable[[Mapping[str, str]], str],
        judge: Callable[[int, bytes], Refusal | None],
        headers: Mapping[str, str],
        endpoint: str,
    ) -> bytes:
        secrets = await self._credentials.current()
        for attempt in (1, 2):
            content = compose({**self.fields, **secrets}).encode()
            call = Call("POST", quoted(self.url(path, endpoint)), {**_SAID, **headers}, content)
            # What was sent holds the secrets, so the evidence goes without it.
            status, received, got = await self._send(call, False, Exchange("POST", path, None, None, None))
            refusal = judge(status, got)
            if attempt == 1 and (status == 401 or (refusal is not None and refusal.kind == "reauth")):
                try:
                    secrets = await self._credentials.renewed(secrets)
                except ReauthRequired:
                    if refusal is None:
                        raise
                else:
                    continue
            shown = got[:2000].decode("utf-8", "replace")
            exchange = Exchange("POST", path, status, None, shown)
            if refusal is not None and status != 429:
                self._refuse(refusal, False, exchange)
            if 200 <= status < 300:
                return got
            self._judge(Answer(status, shown, False, received), False, False, exchange)
        raise AssertionError("the second attempt returns or raises")

    def _headers(self, secrets: Mapping[str, str]) -> dict[str, str]:
        values = {**self.fields, **secrets}
        return {name: fill(template, values, quoted=False) for name, template in self._auth.headers.items()}

    def _client_headers(self) -> dict[str, str]:
        pair = f"{self._oauth_client.get('client_id', '')}:{self._oauth_client.get('client_secret', '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    async def _send(self, call: Call, writing: bool, exchange: Exchange) -> Heard:
        limit = self._manifest.rate_limit
        try:
            await self._limiter.turn(self._connection, limit.per_minute, limit.burst)
        except NotNow as wait:
            raise TransientError("own_rate_limit", retry_after=wait.seconds, package=self._manifest.title) from wait
        self.calls += 1
        try:
            async with asyncio.timeout(self._manifest.timeout_s + 5):
                status, headers, content = await self._client.wire.call(call, self._client.timeout_s, self.guard)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            VENDOR_CALLS.labels(self._manifest.name, "unreachable").inc()
            _fail(
                TransientError("package_unreachable", package=self._manifest.title, host=call.host),
                exchange,
                error,
            )
        except (httpx.HTTPError, TimeoutError) as error:
            VENDOR_CALLS.labels(self._manifest.name, "broken").inc()
            kind = OutcomeUnknown if writing else TransientError
            _fail(kind("answer_lost", package=self._manifest.title, host=call.host), exchange, error)
        VENDOR_CALLS.labels(self._manifest.name, f"{status // 100}xx").inc()
        await self._heed(status, headers, content)
        return status, headers, content

    async def _heed(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        limit = self._manifest.rate_limit
        remaining = headers.get(limit.remaining_header) if limit.remaining_header else None
        if status == 429:
            answer = _answer(status, content, headers)
            await self._limiter.pause(self._connection, self._retry_after(headers, self._no(answer)))
        elif remaining is not None and remaining.strip() == "0":
            await self._limiter.pause(self._connection, self._until_reset(headers) or 1)

    def _retry_after(self, headers: Mapping[str, str], refusal: Refusal | None) -> float:
        """What the header says, else the package's own words, else the headers of its quota, else the manifest."""
        stated = headers.get("retry-after", "")
        said = float(stated) if stated.isdecimal() else refusal.retry_after if refusal else None
        if said is not None:
            return min(said, 24 * 3600)
        return self._until_reset(headers) or self._manifest.rate_limit.default_pause_s

    def _no(self, answer: Answer) -> Refusal | None:
        """The package's own "no" in an answer."""
        return self._refusal(answer) if self._refusal and answer.is_json and answer.body is not None else None

    def _until_reset(self, headers: Mapping[str, str]) -> float | None:
        limit = self._manifest.rate_limit
        stated = headers.get(limit.reset_header, "") if limit.reset_header else ""
        try:
            reset = float(stated)
        except ValueError:
            return None
        if limit.reset_unit != "seconds_left":
            reset = reset / (1000 if limit.reset_unit == "epoch_ms" else 1) - time.time()
        return min(max(reset, 0), 24 * 3600)

    def _judge(self, answer: Answer, writing: bool, binary: bool, exchange: Exchange) -> None:
        """Raises what an answer means; returns when it is a success."""
        refusal = self._no(answer)
        if answer.status == 429:
            _fail(self._busy(answer, refusal), exchange)
        if answer.status >= 500 or (answer.status == 408):
            kind = OutcomeUnknown if writing else TransientError
            _fail(kind("package_failed", words=_words(refusal), status=answer.status), exchange)
        if refusal is not None:
            self._refuse(refusal, writing, exchange)
        if 200 <= answer.status < 300:
            if binary or (not answer.is_json and answer.body is not None):
                kind = OutcomeUnknown if writing else TransientError
                _fail(kind("answer_not_json", words=_first_line(answer.body)), exchange)
            return
        _fail(self._by_status(answer), exchange)

    def _busy(self, answer: Answer, refusal: Refusal | None) -> TransientError:
        """What a 429 means: the package's own words for it may name another cause, and a longer rest."""
        rest = self._retry_after(answer.headers, refusal)
        if refusal is None or refusal.kind != "transient":
            return TransientError("too_many_calls", retry_after=rest, words=_words(refusal))
        values = {"package": self._manifest.title, **dict(refusal.values)}
        return TransientError(refusal.key, retry_after=rest, words=refusal.words, **values)

    def _refuse(self, refusal: Refusal, writing: bool, exchange: Exchange) -> NoReturn:
        error = _refused(refusal, writing)
        error.values = {"package": self._manifest.title, **error.values, **dict(refusal.values)}
        _fail(error, exchange)

    def _by_status(self, answer: Answer) -> VendorError:
        words = _first_line(answer.body)
        match answer.status:
            case 401:
                return ReauthRequired("access_refused", words=words, package=self._manifest.title)
            case 403:
                return ConfigError("no_rights", words=words, package=self._manifest.title)
            case 404 | 410:
                return RecordRejected("not_found", words=words, package=self._manifest.title)
            case status if 300 <= status < 400:
                return TransientError("unexpected_redirect", words=words, package=self._manifest.title)
            case _:
                return RecordRejected("refused", words=words, package=self._manifest.title)


def _refused(refusal: Refusal, writing: bool) -> VendorError:
    match refusal.kind:
        case "config":
            return ConfigError(refusal.key, words=refusal.words, field=refusal.field)
        case "reauth":
            return ReauthRequired(refusal.key, words=refusal.words)
        case "transient":
            return TransientError(refusal.key, words=refusal.words, retry_after=refusal.retry_after)
        case "unknown":
            kind = OutcomeUnknown if writing else TransientError
            return kind(refusal.key, words=refusal.words)
        case _:
            return RecordRejected(refusal.key, words=refusal.words, field=refusal.field)


def _call(
    method: str,
    url: str,
    query: Query,
    body: object,
    files: Mapping[str, tuple[str, bytes, str]] | None,
    headers: dict[str, str],
) -> Call:
    pairs = query.items() if isinstance(query, Mapping) else query
    params = [(name, str(value)) for name, value in pairs if value is not None] or None
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(body).encode()
    elif files is not None:
        headers["Content-Type"], content = parted(files)
    return Call(method, quoted(url, params), headers, content)


def _answer(status: int, content: bytes, headers: Mapping[str, str]) -> Answer:
    if not content.strip():
        return Answer(status, None, True, headers)
    try:
        return Answer(status, json.loads(content), True, headers)
    except (ValueError, RecursionError):
        return Answer(status, content[:2000].decode("utf-8", "replace"), False, headers)


def _passes_soon(error: Exception) -> bool:
    """Whether a read is worth repeating at once. A short pause that the package asked for is kept by the next turn."""
    if not isinstance(error, TransientError) or error.key == "own_rate_limit":
        return False
    return error.retry_after is None or error.retry_after <= SHORT_PAUSE_S


def _words(refusal: Refusal | None) -> str:
    return refusal.words if refusal else ""


def _first_line(body: object) -> str:
    if body is None:
        return ""
    text = body if isinstance(body, str) else json.dumps(body)
    return " ".join(text.split())[:300]


def _fail(error: VendorError, exchange: Exchange, cause: BaseException | None = None) -> NoReturn:
    error.exchange = exchange
    raise error from cause
