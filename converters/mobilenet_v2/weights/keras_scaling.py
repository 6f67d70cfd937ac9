"""What a Keras model does to pixels before its first convolution, which the card does instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from converters.mobilenet_v2.weights.contents import Json
from edge.preprocess import PRESETS, PreprocessSpec

# `mobilenet_v2.preprocess_input` on a model's input leaves layers of these kinds, or in Keras 2 a
# TFOpLambda with these functions.
FUNCTIONS = {"math.truediv": "TrueDivide", "math.subtract": "Subtract", "math.multiply": "Multiply"}
SCALINGS = ("Rescaling", "TrueDivide", "Subtract", "Multiply")


class Layer(Protocol):
    """What is looked at of a layer; `numbers` are those that it is called with."""

    @property
    def kind(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Json]: ...
    @property
    def numbers(self) -> tuple[float, ...]: ...


def numbers_of(nodes: Json) -> tuple[float, ...]:
    """Return the numbers among the arguments of a layer's calls, as Keras 2 or 3 writes them."""
    return tuple(
        float(value)
        for value in _arguments(nodes)
        if isinstance(value, int | float) and not isinstance(value, bool)
    )


def _arguments(nodes: Json) -> Iterator[Json]:
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict):  # Keras 3
            yield from node.get("args", ())
            yield from node.get("kwargs", {}).values()
        elif isinstance(node, list) and node and isinstance(node[-1], dict):  # Keras 2
            yield from node[-1].values()


def preprocess_of(layers: Iterable[Layer]) -> PreprocessSpec | None:
    """Return what `layers`, all before the first convolution, make of bytes; None: nothing.

    Raises: ValueError, KeyError, ZeroDivisionError, PreprocessError: nothing that a card can say.
    """
    factor, offset, is_scaled = 1.0, 0.0, False
    for layer in layers:
        if layer.kind not in SCALINGS:
            continue
        is_scaled = True
        times, plus = _step(layer.kind, layer.config, layer.numbers)
        factor, offset = factor * times, offset * times + plus
    if not is_scaled:
        return None
    std = 1 / (255 * factor)
    return PreprocessSpec(mean=(-offset * std,), std=(std,), resize=PRESETS["tf"].resize)


def _step(kind: str, config: Mapping[str, Json], numbers: Sequence[float]) -> tuple[float, float]:
    """Return what a layer multiplies by, and what it adds then."""
    if kind == "Rescaling":
        return float(config["scale"]), float(config["offset"])
    (number,) = numbers
    steps = {
        "TrueDivide": lambda: (1 / number, 0.0),
        "Subtract": lambda: (1.0, -number),
        "Multiply": lambda: (number, 0.0),
    }
    return steps[kind]()
