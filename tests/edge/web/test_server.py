"""The real server on loopback: what it bears of clients that mean no good."""

from __future__ import annotations

import socket
import time

import pytest

from edge.errors import MissingExtraError
from edge.web import server as server_module
from edge.web.guard import Receive, Scope, Send
from edge.web.server import check_installed
from tests.edge.web.serving import serving


async def hello(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


def is_closed(connection: socket.socket, within_s: float = 5.0) -> bool:
    """Return whether the other side closes; what it still says is read."""
    connection.settimeout(within_s)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def test_it_answers_and_keeps_quiet_about_itself() -> None:
    with serving(hello) as client:
        answer = client.get("/")
    assert (answer.status, answer.body) == (200, b"hello")
    assert "server" not in answer.headers


def test_connections_are_counted_and_more_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 3)
    with serving(hello) as client:
        held = [client.connect() for _ in range(3)]
        time.sleep(0.1)
        with client.connect() as surplus:
            assert is_closed(surplus)
        held.pop().close()
        time.sleep(0.1)
        assert client.get("/").body == b"hello"
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    "said", [b"", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_who_does_not_ask_on_is_cut_off(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CHECK_S", 0.05)
    with serving(hello) as client, client.connect() as connection:
        connection.sendall(said)
        assert is_closed(connection)


def test_who_asks_on_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CHECK_S", 0.05)
    with serving(hello) as client, client.connect() as connection:
        for _ in range(20):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.03)
            said = b""
            while not said.endswith(b"hello"):
                part = connection.recv(4096)
                assert part
                said += part


def test_headers_have_an_end() -> None:
    with serving(hello) as client, client.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        try:
            for _ in range(100):
                connection.sendall(b"x" * 1000)
        except ConnectionError:
            return
        assert is_closed(connection)


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_is_cut_off(said: bytes) -> None:
    with serving(hello) as client, client.connect() as connection:
        connection.sendall(said + b"\r\n\r\n")
        assert is_closed(connection)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else 1)
    with pytest.raises(MissingExtraError, match=r"uvicorn is not.*edge-deploy\[metrics\]"):
        check_installed("metrics")
