"""Keras' files, made with h5py alone: names, numbers, and what a description says."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.infer import Wishes
from converters.mobilenet_v2.weights.load import load_weights
from converters.mobilenet_v2.weights.read import read_weights
from edge.tensors import Array
from tests.converters.mobilenet_v2.weights.sources import (
    KERAS_NORM,
    WIDTH,
    keras_config,
    keras_named,
    stirred,
)

h5py = pytest.importorskip("h5py", reason="needs the weights extra")
NOTHING = Wishes()
WEIGHTS = stirred()
# What Keras numbers, and in which order.
PARTS = {
    "Conv2D": ("kernel",),
    "DepthwiseConv2D": ("kernel",),
    "BatchNormalization": KERAS_NORM,
    "Dense": ("kernel", "bias"),
}
FOLDERS = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "BatchNormalization": "batch_normalization",
    "Dense": "dense",
}


def write_h5(file: Any, arrays: Mapping[str, Array], config: object = None) -> None:  # noqa: ANN401
    for name, array in arrays.items():
        file[name] = array
    if config is not None:
        file.attrs["model_config"] = json.dumps(config)


def save_h5(path: Path, arrays: Mapping[str, Array], config: object = None) -> Path:
    with h5py.File(path, "w") as file:
        write_h5(file, arrays, config)
    return path


def old_names(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """As Keras 2 has them: model_weights/Conv1/Conv1/kernel:0."""
    return {
        f"model_weights/{name.partition('/')[0]}/{name}:0": array for name, array in arrays.items()
    }


def numbered(config: Any, arrays: Mapping[str, Array]) -> dict[str, Array]:  # noqa: ANN401
    """As .keras has them: layers/conv2d_3/vars/0."""
    counts: Counter[str] = Counter()
    found = {}
    for layer in config["config"]["layers"]:
        kind = layer["class_name"]
        if kind not in FOLDERS:
            continue
        number = f"_{counts[kind]}" if counts[kind] else ""
        counts[kind] += 1
        for index, part in enumerate(PARTS[kind]):
            place = f"layers/{FOLDERS[kind]}{number}/vars/{index}"
            found[place] = arrays[f"{layer['name']}/{part}"]
    return found


def save_keras(
    path: Path, config: object, arrays: Mapping[str, Array], names: Mapping[str, str] | None = None
) -> Path:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        write_h5(file, arrays)
        for place, name in (names or {}).items():
            file[place].attrs["name"] = name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def assert_loads(path: Path) -> None:
    found = load_weights(path, NOTHING, 0)
    assert found.architecture.width == WIDTH
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(found.weights[name], array, err_msg=name)


def test_h5_of_keras_2_and_3(tmp_path: Path) -> None:
    old = old_names(keras_named(WEIGHTS, depthwise="depthwise_kernel"))
    assert_loads(save_h5(tmp_path / "old.h5", old))
    assert_loads(save_h5(tmp_path / "new.h5", old_names(keras_named(WEIGHTS))))
    assert read_weights(tmp_path / "new.h5").format == "Keras HDF5"


def test_a_keras_archive_is_matched_by_the_order_of_its_layers(tmp_path: Path) -> None:
    config = keras_config()
    arrays = numbered(config, keras_named(WEIGHTS))
    path = save_keras(tmp_path / "a.keras", config, arrays)
    assert_loads(path)
    assert read_weights(path).notes == (
        "the softmax behind the classifier is left off: the model gives logits",
    )


def test_names_in_an_archive_must_agree_with_the_order(tmp_path: Path) -> None:
    config = keras_config()
    arrays = numbered(config, keras_named(WEIGHTS))
    first = "layers/conv2d/vars"
    assert_loads(save_keras(tmp_path / "a.keras", config, arrays, {first: "Conv1"}))
    path = save_keras(tmp_path / "b.keras", config, arrays, {first: "Conv_1"})
    with pytest.raises(WeightFileError, match="is 'Conv_1' by its name, but 'Conv1' by the order"):
        read_weights(path)


def test_weights_alone_need_names(tmp_path: Path) -> None:
    config: Any = keras_config()
    arrays = numbered(config, keras_named(WEIGHTS))
    with pytest.raises(WeightFileError, match="has a number and no name"):
        read_weights(save_h5(tmp_path / "a.weights.h5", arrays))
    path = save_h5(tmp_path / "b.weights.h5", arrays)
    counts: Counter[str] = Counter()
    with h5py.File(path, "a") as file:
        for layer in config["config"]["layers"]:
            kind = layer["class_name"]
            if kind in FOLDERS:
                number = f"_{counts[kind]}" if counts[kind] else ""
                counts[kind] += 1
                file[f"layers/{FOLDERS[kind]}{number}/vars"].attrs["name"] = layer["name"]
    assert_loads(path)


def test_a_model_within_a_model(tmp_path: Path) -> None:
    """As transfer learning leaves it: Rescaling, the trunk as one layer, a Dense of any name."""
    inner: Any = keras_config()
    *trunk, _, dense = inner["config"]["layers"]
    dense["config"]["name"] = dense["name"] = "dense_7"
    rescaling = {
        "class_name": "Rescaling",
        "config": {"name": "rescaling", "scale": 1 / 127.5, "offset": -1},
    }
    trunk_model = {"class_name": "Functional", "config": {"name": "trunk", "layers": trunk}}
    layers = [rescaling, trunk_model, dense]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    named = {n.replace("predictions", "dense_7"): a for n, a in keras_named(WEIGHTS).items()}
    arrays = {
        place if "dense" in place else f"layers/functional/{place}": array
        for place, array in numbered(inner, named).items()
    }
    state = {"optimizer/vars/0": np.ones(1), "layers/dropout/seed_generator/vars/0": np.ones(2)}
    path = save_keras(tmp_path / "a.keras", config, arrays | state)
    assert_loads(path)
    found = load_weights(path, NOTHING, 0)
    assert found.not_read == Counter({"optimizer state": 1, "states of random generators": 1})
    assert found.preprocess.mean == pytest.approx((0.5,))
    assert found.preprocess.std == pytest.approx((0.5,))
    h5 = save_h5(tmp_path / "a.h5", old_names(named) | {"optimizer_weights/a/m:0": np.ones(1)})
    assert_loads(h5)
    assert load_weights(h5, NOTHING, 0).not_read == Counter({"optimizer state": 1})


def operation(kind: str, number: float) -> dict[str, object]:
    """An operation on a tensor as Keras 3 writes it."""
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 8, 8, 3]}}
    nodes = [{"args": [tensor, number], "kwargs": {}}]
    return {"class_name": kind, "config": {"name": kind.lower()}, "inbound_nodes": nodes}


def old_operation(function: str, number: float) -> dict[str, object]:
    """The same as Keras 2 does."""
    nodes = [["input_1", 0, 0, {"y": number, "name": None}]]
    config = {"name": f"tf.{function}", "function": function}
    return {"class_name": "TFOpLambda", "config": config, "inbound_nodes": nodes}


@pytest.mark.parametrize(
    "steps",
    [
        [operation("TrueDivide", 127.5), operation("Subtract", 1.0)],
        [old_operation("math.truediv", 127.5), old_operation("math.subtract", 1.0)],
        [operation("Subtract", 127.5), operation("Multiply", 1 / 127.5)],
    ],
)
def test_what_the_model_does_to_pixels_goes_into_the_card(
    tmp_path: Path, steps: list[dict[str, object]]
) -> None:
    """As preprocess_input does, here with a value that no framework's habit gives."""
    config: Any = keras_config()
    config["config"]["layers"][1:1] = [*steps, operation("Multiply", 0.5)]
    path = save_h5(tmp_path / "a.h5", old_names(keras_named(WEIGHTS)), config)
    spec = load_weights(path, NOTHING, 0).preprocess
    pixel = 200 / 255
    assert (pixel - spec.mean[0]) / spec.std[0] == pytest.approx((200 / 127.5 - 1) / 2)
    config["config"]["layers"].append(operation("Subtract", 1.0))
    path = save_h5(tmp_path / "b.h5", old_names(keras_named(WEIGHTS)), config)
    with pytest.raises(WeightFileError, match=r"'subtract' \(Subtract behind a convolution\)"):
        read_weights(path)


def test_the_description_tells_what_weights_do_not(tmp_path: Path) -> None:
    config: Any = keras_config()
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["epsilon"] = 1e-4
        if layer["class_name"] == "ReLU":
            layer["config"]["max_value"] = None
    config["config"]["layers"] = [x for x in config["config"]["layers"] if "add" not in x["name"]]
    path = save_h5(tmp_path / "a.h5", old_names(keras_named(WEIGHTS)), config)
    network = load_weights(path, NOTHING, 0).architecture
    assert (network.epsilon, network.activation) == (1e-4, "relu")
    assert (network.shortcut, network.image_hw, network.padding) == (False, (96, 64), "tensorflow")
    wishes = Wishes(activation="relu6", shortcut=True, epsilon=1e-3, padding="pytorch")
    with pytest.raises(WeightFileError) as refused:
        load_weights(path, wishes, 0)
    for words in (
        "--activation relu6, but the file says relu",
        "--epsilon 0.001, but Keras's is 0.0001",
        "--padding pytorch, but Keras's is tensorflow",
    ):
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_name": "LSTM", "config": {"name": "memory"}}, r"'memory' \(LSTM\)"),
        ({"class_name": "ReLU", "config": {"name": "r", "max_value": 3}}, "neither ReLU6 nor"),
        ({"class_name": "ReLU", "config": {"name": "r", "max_value": None}}, "more than one activ"),
        (
            {
                "class_name": "Conv2D",
                "config": {
                    "name": "c",
                    "kernel_size": [3, 3],
                    "strides": [2, 2],
                    "padding": "same",
                },
            },
            "other strides than MobileNetV2",
        ),
        (
            {
                "class_name": "Conv2D",
                "config": {"name": "c", "dilation_rate": [2, 2], "strides": [1, 1]},
            },
            "'c' is dilated",
        ),
        (
            {"class_name": "BatchNormalization", "config": {"name": "n", "epsilon": "a"}},
            "described",
        ),
        ({"class_name": "ReLU"}, "cannot be read"),
        ({"class_name": "ReLU", "config": "max_value"}, "cannot be read"),
        ({"class_name": "Conv2D", "config": {"name": "c", "strides": {}}}, "described"),
        (
            {"class_name": "Rescaling", "config": {"name": "r", "scale": 0, "offset": 0}},
            "Rescaling behind a convolution",
        ),
    ],
)
def test_a_description_of_another_network_is_refused(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    config: Any = keras_config()
    config["config"]["layers"].append(change)
    path = save_h5(tmp_path / "a.h5", old_names(keras_named(WEIGHTS)), config)
    with pytest.raises(WeightFileError, match=words):
        load_weights(path, NOTHING, 0)


def test_pixels_divided_by_nothing_are_refused(tmp_path: Path) -> None:
    for step in (operation("TrueDivide", 0.0), operation("Multiply", 0.0)):
        config: Any = keras_config()
        config["config"]["layers"].insert(1, step)
        path = save_h5(tmp_path / "a.h5", old_names(keras_named(WEIGHTS)), config)
        with pytest.raises(WeightFileError, match="a layer is described otherwise"):
            read_weights(path)


def test_models_within_models_without_end_are_refused(tmp_path: Path) -> None:
    config: dict[str, object] = {"class_name": "Model", "config": {"name": "m", "layers": []}}
    for _ in range(20):
        config = {"class_name": "Model", "config": {"name": "m", "layers": [config]}}
    path = save_h5(tmp_path / "a.h5", old_names(keras_named(WEIGHTS)), config)
    with pytest.raises(WeightFileError, match="models within models"):
        read_weights(path)


def test_two_models_in_one_file_are_refused(tmp_path: Path) -> None:
    arrays = old_names(keras_named(WEIGHTS))
    path = save_h5(tmp_path / "a.h5", arrays | {"other/Conv1/kernel:0": np.ones(1)})
    with pytest.raises(WeightFileError, match="holds 'Conv1/kernel' twice"):
        read_weights(path)


def test_data_of_another_file_is_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(64))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("Conv1/kernel", (4,), "f4", external=[(str(secret), 0, 16)])
    with pytest.raises(WeightFileError, match="lies in another file, which is not opened"):
        read_weights(tmp_path / "a.h5")
    save_h5(tmp_path / "other.h5", {"data": np.ones(4, np.float32)})
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", (4,))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_virtual_dataset("Conv1/kernel", layout)
    with pytest.raises(WeightFileError, match="lies in another file"):
        read_weights(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["Conv1/kernel"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
        file["Conv1/gamma"] = np.ones(1)
    assert read_weights(tmp_path / "c.h5").arrays.keys() == {"Conv1/gamma"}


def test_a_dataset_of_any_size_takes_no_memory_before_it_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("Conv1/kernel", (1 << 40,), "f4", chunks=(1 << 20,))
        file["text"] = "words"
    with pytest.raises(WeightFileError, match="claims 4,398,046,511,104 bytes"):
        read_weights(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["Conv1/kernel"] = "words"
    with pytest.raises(WeightFileError, match="allowed: numbers"):
        read_weights(tmp_path / "b.h5")
