"""Weights of a file for the network that they are of: every array is used, named, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.mobilenet_v2.architecture import Architecture, Layer
from converters.mobilenet_v2.build import initial_weights
from converters.mobilenet_v2.weights.agree import contradictions
from converters.mobilenet_v2.weights.contents import WeightFileError, listed, shown
from converters.mobilenet_v2.weights.families import Family
from converters.mobilenet_v2.weights.infer import Wishes, infer, shapes_of
from converters.mobilenet_v2.weights.names import Named, name_arrays, places_of
from converters.mobilenet_v2.weights.read import read_weights
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import F32, Array


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network with its weights, under the names of `Architecture.weight_shapes`.

    `read` is how many arrays were; `not_read` counts what was left in the file, by what it is;
    `converted` counts the arrays that were no float32, by what they held. `is_new_classifier`: the
    file has none, and the classifier is untrained.
    """

    architecture: Architecture
    weights: dict[str, F32]
    format: str
    family: str
    preprocess: PreprocessSpec
    read: int
    not_read: Counter[str]
    converted: Counter[str]
    notes: tuple[str, ...]
    is_new_classifier: bool


def load_weights(path: Path, wishes: Wishes, seed: int) -> Loaded:
    """Read a file of weights and match it to the network that it is of.

    Args: wishes: what the user names, which must agree; seed: of a new classifier, where the file
        has none and the user names its classes.
    Raises: WeightFileError: with everything that is missing, left over, of another shape or
        contradicts the user; and what `read_weights` raises.
    """
    contents = read_weights(path)
    named = name_arrays(path, contents.arrays)
    shapes, topology = shapes_of(named), contents.topology
    architecture = infer(path, named, shapes, topology, wishes)
    faults = contradictions(architecture, shapes, named.family, topology, wishes)
    weights, converted, misfits = _match(named, architecture)
    said = ([listed(faults)] if faults else []) + _grouped(misfits)
    if said:
        raise WeightFileError(
            f"{path} ({contents.format}, names of {named.family.name}) is not MobileNetV2 "
            f"{architecture.width:g} as asked for: " + "; ".join(said)
        )
    if not named.classifier:
        fresh = initial_weights(architecture, seed)
        weights |= {n: a for n, a in fresh.items() if n.startswith("classifier.")}
    return Loaded(
        architecture,
        weights,
        contents.format,
        named.family.name,
        topology.preprocess or PRESETS[named.family.preset],
        read=sum(converted.values()),
        not_read=contents.not_read + named.not_read,
        converted=Counter({k: n for k, n in converted.items() if k != "float32"}),
        notes=contents.notes + named.notes,
        is_new_classifier=not named.classifier,
    )


def _match(
    named: Named, architecture: Architecture
) -> tuple[dict[str, F32], Counter[str], dict[str, list[str]]]:
    """Return our arrays, what element types they had, and every misfit by its kind."""
    weights: dict[str, F32] = {}
    dtypes: Counter[str] = Counter()
    misfits: dict[str, list[str]] = {"missing": [], "of another shape": [], "left over": []}
    used = set()
    for layer, ours, theirs in _names(named, architecture):
        used.add(theirs)
        array = named.arrays.get(theirs)
        if array is None:
            misfits["missing"].append(shown(theirs))
            continue
        shape = layer.weight_shapes()[ours]
        expected = _their_shape(named.family, layer, shape)
        is_1x1 = layer.kind == "classifier" and array.ndim == 4 and len(shape) == 2
        if is_1x1:
            expected = (*expected, 1, 1) if named.family.layout == "OIHW" else (1, 1, *expected)
        if array.shape != expected or array.dtype.kind != "f":
            misfits["of another shape"].append(
                f"{shown(theirs)} is {array.dtype} {list(array.shape)}, not float {list(expected)}"
            )
            continue
        dtypes[str(array.dtype.newbyteorder("="))] += 1
        with np.errstate(over="ignore"):  # what is infinite then is refused with its name
            weights[ours] = _our_layout(named.family, layer, array, shape)
    misfits["left over"] = [
        f"{shown(name)} {list(array.shape)}"
        for name, array in named.arrays.items()
        if name not in used
    ]
    return weights, dtypes, misfits


def _names(named: Named, architecture: Architecture) -> Iterator[tuple[Layer, str, str]]:
    """Yield layer, our name and theirs, for each array that there must be."""
    places = places_of(architecture)
    for layer in architecture.layers():
        if layer.kind != "classifier" or named.classifier:
            for ours, theirs in named.parts(layer, places.get(layer.block)):
                yield layer, ours, theirs


def _their_shape(family: Family, layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if family.layout == "OIHW" or len(shape) == 1:
        return shape
    if layer.kind == "depthwise":
        channels, one, height, width = shape
        return (height, width, channels, one)
    return (*shape[2:], *shape[1::-1])


def _our_layout(family: Family, layer: Layer, array: Array, shape: tuple[int, ...]) -> F32:
    if family.layout == "HWIO":
        order = {(4, True): (2, 3, 0, 1), (4, False): (3, 2, 0, 1), (2, False): (1, 0)}
        array = array.transpose(order.get((array.ndim, layer.kind == "depthwise"), (0,)))
    return np.array(array.reshape(shape), np.float32)


def _grouped(misfits: Mapping[str, list[str]]) -> list[str]:
    return [f"{len(names)} {kind}: {listed(names)}" for kind, names in misfits.items() if names]
