"""The wire to all packages: aiohttp's connections under the HTTP library's own requests and answers.

aiohttp writes and parses HTTP in C, so a call costs our processor a third of what it costs over the library's own wire
(measured in `deploy/BENCHMARKS.md`), and there is a call for every document.
"""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx2 as httpx
from yarl import URL

MOST_CONNECTIONS = 200
IDLE_S = 5.0
"""How long a connection is kept for the next call."""
LONGEST_LINE = 64 * 1024
"""Of an answer's head."""
_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that are sent as the request has them, or not at all."""


class Network(httpx.AsyncBaseTransport):
    """The pool of connections to all packages; who is trusted is not left to environment variables.

    Sends each request once, follows nothing, and keeps no cookies. Raises the HTTP library's own errors: ConnectError
    and ConnectTimeout only when nothing was sent.
    """

    def __init__(self, trusted: ssl.SSLContext | None = None) -> None:
        """Take whom to trust; None: the authorities that the HTTP library knows."""
        self._trusted = trusted or httpx.create_ssl_context(trust_env=False)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is read by whoever takes it."""
        content = await request.aread()
        while True:
            try:
                with _in_our_words(request):
                    answer = await self._opened().request(
                        request.method,
                        URL(str(request.url), encoded=True),
                        headers=request.headers.multi_items(),
                        data=content or None,
                        allow_redirects=False,
                        server_hostname=request.extensions.get("sni_hostname"),
                        timeout=_patience(**request.extensions.get("timeout", {})),
                    )
            except _NotClean:
                continue
            return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer, request))

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=IDLE_S, ssl=self._trusted),
                cookie_jar=aiohttp.DummyCookieJar(),
                request_class=_Request,
                skip_auto_headers=_OURS,
                auto_decompress=False,  # the HTTP library does that
                max_line_size=LONGEST_LINE,
                max_field_size=LONGEST_LINE,
            )
            # aiohttp sends a PUT or DELETE a second time when a kept connection breaks off, though the first may have
            # arrived (aiohttp's own test client turns this off in the same way).
            self._session._retry_connection = False
        return self._session


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

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer, self._request = answer, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_our_words(self._request):
            async for part in self._answer.content.iter_any():
                yield part

    async def aclose(self) -> None:
        self._answer.release()


def _patience(
    connect: float | None = None, read: float | None = None, write: float | None = None, pool: float | None = None
) -> aiohttp.ClientTimeout:
    """The library's four waits. aiohttp has none for a peer that does not read: it is left after all four together."""
    waits = (pool, connect, write, read)
    total = None if None in waits else sum(wait or 0 for wait in waits)
    return aiohttp.ClientTimeout(total=total, connect=pool, sock_connect=connect, sock_read=read)


@contextmanager
def _in_our_words(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise _kind(error)(str(error) or type(error).__name__, request=request) from error


def _kind(error: Exception) -> type[httpx.TransportError]:
    """What an error of aiohttp's is called by the HTTP library."""
    kinds: list[tuple[Any, type[httpx.TransportError]]] = [
        (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
        ((aiohttp.ClientConnectorError, aiohttp.InvalidURL), httpx.ConnectError),
        (TimeoutError, httpx.ReadTimeout),
        ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError),
         httpx.RemoteProtocolError),
        # Such as a line break in a header.
        (ValueError, httpx.LocalProtocolError),
    ]  # fmt: skip
    return next((kind for theirs, kind in kinds if isinstance(error, theirs)), httpx.ReadError)
