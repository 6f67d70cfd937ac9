"""Keras models: .h5 (HDF5 with named layers) and .keras (a zip of a description and numbered ones).

Sources: keras/src/legacy/saving/legacy_h5_format.py and keras/src/saving/saving_lib.py.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from converters.mobilenet_v2.weights.archive import opened
from converters.mobilenet_v2.weights.contents import (
    Contents,
    Topology,
    WeightFileError,
    check_claim,
    check_total,
    shown,
)
from converters.mobilenet_v2.weights.keras_config import (
    KerasLayer,
    notes_of,
    read_config,
    topology_of,
)
from edge.backends.base import brief
from edge.errors import MissingExtraError
from edge.tensors import Array
from edge.text import printable

if TYPE_CHECKING:
    import h5py

H5_FORMAT, ARCHIVE_FORMAT = "Keras HDF5", "Keras archive"
H5_MAGIC = b"\x89HDF\r\n\x1a\n"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# What a .keras file calls by numbers, in Keras' own order.
VARIABLES = {
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "DepthwiseConv2D": ("kernel", "bias"),
}
OPTIMIZER, RANDOM = "optimizer state", "states of random generators"
# h5py gives whatever libhdf5 finds wrong as one of these.
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError)


def read_keras_h5(path: Path) -> Contents:
    """Read a model, or its weights alone, as Keras 2 and 3 write them as .h5.

    Raises: WeightFileError: the file is broken, or no MobileNetV2 by its own description.
    """
    found, config, names = _read_h5(path, path)
    model = None if config is None else read_config(path, config)
    topology = topology_of(path, model) if model else Topology()
    not_read: Counter[str] = Counter()
    arrays: dict[str, Array] = {}
    for place, array in found.items():
        kind = _not_weights(place)
        if kind:
            not_read[kind] += 1
            continue
        _add(path, arrays, _named(path, place, names), array)
    return Contents(H5_FORMAT, arrays, not_read, notes_of(model) if model else (), topology)


def read_keras_archive(path: Path) -> Contents:
    """Read a .keras file. Raises: WeightFileError: as `read_keras_h5`."""
    with opened(path, ARCHIVE_FORMAT) as archive:
        config, weights = archive.read(CONFIG), io.BytesIO(archive.read(WEIGHTS))
    model = read_config(path, config)
    topology = topology_of(path, model)
    found, _, names = _read_h5(path, weights)
    not_read: Counter[str] = Counter()
    arrays: dict[str, Array] = {}
    for place, layer in _numbered(model, ""):
        said = names.get(f"{place}/vars")
        if said is not None and said != layer.name:
            raise WeightFileError(
                f"{path}: {shown(place)} is {shown(said)} by its name, but {shown(layer.name)} by "
                "the order of the layers; save the model again"
            )
        for number, part in enumerate(VARIABLES.get(layer.kind, ())):
            array = found.pop(f"{place}/vars/{number}", None)
            if array is not None:
                _add(path, arrays, f"{layer.name}/{part}", array)
    for place, array in found.items():
        kind = _not_weights(place)
        if kind:
            not_read[kind] += 1
        else:  # what it is is told, with the others that fit nowhere
            _add(path, arrays, place, array)
    return Contents(ARCHIVE_FORMAT, arrays, not_read, notes_of(model), topology)


def _numbered(model: KerasLayer, prefix: str) -> Iterator[tuple[str, KerasLayer]]:
    """Yield each layer with the place that Keras gives it: its class, and a number per class."""
    counts: Counter[str] = Counter()
    for layer in model.children:
        name = _snake_case(layer.kind)
        number = f"_{counts[name]}" if counts[name] else ""
        counts[name] += 1
        place = f"{prefix}layers/{name}{number}"
        if layer.children:
            yield from _numbered(layer, f"{place}/")
        else:
            yield place, layer


def _snake_case(name: str) -> str:
    """Conv2D becomes conv2d, ReLU re_lu, BatchNormalization batch_normalization."""
    apart = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", apart).lower()


def _not_weights(place: str) -> str:
    """Return what an array is where it is no weight of the network, or ""."""
    if place.startswith(("optimizer/", "optimizer_weights/", "_optimizer")):
        return OPTIMIZER
    return RANDOM if "seed_generator" in place else ""


def _named(path: Path, place: str, names: dict[str, str]) -> str:
    """Return layer/part for a dataset's place: .../Conv1/kernel:0, or by number with a name."""
    group, _, part = place.rpartition("/")
    if group.endswith("/vars") and part.isdecimal():
        name = names.get(group)
        if name is None:
            raise WeightFileError(
                f"{path}: {shown(place)} has a number and no name, since its Keras was too old; "
                "save the whole model as .keras"
            )
        kind = re.sub(r"_\d+$", "", group.removesuffix("/vars").rpartition("/")[2])
        parts = {_snake_case(k): v for k, v in VARIABLES.items()}.get(kind, ())
        return f"{name}/{parts[int(part)] if int(part) < len(parts) else part}"
    return layer_and_part(place)


def layer_and_part(name: str) -> str:
    """Return the last two parts of a variable's path, without TensorFlow's ":0"."""
    return "/".join(name.partition(":")[0].split("/")[-2:])


def _add(path: Path, arrays: dict[str, Array], name: str, array: Array) -> None:
    if name in arrays:
        raise WeightFileError(
            f"{path}: holds {shown(name)} twice, so of two models; save the MobileNetV2 alone"
        )
    arrays[name] = array


def _read_h5(
    path: Path, source: Path | IO[bytes]
) -> tuple[dict[str, Array], str | None, dict[str, str]]:
    """Return all datasets by their place, the model's description, and names kept as attributes."""
    try:
        import h5py
    except ImportError as cause:
        raise MissingExtraError("h5py", "weights") from cause
    arrays: dict[str, Array] = {}
    names: dict[str, str] = {}
    try:
        with h5py.File(source, "r") as file:
            config = file.attrs.get("model_config")
            datasets: list[tuple[str, h5py.Dataset]] = []

            def visit(place: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    _check(path, place, item)
                    datasets.append((place, item))
                elif isinstance(item, h5py.Group) and "name" in item.attrs:
                    names[place] = _text(item.attrs["name"])

            file.visititems(visit)
            check_total(path, (data.size * data.dtype.itemsize for _, data in datasets))
            for place, data in datasets:
                if not _not_weights(place):
                    arrays[place] = data[()]
                else:
                    arrays[place] = data[:0] if data.shape else data[()]
            return arrays, None if config is None else _text(config), names
    except _BROKEN as cause:
        raise WeightFileError(
            f"{path}: a broken HDF5 file ({brief(cause)}); save or download it again"
        ) from cause


def _check(path: Path, place: str, data: h5py.Dataset) -> None:
    """Refuse what is not plain numbers inside this file, or claims too many of them."""
    if data.external or data.is_virtual:
        raise WeightFileError(f"{path}: {shown(place)} lies in another file, which is not opened")
    if data.dtype.kind not in "fiub" or data.shape is None:
        found = printable(str(data.dtype)[:100])
        raise WeightFileError(f"{path}: {shown(place)} holds {found}; allowed: numbers")
    check_claim(path, place, data.shape, data.dtype.itemsize)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
