"""Where a server listens: `[HOST:]PORT`, this machine alone unless a host is named."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from edge.errors import EdgeError
from edge.text import printable

LOOPBACK = "127.0.0.1"
BACKLOG = 64
# Linux closes a connection whose peer has taken nothing for so long, were it only to save memory.
STALLED_MS = 10_000
_ADDRESS = re.compile(
    r"(?:(?P<host>\[[0-9A-Fa-f:.%\w]{2,60}\]|[A-Za-z0-9._-]{1,253}):)?(?P<port>\d{1,5})"
)


class AddressError(EdgeError):
    """Nothing can listen at the address that was given."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host (a name, or an address without brackets) and port; 0 is any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str) -> Address:
        """Read `[HOST:]PORT`. Raises: AddressError: it is none; `option` says whose it is."""
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["port"]) > 65535:
            raise AddressError(
                f"{option} {printable(text)!r}; allowed: PORT or HOST:PORT, with a port from 0 "
                "(any free one) to 65535, such as 8080, 0.0.0.0:8080 or [::]:8080"
            )
        return cls((match["host"] or LOOPBACK).strip("[]"), int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen(address: Address, option: str) -> socket.socket:
    """Return a socket that listens there, TCP; connections that take nothing are closed.

    Raises: AddressError: the host is not this machine's, the port is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, place = found[0]
        server = socket.create_server(place[:2], family=family, backlog=BACKLOG)
    except OSError as cause:
        hint = "name another port" if address.port else "name a host of this machine"
        if address.port and address.port < 1024:
            hint = "name a port from 1024 on"
        raise AddressError(
            f"{option} {address}: nothing can listen there ({cause.strerror or cause}); {hint}"
        ) from cause
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
    return server


def is_loopback(server: socket.socket) -> bool:
    """Return whether only this machine can reach a socket that listens."""
    return ipaddress.ip_address(server.getsockname()[0].partition("%")[0]).is_loopback


def url_of(server: socket.socket, address: Address, path: str) -> str:
    """Return where a browser finds a socket that listens; for all hosts, by this machine's name."""
    host, port = server.getsockname()[:2]
    is_any = ipaddress.ip_address(host.partition("%")[0]).is_unspecified
    return f"http://{Address(socket.gethostname() if is_any else address.host, port)}{path}"
