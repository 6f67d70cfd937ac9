"""Onnx's own operator tests hold, and what is refused of them is written down."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.__main__ import DOCUMENT, document
from tests.conformance.cases import Outcome, cases, run


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [run(case) for case in cases()]


def test_none_fails(outcomes: list[Outcome]) -> None:
    assert [(o.name, o.reason) for o in outcomes if o.result == "failed"] == []
    assert sum(outcome.result == "passed" for outcome in outcomes) > 300


def test_the_document_says_what_holds(outcomes: list[Outcome]) -> None:
    # `python -m tests.conformance --write` brings it up to date.
    assert document(outcomes) == DOCUMENT.read_text()


def test_a_wrong_expectation_is_seen() -> None:
    case: Any = next(case for case in cases() if case.name == "test_relu")
    assert run(case).result == "passed"
    given, (expected,) = case.data_sets[0]
    case.data_sets[0] = (given, [expected + 1e-2])
    assert run(case).result == "failed"
