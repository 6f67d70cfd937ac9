"""The guard before an app that says yes to everything: nothing else runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge.web.access import Access
from edge.web.guard import HEADERS, Event, Guard, Limits, Receive, Scope, Send
from edge.web.rates import Rate

TOKEN = "0123456789abcdef"  # noqa: S105
CLOSED = Access("127.0.0.1", 8080, TOKEN, machine="porch")
OPEN = Access("127.0.0.1", 8080, machine="porch")


async def yes(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    headers = [(b"content-type", b"text/plain"), (b"referrer-policy", b"own")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"yes"})


def ask(
    guard: Guard,
    path: str = "/",
    **changes: Any,  # noqa: ANN401 - of a scope
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and text of the answer to one request; `headers` add to Host."""
    headers = {"host": "localhost"} | changes.pop("headers", {})
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        **changes,
    }
    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    async def receive() -> Event:
        return {"type": "http.disconnect"}

    asyncio.run(guard(scope, receive, send))
    start, body = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], found, body["body"].decode()


def test_what_is_allowed_goes_through_with_the_headers_of_all() -> None:
    status, headers, text = ask(Guard(yes, OPEN))
    assert (status, text) == (200, "yes")
    assert headers == {**HEADERS, "content-type": "text/plain", "referrer-policy": "own"}


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"method": "PUT"}, 405, "method"),
        ({"method": "OPTIONS"}, 405, "method"),
        ({"headers": {"host": "evil.example"}}, 421, "host"),
        ({"headers": {"host": ""}}, 421, "host"),
        ({"headers": {"sec-fetch-site": "cross-site"}}, 403, "site"),
        ({"headers": {"sec-fetch-site": "same-site"}}, 403, "site"),
        ({"query_string": b"x" * 65}, 413, "size"),
        ({"method": "POST", "headers": {"content-length": "1025"}}, 413, "size"),
        ({"method": "POST", "headers": {"content-length": "9" * 5000}}, 413, "size"),
        ({"method": "POST", "headers": {"content-length": "-1"}}, 413, "size"),
        ({"method": "POST", "headers": {"transfer-encoding": "chunked"}}, 413, "size"),
        ({}, 401, "token"),
        ({"headers": {"authorization": "Bearer wrong"}}, 401, "token"),
    ],
)
def test_what_is_not_is_refused_in_a_line_and_counted(
    changes: dict[str, Any], status: int, reason: str
) -> None:
    guard = Guard(yes, CLOSED)
    got, headers, text = ask(guard, **changes)
    assert got == status
    assert text.count("\n") == 1
    assert headers["connection"] == "close"
    assert HEADERS.items() <= headers.items()
    assert guard.refused == {reason: 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"authorization": f"Bearer {TOKEN}"}},
        {"headers": {"cookie": f"{CLOSED.cookie_name}={CLOSED.cookie_value}"}},
        {"path": "/login"},
    ],
)
def test_the_token_its_cookie_and_what_is_public(changes: dict[str, Any]) -> None:
    assert ask(Guard(yes, CLOSED, public=["/login"]), **changes)[0] == 200


def test_a_client_that_asks_too_often_waits_and_others_do_not() -> None:
    guard = Guard(yes, OPEN, limits=Limits(each=Rate(0, 3), every=Rate(0, 5)))
    assert [ask(guard)[0] for _ in range(4)] == [200, 200, 200, 429]
    others = [ask(guard, client=(f"192.0.2.{n}", 1))[0] for n in range(3)]
    assert others == [200, 200, 429]
    assert guard.refused == {"rate": 2}


def test_tokens_cannot_be_tried_for_long() -> None:
    guard = Guard(yes, CLOSED, limits=Limits(wrong_tokens=Rate(0, 2)))
    wrong: dict[str, Any] = {"headers": {"authorization": "Bearer wrong"}}
    assert [ask(guard, **wrong)[0] for _ in range(4)] == [401, 401, 429, 429]
    assert ask(guard, headers={"authorization": f"Bearer {TOKEN}"})[0] == 200


def test_an_app_that_hangs_is_given_up() -> None:
    async def hang(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await asyncio.sleep(60)

    guard = Guard(hang, OPEN, limits=Limits(timeout_s={"/": 0.01}))
    status, _, text = ask(guard)
    assert (status, text) == (503, "this took too long; try again later\n")
    assert guard.refused == {"slow": 1}


def test_an_app_that_breaks_says_so_once_where_its_owner_looks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        raise RuntimeError("a bug")

    guard = Guard(broken, OPEN)
    for _ in range(2):
        status, headers, text = ask(guard)
        assert status == 500
        assert HEADERS.items() <= headers.items()
        assert "bug" not in text
    assert capsys.readouterr().err.count("RuntimeError: a bug") == 1
