"""A worker sees each kind of finding: what it runs is put in the place of the conversion."""

from __future__ import annotations

import ctypes
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import target, worker
from tests.fuzz.target import Outcome
from tests.fuzz.worker import FINDING, Worker

LIMIT_BYTES = 512 << 20


def bad(data: bytes, path: Path) -> Outcome:  # noqa: ARG001 (as the target has it)
    """Do what the case says."""
    match data:
        case b"raise":
            raise KeyError("oops")
        case b"die":
            ctypes.string_at(0)
        case b"hang":
            time.sleep(60)
        case b"eat":
            np.ones(LIMIT_BYTES >> 3)
    return Outcome("converted")


def serve_bad(pipe: Connection, folder: str) -> None:
    target.run = bad
    worker.serve(pipe, folder)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(worker, "CASE_LIMIT_S", 3.0)
    monkeypatch.setattr(worker, "MAX_MEMORY_BYTES", LIMIT_BYTES)
    return Worker(serve_bad)


def test_each_kind_of_finding_is_seen_and_the_next_case_is_tried(started: Worker) -> None:
    with started:
        for case, words in {
            b"raise": "KeyError: 'oops'",
            b"die": "the process died (exit -11)\nFatal Python error: Segmentation fault",
            b"hang": "no end after 3 s",
            b"eat": "MiB were used (converted: )",
        }.items():
            outcome = started.try_case(case)
            assert outcome.kind == FINDING, case
            assert words in outcome.words
            assert started.try_case(b"").kind == "converted"


@pytest.mark.parametrize(
    "message", ["", " ", "two\nlines", "\x1b[2J", "Traceback (most recent call last)", "a" * 10**6]
)
def test_messages_that_are_no_sentence(message: str, tmp_path: Path) -> None:
    with pytest.raises(target.FindingError):
        target.judged(message, tmp_path / "m.onnx")


def test_a_message_with_a_line_for_each_node(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    outcome = target.judged(f"{path}: 1 node cannot be converted:\n  - a (Sin): no", path)
    assert outcome == Outcome("refused", "1 node cannot be converted: a (Sin): no")
