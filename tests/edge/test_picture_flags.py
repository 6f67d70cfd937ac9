from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from edge.picture_flags import (
    NO_FLAGS,
    PreprocessFlags,
    add_picture_flags,
    default_preprocess,
    picture_flags,
)
from edge.preprocess import PRESETS, PreprocessSpec


def parse(*args: str) -> PreprocessFlags:
    parser = argparse.ArgumentParser()
    add_picture_flags(parser, "the card")
    assert "preprocessing (default: the card, else imagenet)" in parser.format_help()
    return picture_flags(parser.parse_args(args))


def test_what_is_not_given_changes_nothing() -> None:
    base = PreprocessSpec("bgr", (0.1,), (0.2,), 40)
    assert parse() == NO_FLAGS
    assert NO_FLAGS.apply(base) == base


def test_flags_change_what_was_there() -> None:
    flags = parse("--mean", "0.1,0.2,0.3", "--std", "2", "--resize", "none", "--color", "bgr")
    expected = PreprocessSpec("bgr", (0.1, 0.2, 0.3), (2.0,), None)
    assert flags.apply(PRESETS["imagenet"]) == expected
    assert parse("--preprocess", "tf", "--resize", "300").apply(expected) == replace(
        PRESETS["tf"], resize=300
    )


def test_a_preset_is_turned_gray_for_a_gray_model() -> None:
    gray = default_preprocess(1)
    assert (gray.color, default_preprocess(3)) == ("gray", PRESETS["imagenet"])
    assert parse("--preprocess", "unit").apply(gray) == PRESETS["unit"].with_color("gray")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--mean", "0.5,x"), "'0.5,x'; allowed: numbers, as 0.5,0.5,0.5"),
        (("--resize", "0"), "'0'; allowed: a number of pixels, or none"),
        (("--resize", "big"), "'big'; allowed: a number of pixels, or none"),
        (("--color", "cmyk"), "invalid choice"),
    ],
)
def test_refusals(args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(*args)
    assert message in capsys.readouterr().err
