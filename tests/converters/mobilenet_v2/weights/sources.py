"""Weights as each framework names and lays them out, written down by hand: the tests' oracle."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.build import initial_weights
from edge.tensors import F32, Array

# Channels of width 0.35 (8 and up): the smallest that libraries offer.
WIDTH = 0.35
CLASSES = 5
NETWORK = Architecture(WIDTH, (32, 32), CLASSES)
TORCH_NORM = ("weight", "bias", "running_mean", "running_var")
KERAS_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
REPEATS = (1, 2, 3, 4, 3, 3, 1)


def stirred(architecture: Architecture = NETWORK, seed: int = 0) -> dict[str, F32]:
    """Weights of which no two arrays are alike."""
    random = np.random.default_rng(seed)
    weights = initial_weights(architecture, seed)
    for name, array in weights.items():
        if array.ndim == 1:
            weights[name] = random.uniform(0.5, 1.5, array.shape).astype(np.float32)
    return weights


def torchvision_layers() -> Iterator[tuple[str, str]]:
    """Convolution and norm of each layer, in the order of computation."""
    yield "features.0.0", "features.0.1"
    for block in range(1, 18):
        conv = f"features.{block}.conv"
        if block > 1:
            yield f"{conv}.0.0", f"{conv}.0.1"
            yield f"{conv}.1.0", f"{conv}.1.1"
            yield f"{conv}.2", f"{conv}.3"
        else:
            yield f"{conv}.0.0", f"{conv}.0.1"
            yield f"{conv}.1", f"{conv}.2"
    yield "features.18.0", "features.18.1"


def timm_layers(repeats: tuple[int, ...] = REPEATS) -> Iterator[tuple[str, str]]:
    yield "conv_stem", "bn1"
    for stage, count in enumerate(repeats):
        for repeat in range(count):
            block = f"blocks.{stage}.{repeat}"
            if stage:
                yield f"{block}.conv_pw", f"{block}.bn1"
                yield f"{block}.conv_dw", f"{block}.bn2"
                yield f"{block}.conv_pwl", f"{block}.bn3"
            else:
                yield f"{block}.conv_dw", f"{block}.bn1"
                yield f"{block}.conv_pw", f"{block}.bn2"
    yield "conv_head", "bn2"


def transformers_layers() -> Iterator[tuple[str, str]]:
    places = ["conv_stem.first_conv", "conv_stem.conv_3x3", "conv_stem.reduce_1x1"]
    for index in range(16):
        places += [f"layer.{index}.{part}" for part in ("expand_1x1", "conv_3x3", "reduce_1x1")]
    for place in [*places, "conv_1x1"]:
        yield f"mobilenet_v2.{place}.convolution", f"mobilenet_v2.{place}.normalization"


def keras_layers() -> Iterator[tuple[str, str]]:
    yield "Conv1", "bn_Conv1"
    for part in ("depthwise", "project"):
        yield f"expanded_conv_{part}", f"expanded_conv_{part}_BN"
    for block in range(1, 17):
        for part in ("expand", "depthwise", "project"):
            yield f"block_{block}_{part}", f"block_{block}_{part}_BN"
    yield "Conv_1", "Conv_1_bn"


def torch_named(
    weights: Mapping[str, F32], layers: Iterator[tuple[str, str]], classifier: str
) -> dict[str, Array]:
    """Name our weights, which come in the same order: a kernel, its norm's four, and so on."""
    rest = iter(weights.values())
    named: dict[str, Array] = {}
    for convolution, norm in layers:
        named[f"{convolution}.weight"] = next(rest)
        named |= {f"{norm}.{part}": next(rest) for part in TORCH_NORM}
        named[f"{norm}.num_batches_tracked"] = np.array(7, np.int64)
    return named | {f"{classifier}.weight": next(rest), f"{classifier}.bias": next(rest)}


def keras_named(weights: Mapping[str, F32], *, depthwise: str = "kernel") -> dict[str, Array]:
    """Name them as Keras does, kernels [H, W, I, O], depthwise [H, W, C, 1], dense [I, O]."""
    rest = iter(weights.values())
    named: dict[str, Array] = {}
    for convolution, norm in keras_layers():
        kernel = next(rest)
        if convolution.endswith("depthwise"):
            named[f"{convolution}/{depthwise}"] = np.moveaxis(kernel[:, 0], 0, 2)[..., None]
        else:
            named[f"{convolution}/kernel"] = np.einsum("oihw->hwio", kernel)
        named |= {f"{norm}/{part}": next(rest) for part in KERAS_NORM}
    return named | {"predictions/kernel": next(rest).T, "predictions/bias": next(rest)}


def torchvision(weights: Mapping[str, F32]) -> dict[str, Array]:
    return torch_named(weights, torchvision_layers(), "classifier.1")


def save_npz(path: Path, arrays: Mapping[str, Array]) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # keywords are the names
    return path


def keras_config(classifier: str = "predictions") -> dict[str, object]:
    """The layers that hold weights, and a few others, as Keras 3 describes them."""

    def layer(kind: str, name: str, **config: object) -> dict[str, object]:
        return {"class_name": kind, "name": name, "config": {"name": name, **config}}

    layers = [layer("InputLayer", "input_layer", batch_shape=[None, 96, 64, 3])]
    strided = {"Conv1", *(f"block_{block}_depthwise" for block in (1, 3, 6, 13))}
    for convolution, norm in keras_layers():
        is_depthwise = convolution.endswith("depthwise")
        stride = 2 if convolution in strided else 1
        kernel = 3 if is_depthwise or convolution == "Conv1" else 1
        shape = {"kernel_size": [kernel] * 2, "strides": [stride] * 2, "padding": "same"}
        if convolution in strided - {"Conv1"}:
            pad = {"padding": [[0, 1], [0, 1]]}
            layers.append(layer("ZeroPadding2D", convolution.replace("depthwise", "pad"), **pad))
            shape["padding"] = "valid"
        layers.append(layer("DepthwiseConv2D" if is_depthwise else "Conv2D", convolution, **shape))
        layers.append(layer("BatchNormalization", norm, epsilon=1e-3))
        if not norm.endswith("project_BN"):
            layers.append(layer("ReLU", f"{convolution}_relu", max_value=6.0))
    layers.append(layer("Add", "block_2_add"))
    layers.append(layer("GlobalAveragePooling2D", "pool"))
    layers.append(layer("Dense", classifier, activation="softmax"))
    return {"class_name": "Functional", "config": {"name": "mobilenetv2", "layers": layers}}


def save_tfjs(
    folder: Path, arrays: Mapping[str, Array], topology: object = None, shards: int = 3
) -> Path:
    """Write model.json and its shards, of which none ends where an array does."""
    weights = [
        {"name": name, "shape": list(array.shape), "dtype": "float32"}
        for name, array in arrays.items()
    ]
    data = io.BytesIO()
    for array in arrays.values():
        data.write(array.astype("<f4").tobytes())
    whole = data.getvalue()
    names = [f"group1-shard{n + 1}of{shards}.bin" for n in range(shards)]
    step = len(whole) // shards + 1
    for number, name in enumerate(names):
        (folder / name).write_bytes(whole[number * step : (number + 1) * step])
    manifest = [{"paths": names, "weights": weights}]
    model = {"format": "layers-model", "modelTopology": topology, "weightsManifest": manifest}
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"
