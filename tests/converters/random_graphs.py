"""Small networks of every kind of layer that channels pass, with weights that are often zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from converters.graph import Graph, Node
from converters.operators import (
    INFINITY,
    Add,
    Affine,
    AveragePool,
    Clamp,
    Concat,
    Conv,
    Gelu,
    Gemm,
    GlobalAveragePool,
    HardSwish,
    MaxPool,
    Mul,
    Operator,
    Reshape,
    Resize,
    Shape,
    Sigmoid,
    Slice,
    Sub,
    Tanh,
)
from edge.tensors import F32
from tests.converters.models import rng

CLAMPS = (None, Clamp(0.0, 6.0), Clamp(0.0, 6.0), Clamp(0.0, INFINITY), Clamp(-1.0, 1.0))
FUNCTIONS = (HardSwish(), Sigmoid(), Tanh(), Gelu(), Clamp(0.0, 6.0))
LAYERS = 7


@dataclass
class _Net:
    random: np.random.Generator
    wide: bool
    values: dict[str, Shape]
    nodes: list[Node] = field(default_factory=list)

    def add(self, operator: Operator, *inputs: str) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(Node(f"{type(operator).__name__}_{name}", operator, inputs, name))
        self.values[name] = operator.output_shape(*(self.values[one] for one in inputs))
        return name

    def weight(self, outputs: int, inputs: int, kernel: int) -> F32:
        """Return weights of which some outputs and some inputs have none."""
        shape = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
        weight = self.random.normal(0, 1, shape).astype(np.float32)
        weight[self.random.random(outputs) < 0.3] = 0
        if inputs > 1:
            weight[:, self.random.random(inputs) < 0.2] = 0
        signed = self.random.random(outputs) < 0.3
        weight[signed] = -np.abs(weight[signed])
        return weight

    def bias(self, size: int) -> F32:
        """Return biases, some of which no sum overcomes."""
        bias = self.random.normal(0, 1, size)
        bias[self.random.random(size) < 0.3] = 0
        bias += self.random.choice([0, 0, 0, -200, 200], size)
        return bias.astype(np.float32)

    def pick(self) -> str:
        """Return a value, the last one more often."""
        names = [*self.values]
        return names[-1] if self.random.random() < 0.6 else self.choose(names)

    def choose(self, names: Sequence[str]) -> str:
        return names[int(self.random.integers(len(names)))]

    def clamp(self) -> Clamp | None:
        return CLAMPS[self.random.integers(len(CLAMPS))]

    def conv(self, x: str, *, outputs: int = 0, deep: bool = False) -> str:
        channels, side = self.values[x][1], min(self.values[x][2:])
        kernel = int(self.random.choice([k for k in (1, 2, 3) if k <= side]))
        top, left, bottom, right = self.random.integers(0, kernel, 4).tolist()
        stride = int(self.random.integers(1, 3))
        if not outputs:
            outputs = (
                channels if deep else int(self.random.integers(1, 7)) * (4 if self.wide else 1)
            )
        groups = channels if deep else 1
        weight, bias = self.weight(outputs, channels // groups, kernel), self.bias(outputs)
        pads = (top, left, bottom, right)
        return self.add(Conv(weight, bias, (stride, stride), pads, (1, 1), groups, self.clamp()), x)

    def two(self, x: str) -> None:
        other = self.choose(
            [name for name, shape in self.values.items() if shape == self.values[x]]
        )
        operator = (Add, Sub, Mul)[self.random.integers(3)]
        self.add(operator(self.clamp()), x, other)

    def gate(self, x: str) -> None:
        gate = self.conv(self.add(GlobalAveragePool(), x), outputs=self.values[x][1])
        self.add(Mul(), x, self.add(Sigmoid(), gate))

    def join(self, x: str) -> None:
        same = [name for name, shape in self.values.items() if shape[2:] == self.values[x][2:]]
        self.add(Concat(1), x, self.choose(same))

    def pool(self, x: str) -> None:
        if min(self.values[x][2:]) > 1:
            is_counted, pads = bool(self.random.integers(2)), (1, 0, 0, 1)
            pools = MaxPool((2, 2), (1, 1), pads), AveragePool((2, 2), (1, 1), pads, is_counted)
            self.add(pools[self.random.integers(2)], x)

    def layer(self) -> None:
        x = self.pick()
        channels = self.values[x][1]
        start = int(self.random.integers(channels))
        gain = np.clip(self.bias(channels), -2, 2)
        layers: tuple[Callable[[], object], ...] = (
            *(partial(self.conv, x),) * 4,
            *(partial(self.conv, x, deep=True),) * 4,
            partial(self.two, x),
            partial(self.gate, x),
            partial(self.join, x),
            partial(self.pool, x),
            partial(self.add, Slice((1,), (start,), (channels,), (1,)), x),
            partial(self.add, FUNCTIONS[self.random.integers(len(FUNCTIONS))], x),
            partial(self.add, Affine(gain, self.bias(channels), 1), x),
            partial(self.add, Resize((4, 5), linear=True, grid="half_pixel"), x),
        )
        layers[self.random.integers(len(layers))]()


def network(seed: int, *, wide: bool = False) -> Graph:
    """Return a network of one picture [1, 3, 6, 7] that ends in two products of matrices."""
    net = _Net(rng(seed), wide, {"x": (1, 3, 6, 7)})
    for _ in range(LAYERS):
        net.layer()
    last, other = [*net.values][-1], net.choose([*net.values])
    outputs = []
    for x in (last, other):
        size = math.prod(net.values[x])
        flat = net.add(Reshape((1, size)), x)
        outputs.append(net.add(Gemm(net.weight(5, size, 0), net.bias(5)), flat))
    return Graph("random", {"x": (1, 3, 6, 7)}, tuple(outputs), tuple(net.nodes))
