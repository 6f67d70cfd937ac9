"""Servers on loopback for the tests, and a client that says just what it is told to."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.broadcast.address import Address, listen
from edge.web.guard import App
from edge.web.server import WebServer


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Client:
    port: int

    def get(self, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Ask once; in names of headers, _ stands for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body or None, headers=named)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@contextmanager
def serving(app: App) -> Iterator[Client]:
    with listen(Address("127.0.0.1", 0), "--web") as listening:
        server = WebServer([(listening, app)])
        server.start()
        try:
            yield Client(listening.getsockname()[1])
        finally:
            server.stop()
