"""Which reader takes a file, and that no damaged file gets anything but a sentence."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.infer import Wishes
from converters.mobilenet_v2.weights.load import load_weights
from converters.mobilenet_v2.weights.read import read_weights
from edge.errors import EdgeError, MissingExtraError
from edge.tensors import Array
from tests.converters.mobilenet_v2.weights import pickles, test_keras_file
from tests.converters.mobilenet_v2.weights.sources import keras_config, save_npz, save_tfjs

# A few arrays are enough for a reader.
ARRAYS: dict[str, Array] = {
    "features.0.0.weight": np.ones((8, 3, 3, 3), np.float32),
    "n": np.ones(3, np.int64),
}
FORMATS: dict[str, Callable[[Path], object]] = {
    "safetensors": lambda path: save_file(ARRAYS, path),
    "npz": lambda path: save_npz(path.with_suffix(".npz"), ARRAYS).rename(path),
    "PyTorch": lambda path: pickles.save_zip(path, pickles.state(ARRAYS), list(ARRAYS.values())),
    "PyTorch before 1.6": lambda path: pickles.save_old(path, ARRAYS),
    "Keras HDF5": lambda path: test_keras_file.save_h5(path, {"Conv1/kernel": np.ones(3)}),
    "Keras archive": lambda path: test_keras_file.save_keras(
        path, keras_config(), {"layers/conv2d/vars/0": np.ones(3)}
    ),
    "TensorFlow.js layers": lambda path: save_tfjs(path.parent, ARRAYS).rename(path),
}


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_content_decides_and_not_the_name(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "weights.txt"
    FORMATS[format_name](path)
    assert read_weights(path).format == format_name


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "weights"
    FORMATS[format_name](path)
    data = path.read_bytes()
    draw = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(data[: draw.integers(len(data))] if draw.random() < 0.3 else data)
        for _ in range(draw.choice([1, 2, 8])):
            if damaged:
                damaged[draw.integers(len(damaged))] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(EdgeError) as refused:  # undamaged, it would lack arrays
            load_weights(path, Wishes(), 0)
        assert str(refused.value)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in (b"", b"text", bytes(600), b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(data)
        with pytest.raises(WeightFileError, match="no file of weights by its content"):
            read_weights(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(WeightFileError, match="a zip file with none of"):
        read_weights(path)
    with pytest.raises(FileNotFoundError):
        read_weights(tmp_path / "missing")


@pytest.mark.parametrize(
    ("format_name", "package"), [("safetensors", "safetensors"), ("Keras HDF5", "h5py")]
)
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, package: str
) -> None:
    path = tmp_path / "a"
    FORMATS[format_name](path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} .*edge-deploy\[weights\]"):
        read_weights(path)
