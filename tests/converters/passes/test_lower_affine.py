from dataclasses import replace

import numpy as np
import pytest

from converters.graph import Graph, Node
from converters.onnx_qdq.writer import write_float
from converters.operators import Affine, Conv
from converters.passes.lower_affine import lower_affine
from tests.converters.models import build, imported, normal, run
from tests.converters.passes.graphs import applied

GAIN, OFFSET = normal(3, seed=1), normal(3, seed=2)


def graph(shape: tuple[int, ...], axis: int = 1) -> Graph:
    node = Node("n", Affine(GAIN, OFFSET, axis), ("x",), "y")
    return Graph("g", {"x": shape}, ("y",), (node,))


def test_on_pixels_it_is_a_depthwise_convolution() -> None:
    result = applied(lower_affine, graph((1, 3, 4, 5)))
    (node,) = result.graph.nodes
    assert isinstance(node.operator, Conv)
    assert node.operator.is_depthwise
    assert result.changed == ("n as Conv",)


@pytest.mark.parametrize(("shape", "axis"), [((1, 3), 1), ((1, 4, 3), 2), ((1, 4, 5, 3), 3)])
def test_along_other_axes_it_stays(shape: tuple[int, ...], axis: int) -> None:
    result = applied(lower_affine, graph(shape, axis))
    assert result.changed == ()


def test_one_gain_for_all_stays() -> None:
    affine = Affine(np.full(3, 0.5, np.float32), np.zeros(3, np.float32))
    one = Graph("g", {"x": (1, 3, 4, 5)}, ("y",), (Node("n", affine, ("x",), "y"),))
    assert applied(lower_affine, one).changed == ()
    shifted = replace(affine, bias=np.ones(3, np.float32))
    nodes = (replace(one.nodes[0], operator=shifted),)
    assert applied(lower_affine, replace(one, nodes=nodes)).changed == ("n as Conv",)


def test_numbers_are_those_of_the_affine() -> None:
    x = normal(1, 3, 4, 5)
    (y,) = run(write_float(lower_affine(graph(x.shape)).graph), x)
    expected = x * GAIN[:, None, None] + OFFSET[:, None, None]
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_other_operators_are_left() -> None:
    other = imported(build("y = Relu(x)"))
    result = applied(lower_affine, other)
    assert result.graph == other
    assert result.changed == ()
