from __future__ import annotations

import numpy as np
import pytest

from converters.bounds import bounds
from converters.channels import trace
from converters.graph import Graph
from converters.onnx_qdq.writer import write_float
from converters.operators import Affine
from converters.passes.fold_clamp import fold_clamp
from converters.passes.lower_affine import lower_affine
from edge.tensors import F32, Array
from tests.converters.models import Constants, build, f32, imported, normal, rng, run
from tests.converters.random_graphs import network


def observed(graph: Graph, x: F32) -> dict[str, Array]:
    """Return every value by name, in ONNX Runtime."""
    graph = lower_affine(graph).graph  # an Affine has no ONNX form of its own
    names = [node.output for node in graph.nodes if node.output not in graph.outputs]
    values = run(write_float(graph, names), x)
    return dict(zip([*graph.outputs, *names], values, strict=True))


def outside(graph: Graph, x: F32) -> list[str]:
    """Return the values that lie beyond their bounds, or differ where they are constant."""
    channels = trace(graph)
    known = bounds(graph, channels)
    found = []
    for name, made in observed(graph, x).items():
        value = np.atleast_1d(made)
        axis = channels.lanes[name].axis
        rows = np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)
        one = known[name]
        low, high = one.low[:, None], one.high[:, None]
        # A constant is known to rounding, which the sums of its reader multiply.
        near = np.where(one.is_constant[:, None], 1e-4 * np.maximum(1, np.abs(low)), 0)
        if not ((rows >= low - near) & (rows <= high + near)).all():
            found.append(name)
    return found


@pytest.mark.parametrize("seed", range(80))
def test_every_value_of_a_random_network_lies_within(seed: int) -> None:
    graph = network(seed)
    for spread in (0.1, 3.0, 1000.0):
        assert outside(graph, normal(*graph.input_shape, seed=seed, spread=spread)) == []


def test_half_of_the_values_of_random_networks_are_bounded() -> None:
    """Else the test above would hold little."""
    finite = constant = count = 0
    for seed in range(80):
        graph = network(seed)
        for one in bounds(graph, trace(graph)).values():
            count += len(one.low)
            finite += int((np.isfinite(one.low) & np.isfinite(one.high)).sum())
            constant += int(one.is_constant.sum())
    assert finite > count / 3
    assert constant > count / 8


@pytest.mark.parametrize(
    "function",
    ["Exp", "Sigmoid", "Tanh", "Erf", "Elu<alpha=1.0>", "HardSwish", "LeakyRelu<alpha=0.2>",
     "Sqrt", "Log", "Neg", "Abs", "Gelu", 'Gelu<approximate="tanh">'],
)  # fmt: skip
def test_functions(function: str) -> None:
    body = f"a = Conv(x, w, b) r = Clip(a, low, high) y = {function}(r)"
    given: Constants = {
        "w": normal(3, 3, 1, 1),
        "b": f32([0, 0.5, 2]),
        "low": f32(0.1),
        "high": f32(3),
    }
    given["w"][1:] = 0
    graph = fold_clamp(imported(build(body, opset=20, **given))).graph
    assert outside(graph, normal(1, 3, 8, 8, spread=4)) == []
    if function.split("<", maxsplit=1)[0] not in ("Sqrt", "Log", "Abs"):
        known = bounds(graph, trace(graph))["y"]
        assert known.is_constant.tolist() == [False, True, True]


def test_an_affine_along_another_axis_holds_for_all_channels() -> None:
    body = "a = Conv(x, w) r = Clip(a, low, high) y = Mul(r, row)"
    row = rng(1).uniform(-2, 3, 8).astype(np.float32)
    given: Constants = {"w": normal(3, 3, 1, 1), "low": f32(-1), "high": f32(3), "row": row}
    graph = fold_clamp(imported(build(body, **given))).graph
    assert isinstance(graph.nodes[-1].operator, Affine)
    known = bounds(graph, trace(graph))["y"]
    np.testing.assert_allclose(known.low, min(3 * row.min(), -row.max()), rtol=1e-5)
    np.testing.assert_allclose(known.high, max(3 * row.max(), -row.min()), rtol=1e-5)
    assert outside(graph, normal(1, 3, 8, 8, spread=4)) == []


def test_a_mixed_value_has_the_bounds_of_all_its_channels() -> None:
    body = "a = Conv(x, w, b) r = Clip(a, low, high) y = ReduceMax<axes=[1]>(r)"
    given: Constants = {"w": np.zeros((3, 3, 1, 1), np.float32), "b": f32([0, 1, 2])}
    graph = fold_clamp(imported(build(body, **given, low=f32(0.5), high=f32(3)))).graph
    known = bounds(graph, trace(graph))["y"]
    assert (known.low.tolist(), known.high.tolist()) == ([0.5], [2.0])
