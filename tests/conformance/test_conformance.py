"""Onnx's own operator tests hold, and what is refused of them is written down."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from converters.operators import Exp
from converters.tflite import handlers
from converters.tflite.handlers import WRITERS
from tests.conformance.__main__ import DOCUMENT, FLOAT, Results, document
from tests.conformance.cases import cases, run
from tests.conformance.int8_files import FORMATS, TFLITE
from tests.conformance.reached import ELSEWHERE, unreached


@pytest.mark.parametrize("name", [FLOAT, *FORMATS])
def test_none_fails(results: Results, name: str) -> None:
    assert [(o.name, o.reason) for o in results[name] if o.result == "failed"] == []
    assert sum(outcome.result == "passed" for outcome in results[name]) > 400


def test_the_document_says_what_holds(results: Results) -> None:
    # `python -m tests.conformance --write` brings it up to date.
    assert document(results) == DOCUMENT.read_text()


def test_every_handler_is_reached_or_held_by_a_test_that_is_named(results: Results) -> None:
    assert unreached(results) == ELSEWHERE.keys()
    for test in ELSEWHERE.values():
        module, _, name = test.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_a_handler_that_no_case_reaches_is_seen(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    class New(Exp):
        pass

    monkeypatch.setitem(WRITERS, New, WRITERS[Exp])
    assert unreached(results) - ELSEWHERE.keys() == {(TFLITE, "New")}


def test_every_file_of_handlers_is_in_use() -> None:
    files = {path.stem for path in Path(str(handlers.__file__)).parent.glob("[!_]*.py")}
    assert files == {write.__module__.rpartition(".")[2] for write in WRITERS.values()}


def test_a_wrong_expectation_is_seen() -> None:
    case: Any = next(case for case in cases() if case.name == "test_relu")
    assert run(case).result == "passed"
    given, (expected,) = case.data_sets[0]
    case.data_sets[0] = (given, [expected + 1e-2])
    assert run(case).result == "failed"
