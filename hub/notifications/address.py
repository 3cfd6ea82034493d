"""Which addresses of strangers are called: https, public, and exactly the address that was looked at."""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit


class Refused(Exception):
    """An address that is not called; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Place:
    """Where a call goes: `url` names the resolved address, so that a second look-up cannot lead elsewhere."""

    url: str
    host: str
    """For the `Host` header."""
    name: str
    """For the certificate."""


async def checked(url: str, *, private: bool = False) -> Place:
    """The place behind a URL. Raises Refused; with `private` http and private addresses are allowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("not_a_url") from None
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise Refused("not_https")
    if not parts.hostname or parts.username or parts.password or parts.fragment:
        raise Refused("not_a_url")
    addresses = await _resolved(parts.hostname, port or (443 if parts.scheme == "https" else 80))
    if not private and not all(public(address) for address in addresses):
        raise Refused("not_public")
    address = addresses[0]
    literal = f"[{address}]" if ":" in address else address
    authority = f"{literal}:{port}" if port else literal
    target = urlunsplit((parts.scheme, authority, parts.path or "/", parts.query, ""))
    return Place(target, parts.netloc, parts.hostname)


def public(address: str) -> bool:
    """Whether an address belongs to the public internet; one that hides an IPv4 address is judged by that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        nat64 = ipaddress.ip_network("64:ff9b::/96")
        if hidden is None and ip in nat64:
            hidden = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if hidden is not None:
            return public(str(hidden))
    return ip.is_global and not ip.is_multicast


async def _resolved(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused("unknown_host") from None
    addresses = [str(one[4][0]) for one in found]
    if not addresses:
        raise Refused("unknown_host")
    return addresses
