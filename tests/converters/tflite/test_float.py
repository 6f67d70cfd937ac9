"""The float TFLite in LiteRT, against the source model in ONNX Runtime."""

from collections.abc import Mapping

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper

from converters.passes import run_passes
from converters.tflite.handlers import WRITERS
from converters.tflite.writer import check, write_float_tflite
from edge.tensors import F32
from tests.converters.artifacts import CARD, float_in_litert, opcodes
from tests.converters.models import Constants, build, f32, imported, int64, normal, rng, run

X = "float[1,3,8,8]"
CONSTANTS: Constants = {
    "w": normal(6, 3, 3, 3, spread=0.3),
    "w6": normal(6, 6, 1, 1, spread=0.3),
    "b": normal(6, seed=1),
    "d": normal(3, 1, 3, 3, spread=0.3),
    "g": normal(192, 5, spread=0.1),
    "up": normal(3, 12, spread=0.5),
    "down": normal(12, 3, spread=0.5),
    "mix": normal(3, 3, 1, 1),
    "squeeze": normal(2, 3, 1, 1),
    "excite": normal(3, 2, 1, 1),
    "scale": normal(3, seed=2),
    "shift": normal(3, seed=3),
    "columns": normal(8, seed=4),
    "full": normal(1, 3, 8, 8, seed=5),
    "slopes": normal(3, 1, 1, seed=6),
    "zero": f32(0),
    "half": f32(0.5),
    "six": f32(6),
    "three": f32(3),
    "root": f32(2**-0.5),
    "one": f32(1),
    "edges": int64(0, 0, 1, 2, 0, 0, 0, 3),
    "starts": int64(0, 1),
    "stops": int64(2, 7),
    "last": int64(2, 3),
    "places": int64(2, 0, -1, 2),
    "larger": int64(1, 3, 8, 8),
    "twice": int64(1, 2, 1, 2),
    "sides": int64(1, 3, 16, 16),
    "tokens": int64(1, 3, 64),
    "heads": int64(1, 64, 3, 4),
    "joined": int64(1, 64, 12),
    "picture": int64(1, 3, 8, 8),
    "groups": int64(1, 2, 3, 8, 8),
    "ungroups": int64(1, 3, 2, 8, 8),
    "six_channels": int64(1, 6, 8, 8),
    "windows": int64(1, 3, 2, 4, 2, 4),
    "in_windows": int64(4, 16, 3),
    "windows_back": int64(1, 2, 2, 4, 4, 3),
}


def held(body: str, *, positive: bool = False) -> bytes:
    """Return the float file of a model, having held its outputs against the model itself."""
    model = build(body, X, **CONSTANTS)
    graph, _ = run_passes(imported(model))
    check(graph, "tiny.onnx")
    data = write_float_tflite(graph, CARD)
    x = normal(1, 3, 8, 8, seed=9, spread=2.0)
    x = np.abs(x) + f32(0.1) if positive else x
    (expected,) = run(model, x)
    found = float_in_litert(data, x)["y"]
    # Sums in another order, and XNNPACK's own exp, tanh and erf: some units in the last place.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, strict=True)
    return data


CASES = {
    "Abs": "y = Abs(x)",
    "Add": "r = Relu(x) y = Add(x, r)",
    "Affine": "a = Mul(x, columns) y = Add(a, columns)",
    "AveragePool": "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>(x)",
    "Clamp": "y = Clip(x, zero, three)",
    "Concat": "r = Relu(x) y = Concat<axis=1>(x, r)",
    "Constant": "y = Mul(x, full)",
    "Conv": "y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)",
    "Conv, depthwise": "y = Conv<pads=[1,1,1,1], group=3>(x, d)",
    "DepthToSpace": "s = SpaceToDepth<blocksize=2>(x) r = Relu(s) y = DepthToSpace<blocksize=2>(r)",
    "Div": "y = Div(full, x)",
    "Elu": "y = Elu(x)",
    "Exp": "y = Exp(x)",
    "Expand": "m = ReduceMax<axes=[1]>(x) y = Expand(m, larger)",
    "Gather": "y = Gather<axis=2>(x, places)",
    "Gelu": "s = Mul(x, root) e = Erf(s) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)",
    "Gemm": "f = Flatten(x) y = Gemm(f, g)",
    "GlobalAveragePool": "y = GlobalAveragePool(x)",
    "HardSwish": "y = HardSwish(x)",
    "LeakyRelu": "y = LeakyRelu<alpha=0.3>(x)",
    "Log": "y = Log(x)",
    "LogSoftmax": "y = LogSoftmax<axis=1>(x)",
    "MatMul": "t = Transpose<perm=[0,1,3,2]>(x) y = MatMul(x, t)",
    "MaxPool": "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)",
    "Maximum": "y = Max(x, full)",
    "Minimum": "y = Min(x, full)",
    "PRelu": "y = PRelu(x, slopes)",
    "Pad": "y = Pad(x, edges, three)",
    "Pow": "y = Pow(x, full)",
    "ReduceMax": "y = ReduceMax<axes=[1], keepdims=0>(x)",
    "ReduceMean": "y = ReduceMean<axes=[2], keepdims=0>(x)",
    "ReduceMin": "y = ReduceMin<axes=[1,2,3], keepdims=0>(x)",
    "ReduceSum": "y = ReduceSum<keepdims=0>(x, last)",
    "Reshape": "r = Reshape(x, windows) y = Relu(r)",
    "Resize": (
        'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, , , sides)'
    ),
    "Rsqrt": "r = Sqrt(x) y = Reciprocal(r)",
    "Sigmoid": "y = Sigmoid(x)",
    "Slice": "y = Slice(x, starts, stops, last)",
    "Softmax": "y = Softmax<axis=2>(x)",
    "Sqrt": "y = Sqrt(x)",
    "Sub": "r = Relu(x) y = Sub(r, x)",
    "Tanh": "y = Tanh(x)",
    "Tile": "y = Tile(x, twice)",
    "Transpose": "y = Transpose<perm=[0,2,3,1]>(x)",
}
POSITIVE = ("Div", "Log", "Pow", "Rsqrt", "Sqrt")


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str) -> None:
    held(CASES[name], positive=name in POSITIVE)


def test_every_operator_has_a_case() -> None:
    graphs = [run_passes(imported(build(body, X, **CONSTANTS)))[0] for body in CASES.values()]
    covered = {type(node.operator) for graph in graphs for node in graph.nodes}
    # A change of scale has a meaning for integers alone.
    assert {kind.__name__ for kind in WRITERS} - {kind.__name__ for kind in covered} == {
        "Requantize"
    }


CONVNEXT = (
    "c = Conv<pads=[1,1,1,1], group=3>(x, d) t = Transpose<perm=[0,2,3,1]>(c) "
    "n = LayerNormalization(t, scale, shift) p = MatMul(n, up) s = Mul(p, root) e = Erf(s) "
    "a = Add(e, one) m = Mul(p, a) h = Mul(m, half) q = MatMul(h, down) l = Mul(q, scale) "
    "u = Transpose<perm=[0,3,1,2]>(l) y = Add(x, u)"
)
SHUFFLE = (
    "c = Conv<pads=[1,1,1,1]>(x, w) r = Reshape(c, groups) t = Transpose<perm=[0,2,1,3,4]>(r) "
    "s = Reshape(t, six_channels) "
)
WINDOWS = "r = Reshape(x, windows) t = Transpose<perm=[0,2,4,3,5,1]>(r) p = Reshape(t, in_windows) "
THERE_AND_BACK = (
    "t = Transpose<perm=[0,3,1,2]>(x) r = Relu(t) u = Transpose<perm=[0,2,3,1]>(r) y = Conv(u, w)"
)
SQUEEZE_AND_EXCITE = (
    "p = GlobalAveragePool(x) s = Conv(p, squeeze) r = Relu(s) e = Conv(r, excite) "
    "v = Sigmoid(e) y = Mul(x, v)"
)
SHUFFLE_UNDONE = (
    f"{SHUFFLE} e = Relu(s) f = Reshape(e, ungroups) k = Transpose<perm=[0,2,1,3,4]>(f) "
    "l = Reshape(k, six_channels) y = Conv(l, w6)"
)
WINDOWS_UNDONE = (
    f"{WINDOWS} a = Relu(p) k = Reshape(a, windows_back) "
    "l = Transpose<perm=[0,5,1,3,2,4]>(k) m = Reshape(l, picture) y = Conv(m, w)"
)
TOKENS = "r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) "
ATTENTION = (
    f"{TOKENS} q = MatMul(t, up) k = MatMul(t, up) v = MatMul(t, up) "
    "i = Transpose<perm=[0,2,1]>(k) m = MatMul(q, i) a = Softmax<axis=2>(m) y = MatMul(a, v)"
)
SCALED_HEADS = (
    f"{TOKENS} q = MatMul(t, up) h = Reshape(q, heads) m = Transpose<perm=[0,2,1,3]>(h) "
    "s = Mul(m, half) o = Transpose<perm=[0,2,1,3]>(s) f = Reshape(o, joined) y = MatMul(f, down)"
)
# How many TRANSPOSE, RESHAPE and PAD each needs; an output that is no image lies as in ONNX.
CHAINS: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    "padding that is TFLite's": ("y = Conv<pads=[0,0,1,1], strides=[2,2]>(x, w)", (0, 0, 0)),
    "padding that is not": ("y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w)", (0, 0, 1)),
    "flattened image": ("c = Conv(x, mix) f = Flatten(c) y = Gemm(f, g)", (0, 1, 0)),
    "flattened and clamped": ("f = Flatten(x) r = Relu(f) y = Gemm(r, g)", (0, 1, 0)),
    "ConvNeXt's block": (CONVNEXT, (0, 0, 0)),
    "squeeze and excite": (SQUEEZE_AND_EXCITE, (0, 0, 0)),
    "there and back": (THERE_AND_BACK, (0, 0, 0)),
    "channel shuffle": (f"{SHUFFLE} y = Conv(s, w6)", (1, 2, 0)),
    "channel shuffle and its undoing": (SHUFFLE_UNDONE, (0, 0, 0)),
    "windows": (f"{WINDOWS} y = Softmax(p)", (1, 2, 0)),
    "windows and back": (WINDOWS_UNDONE, (0, 0, 0)),
    "tokens": (f"{TOKENS} n = LayerNormalization(t, scale, shift) y = MatMul(n, up)", (0, 1, 0)),
    "attention": (ATTENTION, (0, 3, 0)),  # a CONV_2D's tensors have four dimensions
    "one scale for all heads": (SCALED_HEADS, (0, 1, 0)),
    "an order that is really another": ("y = Transpose<perm=[0,3,2,1]>(x)", (1, 0, 0)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_nothing_is_moved_that_need_not_be(name: str) -> None:
    body, expected = CHAINS[name]
    codes = opcodes(held(body))
    found = tuple(codes.count(code) for code in ("TRANSPOSE", "RESHAPE", "PAD"))
    assert found == expected, codes


def weights_rounded_to_half(body: str) -> tuple[bytes, bytes, F32, F32]:
    """Return the files in float32 and with half, what the latter gives, and what it should."""
    model = build(body, X, **CONSTANTS)
    graph, _ = run_passes(imported(model))
    x = normal(1, 3, 8, 8, seed=9)
    half = write_float_tflite(graph, CARD, half=True)
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.ndim > 1:
            rounded = value.astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    (expected,) = run(model, x)
    return write_float_tflite(graph, CARD), half, float_in_litert(half, x)["y"], expected


def test_half_keeps_weights_as_float16_and_computes_in_float32() -> None:
    body = "c = Conv(x, w, b) r = Relu(c) m = MaxPool<kernel_shape=[6,6]>(r) y = Conv(m, w6)"
    _, half, found, expected = weights_rounded_to_half(body)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    interpreter = Interpreter(model_content=half, num_threads=1)
    dtypes = {t["name"]: t["dtype"] for t in interpreter.get_tensor_details()}
    assert dtypes["Conv_c/weight/half"] is dtypes["Conv_y/weight/half"] is np.float16
    assert dtypes["Conv_c/bias"] is dtypes["r"] is dtypes["y"] is np.float32


def test_half_is_about_half_as_large() -> None:
    wide = rng(4).normal(0, 0.1, (192, 512)).astype(np.float32)
    graph, _ = run_passes(imported(build("f = Flatten(x) y = Gemm(f, wide)", X, wide=wide)))
    full, half = (write_float_tflite(graph, CARD, half=half) for half in (False, True))
    # Beside the weights there are names, shapes, biases and the card.
    assert wide.nbytes / 2 < len(half) < len(full) * 0.52
