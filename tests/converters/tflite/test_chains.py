"""Any chain of operators, wherever its values lie in between: LiteRT against ONNX Runtime."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.graph import Graph, Node
from converters.onnx_qdq.writer import write_float
from converters.operators import (
    INFINITY,
    Add,
    Affine,
    Clamp,
    Concat,
    Constant,
    Gather,
    Gemm,
    MatMul,
    Mul,
    Operator,
    Pad,
    ReduceMax,
    ReduceMean,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Tile,
    Transpose,
)
from converters.passes.lower_affine import lower_affine
from converters.tflite.writer import write_float_tflite
from edge.tensors import F32
from tests.converters.artifacts import CARD, float_in_litert
from tests.converters.models import normal, run
from tests.converters.tflite.test_layout import factorings

SHAPES = st.tuples(st.just(1), *[st.sampled_from([1, 2, 3, 4, 6])] * 3)
# What grows or is summed up with random factors stays small.
MOST_VALUES = 2000
MOST_AXES = 6  # TFLite reads tensors of up to 8


def few(shape: Shape) -> bool:
    return len(shape) <= MOST_AXES


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw up to eight operators, each on one of the two latest values."""
    graph = Graph("chain", {"x": draw(SHAPES)}, ("x",), ())
    values = ["x"]
    for step in range(draw(st.integers(1, 8))):
        source = draw(st.sampled_from(values[-2:]))
        shape = graph.shapes[source]
        operator, constant = draw(operators(shape))
        nodes, inputs = list(graph.nodes), [source]
        if constant is not None:
            nodes.append(Node(f"c{step}", Constant(constant), (), f"c{step}"))
            inputs.append(f"c{step}")
        elif isinstance(operator, Add | Concat):
            same = [value for value in values if graph.shapes[value] == shape]
            inputs.append(draw(st.sampled_from(same)))
        values.append(f"v{step}")
        nodes.append(Node(f"n{step}", operator, tuple(inputs), values[-1]))
        graph = Graph(graph.name, graph.inputs, (values[-1],), tuple(nodes))
        if math.prod(graph.shapes[values[-1]]) > MOST_VALUES:
            break
    return graph


@st.composite
def operators(draw: st.DrawFn, shape: Shape) -> tuple[Operator, F32 | None]:
    """Draw an operator that takes a value of `shape`, and a constant beside it if it is of two."""
    rank = len(shape)
    axis = draw(st.integers(0, rank - 1))
    side, seed = shape[axis], draw(st.integers(0, 9))
    kept = tuple(s if draw(st.booleans()) else 1 for s in shape)
    some = tuple(a for a in range(rank) if draw(st.booleans())) or (axis,)
    keep = draw(st.booleans()) or len(some) == rank
    choices: list[tuple[Operator, F32 | None]] = [
        (Transpose(tuple(draw(st.permutations(range(rank))))), None),
        (Reshape(draw(factorings(math.prod(shape)).filter(few))), None),
        (Clamp(0.0, INFINITY), None),
        (Add(), None),
        (Mul(), normal(*kept, seed=seed)),
        (Affine(normal(side, seed=seed), normal(side, seed=seed + 1), axis), None),
        (Affine(np.full(side, 0.5, np.float32), np.zeros(side, np.float32), axis), None),
        (Softmax(axis), None),
        (ReduceMax(some, keep), None),
        (ReduceMean(some, keep), None),
        (Concat(axis), None),
        (Slice((axis,), (side // 2,), (side,), (1,)), None),
        (Gather(axis, np.asarray([side - 1, 0])), None),
        (Pad((0,) * axis + (1,) + (0,) * (rank - axis - 1), (0,) * rank), None),
        (Tile(tuple(2 if a == axis else 1 for a in range(rank))), None),
    ]
    if rank >= 2:
        choices.append((Gemm(normal(3, shape[-1], seed=seed), normal(3, seed=seed)), None))
        choices.append((MatMul(), normal(*shape[:-2], shape[-1], 2, seed=seed)))
    drawn: tuple[Operator, F32 | None] = draw(st.sampled_from(choices))
    return drawn


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_a_chain_of_operators(graph: Graph) -> None:
    graph = lower_affine(graph).graph
    graph.verify()
    x = normal(*graph.input_shape)
    (expected,) = run(write_float(graph), x)
    (found,) = float_in_litert(write_float_tflite(graph, CARD), x).values()
    assert found.shape == expected.shape
    # The largest sums decide what rounding there is.
    allowed = 1e-5 * max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=allowed)
