from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.images import Picture
from calibration.lint.finding import Finding
from calibration.lint.look import look_at
from calibration.lint.values import check_bytes, check_tensors
from calibration.synthetic import dead_leaves
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import F32, U8, Array

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
PIXELS = np.stack([p.pixels[:, :, ::-1] for p in dead_leaves(16, 48, 48, seed=4)])


def by_hand(name: str, values: Array) -> F32:
    """Normalize numbers of 0 to 255, as scripts do."""
    made = {
        "imagenet": lambda x: (x / 255 - MEAN) / STD,
        "tf": lambda x: x / 127.5 - 1,
        "unit": lambda x: x / 255,
        "none": lambda x: x,
    }[name](values)
    return np.asarray(made, np.float32)


def checked(values: Array, spec: PreprocessSpec) -> Finding | None:
    return check_tensors(values.min(axis=(0, 1, 2)), values.max(axis=(0, 1, 2)), spec)


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_preset_makes_is_what_it_makes(name: str) -> None:
    assert checked(by_hand(name, PIXELS), PRESETS[name]) is None


@pytest.mark.parametrize("name", PRESETS)
def test_dark_pictures_may_leave_the_top_empty(name: str) -> None:
    assert checked(by_hand(name, PIXELS // 3), PRESETS[name]) is None


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("made", PRESETS)
def test_what_another_preset_made_is_named(name: str, made: str) -> None:
    if name == made:
        return
    found = checked(by_hand(made, PIXELS), PRESETS[name])
    assert found is not None
    assert (found.code, found.severity) == ("values", "error")
    assert found.change == f"--preprocess {made}, or the tensors"


@pytest.mark.parametrize("name", ["imagenet", "tf"])
def test_normalizing_what_is_normalized_is_found(name: str) -> None:
    once = by_hand(name, PIXELS)
    for twice in (by_hand(name, once), by_hand(name, 255 * once)):
        found = checked(twice, PRESETS[name])
        assert found is not None
        assert "applied twice" in found.sentence


def test_dividing_by_255_twice_is_found() -> None:
    found = checked(PIXELS / 255 / 255, PRESETS["unit"])
    assert found is not None
    assert "applied twice" in found.sentence


def test_another_normalization_is_found_where_no_byte_gives_it() -> None:
    found = checked((PIXELS - 127.5) / 20, PRESETS["tf"])
    assert found is not None
    assert "--mean" in found.change
    assert f"{(PIXELS.max() - 127.5) / 20:.3g}" in found.sentence


def test_means_and_deviations_of_ones_own_are_kept() -> None:
    spec = PreprocessSpec("bgr", (0.3, 0.4, 0.5), (0.1, 0.2, 0.3))
    made = (PIXELS[..., ::-1] / 255 - np.array([0.3, 0.4, 0.5])) / np.array([0.1, 0.2, 0.3])
    assert checked(made, spec) is None
    assert checked(PIXELS / 1.0, spec) is not None


def bytes_of(pixels: U8) -> Finding | None:
    pictures = [Picture(str(i), picture) for i, picture in enumerate(pixels)]
    return check_bytes({p.name: look_at(p, (32, 32), None) for p in pictures})


def test_pictures_are_pictures() -> None:
    assert bytes_of(PIXELS) is None
    assert bytes_of(PIXELS // 4) is None


def test_black_and_white_is_a_picture() -> None:
    assert bytes_of(np.where(PIXELS > 90, 255, 0).astype(np.uint8)) is None


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_black_and_white_that_was_saved_as_a_jpeg_is_a_picture(quality: int) -> None:
    pixels = np.full((64, 64), 255, np.uint8)
    cv2.putText(pixels, "12", (4, 48), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 0, 3, cv2.LINE_8)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    assert bytes_of(decoded[None]) is None


def test_pictures_of_nothing_but_black_are_found() -> None:
    assert bytes_of(np.zeros((9, 40, 40, 3), np.uint8)) is not None


@pytest.mark.parametrize("name", ["imagenet", "tf", "unit"])
def test_normalized_numbers_that_were_saved_as_bytes_are_found(name: str) -> None:
    # What astype(uint8) makes of negative numbers in C: -2 is 254.
    saved = by_hand(name, PIXELS).astype(np.int32).astype(np.uint8)
    found = bytes_of(saved)
    assert found is not None
    assert (found.code, found.severity) == ("values", "error")
    assert "before they were saved" in found.sentence
