"""The nasty models one by one, and some hundred mutants: thousands more by `make fuzz`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings

from tests.fuzz.models import seeds
from tests.fuzz.mutations import mutant, mutants
from tests.fuzz.nasty import CASES, Case
from tests.fuzz.nasty_graphs import CONVERTED
from tests.fuzz.worker import FINDING, Worker

MUTANTS = 200


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as started:
        yield started


@pytest.mark.parametrize("name", sorted(seeds()))
def test_what_is_mutated_converts_as_it_is(worker: Worker, name: str) -> None:
    outcome = worker.try_case(seeds()[name])
    assert outcome.kind == CONVERTED, outcome.words


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nasty_models(worker: Worker, case: Case) -> None:
    outcome = worker.try_case(case.make())
    assert outcome.kind != FINDING, outcome.words
    assert case.expected in (outcome.words or outcome.kind)


def test_mutants(worker: Worker) -> None:
    counts = Counter[str]()
    for number in range(MUTANTS):
        outcome = worker.try_case(mutant(Random(number)))  # noqa: S311 (no secret)
        assert outcome.kind != FINDING, f"Random({number}): {outcome.words}"
        counts[outcome.kind] += 1
    # Most are broken, and enough are not that what comes after the reading is tried as well.
    assert counts["refused"] > MUTANTS / 3
    assert counts[CONVERTED] > MUTANTS / 20


@given(data=mutants())
@settings(max_examples=100)
def test_mutants_that_hypothesis_makes_simpler(worker: Worker, data: bytes) -> None:
    outcome = worker.try_case(data)
    assert outcome.kind != FINDING, outcome.words
