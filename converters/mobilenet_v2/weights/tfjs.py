"""TensorFlow.js layers models: model.json, and shards of bytes beside it.

Source: https://www.tensorflow.org/js/guide/save_load and tfjs-core/src/io/types.ts, of which
`WeightsManifestConfig` describes the groups: the shards of a group are one run of bytes, in which
its weights lie one behind another, little-endian.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from converters.mobilenet_v2.weights.contents import (
    MAX_BYTES,
    Contents,
    Json,
    Topology,
    WeightFileError,
    check_claim,
    shown,
)
from converters.mobilenet_v2.weights.keras_config import (
    MAX_CONFIG_BYTES,
    notes_of,
    read_config,
    topology_of,
)
from converters.mobilenet_v2.weights.keras_file import layer_and_part
from edge.tensors import Array
from edge.text import printable

FORMAT = "TensorFlow.js layers"
MANIFEST = "model.json"
DTYPES = {"float32": "<f4", "int32": "<i4", "bool": "?"}
# real = min + scale * q for the integers; float16 is itself.
QUANTIZED = {"uint8": "u1", "uint16": "<u2", "float16": "<f2"}


def read_tfjs(path: Path) -> Contents:
    """Read a model by its JSON file.

    Raises: WeightFileError: it is no layers model, broken, or a shard is missing or elsewhere.
    """
    with path.open("rb") as stream:
        text = stream.read(MAX_CONFIG_BYTES + 1)
    if len(text) > MAX_CONFIG_BYTES:
        raise WeightFileError(f"{path}: has more than {MAX_CONFIG_BYTES:,} bytes of JSON")
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or "weightsManifest" not in data:
            raise ValueError("no weightsManifest; give the model.json of a layers model")
        if data.get("format", "layers-model") != "layers-model":
            raise WeightFileError(
                f"{path}: is a {shown(str(data['format']))} of TensorFlow.js, whose weights have "
                "no layers' names; convert with --output_format=tfjs_layers_model"
            )
        arrays: dict[str, Array] = {}
        for group in data["weightsManifest"]:
            for name, array in _group(path, group):
                if name in arrays:
                    raise ValueError(f"weight {shown(name)} twice")
                arrays[name] = array
        topology, notes = _topology(path, data.get("modelTopology"))
        notes += _quantization_notes(data["weightsManifest"])
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as cause:
        raise WeightFileError(
            f"{path}: cannot be read as a layers model of TensorFlow.js "
            f"({type(cause).__name__}: {printable(str(cause)[:200])}); convert it again"
        ) from cause
    return Contents(FORMAT, arrays, notes=notes, topology=topology)


def _topology(path: Path, described: Json) -> tuple[Topology, tuple[str, ...]]:
    if described is None:
        return Topology(), ()
    model = read_config(path, json.dumps(described.get("model_config", described)))
    return topology_of(path, model), notes_of(model)


def _quantization_notes(groups: list[Json]) -> tuple[str, ...]:
    """Return a sentence for each kind of integers; half floats are counted where they are read."""
    kinds = Counter(
        weight["quantization"]["dtype"]
        for group in groups
        for weight in group["weights"]
        if weight.get("quantization")
    )
    return tuple(
        f"{count} of the arrays were stored as {kind}, not float32"
        for kind, count in sorted(kinds.items())
        if kind != "float16"
    )


def _group(path: Path, group: dict[str, Any]) -> Iterator[tuple[str, Array]]:
    data = b"".join(_shards(path, group["paths"]))
    place = 0
    for weight in group["weights"]:
        name = layer_and_part(str(weight["name"]))
        shape = [int(side) for side in weight["shape"]]
        quantization = weight.get("quantization")
        dtype = np.dtype(_stored_as(name, weight["dtype"], quantization))
        end = place + check_claim(path, name, shape, dtype.itemsize)
        if end > len(data):
            raise ValueError(f"the shards end within weight {shown(name)}")
        array: Array = np.frombuffer(data[place:end], dtype).reshape(shape)
        if quantization and dtype.kind == "u":
            scale, least = np.float32(quantization["scale"]), np.float32(quantization["min"])
            array = array.astype(np.float32) * scale + least
        yield name, array
        place = end
    if place != len(data):
        raise ValueError(f"the shards have {len(data) - place:,} bytes more than the weights")


def _stored_as(name: str, dtype: str, quantization: dict[str, Any] | None) -> str:
    allowed = QUANTIZED if quantization else DTYPES
    stored = quantization["dtype"] if quantization else dtype
    if stored not in allowed:
        raise ValueError(
            f"weight {shown(name)} holds {shown(str(stored))}; allowed: {', '.join(allowed)}"
        )
    return allowed[stored]


def _shards(path: Path, names: list[str]) -> Iterator[bytes]:
    left = MAX_BYTES
    for name in names:
        if not isinstance(name, str) or "\\" in name or PurePosixPath(name).name != name:
            raise WeightFileError(
                f"{path}: names the shard {shown(str(name))}; allowed: files beside it"
            )
        shard = path.parent / name
        if not shard.is_file():
            raise WeightFileError(
                f"{path}: its shard {shown(name)} is not beside it; copy it there"
            )
        with shard.open("rb") as stream:
            data = stream.read(left + 1)
        left -= len(data)
        if left < 0:
            raise WeightFileError(f"{path}: its shards have more than {MAX_BYTES:,} bytes")
        yield data
