from __future__ import annotations

import numpy as np
import pytest

from edge.live.pictures import PictureWatch
from edge.tensors import U8
from tests.edge.sources.scripted import noisy

SIZES = [(480, 640, 3), (8, 8, 3), (1, 1, 3), (480, 640), (31, 7, 3), (2000, 3, 3)]


def picture(seed: int, shape: tuple[int, ...], low: int = 0, high: int = 256) -> U8:
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def counts(pictures: list[U8]) -> tuple[int, int, int]:
    watch = PictureWatch()
    for number, pixels in enumerate(pictures):
        watch.look(pixels, number)
    return watch.blank, watch.identical, watch.resized


@pytest.mark.parametrize("shape", SIZES)
def test_a_scene_with_noise_is_neither_blank_nor_frozen(shape: tuple[int, ...]) -> None:
    pictures = [picture(seed, shape) for seed in range(20)]
    if np.prod(shape[:2]) == 1:  # a single pixel has no contrast
        assert counts(pictures) == (20, 0, 0)
    else:
        assert counts(pictures) == (0, 0, 0)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("value", [0, 16, 255])
def test_an_empty_buffer_is_blank_and_then_frozen(shape: tuple[int, ...], value: int) -> None:
    assert counts([np.full(shape, value, np.uint8)] * 5) == (5, 4, 0)


def test_one_colour_is_blank_in_every_channel() -> None:
    green = np.zeros((48, 64, 3), np.uint8)
    green[..., 1] = 135  # what a YUV buffer full of zeros looks like
    assert counts([green]) == (1, 0, 0)
    dim = picture(0, (48, 64, 3), 10, 15)  # dark, and with hardly any noise
    assert counts([dim]) == (1, 0, 0)
    night = picture(0, (48, 64, 3), 0, 20)
    assert counts([night]) == (0, 0, 0)


def test_contrast_in_one_channel_or_one_corner_is_contrast() -> None:
    for channel in range(3):
        pixels = np.full((480, 640, 3), 90, np.uint8)
        pixels[:200, :300, channel] = 110
        assert counts([pixels]) == (0, 0, 0)


def test_a_frozen_picture_is_counted_from_its_second_frame() -> None:
    watch = PictureWatch()
    for number, seed in enumerate([1, 1, 1, 2, 3, 3]):
        watch.look(picture(seed, (48, 64, 3)), number * 10)
        since = {1: 0, 2: 0, 5: 40}.get(number)
        assert watch.frozen_since_ns == since, number
    assert watch.identical == 3


def test_another_size_is_counted_once() -> None:
    small, large = picture(0, (8, 8, 3)), picture(0, (16, 8, 3))
    assert counts([small, small.copy(), large, large + 1, small]) == (0, 1, 2)


def test_rows_with_padding_and_views_are_read_as_they_look() -> None:
    whole = picture(0, (48, 80, 3))
    assert counts([whole[:, :64], np.ascontiguousarray(whole[:, :64])]) == (0, 1, 0)
    assert counts([noisy(1), noisy(1)[::-1]]) == (0, 0, 0)
