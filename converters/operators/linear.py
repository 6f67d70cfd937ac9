"""Products of matrices."""

from __future__ import annotations

from dataclasses import dataclass

from converters.errors import GraphError
from converters.operators.elementwise import Clamp
from converters.operators.shapes import Shape, broadcast
from edge.tensors import F32


@dataclass(frozen=True, slots=True, eq=False)
class Gemm:
    """Fully connected: y = x W^T + b along the last axis. weight: [O, I]; bias: [O]."""

    weight: F32
    bias: F32
    clamp: Clamp | None = None

    def output_shape(self, x: Shape) -> Shape:
        fits = len(x) >= 2 and x[-1] == self.weight.shape[1]
        if not fits or self.bias.shape != self.weight.shape[:1]:
            raise GraphError(f"weight {self.weight.shape} does not fit an input of shape {x}")
        return (*x[:-1], self.weight.shape[0])


@dataclass(frozen=True, slots=True)
class MatMul:
    """The product of two activations: [..., M, K] times [..., K, N]."""

    def output_shape(self, a: Shape, b: Shape) -> Shape:
        if min(len(a), len(b)) < 2 or a[-1] != b[-2]:
            raise GraphError(f"matrices of shapes {a} and {b} cannot be multiplied")
        return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])
