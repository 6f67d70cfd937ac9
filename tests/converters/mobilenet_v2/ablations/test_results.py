from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.mobilenet_v2.ablations import setting
from converters.mobilenet_v2.ablations.results import (
    Results,
    ResultsError,
    Run,
    Summary,
    read_results,
    to_json,
    wilson,
)
from edge.sources.digit_cards import load_digits

PICTURES, DIGITS = 20, 50


def a_run(name: str, seed: int, right: list[int], right_int8: list[int] | None = None) -> Run:
    return Run(
        name=name,
        seed=seed,
        architecture={"width": 0.25},
        parameters=100,
        multiply_adds=1000,
        right=tuple(right),
        right_int8=tuple(right_int8 or right),
        sqnr_db=20.0,
        losses=(2.0, 1.0),
        seconds=1.0,
    )


def compared(reference: list[list[int]], other: list[list[int]]) -> Summary:
    """Return what is said of one network, each list one seed's."""
    every = [a_run("reference", seed, right) for seed, right in enumerate(reference)]
    every += [a_run("other", seed, right) for seed, right in enumerate(other)]
    return Results({}, {}, PICTURES, tuple(every)).summaries[-1]


def test_what_a_network_names_less_is_its_gain_below_0() -> None:
    found = compared([[20] * DIGITS, [18] * DIGITS], [[15] * DIGITS, [13] * DIGITS])
    assert found.accuracies == (0.75, 0.65)
    assert found.mean == pytest.approx(0.7)
    assert found.deviation == pytest.approx(0.1 / np.sqrt(2))
    assert found.gain is not None
    # The same of every digit: no other digits would say anything else.
    ends = (found.gain.low, found.gain.value, found.gain.high)
    assert ends == pytest.approx((-0.25, -0.25, -0.25))
    assert found.is_apart


def test_a_network_is_not_apart_where_its_seeds_reach_between_the_reference_s() -> None:
    found = compared([[20] * DIGITS, [14] * DIGITS], [[15] * DIGITS, [13] * DIGITS])
    assert found.gain is not None
    assert found.gain.high < 0
    assert not found.is_apart


def test_nor_where_a_few_digits_decide() -> None:
    few = [0] + [16] * (DIGITS - 1)
    found = compared([[16] * DIGITS] * 3, [few] * 3)
    assert max(found.accuracies) < 16 / PICTURES
    assert found.gain is not None
    assert found.gain.low < 0 == found.gain.high
    assert not found.is_apart


def test_the_interval_is_that_of_digits_not_of_pictures() -> None:
    right = [20, 0] * (DIGITS // 2)
    found = compared([[10] * DIGITS] * 2, [right] * 2)
    assert found.gain is not None
    # Half of the digits are half a point up or down each: 50 of them, not 1000 pictures.
    expected = 1.96 * 0.5 / np.sqrt(DIGITS)
    assert found.gain.high == pytest.approx(expected, rel=0.15)
    assert found.sampling[1] - found.sampling[0] == pytest.approx(
        2 * 1.96 * 0.5 / np.sqrt(DIGITS * PICTURES), rel=0.01
    )


def test_what_int8_does_is_held_against_what_it_does_to_the_reference() -> None:
    runs = []
    for seed in (0, 1):
        runs.append(a_run("reference", seed, [18] * DIGITS, [17] * DIGITS))
        runs.append(a_run("other", seed, [16] * DIGITS, [13] * DIGITS))
    reference, other = Results({}, {}, PICTURES, tuple(runs)).summaries
    assert reference.int8_gain.value == pytest.approx(-0.05)
    assert reference.int8_more is None
    assert other.int8 == (0.65, 0.65)
    assert other.int8_gain.value == pytest.approx(-0.15)
    assert other.int8_more is not None
    assert other.int8_more.value == pytest.approx(-0.1)


@pytest.mark.parametrize(("share", "count"), [(0.9, 100), (0.5, 40), (1.0, 20), (0.0, 7640)])
def test_wilson_s_ends_are_the_shares_that_a_trial_would_just_not_refute(
    share: float, count: int
) -> None:
    for end in wilson(share, count):
        assert (share - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / count, abs=1e-12)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    runs = (a_run("reference", 1, [1, 2, 3]), a_run("other", 1, [4, 5, 6], [4, 5, 5]))
    results = Results({"epochs": 1}, {"date": "today"}, PICTURES, runs)
    path = tmp_path / "r.json"
    path.write_text(to_json(results))
    assert read_results(path) == results
    assert len([line for line in path.read_text().splitlines() if '"seed"' in line]) == len(runs)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"runs": [{}]}', '{"runs": [1]}'])
def test_what_holds_no_results_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"r\.json holds no results"):
        read_results(path)


def test_the_committed_results_are_of_this_setting() -> None:
    found = read_results()
    assert found.setting == setting.described()
    done = [(run.name, run.seed) for run in found.runs]
    assert sorted(done) == sorted((n, s) for n in setting.ABLATIONS for s in setting.SEEDS)
    digits = len(load_digits("held-out"))
    for run in found.runs:
        architecture = setting.ABLATIONS[run.name]
        assert run.architecture == setting.facts(architecture)
        assert run.parameters == architecture.parameters()
        assert run.multiply_adds == architecture.multiply_adds()
        for right in (run.right, run.right_int8):
            assert len(right) == digits
            assert all(0 <= count <= found.pictures for count in right)
        assert run.losses[-1] < run.losses[0]


def test_the_reference_lands_where_the_setting_was_fixed_to_have_it() -> None:
    reference = read_results().summaries[0]
    assert all(0.9 <= accuracy <= 0.97 for accuracy in reference.accuracies)


def test_each_network_differs_from_the_reference_in_one_thing() -> None:
    facts = {name: setting.facts(network) for name, network in setting.ABLATIONS.items()}
    reference = facts.pop("reference")
    for network in facts.values():
        assert sum(network[field] != reference[field] for field in reference) == 1
