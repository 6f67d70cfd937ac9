from __future__ import annotations

import pytest

from edge.text import aligned, cut, printable


@pytest.mark.parametrize("text", ["", "digits 7", "größer · 猫 é"])
def test_what_is_printable_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("bad", ["\x1b", "\n", "\x7f", "\x9b", "\u202e", "\ud800"])
def test_what_is_not_printable_is_replaced(bad: str) -> None:
    assert printable(f"a{bad}[31mb") == "a\ufffd[31mb"


@pytest.mark.parametrize(
    ("text", "columns", "fits"),
    [
        ("", 0, ""),
        ("digits", 6, "digits"),
        ("digits", 5, "digit"),
        ("\u732b 99 %", 7, "\u732b 99 %"),
        ("\u732b 99 %", 6, "\u732b 99 "),
        ("\u732b\u732b", 3, "\u732b"),
        ("\uff11", 1, ""),
    ],
)
def test_a_text_is_cut_by_the_columns_that_it_takes(text: str, columns: int, fits: str) -> None:
    assert cut(text, columns) == fits


def test_a_table_has_its_first_column_left_and_the_others_right() -> None:
    rows = (("", "top-1", "ms"), ("a long name", "7", "12.5"), ("b", "100", "1"))
    assert aligned(rows) == [
        "             top-1    ms",
        "a long name      7  12.5",
        "b              100     1",
    ]
