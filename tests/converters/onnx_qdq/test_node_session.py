import numpy as np
import pytest

from calibration.observers import Range, RangeTable
from converters.onnx_qdq.node_session import NodeSession, is_inner, sources
from converters.onnx_qdq.writer import write_network
from converters.operators import Constant, Requantize
from converters.passes import run_passes
from converters.quantize.assign import assign, observed_values
from converters.quantize.keep_float import is_computing, keep_float
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from tests.converters.models import Constants, build, f32, imported, normal, run

CONSTANTS: Constants = {
    "w": normal(6, 3, 3, 3),
    "b": normal(6),
    "v": normal(6, 12, 1, 1),
    "full": normal(1, 6, 8, 8),
    "zero": f32(0),
    "six": f32(6),
}
BODY = (
    "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Clip(a, zero, six) s = Sigmoid(a) "
    "c = Concat<axis=1>(r, s) d = Conv(c, v) e = Add(d, full) m = MaxPool<kernel_shape=[2,2]>(e) "
    "g = Mul(a, r) h = Add(g, e) y = GlobalAveragePool(h)"
)


def quantized() -> QuantizedGraph:
    graph, _ = run_passes(imported(build(BODY + " z = Relu(m)", outputs=("y", "z"), **CONSTANTS)))
    ranges = {name: Range(-5.0, 4.0) for name in observed_values(graph)}
    return assign(graph, from_range(-2.0, 2.0), RangeTable(ranges, "minmax", 1))


@pytest.mark.parametrize("is_mixed", [False, True])
def test_node_by_node_is_the_whole_network(is_mixed: bool) -> None:
    network = quantized()
    if is_mixed:
        chosen = [node.name for node in network.graph.nodes if is_computing(node)][::2]
        network = keep_float(network, frozenset(chosen))
        assert len(network.activations) < len(network.graph.shapes)
    kinds = {type(node.operator) for node in network.graph.nodes}
    assert {Constant, Requantize} <= kinds
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), np.uint8)
    live = {"x": x[None]}
    for node in network.graph.nodes:
        if is_inner(network, node):
            continue
        session = NodeSession(network, node)
        assert session.inputs == sources(network, node)
        live[node.output] = session.run(live, 0)[None]
    exact = {"session__x64quantprecision": "1"}
    for name, expected in zip(("y", "z"), run(write_network(network), x, **exact), strict=True):
        assert np.abs(live[name][0].astype(int) - expected).max() <= 1


def test_what_holds_no_integers_is_read_through() -> None:
    network = quantized()
    (concat,) = (node for node in network.graph.nodes if node.kind == "Concat")
    between = {name for name in concat.inputs if name not in ("r", "s")}
    assert between  # at least one of the two is requantized
    assert set(sources(network, concat)) == {"r", "s"}
    (added,) = (node for node in network.graph.nodes if node.output == "e")
    assert sources(network, added) == ("d",)
