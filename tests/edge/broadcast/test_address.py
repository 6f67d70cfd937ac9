from __future__ import annotations

import re
import socket
import threading

import pytest

from edge.broadcast.address import (
    Address,
    AddressError,
    is_loopback,
    listen,
    url_of,
)

ALL = "0.0.0.0"  # noqa: S104 - what it is about


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        (f"{ALL}:80", ALL, 80),
        ("[::1]:65535", "::1", 65535),
        ("pi.local:0", "pi.local", 0),
    ],
)
def test_what_an_address_is(text: str, host: str, port: int) -> None:
    assert Address.parse(text, "--web") == Address(host, port)


@pytest.mark.parametrize(
    "text",
    ["", "x", "65536", "-1", ":8080", "::1:8080", "a b:1", "host:", "http://x:1", "1:2:3", "²:1"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(AddressError, match=re.escape(f"--web {text!r}; allowed: PORT or HOST")):
        Address.parse(text, "--web")


def test_a_socket_of_this_machine_alone() -> None:
    with listen(Address("127.0.0.1", 0), "--web") as server:
        assert is_loopback(server)
        host, port = server.getsockname()
        assert url_of(server, Address("127.0.0.1", 0), "/x") == f"http://{host}:{port}/x"
        with pytest.raises(AddressError, match=r"Address already in use.*name another port"):
            listen(Address("127.0.0.1", port), "--web")


def test_a_socket_for_all_is_named_after_the_machine() -> None:
    with listen(Address(ALL, 0), "--web") as server:
        assert not is_loopback(server)
        port = server.getsockname()[1]
        url = url_of(server, Address(ALL, 0), "/")
        assert url == f"http://{socket.gethostname()}:{port}/"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_ours(host: str) -> None:
    with pytest.raises(AddressError, match=f"--metrics {host}:0: nothing can listen there"):
        listen(Address(host, 0), "--metrics")


def test_a_peer_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.broadcast.address.STALLED_MS", 300)
    with listen(Address("127.0.0.1", 0), "--web") as server:
        # Small buffers, so that they are soon full.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with socket.create_connection(server.getsockname()) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer, _ = server.accept()
            ended = threading.Event()

            def send_for_ever() -> None:
                try:
                    while True:
                        peer.sendall(bytes(1 << 16))
                except TimeoutError:  # the kernel's ETIMEDOUT, not ours
                    ended.set()

            with peer:
                thread = threading.Thread(target=send_for_ever)
                thread.start()
                thread.join(10)
            assert ended.is_set()
