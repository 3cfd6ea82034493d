"""The wire to all packages: aiohttp's connections, and the HTTP library's own words for what goes wrong on them.

aiohttp writes and parses HTTP in C, so a call costs our processor a third of what it costs over the library's own wire
(measured in `deploy/BENCHMARKS.md`), and there is a call for every document.
"""

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import httpx2 as httpx
from yarl import URL

LARGEST_ANSWER = 32 * 1024 * 1024
CONNECT_S = 5.0
MOST_CONNECTIONS = 200
IDLE_S = 5.0
"""How long a connection is kept for the next call."""
LONGEST_LINE = 64 * 1024
"""Of an answer's head."""
UNPACKED = "gzip, deflate"
_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that are sent as the request has them, or not at all."""


@dataclass(frozen=True)
class Call:
    """A signed request; its URL is absolute and quoted."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None

    @property
    def host(self) -> str:
        """Whom it goes to."""
        return urlsplit(self.url).hostname or ""


Heard = tuple[int, Mapping[str, str], bytes]
"""An answer: its status, its headers by name in whatever case, and its unpacked body."""


class Wire(Protocol):
    """What carries calls."""

    async def call(self, call: Call, timeout_s: float) -> Heard:
        """Send it once, follow nothing, keep no cookies.

        Raises the HTTP library's errors: ConnectError and ConnectTimeout only when nothing was sent.
        """


class Network(httpx.AsyncBaseTransport):
    """The pool of connections to all packages; who is trusted is not left to environment variables.

    A `Wire`, and a transport for the HTTP library's client, which speaks in consents and webhooks.
    """

    def __init__(self, trusted: ssl.SSLContext | None = None) -> None:
        """Take whom to trust; None: the authorities that the HTTP library knows."""
        self._trusted = trusted or httpx.create_ssl_context(trust_env=False)
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: Call, timeout_s: float) -> Heard:
        """As `Wire` says."""
        patience = _patience(CONNECT_S, timeout_s, timeout_s, timeout_s)
        with _in_our_words():
            answer = await self._sent(call, timeout=patience, auto_decompress=True)
            try:
                content = await _whole(answer.content.iter_any())
            finally:
                answer.release()
        return answer.status, answer.headers, content

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same for the library's client, which reads the body itself."""
        call = Call(request.method, str(request.url), request.headers, await request.aread() or None)
        with _in_our_words():
            answer = await self._sent(
                call,
                timeout=_patience(**request.extensions.get("timeout", {})),
                server_hostname=request.extensions.get("sni_hostname"),
                auto_decompress=False,
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _sent(self, call: Call, **how: Any) -> aiohttp.ClientResponse:
        url = URL(call.url, encoded=True)
        while True:
            try:
                return await self._opened().request(
                    call.method, url, headers=call.headers, data=call.content, allow_redirects=False, **how
                )
            except _NotClean:
                continue

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=IDLE_S, ssl=self._trusted),
                cookie_jar=aiohttp.DummyCookieJar(),
                request_class=_Request,
                skip_auto_headers=_OURS,
                max_line_size=LONGEST_LINE,
                max_field_size=LONGEST_LINE,
            )
            # aiohttp sends a PUT or DELETE a second time when a kept connection breaks off, though the first may have
            # arrived (aiohttp's own test client turns this off in the same way).
            self._session._retry_connection = False
        return self._session


class Standing:
    """A transport of the HTTP library that stands in for the network, as a `Wire`."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def call(self, call: Call, timeout_s: float) -> Heard:
        """As `Wire` says."""
        patience = {"timeout": httpx.Timeout(timeout_s, connect=CONNECT_S).as_dict()}
        request = httpx.Request(
            call.method, call.url, headers=dict(call.headers), content=call.content, extensions=patience
        )
        response = await self._transport.handle_async_request(request)
        try:
            return response.status_code, response.headers, await _whole(response.aiter_bytes())
        finally:
            await response.aclose()


def quoted(url: str, params: list[tuple[str, str]] | None = None) -> str:
    """A URL with its query, as it goes over the wire."""
    if params is None and url.isascii() and not _ODD.intersection(url):
        return url
    return str(httpx.URL(url, params=params))


_ODD = frozenset(' "<>\\^`{|}#' + "".join(map(chr, (*range(32), 127))))
"""What a URL without a query may hold only quoted."""


def parted(files: Mapping[str, tuple[str, bytes, str]]) -> tuple[str, bytes]:
    """The content type and the body of a form with files: (file name, content, media type) by field."""
    request = httpx.Request("POST", "http://form", files=dict(files))
    return request.headers["Content-Type"], request.read()


class _NotClean(Exception):
    """Something lies ready on a kept connection that would be taken for the answer to the next request."""


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Send it, unless something came in since the last answer: then the connection is closed with nothing sent."""
        if conn.protocol.should_close:
            raise _NotClean
        return await super().send(conn)


class _Body(httpx.AsyncByteStream):
    """The bytes of an answer as they arrive; a connection whose answer was not read to its end is not used again."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_our_words():
            async for part in self._answer.content.iter_any():
                yield part

    async def aclose(self) -> None:
        self._answer.release()


async def _whole(parts: AsyncIterator[bytes]) -> bytes:
    read: list[bytes] = []
    size = 0
    async for part in parts:
        size += len(part)
        if size > LARGEST_ANSWER:
            raise httpx.ReadError("answer too large")
        read.append(part)
    return b"".join(read)


@cache
def _patience(
    connect: float | None = None, read: float | None = None, write: float | None = None, pool: float | None = None
) -> aiohttp.ClientTimeout:
    """The library's four waits. aiohttp has none for a peer that does not read: it is left after all four together."""
    waits = (pool, connect, write, read)
    total = None if None in waits else sum(wait or 0 for wait in waits)
    return aiohttp.ClientTimeout(total=total, connect=pool, sock_connect=connect, sock_read=read)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise _kind(error)(str(error) or type(error).__name__) from error


def _kind(error: Exception) -> type[httpx.TransportError]:
    """What an error of aiohttp's is called by the HTTP library."""
    kinds: list[tuple[Any, type[httpx.TransportError]]] = [
        (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
        ((aiohttp.ClientConnectorError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), httpx.ConnectError),
        (TimeoutError, httpx.ReadTimeout),
        (
            (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError),
            httpx.RemoteProtocolError,
        ),
        # Such as a line break in a header.
        (ValueError, httpx.LocalProtocolError),
    ]
    return next((kind for theirs, kind in kinds if isinstance(error, theirs)), httpx.ReadError)
