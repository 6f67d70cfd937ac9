from __future__ import annotations

import pytest

from edge.text import printable


@pytest.mark.parametrize("text", ["", "digits 7", "größer · 猫 é"])
def test_what_is_printable_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("bad", ["\x1b", "\n", "\x7f", "\x9b", "\u202e", "\ud800"])
def test_what_is_not_printable_is_replaced(bad: str) -> None:
    assert printable(f"a{bad}[31mb") == "a\ufffd[31mb"
