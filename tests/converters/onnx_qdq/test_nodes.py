import numpy as np
import pytest
from onnx import numpy_helper

from converters.onnx_qdq.nodes import OnnxNodes
from converters.operators import INFINITY, Clamp


def test_a_relu_is_a_relu() -> None:
    nodes = OnnxNodes()
    nodes.clamp(Clamp(0.0, INFINITY), "a", "b")
    assert [node.op_type for node in nodes.nodes] == ["Relu"]
    assert not nodes.initializers


@pytest.mark.parametrize(
    ("clamp", "limits"),
    [
        (Clamp(0.0, 6.0), [0.0, 6.0]),
        (Clamp(-INFINITY, 6.0), [None, 6.0]),
        (Clamp(-1.0, INFINITY), [-1.0, None]),
    ],
)
def test_limits_of_a_clip(clamp: Clamp, limits: list[float | None]) -> None:
    nodes = OnnxNodes()
    nodes.clamp(clamp, "a", "b")
    (clip,) = nodes.nodes
    names = clip.input[1:]
    values = [
        float(numpy_helper.to_array(nodes.initializers[name])) if name else None for name in names
    ]
    assert values == limits


def test_limits_that_nearly_agree_stay_apart() -> None:
    nodes = OnnxNodes()
    limits = [float(np.float32(6)), float(np.nextafter(np.float32(6), np.float32(7)))]
    for index, high in enumerate(limits):
        nodes.clamp(Clamp(0.0, high), "a", f"b{index}")
    written = [
        float(numpy_helper.to_array(nodes.initializers[clip.input[2]])) for clip in nodes.nodes
    ]
    assert written == limits
