import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calibration import arrays
from calibration.dataset import open_images
from calibration.images import DatasetError, ImageSet, Tensors
from edge.tensors import Array

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (7, 6, 5, 3), np.uint8)


def npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("limit", [None, 3])
def test_pictures(tmp_path: Path, save: Callable[..., None], limit: int | None) -> None:
    path = tmp_path / "a.npz"
    save(path, images=PICTURES, labels=np.arange(7))
    images = open_images(str(path), limit=limit)
    assert isinstance(images, ImageSet)
    found = list(images)
    chosen = [0, 2, 4] if limit else list(range(7))
    assert len(images) == len(found) == len(chosen)
    for index, picture in zip(chosen, found, strict=True):
        assert (picture.name, picture.color) == (f"images[{index}]", "rgb")
        np.testing.assert_array_equal(picture.pixels, PICTURES[index])
    np.testing.assert_array_equal(next(iter(images)).pixels, PICTURES[0])  # from the start again


@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 6, 5, 1)])
def test_gray_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 256, shape, np.uint8)
    np.savez(tmp_path / "a.npz", pixels)
    images = open_images(str(tmp_path / "a.npz"))
    assert isinstance(images, ImageSet)
    for picture, expected in zip(images, pixels.reshape(4, 6, 5), strict=True):
        assert picture.color == "gray"
        np.testing.assert_array_equal(picture.pixels, expected)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_floats_are_tensors(tmp_path: Path, dtype: str) -> None:
    rows = RNG.normal(size=(4, 3, 6, 5)).astype(dtype)
    np.savez_compressed(tmp_path / "a.npz", rows)
    found = open_images(str(tmp_path / "a.npz"), limit=2)
    assert isinstance(found, Tensors)
    assert (len(found), found.shape) == (2, (3, 6, 5))
    first, second = found
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, rows[:1].astype(np.float32))
    np.testing.assert_array_equal(second, rows[2:3].astype(np.float32))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6, 5, 2), np.uint8),
        np.zeros((4, 6), np.uint8),
        np.zeros((4, 6, 5, 4), np.float32),
        np.zeros((4, 6, 5), np.float32),
        np.zeros((4, 6, 5, 3), np.int32),
        np.zeros((4, 6, 5, 3), np.complex64),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: Array) -> None:
    np.savez(tmp_path / "a.npz", array)
    with pytest.raises(DatasetError, match=r"array 'arr_0' is .*; allowed: uint8 \[N, H, W, 3\]"):
        open_images(str(tmp_path / "a.npz"))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return exec, ("raise SystemExit('unpickled')",)

    bombs = np.array([Bomb(), Bomb()], dtype=object)
    np.savez(tmp_path / "a.npz", bombs)
    with pytest.raises(DatasetError, match="holds Python objects"):
        open_images(str(tmp_path / "a.npz"))


def test_which_of_several_arrays_must_be_clear(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=PICTURES, b=PICTURES)
    with pytest.raises(DatasetError, match=r"holds 2 arrays \(a, b\); allowed: one, or one called"):
        open_images(str(tmp_path / "a.npz"))


def test_empty_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((0, 6, 5, 3), np.uint8))
    with pytest.raises(DatasetError, match="no image in it"):
        open_images(str(tmp_path / "a.npz"))


def test_huge_images_are_refused(tmp_path: Path) -> None:
    header = npy(np.zeros((1, 1, 1, 3), np.uint8))[:128].replace(
        b"(1, 1, 1, 3)", b"(1, 30000, 30000, 3)"
    )
    archive(tmp_path / "a.npz", images=header)
    with pytest.raises(DatasetError, match="too large; allowed: 100 million pixels"):
        open_images(str(tmp_path / "a.npz"))


def test_more_in_all_than_is_sensible_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", np.zeros((100, 64, 64, 3), np.uint8))
    assert len(open_images(str(tmp_path / "a.npz"))) == 100
    monkeypatch.setattr(arrays, "MAX_BYTES", 1_000_000)
    with pytest.raises(DatasetError, match="too large"):
        open_images(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy(PICTURES)[:-1], "which is not its shape"),
        (npy(PICTURES)[:40], "cannot be read"),
        (b"", "cannot be read"),
        (npy(np.asfortranarray(PICTURES)), "Fortran order"),
        (npy(PICTURES).replace(b"(7, 6, 5, 3)", b"(7, 6,-5, 3)"), "no image in it"),
        (npy(PICTURES).replace(b"NUMPY\x01", b"NUMPY\x09"), r"array format \(9, 0\)"),
    ],
)
def test_broken_arrays_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    archive(tmp_path / "a.npz", images=data)
    with pytest.raises(DatasetError, match=message):
        open_images(str(tmp_path / "a.npz"))


HEADERS = {
    "a bracket that nothing closes": "{'descr': '<f4', (((((",
    "a quotation that nothing closes": "'''abc",
    "nested without end": "-" * 9000 + "1",
    "indented": "  {'descr'\n\t 'x'\n   5",
    "no Python": "$$ { 1L",
    "a NUL": "{\0}",
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_no_dictionary_are_refused(tmp_path: Path, name: str) -> None:
    text = HEADERS[name].encode() + b"\n"
    path = archive(
        tmp_path / "a.npz", images=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    )
    with pytest.raises(DatasetError, match=r"cannot be read as \.npz"):
        open_images(str(path))


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("at", [0.001, 0.3, 0.9])
def test_damage_in_every_kind_of_archive(tmp_path: Path, method: int, at: float) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", method) as out:
        out.writestr("images.npy", npy(RNG.integers(0, 256, (20, 40, 40, 3), np.uint8)))
    assert len(list(open_images(str(path)))) == 20
    data = bytearray(path.read_bytes())
    start = 60 + int(at * len(data))
    data[start : start + 6] = bytes(byte ^ 0xFF for byte in data[start : start + 6])
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"a\.npz"):
        list(open_images(str(path)))


def test_broken_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("no archive")
    with pytest.raises(DatasetError, match=r"cannot be read as \.npz"):
        open_images(str(path))


def test_damage_within_the_rows_is_found_while_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    noise = RNG.integers(0, 256, (20, 40, 40, 3), np.uint8)
    np.savez_compressed(path, noise)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    path.write_bytes(data)
    images = open_images(str(path))
    assert isinstance(images, ImageSet)
    with pytest.raises(DatasetError, match=r"cannot be read as \.npz"):
        list(images)
