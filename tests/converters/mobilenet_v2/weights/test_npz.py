"""NumPy's archives: what is inside comes out, and nothing that claims too much or hides code."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from converters.mobilenet_v2.weights import contents
from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.read import read_weights


def test_arrays_of_any_order_and_byte_order_come_out(tmp_path: Path) -> None:
    arrays = {
        "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "scalar": np.array(5),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
        found = read_weights(tmp_path / "a.npz")
        assert found.format == "npz"
        assert found.arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array)


def npz_of(path: Path, header: dict[str, object], data: bytes = b"") -> Path:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", stream.getvalue() + data)
    return path


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1 << 40,), "claims 4,398,046,511,104 bytes"),
        ((1 << 62, 1 << 62), "bytes; allowed"),
        ((5,), "which is not its shape"),
        ((3,), "which is not its shape"),
        ((-1,), "broken npz|impossible shape"),
        ((1,) * 40, "impossible shape"),
    ],
)
def test_a_shape_that_is_not_what_follows_is_refused(
    tmp_path: Path, shape: tuple[int, ...], words: str
) -> None:
    path = npz_of(
        tmp_path / "a.npz", {"descr": "<f4", "fortran_order": False, "shape": shape}, bytes(16)
    )
    with pytest.raises(WeightFileError, match=words):
        read_weights(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 19, np.float32))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 14
    with pytest.raises(WeightFileError, match=r"claims 1 arrays of 2,097,\d+ bytes"):
        read_weights(tmp_path / "a.npz")


def test_objects_are_refused_unread(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(WeightFileError, match=r"holds object; allowed: numbers"):
        read_weights(tmp_path / "a.npz")


def test_a_header_that_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    text = b"(" * 5000
    header = npy.magic(1, 0) + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header)
    with pytest.raises(WeightFileError, match="a broken npz file"):
        read_weights(tmp_path / "a.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for _ in range(2):
            archive.writestr("a.npy", b"")
    with pytest.raises(WeightFileError, match=r"holds 'a\.npy' twice"):
        read_weights(tmp_path / "a.npz")
