"""What it takes to run a model once: a few hundred bytes can ask for days and terabytes."""

from __future__ import annotations

import math
from collections.abc import Container

from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.operators import AveragePool, Conv, MatMul, MaxPool, multiply_adds

# Held at once: 256 MiB of float32, and the runtime's kernels take as much again. A ResNet-50 of
# 1024 x 1024 pixels holds three quarters of it.
MAX_HELD_VALUES = 1 << 26
# Of a large matrix a PC computes some 2^36 a second; a picture may take ten such seconds on a Pi.
MAX_PRODUCTS = 1 << 38
# As long as so many of those take a value that goes through any function, and one under a pool.
PRODUCTS_A_VALUE = 64
# A convolution with fewer input channels a group than this is as slow as with so many.
FEW_CHANNELS = 16


def check_cost(graph: Graph, batch: int, where: str) -> None:
    """See that a machine can run `graph` on `batch` pictures. Raises: ConvertError: it cannot."""
    advice = f": export it for smaller pictures{' and a batch of 1' if batch > 1 else ''}"
    held = batch * most_held(graph)
    if held > MAX_HELD_VALUES:
        raise ConvertError(
            f"{where}: holds {held} values at once; at most {MAX_HELD_VALUES} are computed{advice}"
        )
    needed = batch * sum(products(graph, node) for node in graph.nodes)
    if needed > MAX_PRODUCTS:
        raise ConvertError(
            f"{where}: takes {needed} products; at most {MAX_PRODUCTS} are computed{advice}"
        )


def most_held(graph: Graph, wide: Container[str] = ()) -> int:
    """Return how many values are held at once, each from where it is made to its last reader.

    Args: wide: those that count four times.
    """
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    sizes = {n: math.prod(shape) * (4 if n in wide else 1) for n, shape in graph.shapes.items()}
    held = most = sum(sizes[name] for name in graph.inputs)
    for index, node in enumerate(graph.nodes):
        held += sizes[node.output]
        most = max(most, held)
        ended = [name for name in {*node.inputs, node.output} if last.get(name, index) == index]
        held -= sum(sizes[name] for name in ended)
    return most


def products(graph: Graph, node: Node) -> int:
    """Return the multiplications of a node, and what takes as long."""
    shapes = graph.shapes
    output = shapes[node.output]
    size = math.prod(output)
    count = multiply_adds(node.operator, output)
    if isinstance(node.operator, Conv):
        count *= max(1, FEW_CHANNELS // node.operator.weight.shape[1])
    elif isinstance(node.operator, MatMul):
        count += size * shapes[node.inputs[0]][-1]
    elif isinstance(node.operator, AveragePool | MaxPool):
        count += size * math.prod(node.operator.kernel) * PRODUCTS_A_VALUE
    touched = (size, *(math.prod(shapes[name]) for name in node.inputs))
    return count + PRODUCTS_A_VALUE * max(touched)
