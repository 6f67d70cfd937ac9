from __future__ import annotations

from pathlib import Path

import pytest

from edge.broadcast.secrets import SecretError, check_token, new_token, read_secret


def test_the_file_wins_and_the_variable_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from the file\n")
    environ = {"X": "from outside", "Y": "stays"}
    assert read_secret(path, "X", environ) == "from the file"
    assert environ == {"Y": "stays"}
    assert read_secret(None, "X", {"X": "from outside"}) == "from outside"
    assert read_secret(None, "X", {}) == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"two\nlines", "one line of printable text"),
        (b"x" * 1025, "1024 bytes at most"),
    ],
)
def test_a_file_that_holds_no_secret(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(data)
    with pytest.raises(SecretError, match=message) as caught:
        read_secret(path, "X", {})
    assert str(path) in str(caught.value)


def test_a_secret_is_in_no_message() -> None:
    with pytest.raises(SecretError) as caught:
        read_secret(None, "X", {"X": "hush\thush"})
    assert "hush" not in str(caught.value)
    for token in ("short", "with space and more", "ümlaut-ümlaut-ümlaut"):
        with pytest.raises(SecretError, match="openssl rand") as caught:
            check_token(token)
        assert token not in str(caught.value)


def test_new_tokens_can_be_used_and_differ() -> None:
    assert check_token(new_token()) != check_token(new_token())
    assert check_token("0123456789abcdef") == "0123456789abcdef"
