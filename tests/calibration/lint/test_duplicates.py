from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from calibration.images import Picture
from calibration.lint.duplicates import ROWS, check_duplicates, check_overlap
from calibration.lint.look import Look, look_at, look_at_tensor
from calibration.synthetic import dead_leaves
from edge.tensors import U8

HW = (32, 32)


def looks(pictures: Iterable[tuple[str, U8]]) -> dict[str, Look]:
    return {name: look_at(Picture(name, pixels), HW, 32) for name, pixels in pictures}


@pytest.fixture(scope="module")
def leaves() -> dict[str, U8]:
    return {f"{i}.png": p.pixels for i, p in enumerate(dead_leaves(12, 48, 56, seed=1))}


def jpeg(pixels: U8) -> U8:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 50])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def half(pixels: U8) -> U8:
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def brighter(pixels: U8) -> U8:
    return np.asarray(np.minimum(pixels * 1.1 + 4, 255), np.uint8)


def test_different_pictures_are_no_duplicates(leaves: dict[str, U8]) -> None:
    assert check_duplicates(looks(leaves.items())) is None


def test_a_copy_is_named_with_its_original(leaves: dict[str, U8]) -> None:
    found = check_duplicates(looks([*leaves.items(), ("copy.png", leaves["3.png"].copy())]))
    assert found is not None
    assert (found.code, found.severity) == ("duplicates", "warning")
    assert "1 of 13" in found.sentence
    assert "copy.png = 3.png" in found.sentence


@pytest.mark.parametrize("change", [jpeg, half, brighter])
def test_a_picture_that_was_saved_again_is_nearly_the_same(
    leaves: dict[str, U8], change: object
) -> None:
    assert callable(change)
    found = check_duplicates(looks([*leaves.items(), ("again.png", change(leaves["3.png"]))]))
    assert found is not None
    assert "1 nearly (again.png ~ 3.png)" in found.sentence


def test_even_pictures_are_not_like_each_other(leaves: dict[str, U8]) -> None:
    even = [(f"even{level}", np.full((40, 40, 3), level, np.uint8)) for level in (0, 90, 200)]
    noise = np.random.default_rng(0).integers(99, 102, (2, 40, 40, 3), np.uint8)
    assert check_duplicates(looks([*leaves.items(), *even, *zip("ab", noise, strict=True)])) is None


def test_only_the_part_that_the_model_sees_counts() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (2, 32, 64, 3), np.uint8)
    noise[1, :, 16:48] = noise[0, :, 16:48]
    pictures = list(zip("ab", noise, strict=True))
    seen = {name: look_at(Picture(name, pixels), HW, 32) for name, pixels in pictures}
    assert check_duplicates(seen) is not None
    wider = {name: look_at(Picture(name, pixels), (32, 64), 32) for name, pixels in pictures}
    assert check_duplicates(wider) is None


def test_more_pictures_than_are_compared_at_once() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (ROWS + 9, 16, 16), np.uint8)
    pixels[-1] = pixels[0]
    pixels[-2] = np.maximum(pixels[1], 1)
    pictures = [(f"{i:04d}", row) for i, row in enumerate(pixels)]
    gray = {name: look_at(Picture(name, row, "gray"), (16, 16), None) for name, row in pictures}
    found = check_duplicates(gray)
    assert found is not None
    assert f"2 of {ROWS + 9}" in found.sentence
    assert f"{ROWS + 8:04d} = 0000" in found.sentence
    assert f"{ROWS + 7:04d} ~ 0001" in found.sentence


def test_evaluation_on_other_pictures_is_no_overlap(leaves: dict[str, U8]) -> None:
    everything = looks(leaves.items())
    first = dict(list(everything.items())[:6])
    assert check_overlap(first, {name: everything[name] for name in everything.keys() - first}) is (
        None
    )


def test_evaluation_on_what_was_calibrated_on_is_found(leaves: dict[str, U8]) -> None:
    evaluated = looks([("same", leaves["1.png"]), ("like", jpeg(leaves["2.png"]))])
    evaluated |= looks((f"other{i}", p.pixels) for i, p in enumerate(dead_leaves(3, 48, 56, 9)))
    found = check_overlap(looks(leaves.items()), evaluated)
    assert found is not None
    assert (found.code, found.severity) == ("overlap", "error")
    assert "2 of 5" in found.sentence
    assert "1 of them pixel by pixel (same = 1.png, like ~ 2.png)" in found.sentence


def test_a_tensor_is_like_the_picture_that_it_was_made_of(leaves: dict[str, U8]) -> None:
    # The middle at two thirds of its size, red first, as the preprocessing `tf` has it.
    middle = leaves["5.png"][:, 4:52, ::-1]
    pixels = cv2.resize(middle, HW, interpolation=cv2.INTER_LINEAR)
    tensors = {"tensor 0": look_at_tensor(np.ascontiguousarray(pixels, np.float32) / 127.5 - 1)}
    found = check_overlap(tensors, looks(leaves.items()))
    assert found is not None
    assert "1 of 12" in found.sentence
    assert "5.png ~ tensor 0" in found.sentence
