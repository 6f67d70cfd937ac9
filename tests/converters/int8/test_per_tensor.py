"""One scale for all weights of an operator, in both files."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import ModelProto, numpy_helper

from tests.converters.artifacts import Artifacts, assert_within, make
from tests.converters.models import Constants, f32, normal

SIZES = f32([0.01, 0.1, 0.3, 1, 1, 2, 3, 10]).reshape(8, 1, 1, 1)
CONSTANTS: Constants = {
    "w": normal(8, 3, 3, 3, spread=0.3) * SIZES,
    "d": normal(3, 1, 3, 3, spread=0.3) * SIZES[2:5],
    "d2": normal(6, 1, 3, 3, spread=0.3) * SIZES[2:],
    "h": normal(192, 5, spread=0.1, seed=1) * f32([0.01, 0.1, 1, 1, 3]),
    "b": normal(8, seed=5),
    "gains": normal(3, 1, 1, seed=8),
}
BODIES = {
    "dense": "y = Conv<pads=[1,1,1,1]>(x, w, b)",
    "depthwise": "y = Conv<pads=[1,1,1,1], group=3>(x, d)",
    "depth multiplier": "y = Conv<pads=[1,1,1,1], group=3>(x, d2)",
    "scale alone": "y = Mul(x, gains)",
    "Gemm": "f = Flatten(x) y = MatMul(f, h)",
    "one scale of a Concat": "a = Conv(x, w) c = Conv(x, w, b) y = Concat<axis=1>(a, c)",
}


def artifacts(name: str, *, per_tensor: bool = True) -> Artifacts:
    return make(BODIES[name], per_tensor=per_tensor, **CONSTANTS)


def onnx_scales(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the scales of each weight and bias, by name."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    shapes = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in held:
            assert held[node.input[2]].shape == held[node.input[1]].shape
            shapes[node.input[0]] = held[node.input[1]].shape
    return shapes


def tflite_scales(model: bytes) -> dict[str, int]:
    """Return how many scales each weight and bias has, by name."""
    read = schema.ModelT.InitFromPackedBuf(model, 0)
    return {
        tensor.name.decode(): len(tensor.quantization.scale)
        for tensor in read.subgraphs[0].tensors
        if tensor.name.decode().endswith(("/weight", "/bias"))
    }


@pytest.mark.parametrize("name", BODIES)
def test_both_files_compute_it(name: str) -> None:
    assert_within(artifacts(name))


@pytest.mark.parametrize("name", BODIES)
def test_each_weight_has_one_scale_in_both_files(name: str) -> None:
    made = artifacts(name)
    in_onnx, in_tflite = onnx_scales(made.onnx), tflite_scales(made.tflite)
    assert in_onnx
    assert len(in_tflite) == len(in_onnx) == 2 * len(made.quantized.weights)
    assert set(in_onnx.values()) == {()}
    assert set(in_tflite.values()) == {1}


def test_without_it_each_channel_has_its_own() -> None:
    made = artifacts("depthwise", per_tensor=False)
    assert set(onnx_scales(made.onnx).values()) == {(3,)}
    assert set(tflite_scales(made.tflite).values()) == {3}


def test_the_files_hold_the_same_scale() -> None:
    made = artifacts("depthwise")
    held = {t.name: numpy_helper.to_array(t) for t in made.onnx.graph.initializer}
    read = schema.ModelT.InitFromPackedBuf(made.tflite, 0).subgraphs[0].tensors
    compared = 0
    for tensor in read:
        name = tensor.name.decode()
        if name.endswith(("/weight", "/bias")):
            assert np.float32(tensor.quantization.scale[0]) == held[f"{name}/scale"]
            compared += 1
    assert compared == 2
