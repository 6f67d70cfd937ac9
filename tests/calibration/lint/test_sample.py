from __future__ import annotations

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from calibration.lint import sample
from calibration.lint.look import Look
from calibration.lint.sample import Sample


def look(number: int) -> Look:
    digest = np.random.default_rng(number).bytes(32)
    return Look(digest, np.full(256, number, np.float32))


def looks(numbers: range) -> dict[str, Look]:
    return {f"{number}.jpg": look(number) for number in numbers}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MOST", 50)


def test_all_of_a_small_set_are_kept() -> None:
    kept = Sample()
    kept.add(looks(range(50)))
    assert set(kept.looks) == set(looks(range(50)))


def test_a_sample_is_the_same_in_whatever_order_and_by_however_many() -> None:
    everything = looks(range(1000))
    whole, backwards, merged, threaded = (Sample() for _ in range(4))
    whole.add(everything)
    for name in reversed(everything):
        backwards.add({name: everything[name]})
    for start in range(0, 1000, 70):
        part = Sample()
        part.add(looks(range(start, min(start + 70, 1000))))
        merged.add(pickle.loads(pickle.dumps(part)).looks)  # noqa: S301 (our own)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: threaded.add(dict([item])), everything.items()))
    least = sorted(everything, key=lambda name: everything[name].digest)[:50]
    for one in (whole, backwards, merged, threaded):
        assert set(one.looks) == set(least)
    assert {name: one.digest for name, one in merged.looks.items()} == {
        name: everything[name].digest for name in least
    }


def test_equal_pictures_are_kept_together_or_not_at_all() -> None:
    kept = Sample()
    kept.add(looks(range(500)))
    kept.add({f"copy/{name}": one for name, one in looks(range(500)).items()})
    names = set(kept.looks)
    firsts = {name.removeprefix("copy/") for name in names}
    pairs = {name for name in firsts if {name, f"copy/{name}"} <= names}
    assert len(names) == 50
    assert len(pairs) == 25 == len(firsts)


def test_memory_does_not_grow_with_the_set() -> None:
    kept = Sample()
    kept.add(looks(range(200)))
    tracemalloc.start()
    for start in range(200, 2200, 100):
        kept.add(looks(range(start, start + 100)))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 120 * 2048  # as many as are kept, of about 1.5 KB, and not 2000
