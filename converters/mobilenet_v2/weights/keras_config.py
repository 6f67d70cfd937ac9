"""What a Keras model says of itself: its layers in order, and what their weights do not show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from converters.mobilenet_v2.architecture import Activation, Padding
from converters.mobilenet_v2.weights.contents import Json, Topology, WeightFileError, listed, shown
from converters.mobilenet_v2.weights.keras_scaling import (
    FUNCTIONS,
    SCALINGS,
    numbers_of,
    preprocess_of,
)
from edge.preprocess import PreprocessError
from edge.text import printable

Value = TypeVar("Value")

MAX_CONFIG_BYTES = 16 << 20
MAX_DEPTH = 8
CONTAINERS = {"Functional", "Model", "Sequential"}
# What a MobileNetV2 consists of, and what stands around it without changing its scores.
LAYERS = {
    *SCALINGS,
    "Activation",
    "Add",
    "BatchNormalization",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "InputLayer",
    "ReLU",
    "Reshape",
    "Softmax",
    "ZeroPadding2D",
    # Only while training.
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
}
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")
CLAMPS: Mapping[object, Activation] = {6: "relu6", None: "relu"}


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """A layer, or a model with its `children`; `numbers` are those that it is called with."""

    kind: str
    name: str
    config: Mapping[str, Any]
    children: tuple[KerasLayer, ...] = ()
    numbers: tuple[float, ...] = ()

    def flat(self) -> Iterator[KerasLayer]:
        """Yield the layer, or those within it in order."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.flat()


def read_config(path: Path, text: str | bytes) -> KerasLayer:
    """Return the model as a tree of layers. Raises: WeightFileError: `text` describes none."""
    try:
        if len(text) > MAX_CONFIG_BYTES:
            raise ValueError(f"{len(text):,} bytes; at most {MAX_CONFIG_BYTES:,}")
        return _layer(json.loads(text), 0)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as cause:
        raise WeightFileError(
            f"{path}: its description of the model cannot be read "
            f"({type(cause).__name__}: {str(cause)[:100]!r}); save it again"
        ) from cause


def _layer(entry: Json, depth: int) -> KerasLayer:
    if depth > MAX_DEPTH:
        raise ValueError("models within models without end")
    kind, config = entry["class_name"], entry["config"]
    if isinstance(config, list):  # a Sequential of Keras before 2.2
        config = {"layers": config}
    name = config.get("name", entry.get("name", kind))
    if not isinstance(kind, str) or not isinstance(name, str):
        raise TypeError("a layer without a name")
    children = (
        tuple(_layer(child, depth + 1) for child in config["layers"]) if kind in CONTAINERS else ()
    )
    kind = FUNCTIONS.get(config.get("function"), kind)  # of a TFOpLambda
    return KerasLayer(kind, name, config, children, numbers_of(entry.get("inbound_nodes")))


def topology_of(path: Path, model: KerasLayer) -> Topology:
    """Return what the layers say. Raises: WeightFileError: they are no MobileNetV2's."""
    layers = list(model.flat())
    first = next((n for n, layer in enumerate(layers) if layer.kind in CONVOLUTIONS), 0)
    before, behind = layers[:first], layers[first:]
    unknown = [
        f"{shown(layer.name)} ({printable(layer.kind[:40])})"
        for layer in layers
        if layer.kind not in LAYERS
    ] + [
        f"{shown(layer.name)} ({layer.kind} behind a convolution)"
        for layer in behind
        if layer.kind in SCALINGS
    ]
    if unknown:
        raise WeightFileError(
            f"{path}: has layers that MobileNetV2 has not: {listed(unknown)}. Save the part that "
            "is a MobileNetV2 alone"
        )
    try:
        return Topology(
            epsilon=_only(path, "BatchNormalization epsilon", _epsilons(layers)),
            image_hw=_image_hw(layers),
            padding=_padding(layers),
            activation=_only(path, "activation", set(_activations(path, layers))),
            has_shortcut=any(layer.kind == "Add" for layer in layers),
            strides=tuple(_strides(path, layers)),
            preprocess=preprocess_of(before),
        )
    except (
        AttributeError,
        KeyError,
        OverflowError,
        TypeError,
        ValueError,
        IndexError,
        ZeroDivisionError,
        PreprocessError,
    ) as cause:
        raise WeightFileError(
            f"{path}: a layer is described otherwise than Keras does "
            f"({type(cause).__name__}: {str(cause)[:100]!r}); save the model again"
        ) from cause


def notes_of(model: KerasLayer) -> tuple[str, ...]:
    """Return what the user should know of layers that are left off."""
    behind = {
        activation
        for layer in model.flat()
        if layer.kind in ("Activation", "Dense")
        and (activation := layer.config.get("activation")) in ("softmax", "sigmoid")
    } | {"softmax" for layer in model.flat() if layer.kind == "Softmax"}
    return tuple(
        f"the {activation} behind the classifier is left off: the model gives logits"
        for activation in sorted(behind)
    )


def _only(path: Path, what: str, values: set[Value]) -> Value | None:
    if len(values) > 1:
        found = ", ".join(sorted(str(value)[:40] for value in values))
        raise WeightFileError(
            f"{path}: more than one {what} ({found}); allowed: one for all layers"
        )
    return next(iter(values), None)


def _epsilons(layers: list[KerasLayer]) -> set[float]:
    norms = [layer for layer in layers if layer.kind == "BatchNormalization"]
    return {float(layer.config["epsilon"]) for layer in norms}


def _image_hw(layers: list[KerasLayer]) -> tuple[int, int] | None:
    for layer in layers:
        shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
        if shape is not None:
            _, height, width, _ = shape
            known = isinstance(height, int) and isinstance(width, int)
            return (height, width) if known else None
    return None


def _padding(layers: list[KerasLayer]) -> Padding | None:
    """Return "tensorflow" where a stride of 2 pads by SAME or behind alone, else "pytorch".

    On odd sides, where both are alike, Keras pads all around too.
    """
    pads = [layer.config["padding"] for layer in layers if layer.kind == "ZeroPadding2D"]
    around = {json.dumps(pad) for pad in pads} <= {"[[1, 1], [1, 1]]", "[1, 1]", "1"}
    strided = [layer for layer in layers if layer.kind in CONVOLUTIONS and _stride(layer) == 2]
    is_same = any(layer.config["padding"] == "same" for layer in strided)
    if not strided:
        return None
    return "pytorch" if around and not is_same else "tensorflow"


def _activations(path: Path, layers: list[KerasLayer]) -> Iterator[Activation]:
    for layer in layers:
        if layer.kind == "ReLU":
            slope, limit = layer.config.get("negative_slope"), layer.config.get("max_value")
            if limit not in CLAMPS or slope or layer.config.get("threshold"):
                raise WeightFileError(
                    f"{path}: {shown(layer.name)} is neither ReLU6 nor ReLU, which is what is built"
                )
            yield CLAMPS[limit]
        elif layer.kind == "Activation" and layer.config["activation"] in ("relu", "relu6"):
            yield layer.config["activation"]


def _stride(layer: KerasLayer) -> int:
    stride = layer.config["strides"]
    return int(stride if isinstance(stride, int) else stride[0])


def _strides(path: Path, layers: list[KerasLayer]) -> Iterator[int]:
    """Yield the strides of the 3x3 convolutions."""
    for layer in layers:
        if layer.kind not in CONVOLUTIONS:
            continue
        if layer.config.get("dilation_rate", [1, 1]) not in ([1, 1], 1):
            raise WeightFileError(f"{path}: {shown(layer.name)} is dilated, which is not built")
        if layer.config["kernel_size"] != [1, 1]:
            yield _stride(layer)
