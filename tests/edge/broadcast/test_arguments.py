from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pytest

from edge.broadcast.address import AddressError
from edge.broadcast.arguments import TOKEN_VARIABLE, Unseen, add_arguments, prepare
from edge.broadcast.broadcast import Broadcast
from edge.broadcast.secrets import SecretError
from edge.errors import MissingExtraError

TOKEN = "0123456789abcdef"  # noqa: S105
ALL = "0.0.0.0:0"


def prepared(*arguments: str, is_service: bool = False) -> Broadcast:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    broadcast = prepare(parser.parse_args(arguments), is_service=is_service)
    assert isinstance(broadcast, Broadcast)
    return broadcast


def test_without_options_nothing_listens() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with prepare(parser.parse_args([]), is_service=False) as broadcast:
        assert type(broadcast) is Unseen
        assert not broadcast.notes


def test_this_machine_needs_no_token() -> None:
    with prepared("--metrics", "0") as broadcast:
        port = broadcast.sockets["--metrics"].getsockname()[1]
        assert broadcast.notes == [f"--metrics: http://127.0.0.1:{port}/metrics"]
        assert not broadcast.tokens


def test_for_others_one_is_made_and_said_once() -> None:
    with prepared("--metrics", ALL) as broadcast:
        [_, note] = broadcast.notes
        token = broadcast.tokens["--metrics"]
    assert note == f"--metrics: the token, for this run alone: {token}"
    assert re.fullmatch(r"[\w-]{20,}", token)


def test_one_token_opens_both_and_stands_in_the_link_to_the_page() -> None:
    with prepared("--web", ALL, "--metrics", ALL) as broadcast:
        web, metrics = broadcast.notes
        token = broadcast.tokens["--web"]
        assert broadcast.tokens["--metrics"] == token
    assert re.fullmatch(rf"--web: http://[^/]+:\d+/login#{token}", web)
    assert re.fullmatch(r"--metrics: http://[^/]+:\d+/metrics", metrics)


def test_one_that_is_given_is_said_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with prepared("--metrics", ALL, "--token-file", str(tmp_path / "token")) as broadcast:
        assert broadcast.tokens == {"--metrics": TOKEN}
        assert TOKEN not in "".join(broadcast.notes)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    # Given, it is asked for on this machine too.
    with prepared("--metrics", "0", is_service=True) as broadcast:
        assert broadcast.tokens == {"--metrics": TOKEN}
    assert TOKEN_VARIABLE not in os.environ


def test_a_journal_gets_no_token() -> None:
    with pytest.raises(SecretError, match="would stand in the journal; pass --token-file"):
        prepared("--metrics", ALL, is_service=True)


def test_what_is_wrong_is_said_and_no_socket_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AddressError, match="--metrics 'x'; allowed"):
        prepared("--metrics", "x")
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(SecretError, match="a token of 5 characters"):
        prepared("--metrics", "0")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[metrics\]"):
        prepared("--metrics", "0")
