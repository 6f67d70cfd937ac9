"""Which checks are made of what, and that nothing is read twice for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from calibration.dataset import tensors
from calibration.images import ImageSet, Tensors
from calibration.lint import About, Lint, Norm, Watch, lint
from calibration.observers import observe
from calibration.synthetic import dead_leaves
from edge.preprocess import PRESETS
from edge.tensors import F32, TensorSpec

SHAPE = (1, 3, 32, 32)
SPEC = replace(PRESETS["tf"], resize=None)


def through(
    images: ImageSet | Tensors, about: About, score: Callable[[int], int] = lambda i: i % 5
) -> tuple[Watch, Lint]:
    """Let a set go by, with a model of five classes that says `score` of the picture."""
    tensor = TensorSpec("x", SHAPE, "float32")
    watch = Watch(SPEC, tensor)
    are_given = isinstance(images, Tensors)
    source = images if isinstance(images, Tensors) else images.watched(watch.picture)
    seen = list(watch.inputs(tensors(source, SPEC, tensor), len(images), are_given=are_given))
    for index in range(len(seen)):
        watch.scores(np.eye(5, dtype=np.float32)[score(index)][None])
    return watch, lint(watch, observe(["x"], [{"x": x} for x in seen]), about)


def taken(count: int) -> ImageSet:
    """Return synthetic pictures that do not say so."""
    return ImageSet("taken", count, dead_leaves(count, 40, 40, seed=8)._jobs)


def norm_of(watch: Watch) -> Norm:
    values = np.concatenate(watch.kept)
    mean, variance = values.mean(axis=(0, 2, 3)), values.var(axis=(0, 2, 3))
    return Norm("bn", mean, variance, lambda x: x, 1, 48)


def test_a_good_set_passes_every_check() -> None:
    watch, found = through(taken(40), About(40))
    assert found == Lint((), ("values", "duplicates", "too-few", "one-class"))
    _, found = through(taken(40), About(40, norm=norm_of(watch)))
    assert found.findings == ()
    assert set(found.passed) == {
        "values", "duplicates", "too-few", "one-class", "preset", "color",
    }  # fmt: skip


def test_few_pictures_say_nothing_of_colours_and_fewer_nothing_of_presets() -> None:
    watch, _ = through(taken(40), About(40))
    _, found = through(taken(16), About(16, norm=norm_of(watch)))
    assert "preset" in found.passed
    assert "color" not in found.passed
    _, found = through(taken(7), About(7, norm=norm_of(watch)))
    assert "preset" not in found.passed
    assert [finding.code for finding in found.findings] == ["too-few"]


def test_made_pictures_only_tell_whether_the_preprocessing_fits() -> None:
    watch, _ = through(taken(40), About(40))
    about = About(40, norm=norm_of(watch), synthetic=True)
    _, found = through(taken(40), about, lambda _: 0)
    assert found == Lint((), ("preset",))
    norm = norm_of(watch)
    mean, variance = (norm.mean + 1) / 2, norm.variance / 4
    narrow = replace(norm, mean=mean.astype(np.float32), variance=variance.astype(np.float32))
    _, found = through(taken(40), replace(about, norm=narrow))
    assert [finding.change for finding in found.findings] == ["--preprocess unit"]


def test_each_fault_is_found_beside_the_others() -> None:
    _, found = through(taken(40), About(40), lambda _: 3)
    assert [finding.code for finding in found.findings] == ["one-class"]
    assert set(found.passed) == {"values", "duplicates", "too-few"}


def given(rows: F32) -> Tensors:
    return Tensors("rows.npz", len(rows), rows.shape[1:], lambda: iter(rows))


def test_tensors_are_looked_at_in_either_layout() -> None:
    pixels = np.stack([p.pixels for p in dead_leaves(10, 32, 32, seed=8)]).astype(np.float32)
    rows = (pixels / 127.5 - 1).transpose(0, 3, 1, 2)
    watch, found = through(given(rows), About(10, are_given=True))
    assert found.findings == ()
    np.testing.assert_allclose(watch.lows, rows.min(axis=(0, 2, 3)))
    np.testing.assert_allclose(watch.highs, rows.max(axis=(0, 2, 3)))
    _, found = through(given(rows), About(10, norm=norm_of(watch), are_given=True))
    assert "preset" in found.passed
    rows[9] = rows[2]
    # What no byte gives says nothing of presets.
    about = About(10, norm=norm_of(watch), are_given=True)
    _, found = through(given(rows.transpose(0, 2, 3, 1) + 1), about)
    assert "preset" not in found.passed
    assert [finding.code for finding in found.findings] == ["values", "duplicates"]
    assert "tensor 9 = tensor 2" in found.findings[1].sentence


def test_what_is_kept_does_not_grow_with_the_set() -> None:
    watch, _ = through(taken(100), About(100))
    assert len(watch.kept) == 48
    assert len(watch.looks) == 100
