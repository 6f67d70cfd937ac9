"""Colours are put into memory by hand, and YUV by the formula of BT.601: nothing of OpenCV's."""

from __future__ import annotations

import numpy as np
import pytest

from edge.sources.base import SourceError
from edge.sources.pixel_formats import FORMATS, Stream
from edge.tensors import U8

RGB = (200, 90, 30)
GARBAGE = 255  # what lies in the padding
HEIGHT = 4


def yuv(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return Y, Cb, Cr of ITU-R BT.601 with a limited range."""
    r, g, b = (value / 255 for value in rgb)
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    cb = 128 - 37.797 * r - 74.203 * g + 112.0 * b
    cr = 128 + 112.0 * r - 93.786 * g - 18.214 * b
    return round(y), round(cb), round(cr)


R, G, B = RGB
Y, U, V = yuv(RGB)
# What two neighbouring pixels are in memory; for planes, what the rows of each plane repeat.
PACKED = {
    "BGR888": (R, G, B) * 2,
    "RGB888": (B, G, R) * 2,
    "XBGR8888": (R, G, B, 7) * 2,
    "XRGB8888": (B, G, R, 7) * 2,
    "YUYV": (Y, U, Y, V),
    "YVYU": (Y, V, Y, U),
    "UYVY": (U, Y, V, Y),
}
PLANES = {"NV12": ((Y,), (U, V)), "NV21": ((Y,), (V, U))}
THREE_PLANES = {"YUV420": (Y, U, V), "YVU420": (Y, V, U)}


def memory_of(name: str, width: int, stride: int) -> U8:
    """Return a buffer of RGB everywhere, its padding of GARBAGE, and more bytes behind it."""
    rows: list[U8] = []

    def row(length: int, pattern: tuple[int, ...], count: int) -> U8:
        line = np.full(length, GARBAGE, np.uint8)
        line[: len(pattern) * count] = pattern * count
        return line

    if name in PACKED:
        rows = [row(stride, PACKED[name], width // 2)] * HEIGHT
    elif name in PLANES:
        luma, chroma = PLANES[name]
        rows = [row(stride, luma, width)] * HEIGHT
        rows += [row(stride, chroma, width // 2)] * (HEIGHT // 2)
    else:
        luma_value, first, second = THREE_PLANES[name]
        rows = [row(stride, (luma_value,), width)] * HEIGHT
        for value in (first, second):
            rows += [row(stride // 2, (value,), width // 2)] * (HEIGHT // 2)
    return np.concatenate([*rows, np.zeros(100, np.uint8)])


def row_bytes(name: str, width: int) -> int:
    return width * FORMATS[name].row_bytes


def test_every_format_is_tried() -> None:
    assert set(FORMATS) == set(PACKED) | set(PLANES) | set(THREE_PLANES)


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("width", [2, 50])
@pytest.mark.parametrize("name", FORMATS)
def test_colours_come_out_in_the_order_that_is_said(name: str, width: int, padding: int) -> None:
    stride = row_bytes(name, width) + padding
    memory = memory_of(name, width, stride)
    before = memory.copy()
    stream = Stream("main", name, width, HEIGHT, stride)
    picture = stream.picture(memory)
    assert picture.shape == (HEIGHT, width, 3)
    assert picture.dtype == np.uint8
    order = picture if stream.layout.color == "rgb" else picture[:, :, ::-1]
    # Rounding to whole Y, Cb and Cr moves a colour by up to 3.
    tolerance = 0 if "888" in name else 3
    assert np.abs(order.astype(int) - RGB).max() <= tolerance
    # It is a copy: the camera writes its next frame there.
    memory[:] = 0
    assert np.abs(order.astype(int) - RGB).max() <= tolerance
    assert (
        before[: stream.size_bytes] == memory_of(name, width, stride)[: stream.size_bytes]
    ).all()


@pytest.mark.parametrize(("name", "other"), [("BGR888", "RGB888"), ("NV12", "NV21")])
def test_the_wrong_order_is_seen(name: str, other: str) -> None:
    stride = row_bytes(name, 50)
    picture = Stream("main", other, 50, HEIGHT, stride).picture(memory_of(name, 50, stride))
    order = picture if FORMATS[other].color == "rgb" else picture[:, :, ::-1]
    assert np.abs(order.astype(int) - RGB).max() > 100


def test_a_buffer_cut_short_is_refused() -> None:
    stream = Stream("lores", "YUV420", 50, HEIGHT, 64)
    assert stream.size_bytes == 64 * 6
    stream.picture(np.zeros(64 * 6, np.uint8))
    with pytest.raises(SourceError, match=r"a frame of 383 bytes; lores YUV420 50x4.* has 384"):
        stream.picture(np.zeros(64 * 6 - 1, np.uint8))


def test_formats_and_rows_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(SourceError, match=r"gives MJPEG; allowed: BGR888, .*--source v4l2:N"):
        Stream("main", "MJPEG", 640, 480, 0)
    Stream("main", "BGR888", 50, 4, 150)
    with pytest.raises(SourceError, match="rows of 149 bytes"):
        Stream("main", "BGR888", 50, 4, 149)
    with pytest.raises(SourceError, match="0x4"):
        Stream("main", "BGR888", 0, 4, 150)
