from __future__ import annotations

import pytest

from edge.web.access import Access

TOKEN = "0123456789abcdef"  # noqa: S105
OPEN = Access("127.0.0.1", 8080, machine="porch")
CLOSED = Access("0.0.0.0", 8080, TOKEN, machine="porch")  # noqa: S104


def test_without_a_token_all_may_ask() -> None:
    assert OPEN.may_ask("", "")
    assert OPEN.may_ask("Bearer wrong", "edge-live-8080=wrong")
    assert not OPEN.is_token("")


@pytest.mark.parametrize(
    ("authorization", "cookie", "may"),
    [
        (f"Bearer {TOKEN}", "", True),
        (f"bearer  {TOKEN} ", "", True),
        ("", f"edge-live-8080={CLOSED.cookie_value}", True),
        ("", f"a=b; edge-live-8080={CLOSED.cookie_value}; c=d", True),
        ("", "", False),
        ("Bearer", "", False),
        (f"Bearer {TOKEN[:-1]}", "", False),
        (f"Bearer {TOKEN}x", "", False),
        (f"Basic {TOKEN}", "", False),
        (TOKEN, "", False),
        ("Bearer \xff", "", False),
        ("", f"edge-live-8080={TOKEN}", False),
        ("", f"edge-live-8081={CLOSED.cookie_value}", False),
        ("", f"edge-live-8080={Access('x', 8080, TOKEN + '0').cookie_value}", False),
        ("", "\x00=;;==\xff", False),
    ],
)
def test_with_one_it_or_its_cookie_is_needed(authorization: str, cookie: str, may: bool) -> None:
    assert CLOSED.may_ask(authorization, cookie) is may


def test_the_token_is_neither_in_the_cookie_nor_in_what_is_printed() -> None:
    assert TOKEN not in CLOSED.cookie_value
    assert TOKEN not in repr(CLOSED)


@pytest.mark.parametrize(
    ("host", "open_says", "closed_says"),
    [
        ("127.0.0.1:8080", True, True),
        ("192.168.1.5", True, True),
        ("[::1]:8080", True, True),
        ("localhost:8080", True, True),
        ("LocalHost", True, True),
        ("porch:8080", True, True),
        ("porch.local", True, True),
        ("porch.fritz.box", False, True),
        ("evil.example", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("localhost.evil.example", False, False),
        ("porch.evil/", False, False),
        ("user@localhost", False, False),
        ("", False, False),
        ("localhost:99999999", False, False),
        ("[::1", False, False),
    ],
)
def test_which_names_are_ours(host: str, open_says: bool, closed_says: bool) -> None:
    assert OPEN.is_our_host(host) is open_says
    assert CLOSED.is_our_host(host) is closed_says


def test_the_name_that_was_given_is_ours() -> None:
    assert Access("cam.example", 1, TOKEN, machine="porch").is_our_host("cam.example:1")
