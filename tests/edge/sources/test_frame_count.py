from __future__ import annotations

import pytest

from edge.sources.frame_count import FrameCount

FRAME = 33_333_000


def count(*frames: tuple[int | None, int | None, int]) -> list[int]:
    counter = FrameCount()
    return [counter.next(*frame) for frame in frames]


def test_frames_one_after_another_have_no_gap() -> None:
    assert count(*((n, n * FRAME, FRAME) for n in range(5))) == [0, 1, 2, 3, 4]


def test_frames_without_any_mark_are_counted() -> None:
    assert count(*[(None, None, 0)] * 3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("number", "stamp_ns", "step"),
    [
        (101, FRAME, 1),
        (103, 3 * FRAME, 3),  # dropped by picamera2: both tell
        (101, 3 * FRAME, 3),  # dropped by the kernel: the number goes on
        (103, None, 3),
        (None, 3 * FRAME, 3),
        (101, round(1.4 * FRAME), 1),  # late, and not lost
        (101, round(1.6 * FRAME), 2),
        (100, 0, 1),  # the same again: a count never stands still
        (0, -5 * FRAME, 1),  # began anew
    ],
)
def test_a_gap_is_what_was_lost(number: int | None, stamp_ns: int | None, step: int) -> None:
    assert count((100, 0, FRAME), (number, stamp_ns, FRAME)) == [0, step]


def test_a_frame_lasts_as_long_as_it_said_itself() -> None:
    # In the dark, frames grow longer: the distance is that of the frame before.
    long = 4 * FRAME
    assert count((0, 0, FRAME), (1, FRAME, long), (2, FRAME + long, FRAME)) == [0, 1, 2]
