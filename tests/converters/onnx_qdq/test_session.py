import gc

import numpy as np
import onnxruntime

from converters.onnx_qdq.nodes import NOWHERE
from converters.onnx_qdq.session import FloatSession
from converters.onnx_qdq.writer import write_float
from edge.tensors import Array
from tests.converters.models import build, imported, normal, run

BODY = """c = Conv(x, w, b) r = Relu(c) p = GlobalAveragePool(r) f = Flatten(p)
    y = Gemm(f, g)"""
GRAPH = imported(build(BODY, w=normal(32, 3, 3, 3), b=normal(32), g=normal(32, 10)))


def test_large_weights_are_named_alone_and_small_ones_are_in_the_model() -> None:
    outside: dict[str, Array] = {}
    model = write_float(GRAPH, (), outside)
    assert sorted(value.shape for value in outside.values()) == [(10, 32), (32, 3, 3, 3)]
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, value in outside.items():
        assert tuple(held[name].dims) == value.shape
        assert held[name].external_data[0].value == NOWHERE
    assert held.keys() - outside.keys()
    assert model.ByteSize() < 2048 < sum(value.nbytes for value in outside.values())


def test_a_session_computes_what_a_model_with_its_weights_inside_does() -> None:
    x = normal(*GRAPH.input_shape)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = FloatSession(GRAPH, options, ("r",))
    gc.collect()
    assert [output.name for output in session.get_outputs()] == ["y", "r"]
    expected = run(write_float(GRAPH, ("r",)), x)
    for found, right in zip(session.run(None, {GRAPH.input: x}), expected, strict=True):
        np.testing.assert_array_equal(found, right)
