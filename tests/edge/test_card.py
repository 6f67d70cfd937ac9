from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.card import (
    MAX_CARD_BYTES,
    MAX_LABEL_CHARS,
    CardError,
    ModelCard,
    check_label_count,
    check_labels,
    parse_labels,
    read_labels,
)
from edge.preprocess import PRESETS

CARD = ModelCard(
    name="digits",
    preprocess=PRESETS["imagenet"],
    labels=("zéro", "one"),
    quantization={"scheme": "int8", "nested": {"a": [1, 2.5]}},
    source_sha256="ab" * 32,
    versions={"edge-deploy": "0.1.0"},
)


def test_round_trip_as_text_and_as_bytes() -> None:
    assert ModelCard.from_json(CARD.to_json()) == CARD
    assert ModelCard.from_json(CARD.to_json().encode()) == CARD


def test_the_scores_are_named_where_there_are_other_outputs() -> None:
    assert "scores" not in json.loads(CARD.to_json())
    # A name is the file's own, and may be anything.
    card = replace(CARD, scores="log\nits")
    assert json.loads(card.to_json())["scores"] == "log\nits"
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 2},
        {"format": None},
        {"name": 3},
        {"name": "two\nlines"},
        {"labels": "abc"},
        {"labels": [1]},
        {"labels": ["\u001b[31mred"]},
        {"labels": ["x" * (MAX_LABEL_CHARS + 1)]},
        {"quantization": []},
        {"versions": {"numpy": 2}},
        {"preprocess": None},
        {"preprocess": {"color": "rgb"}},
        {"source_sha256": None},
        {"scores": None},
        {"scores": ["logits"]},
    ],
)
def test_a_damaged_card_is_refused(damage: dict[str, Any]) -> None:
    data = json.loads(CARD.to_json()) | damage
    with pytest.raises(CardError, match="convert the model again"):
        ModelCard.from_json(json.dumps(data))


@pytest.mark.parametrize("key", sorted(json.loads(CARD.to_json())))
def test_every_key_is_needed(key: str) -> None:
    data = json.loads(CARD.to_json())
    del data[key]
    with pytest.raises(CardError):
        ModelCard.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe", "[" * 100_000, "9" * 10_000])
def test_what_is_no_card_is_refused(text: str | bytes) -> None:
    with pytest.raises(CardError):
        ModelCard.from_json(text)


def test_a_huge_card_is_refused_with_a_short_message() -> None:
    with pytest.raises(CardError, match="at most"):
        ModelCard.from_json(" " * (MAX_CARD_BYTES + 1))
    huge = json.loads(CARD.to_json()) | {"name": ["x" * 100_000]}
    with pytest.raises(CardError) as caught:
        ModelCard.from_json(json.dumps(huge))
    assert len(str(caught.value)) < 400


@settings(deadline=None)
@given(st.data())
def test_a_card_cut_or_changed_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(CARD.to_json().encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        ModelCard.from_json(bytes(text[: data.draw(st.integers(0, len(text)))]))
    except CardError:
        return


def test_labels_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufefftench\r\n great white \r\nœuf\n\n\n".encode())
    labels = read_labels(path)
    assert labels == ("tench", "great white", "œuf")
    check_label_count(labels, 3, "labels.txt")
    with pytest.raises(CardError, match="3 labels, but the model has 4 classes"):
        check_label_count(labels, 4, "labels.txt")


def test_blank_lines_inside_keep_their_place() -> None:
    assert parse_labels("a\n\nb\n\n") == ("a", "", "b")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"caf\xe9\n", b"a\x00b\n", b"\x1b[2J\n"])
def test_a_file_that_is_no_labels_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(CardError, match=r"labels\.txt"):
        read_labels(path)


def test_labels_are_checked_one_by_one() -> None:
    assert check_labels(["a", "b"]) == ("a", "b")
    with pytest.raises(TypeError, match="must be a list"):
        check_labels({"a": 1})
