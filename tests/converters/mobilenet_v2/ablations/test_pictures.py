from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from converters.mobilenet_v2.ablations.pictures import Drawing, drawn
from edge.sources.digit_cards import Digits, load_digits
from edge.tensors import Array

SIDE = 32
PLAIN = Drawing(sizes=(1.0, 1.0), place=0.0, turn_degrees=0.0, inks=(1.0, 1.0), noise=0.0)


@pytest.fixture(scope="module")
def digits() -> Digits:
    every = load_digits("training")
    return Digits(every.scans[:5], every.classes[:5])


def test_a_plain_picture_shows_the_scan(digits: Digits) -> None:
    found = drawn(digits, 2, (1,), SIDE, PLAIN)
    assert found.pictures.shape == (10, 3, SIDE, SIDE)
    assert found.classes.tolist() == np.repeat(digits.classes, 2).tolist()
    for picture, scan in zip(found.pictures[::2], digits.scans, strict=True):
        assert (picture == picture[0]).all()  # gray
        ink = 255.0 - picture[0]
        # The scan with half a pixel of paper around it; the writing is bent.
        scan_there = cv2.resize(scan, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        assert np.corrcoef(ink.ravel(), scan_there.ravel())[0, 1] > 0.7


def test_digits_move_turn_shrink_and_fade(digits: Digits) -> None:
    def ink_of(drawing: Drawing) -> Array:
        return 255 - drawn(digits, 8, (1,), SIDE, drawing).pictures[:, 0].astype(float)

    plain, small = ink_of(PLAIN), ink_of(replace(PLAIN, sizes=(0.5, 0.5)))
    # A quarter of the area, but for what stood over the edge.
    assert small.sum() == pytest.approx(plain.sum() / 4, rel=0.05)
    assert ink_of(replace(PLAIN, inks=(0.5, 0.5))).max() < 129 < plain.max()
    columns = np.arange(SIDE) @ ink_of(replace(PLAIN, sizes=(0.5, 0.5), place=0.2)).sum(1).T
    still = np.arange(SIDE) @ small.sum(1).T
    moved = (columns - still) / small.sum((1, 2))
    assert 2 < np.abs(moved).max() < 0.2 * SIDE + 1
    assert not np.array_equal(ink_of(replace(PLAIN, turn_degrees=20.0)), plain)
    noisy = ink_of(replace(PLAIN, noise=0.1))
    corner = noisy[:, :2, :2]  # paper: what is brighter than it is cut off
    assert corner.std() == pytest.approx(0.1 * 255 * 0.58, rel=0.3)


def test_the_same_seed_draws_the_same(digits: Digits) -> None:
    drawing = Drawing((0.7, 1.0), 0.1, 10.0, (0.5, 1.0), 0.05)
    first, again, other = (drawn(digits, 2, (s,), SIDE, drawing).pictures for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    # A picture depends on its digit's number, not on how many follow.
    few = Digits(digits.scans[:2], digits.classes[:2])
    assert np.array_equal(drawn(few, 2, (1,), SIDE, drawing).pictures, first[:4])
