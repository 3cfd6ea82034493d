"""The client on the network: servers on real sockets that behave and misbehave."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.sdk import network
from hub.sdk.http import Client, new_client
from hub.sdk.network import Call, Network, quoted

LARGE = 2 * 1024 * 1024
"""More bytes than lie under way."""
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handle: Handle, encrypted: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers each connection with `handle`; gives its address."""
    tasks: list[asyncio.Task[None] | None] = []

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0, ssl=encrypted)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if encrypted else 'http'}://127.0.0.1:{port}/"
    finally:
        server.close()
        met_ones = [task for task in tasks if task is not None]
        for task in met_ones:
            task.cancel()
        await asyncio.gather(*met_ones, return_exceptions=True)


async def asked(reader: asyncio.StreamReader) -> bytes:
    """A whole request; gives its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length or 0))


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@asynccontextmanager
async def client(timeout_s: float = 20, trusted: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    async with new_client(Network(trusted), timeout_s) as made:
        yield made


async def test_a_connection_is_used_again_and_bodies_arrive_whole() -> None:
    connections = 0

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            writer.write(answer(await asked(reader)))
            await writer.drain()

    large = bytes(range(256)) * (LARGE // 256)
    async with served(echo) as url, client() as ours:
        for body in (b"one", large, b"", large[:-1]):
            assert (await ours.put(url, content=body)).content == body
    assert connections == 1


async def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await asked(reader)
        writer.write(answer(b"yes"))
        await writer.drain()

    async with served(once) as url, client() as ours:
        for _ in range(3):
            assert (await ours.post(url, content=b"body")).content == b"yes"
            await asyncio.sleep(0.02)
    assert connections == 3


async def test_an_answer_that_nobody_asked_for_reaches_nobody() -> None:
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await asked(reader)))
        await asyncio.sleep(0.02)
        writer.write(answer(b"another's"))
        await reader.read()

    async with served(twice) as url, client() as ours:
        for body in (b"first", b"second"):
            assert (await ours.put(url, content=body)).content == body
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("told", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
async def test_an_answer_that_breaks_off_is_an_error(told: bytes) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(told)
        await writer.drain()

    async with served(broken) as url, client() as ours:
        with pytest.raises(httpx.RemoteProtocolError):
            await ours.post(url, content=b"body")


async def test_a_connection_that_is_reset_is_an_error() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.transport.abort()

    async with served(reset) as url, client() as ours:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await ours.post(url, content=b"body")


async def test_silence_is_a_time_out() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.sleep(60)

    async with served(silent) as url, client(timeout_s=0.1) as ours:
        with pytest.raises(httpx.ReadTimeout):
            await ours.post(url, content=b"body")


async def test_who_does_not_read_is_a_time_out() -> None:
    async def deaf(*_: object) -> None:
        await asyncio.sleep(60)

    async with served(deaf) as url, client(timeout_s=0.2) as ours:
        ours.timeout = httpx.Timeout(0.2)
        with pytest.raises(httpx.TimeoutException):
            await ours.post(url, content=b"x" * 50_000_000)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_what_was_sent_once_is_never_sent_again_by_itself(method: str) -> None:
    """The first may have arrived, so a connection that breaks off instead of answering is for the caller to judge."""
    arrived: list[bytes] = []

    async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            arrived.append(await asked(reader))
            if len(arrived) == 2:
                return
            writer.write(answer(b"yes"))
            await writer.drain()

    async with served(forgetful) as url, client() as ours:
        assert (await ours.request(method, url, content=b"1")).content == b"yes"
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await ours.request(method, url, content=b"2")
    assert arrived == [b"1", b"2"]


@pytest.mark.parametrize("secret", ["a\r\nb: c", "a\nb: c"])
async def test_a_header_that_http_cannot_hold_leaves_nothing_sent(secret: str) -> None:
    arrived: list[bytes] = []

    async def heard(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read(1000))

    async with served(heard) as url, client() as ours:
        with suppress(httpx.TransportError):
            await ours.get(url, headers={"X-Secret": secret}, timeout=0.2)
    assert not any(b"b: c" in one for one in arrived)


async def test_a_call_goes_out_as_it_is_and_its_answer_comes_whole() -> None:
    heads: list[bytes] = []

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head)
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = gzip.compress(await reader.readexactly(int(length or 0)) or b"nothing")
            writer.write(
                b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nX-Left: 3\r\ncontent-length: %d\r\n\r\n" % len(body)
            )
            writer.write(body)
            await writer.drain()

    async with served(told) as url, client() as ours:
        address = quoted(f"{url}a%2Fb/{'é'}", [("$filter", "Name eq 'A & B'")])
        for method, content in (("POST", b"body"), ("PUT", None), ("GET", None)):
            status, headers, body = await ours.wire.call(Call(method, address, {"X-Key": "k"}, content), 5)
            assert (status, headers.get("x-left"), body) == (201, "3", content or b"nothing")
    first, second, third = (head.decode().splitlines() for head in heads)
    assert first[0] == "POST /a%2Fb/%C3%A9?%24filter=Name+eq+%27A+%26+B%27 HTTP/1.1"
    assert {line.partition(":")[0].lower() for line in first[1:] if line} == {"host", "x-key", "content-length"}
    assert "Content-Length: 0" in second
    assert "Content-Length" not in "".join(third)


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LARGEST_ANSWER", LARGE)

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with served(endless) as url, client() as ours:
        with pytest.raises(httpx.ReadError, match="too large"):
            await ours.wire.call(Call("GET", url, {}), 5)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///nobody", "http://nobody.invalid/"])
async def test_an_address_that_leads_nowhere_is_no_connection(url: str) -> None:
    async with client() as ours:
        with pytest.raises((httpx.ConnectError, httpx.LocalProtocolError)):
            await ours.wire.call(Call("GET", url, {}), 5)


async def test_an_answer_is_unpacked_and_its_head_may_be_long() -> None:
    packed = gzip.compress(b"x" * 1000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nx-long: %s\r\ncontent-length: %d\r\n\r\n"

    async def zipped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(head % (b"y" * 20_000, len(packed)) + packed)
        await writer.drain()

    async with served(zipped) as url, client() as ours:
        assert (await ours.get(url)).content == b"x" * 1000


async def test_nobody_there_is_no_connection() -> None:
    async with served(lambda *_: asyncio.sleep(0)) as url:
        pass
    async with client() as ours:
        with pytest.raises(httpx.ConnectError):
            await ours.get(url)
        with pytest.raises(httpx.ConnectError):
            await ours.get("http://nobody.invalid/")


async def test_an_encrypted_connection_is_made_with_whom_we_trust_alone(tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(answer(await asked(reader)))
            await writer.drain()

    authority = certificate(tmp_path)
    ours_too = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours_too.load_cert_chain(authority)
    large = b"x" * LARGE
    async with served(echo, ours_too) as url:
        async with client(trusted=ssl.create_default_context(cafile=str(authority))) as ours:
            for body in (b"one", large):
                assert (await ours.put(url, content=body)).content == body
        async with new_client() as ours:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                await ours.put(url, content=b"secret")


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
