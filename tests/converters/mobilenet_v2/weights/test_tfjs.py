"""TensorFlow.js: shards are one run of bytes, integers stand for reals, files lie beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.infer import Wishes
from converters.mobilenet_v2.weights.load import load_weights
from converters.mobilenet_v2.weights.read import read_weights
from tests.converters.mobilenet_v2.weights.sources import (
    WIDTH,
    keras_config,
    keras_named,
    save_tfjs,
    stirred,
)

NAME = "Conv1/kernel"


def write(folder: Path, weights: list[dict[str, Any]], data: bytes, **change: object) -> Path:
    (folder / "a.bin").write_bytes(data)
    manifest = [{"paths": ["a.bin"], "weights": weights}]
    model = {"format": "layers-model", "weightsManifest": manifest, **change}
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


def weight(dtype: str = "float32", shape: tuple[int, ...] = (2,), **more: object) -> dict[str, Any]:
    return {"name": NAME, "shape": list(shape), "dtype": dtype, **more}


def test_a_layers_model_loads_from_its_file_or_folder(tmp_path: Path) -> None:
    weights = stirred()
    arrays = keras_named(weights, depthwise="depthwise_kernel")
    path = save_tfjs(tmp_path, arrays, {"model_config": keras_config(), "keras_version": "2"})
    for given in (path, tmp_path):
        found = load_weights(given, Wishes(), 0)
        assert (found.format, found.architecture.width) == ("TensorFlow.js layers", WIDTH)
        assert found.architecture.image_hw == (96, 64)
        for name, array in weights.items():
            np.testing.assert_array_equal(found.weights[name], array)


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535)])
def test_integers_are_scaled_as_the_format_says(tmp_path: Path, dtype: str, top: int) -> None:
    integers = np.array([0, 1, top], dtype)
    scale, least = 0.0123, -1.5
    quantization = {"dtype": dtype, "scale": scale, "min": least, "original_dtype": "float32"}
    path = write(tmp_path, [weight(shape=(3,), quantization=quantization)], integers.tobytes())
    found = read_weights(path)
    expected = [least, least + scale, least + scale * top]
    np.testing.assert_allclose(found.arrays[NAME], expected, rtol=1e-6)
    assert found.notes == (f"1 of the arrays were stored as {dtype}, not float32",)


def test_half_floats_are_themselves(tmp_path: Path) -> None:
    values = np.array([1.5, -2.25], np.float16)
    path = write(tmp_path, [weight(quantization={"dtype": "float16"})], values.tobytes())
    np.testing.assert_array_equal(read_weights(path).arrays[NAME], values)


@pytest.mark.parametrize(
    "shard",
    ["../a.bin", "/etc/passwd", "sub/a.bin", "..\\a.bin", "..", ".", "", "https://host/a.bin", 5],
)
def test_no_shard_lies_elsewhere(tmp_path: Path, shard: object) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path / "a.bin", folder / "sub" / "a.bin", folder / "..\\a.bin"):
        place.write_bytes(bytes(8))
    path = write(folder, [weight()], bytes(8))
    text = path.read_text().replace('"a.bin"', json.dumps(shard))
    path.write_text(text)
    with pytest.raises(WeightFileError, match=r"allowed: files beside it|not beside it"):
        read_weights(path)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([weight(shape=(3,))], "the shards end within weight"),
        ([weight(shape=(1,))], "4 bytes more than the weights"),
        ([weight(shape=(1 << 50,))], "claims"),
        ([weight(shape=(-2,))], "impossible shape"),
        ([weight("string")], "holds 'string'; allowed: float32, int32, bool"),
        ([weight(quantization={"dtype": "int4", "scale": 1, "min": 0})], "holds 'int4'; allowed"),
        ([weight("float32", (1,)), weight("float32", (1,))], "weight 'Conv1/kernel' twice"),
        ([{"name": NAME}], "KeyError"),
        (["a"], "TypeError"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    tmp_path: Path, weights: list[Any], words: str
) -> None:
    with pytest.raises(WeightFileError, match=words):
        read_weights(write(tmp_path, weights, bytes(8)))


def test_a_graph_model_and_other_json_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [weight()], bytes(8), format="graph-model")
    with pytest.raises(WeightFileError, match="--output_format=tfjs_layers_model"):
        read_weights(path)
    path.write_text('{"a": 1}')
    with pytest.raises(WeightFileError, match="no weightsManifest"):
        read_weights(path)
    path.write_text('{"a": ' * 100_000)
    with pytest.raises(WeightFileError, match=r"model\.json"):
        read_weights(path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [weight()], bytes(8))
    (tmp_path / "a.bin").unlink()
    with pytest.raises(WeightFileError, match=r"its shard 'a\.bin' is not beside it; copy it"):
        read_weights(path)
