import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.decode import BrokenImageError, declared_size, read_image
from edge.tensors import U8

# Left half red, right half blue, in OpenCV's order.
PICTURE = np.zeros((24, 40, 3), np.uint8)
PICTURE[:, :20, 2] = 255
PICTURE[:, 20:, 0] = 255


def encoded(suffix: str, pixels: U8 = PICTURE) -> bytes:
    good, data = cv2.imencode(suffix, pixels)
    assert good
    return data.tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF segment (TIFF 6.0: one IFD with tag 0x0112) behind the start marker."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".ppm"])
def test_formats_decode_to_blue_green_red(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix))
    pixels = read_image(path)
    assert pixels.shape == (24, 40, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[12, 5].astype(int) - [0, 0, 255]).max() < 30


def test_gray_deep_and_transparent_images_become_three_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for pixels in (
        np.full((4, 5), 200, np.uint8),
        np.full((4, 5, 3), 200 * 257, np.uint16),
        np.full((4, 5, 4), 200, np.uint8),
    ):
        assert cv2.imwrite(str(path), pixels)
        np.testing.assert_array_equal(read_image(path), np.full((4, 5, 3), 200, np.uint8))


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_orientation(encoded(".jpg"), 6))  # to be turned clockwise
    pixels = read_image(path)
    assert pixels.shape == (40, 24, 3)
    assert pixels[5, 12, 2] > 200  # the left, red, is now the top


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_declared_size_is_the_decoded_one(suffix: str) -> None:
    assert declared_size(encoded(suffix)) == (24, 40)
    assert declared_size(with_orientation(encoded(".jpg"), 1)) == (24, 40)


@given(st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b""]), st.binary(max_size=64))
@settings(deadline=None)
def test_any_header_is_read_without_a_crash(magic: bytes, rest: bytes) -> None:
    size = declared_size(magic + rest)
    assert size is None or min(size) >= 0


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_images_that_ask_for_too_much_are_not_decoded(tmp_path: Path, suffix: str) -> None:
    data = bytearray(encoded(suffix))
    if suffix == ".png":
        struct.pack_into(">II", data, 16, 20_000, 20_000)
    elif suffix == ".bmp":
        struct.pack_into("<ii", data, 18, 20_000, -20_000)
    else:
        at = data.index(b"\xff\xc0")
        struct.pack_into(">HH", data, at + 5, 20_000, 20_000)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(BrokenImageError, match="20000 x 20000 pixels; at most 100 million"):
        read_image(path)


@pytest.mark.parametrize("data", [b"", b"hello", encoded(".jpg")[:200], encoded(".png")[:60]])
def test_what_is_no_whole_image_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(BrokenImageError):
        read_image(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenImageError, match="No such file"):
        read_image(tmp_path / "a.jpg")
