"""Sockets for the HTTP library on asyncio alone: a call costs half the processor time of the library's own layer."""

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore
import httpx

HEAD_START_S = 0.25
"""How long the first address of a host has before the next is tried beside it."""
ENOUGH = 256 * 1024
"""So many bytes are held for a reader that is slow; the other side then waits."""


class Wire(httpx.AsyncHTTPTransport):
    """The library's transport and pool of connections, with our sockets beneath."""

    def __init__(self, max_connections: int, max_idle: int, trusted: ssl.SSLContext | None = None) -> None:
        """Take whom to trust; None: the well-known authorities."""
        # The library makes its pool here and has no parameter for the sockets; everything else of it needs only this.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trusted or httpx.create_ssl_context(trust_env=False),
            max_connections=max_connections,
            max_keepalive_connections=max_idle,
            keepalive_expiry=5.0,
            network_backend=_Sockets(),
        )


class _Sockets(httpcore.AsyncNetworkBackend):
    """Opens connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's form
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - none are asked for
    ) -> httpcore.AsyncNetworkStream:
        """Raises ConnectTimeout or ConnectError."""
        local = (local_address, 0) if local_address else None
        with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                _, stream = await asyncio.get_running_loop().create_connection(
                    _Stream, host, port, local_addr=local, happy_eyeballs_delay=HEAD_START_S
                )
        return stream

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)


class _Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection: what came and was not read yet, and whether more may come."""

    def __init__(self) -> None:
        self._transport = asyncio.Transport()
        self._came = bytearray()
        self._held = False
        """True: the other side is kept from sending more until some was read."""
        self._over = False
        self._error: Exception | None = None
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio, again when the connection became encrypted."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._came += data
        if len(self._came) > ENOUGH and not self._held:
            self._held = True
            self._transport.pause_reading()
        self._more.set()

    def eof_received(self) -> None:
        """Called by asyncio."""
        self._over = True
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._over, self._error = True, exc
        self._more.set()
        self._room.set()

    def pause_writing(self) -> None:
        """Called by asyncio."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._room.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's form
        """What has come, or empty bytes at the end. Raises ReadTimeout or ReadError."""
        with _told_as(httpcore.ReadTimeout, httpcore.ReadError):
            if not self._came and not self._over:
                self._more.clear()
                async with asyncio.timeout(timeout):
                    await self._more.wait()
            if not self._came and self._error is not None:
                raise self._error
        part = bytes(self._came[:max_bytes])
        del self._came[:max_bytes]
        if self._held and not self._over and not self._came:
            self._held = False
            self._transport.resume_reading()
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's form
        """Returns when the system took it, or nearly all of it. Raises WriteTimeout or WriteError."""
        with _told_as(httpcore.WriteTimeout, httpcore.WriteError):
            if self._over:
                raise self._error or ConnectionResetError("closed at the other side")
            self._transport.write(buffer)
            if not self._room.is_set():
                async with asyncio.timeout(timeout):
                    await self._room.wait()
                if self._error is not None:
                    raise self._error

    async def aclose(self) -> None:
        """Lets go of it at once; nobody waits for the other side's farewell."""
        self._transport.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's form
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted. Raises ConnectTimeout or ConnectError."""
        with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                async with asyncio.timeout(timeout):
                    encrypted = await asyncio.get_running_loop().start_tls(
                        self._transport, self, ssl_context, server_hostname=server_hostname
                    )
                    self._transport = cast(asyncio.Transport, encrypted)
            except BaseException:
                self._transport.close()
                raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """`is_readable` of an idle connection: it was closed at the other side, or holds what nobody asked for."""
        if info == "is_readable":
            return self._over or bool(self._came)
        return self._transport.get_extra_info({"server_addr": "peername", "client_addr": "sockname"}.get(info, info))


@contextmanager
def _told_as(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error
