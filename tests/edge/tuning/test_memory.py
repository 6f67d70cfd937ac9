from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge.tuning import memory
from edge.tuning.memory import MemoryFileError, memory_file, recall, remember


def test_what_is_remembered_is_recalled_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "made" / "choices.json"
    assert recall(path, "a") is None
    remember(path, "a", {"threads": 1})
    remember(path, "b", {"threads": 2})
    remember(path, "a", {"threads": 3})
    assert recall(path, "a") == {"threads": 3}
    assert recall(path, "b") == {"threads": 2}
    assert [file.name for file in path.parent.iterdir()] == ["choices.json"]


def test_the_oldest_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    for number in range(memory.MAX_CHOICES + 1):
        remember(path, str(number), {})
    assert recall(path, "0") is None
    assert recall(path, "1") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"format": 2, "choices": {}}',
        b'{"format": 1}',
        b'{"format": 1, "choices": []}',
        b" " * (memory.MAX_BYTES + 1),
    ],
)
def test_another_file_is_said_and_replaced(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    path.write_bytes(content)
    with pytest.raises(MemoryFileError, match=r"choices\.json cannot be used \(."):
        recall(path, "a")
    remember(path, "a", {"threads": 1})
    assert recall(path, "a") == {"threads": 1}


def test_an_entry_that_is_no_object_is_none(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    path.write_text(json.dumps({"format": 1, "choices": {"a": 7}}))
    assert recall(path, "a") is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    os.mkfifo(path)
    with pytest.raises(MemoryFileError, match="no ordinary file"):
        recall(path, "a")
    with pytest.raises(MemoryFileError, match="cannot be written"):
        remember(path, "a", {})


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MemoryFileError, match="cannot be written"):
        remember(tmp_path / "file" / "choices.json", "a", {})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CACHE_DIRECTORY": "/var/cache/x:/y", "HOME": "/h"}, "/var/cache/x/choices.json"),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/edge-deploy/choices.json"),
        # A relative one is to be ignored, by the specification.
        ({"XDG_CACHE_HOME": "c", "HOME": "/h"}, "/h/.cache/edge-deploy/choices.json"),
        ({"HOME": ""}, None),
        ({}, None),
    ],
)
def test_where_it_lies(environ: dict[str, str], expected: str | None) -> None:
    assert memory_file(environ) == (None if expected is None else Path(expected))
