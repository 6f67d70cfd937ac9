from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.read import read_weights
from edge.tensors import Array


def write(path: Path, header: object, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_what_the_library_writes_comes_out(tmp_path: Path) -> None:
    arrays: dict[str, Array] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.arange(3, dtype=np.float16),
        "count": np.array(7, np.int64),
    }
    save_file(arrays, tmp_path / "a.safetensors", metadata={"format": "pt"})
    found = read_weights(tmp_path / "a.safetensors")
    assert found.format == "safetensors"
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    values = np.array([1.5, -2.0, 0.0], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    found = read_weights(write(tmp_path / "a", header, upper))
    np.testing.assert_array_equal(found.arrays["a"], values)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
    ],
)
def test_a_header_that_does_not_fit_its_bytes_is_refused(
    tmp_path: Path, entry: dict[str, object]
) -> None:
    with pytest.raises(WeightFileError, match="a broken safetensors file"):
        read_weights(write(tmp_path / "a", {"a": entry}, bytes(4)))


def test_numbers_of_another_kind_are_refused(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    with pytest.raises(WeightFileError, match=r"array 'a' holds F8_E4M3; allowed: F64, F32"):
        read_weights(write(tmp_path / "a", header, bytes(4)))


def test_a_file_without_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightFileError, match="without any array"):
        read_weights(write(tmp_path / "a", {}))
