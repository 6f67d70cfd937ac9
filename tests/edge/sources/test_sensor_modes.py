from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.sensor_modes import (
    SMALLEST,
    choose_mode,
    read_modes,
    stream_size,
    whole_modes,
)
from tests.edge.sources.sensors import IMX219, IMX477, IMX708, OV5647, Mode, sensor_modes


@pytest.mark.parametrize(
    ("sensor", "fps", "size", "bits"),
    [
        # 640x480 is there, but sees a sixth of the scene; of 8 and 10 bits the finer.
        (IMX219, None, (1640, 1232), 10),
        (IMX219, 5, (1640, 1232), 10),
        (IMX219, 41.85, (1640, 1232), 10),
        # No mode that sees everything is that fast: the fastest of them.
        (IMX219, 90, (1640, 1232), 10),
        (IMX477, None, (2028, 1520), 12),
        (IMX477, 120, (2028, 1520), 12),
        (IMX708, None, (2304, 1296), 10),
        (IMX708, 56.1, (2304, 1296), 10),
        # Reads every second pixel, all but a fortieth of them.
        (OV5647, None, (640, 480), 10),
        (OV5647, 60, (640, 480), 10),
    ],
)
def test_the_whole_scene_is_seen(
    sensor: tuple[Mode, ...], fps: float | None, size: tuple[int, int], bits: int
) -> None:
    mode = choose_mode(read_modes(sensor_modes(sensor)), (342, 256), fps)
    assert mode is not None
    assert ((mode.width, mode.height), mode.bit_depth) == (size, bits)


def test_no_mode_is_taken_that_would_be_enlarged() -> None:
    modes = read_modes(sensor_modes(OV5647))
    taken = {short: choose_mode(modes, (short * 4 // 3, short), None) for short in (480, 482, 1000)}
    sizes = {short: (mode.width, mode.height) for short, mode in taken.items() if mode is not None}
    assert sizes == {480: (640, 480), 482: (1296, 972), 1000: (2592, 1944)}
    # Nothing is as large as that: then any that sees everything.
    huge = choose_mode(modes, (8000, 6000), None)
    assert huge is not None
    assert huge.width == 640


def test_a_mode_that_is_high_enough_but_too_narrow() -> None:
    narrow: Mode = ((300, 900), 10, 60.0, (0, 0, 3280, 2464))
    mode = choose_mode(read_modes(sensor_modes((narrow, *IMX219))), (342, 256), None)
    assert mode is not None
    assert mode.width == 1640


def test_modes_that_say_nothing_are_left_out() -> None:
    # As picamera2 lists a USB camera's.
    assert read_modes([{"format": "YUYV"}, *sensor_modes(IMX708)[:1]]) == read_modes(
        sensor_modes(IMX708)[:1]
    )
    assert choose_mode([], (342, 256), None) is None
    assert whole_modes([]) == []


def test_where_a_mode_no_longer_sees_the_whole() -> None:
    def see(width: int) -> int:
        modes: tuple[Mode, ...] = (
            ((1000, 1000), 10, 30.0, (0, 0, 1000, 1000)),
            ((500, 500), 10, 30.0, (0, 0, width, 1000)),
        )
        return len(whole_modes(read_modes(sensor_modes(modes))))

    assert (see(950), see(949)) == (2, 1)


@pytest.mark.parametrize(
    ("whole", "short_side", "size"),
    [
        ((3280, 2464), 256, (340, 256)),
        ((640, 480), 256, (342, 256)),
        ((4608, 2592), 256, (456, 256)),
        ((2464, 3280), 256, (256, 340)),
        ((1000, 1000), 225, (226, 226)),
        ((640, 480), 28, (112, 84)),
    ],
)
def test_sizes_of_streams(whole: tuple[int, int], short_side: int, size: tuple[int, int]) -> None:
    assert stream_size(whole, short_side) == size


@given(st.tuples(st.integers(64, 8000), st.integers(64, 8000)), st.integers(1, 4096))
def test_a_stream_shows_the_scene_undistorted(whole: tuple[int, int], short_side: int) -> None:
    width, height = stream_size(whole, short_side)
    assert width % 2 == height % 2 == 0
    assert min(width, height) >= max(short_side, SMALLEST)
    # A pixel of the long side is what rounding to even numbers can take or add.
    wanted = min(width, height) * max(whole) / min(whole)
    assert abs(max(width, height) - wanted) <= 1
    assert (width >= height) == (whole[0] >= whole[1]) or width == height
