"""A node of the source file, with its inputs resolved, as the handlers see it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from converters.operators import Operator, Shape
from converters.quantize.integers import Dequantized
from converters.quantize.params import QuantParams
from edge.tensors import F32, Array


class RefusedError(Exception):
    """Raised by a handler: the reason why this node cannot be converted."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A value that depends on the network's input. `name` is its name in the Graph."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that cannot be had: its node was refused, or, with a reason, its reader is."""

    reason: str = ""


# A uint8 value is an int8 one that is larger by 128, and so is its zero point.
SHIFTS: dict[np.dtype[Any], int] = {np.dtype(np.int8): 0, np.dtype(np.uint8): 128}


@dataclass(frozen=True, slots=True)
class Integers:
    """What QuantizeLinear makes of an activation, for a DequantizeLinear to read."""

    activation: Activation
    params: QuantParams


@dataclass(frozen=True, slots=True)
class SourceNorm:
    """What a BatchNormalization of the file remembers of its training.

    `value`: the value in the Graph that it reads, [1, C, ...]; `mean`, `variance`: the running
    ones of that, float32 [C].
    """

    name: str
    value: str
    mean: F32
    variance: F32


# None: an optional input left out
Resolved: TypeAlias = Activation | Integers | Missing | Array | None


# What a handler gives: what its operators made, one value for each output where there are several;
# or an activation that it leaves as it is, or a constant.
Converted: TypeAlias = Activation | Integers | Dequantized | Array | tuple[Activation, ...]
Operand: TypeAlias = Activation | F32


@dataclass(frozen=True, slots=True)
class SourceNode:
    """One ONNX node. `attributes` holds plain Python values and arrays.

    `source_batch` is the batch that the file was exported with: constants that repeat it are read
    as 1. `outputs` names the node's outputs, "" where one is left out. `append` adds an operator
    to the Graph.
    """

    name: str
    op_type: str
    opset: int
    inputs: tuple[Resolved, ...]
    attributes: dict[str, Any]
    source_batch: int
    outputs: tuple[str, ...]
    append: Callable[[Operator, tuple[Operand, ...], str, str], Activation]

    def emit(
        self, operator: Operator, *inputs: Operand, step: str = "", output: int = 0
    ) -> Activation:
        """Apply an operator, and return what it makes: output `output` of this node.

        With `step`, a short word, it is something on the way there.
        Raises: RefusedError: the operator does not fit its inputs.
        """
        name, value = self.name, self.outputs[output]
        if step:
            name, value = f"{name}/{step}", f"{value}/{step}"
        elif output:
            name = f"{name}/{output}"
        return self.append(operator, inputs, name, value)

    def activation(self, index: int) -> Activation:
        """Return input `index`. Raises: RefusedError: it is a constant or was left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise RefusedError(f"input {index} was left out")
        if not isinstance(value, Activation):
            raise RefusedError(f"input {index} is a constant; only activations are supported there")
        return value

    def operand(self, index: int) -> Operand:
        """Return input `index`: an activation, or a constant of finite float32 numbers."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return value if isinstance(value, Activation) else self.weights(index)

    def axes(self, index: int, opset: int, rank: int) -> tuple[int, ...] | None:
        """Return the axes of a value of `rank`, counted from the front, None where none are named.

        From `opset` on they are input `index`, before that the attribute "axes".
        Raises: RefusedError: they are not different axes of such a value.
        """
        named = self.whole_numbers(index) if self.opset >= opset else self.attribute("axes", [])
        axes = tuple(self.axis(axis, rank) for axis in named or [])
        if len(set(axes)) != len(axes):
            raise RefusedError(f"axes {named} name one twice")
        return axes or None

    def axis(self, axis: int, rank: int) -> int:
        """Return `axis`, which may count from the end. Raises: RefusedError: there is none."""
        if not isinstance(axis, int) or not -rank <= axis < rank:
            raise RefusedError(f"axis {axis} of a value of {rank} axes")
        return axis + rank if axis < 0 else axis

    def constant(self, index: int) -> Array | None:
        """Return constant input `index`, None when it was left out.

        Raises: RefusedError: it depends on the network's input.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None or isinstance(value, np.ndarray):
            return value
        raise RefusedError(
            f"input {index} is computed from the image; only a constant is supported"
        )

    def weights(self, index: int) -> F32:
        """Return constant input `index` as float32.

        Raises: RefusedError: it was left out, is not float32, or holds NaN or infinity.
        """
        value = self.constant(index)
        if value is None:
            raise RefusedError(f"input {index} was left out")
        if value.dtype != np.float32:
            raise RefusedError(f"its constant input {index} is {value.dtype}; only float32 is read")
        if not np.isfinite(value).all():
            raise RefusedError(f"its constant input {index} holds NaN or infinity")
        return value

    def whole_numbers(self, index: int) -> list[int] | None:
        """Return constant input `index`, a list of whole numbers; None when it was left out."""
        value = self.constant(index)
        if value is None:
            return None
        if value.ndim != 1 or value.dtype.kind != "i":
            raise RefusedError(f"its constant input {index} is not a list of whole numbers")
        return [int(number) for number in value]

    def scalar(self, index: int, default: float) -> float:
        """Return constant input `index`, which holds one number; `default` when left out."""
        value = self.constant(index)
        if value is None:
            return default
        if value.size != 1 or value.dtype.kind not in "fiu" or np.isnan(value).any():
            raise RefusedError(f"its constant input {index} is not one number")
        return float(value.reshape(()))

    def attribute(self, name: str, default: Any) -> Any:  # noqa: ANN401 (as the file has it)
        """Return an attribute of the type of `default`.

        Raises: RefusedError: it is of another type, NaN or infinite.
        """
        value = self.attributes.get(name, default)
        if isinstance(value, float) and not math.isfinite(value):
            raise RefusedError(f"attribute {name} is {value}; a finite number belongs there")
        if default is not None and not isinstance(value, type(default)):
            raise RefusedError(f"attribute {name} is {value!r}; a {type(default).__name__} belongs")
        return value
