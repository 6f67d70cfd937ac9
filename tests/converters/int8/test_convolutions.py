"""Convolutions in both artifacts, against exact arithmetic on their own integers."""

import numpy as np
import pytest

from converters.onnx_qdq.writer import write_float
from converters.operators import Conv
from tests.converters.artifacts import ROUNDING, Artifacts, assert_within, make, opcodes
from tests.converters.models import Constants, f32, int64, normal, run

CONSTANTS: Constants = {
    "w": normal(8, 3, 3, 3, spread=0.3),
    "b": normal(8, seed=5),
    "k": normal(8, 3, 1, 1, spread=0.3),
    "one": normal(4, 1, 3, 3, spread=0.3),
    "d": normal(3, 1, 3, 3, spread=0.3),
    "d2": normal(6, 1, 3, 3, spread=0.3),
    "d5": normal(3, 1, 5, 5, spread=0.3),
    "g2": normal(8, 6, 3, 3, spread=0.3),
    "g4": normal(8, 3, 1, 1, spread=0.3),
    "g6": normal(6, 2, 3, 3, spread=0.3),
    "columns": normal(8, seed=6),
    "rows": normal(8, 1, seed=7),
    "channels": normal(3, seed=8),
    "channels1": normal(3, 1, seed=8),
    "channels1b": normal(3, 1, 1, seed=8),
    "gains": normal(192, seed=9),
    "offsets": normal(192, seed=10),
    "tokens": int64(1, 3, 64),
    "merged": int64(1, 64, 3),
}
X = "float[1,3,8,8]"


def artifacts(body: str, x: str = X, *outputs: str) -> Artifacts:
    return make(body, x, outputs=outputs or ("y",), **CONSTANTS)


CONVOLUTIONS = {
    "dense": ("Conv<pads=[1,1,1,1]>(x, w, b)", "8,8"),
    "1x1": ("Conv(x, k, b)", "8,8"),
    "1x1, stride 2": ("Conv<strides=[2,2]>(x, k)", "8,8"),
    "VALID": ("Conv(x, w, b)", "8,8"),
    "VALID with a row to spare": ("Conv<strides=[2,2]>(x, w)", "8,9"),
    "SAME, odd, stride 2": ("Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)", "9,7"),
    "SAME, even, stride 2": ("Conv<pads=[0,0,1,1], strides=[2,2]>(x, w, b)", "8,8"),
    "SAME, even, stride 2, padding never read": (
        "Conv<pads=[0,0,2,2], strides=[2,2]>(x, w)",
        "8,8",
    ),
    "unequal strides": ("Conv<pads=[1,1,1,1], strides=[1,3]>(x, w)", "7,7"),
    "dilated": ("Conv<pads=[2,2,2,2], dilations=[2,2]>(x, w, b)", "8,8"),
    "dilated, VALID": ("Conv<dilations=[2,3]>(x, w)", "8,8"),
    "depthwise": ("Conv<pads=[1,1,1,1], group=3>(x, d)", "8,8"),
    "depthwise 5x5": ("Conv<pads=[2,2,2,2], group=3>(x, d5)", "8,8"),
    "depthwise, stride 2": ("Conv<pads=[1,1,1,1], strides=[2,2], group=3>(x, d)", "9,9"),
    "depthwise, dilated": ("Conv<pads=[2,2,2,2], dilations=[2,2], group=3>(x, d)", "8,8"),
    "depth multiplier": ("Conv<pads=[1,1,1,1], group=3>(x, d2)", "8,8"),
}
PADDED = {
    "symmetric, even, stride 2": ("Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)", "8,8"),
    "depthwise, symmetric, even, stride 2": (
        "Conv<pads=[1,1,1,1], strides=[2,2], group=3>(x, d)",
        "8,8",
    ),
    "too much": ("Conv<pads=[3,3,3,3]>(x, w)", "8,8"),
    "one side": ("Conv<pads=[2,0,0,1]>(x, w)", "8,8"),
    "before 1x1": ("Conv<pads=[1,1,1,1]>(x, k)", "8,8"),
}


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *PADDED])
def test_convolution(name: str) -> None:
    body, size = {**CONVOLUTIONS, **PADDED}[name]
    made = artifacts(f"y = {body}", f"float[1,3,{size}]")
    assert_within(made)
    assert opcodes(made.tflite).count("PAD") == (name in PADDED)


def test_convolution_of_one_channel() -> None:
    assert_within(artifacts("y = Conv(x, one)", "float[1,1,8,8]"))


@pytest.mark.parametrize(
    "conv",
    [
        "Conv<pads=[1,1,1,1], group=2>(s, g2, b)",
        "Conv<group=4>(s, g4)",
        "Conv<pads=[1,1,1,1], strides=[2,2], group=6>(s, g6)",
    ],
)
def test_groups_of_channels(conv: str) -> None:
    # Twelve channels of the input's own integers.
    made = artifacts(f"s = SpaceToDepth<blocksize=2>(x) y = {conv}", "float[1,3,10,10]")
    assert_within(made)
    assert opcodes(made.tflite)[-1] == "CONV_2D"


AFFINES = {
    "channels": ("a = Mul(x, channels1b) y = Add(a, channels1b)", 0),
    "rows": ("a = Mul(x, rows) y = Add(a, rows)", 2),
    "columns": ("a = Mul(x, columns) y = Sub(columns, a)", 2),
    "one factor": ("y = Neg(x)", 0),
    "channels last": (
        "t = Transpose<perm=[0,2,3,1]>(x) y = Mul(t, channels)",
        1,  # the output alone
    ),
    "tokens' features": (
        "r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) y = Mul(t, channels)",
        0,
    ),
    "features first": ("r = Reshape(x, tokens) a = Mul(r, channels1) y = Add(a, channels1)", 1),
    # Flattened channels lie with rows and columns between them: the constants follow.
    "a flattened image": ("f = Flatten(x) a = Mul(f, gains) y = Add(a, offsets)", 1),
    "an axis that lies scattered": ("r = Reshape(x, merged) y = Mul(r, channels)", 1),
}


@pytest.mark.parametrize("name", AFFINES)
def test_affine_along_any_axis(name: str) -> None:
    body, transposes = AFFINES[name]
    made = artifacts(body)
    assert_within(made)
    codes = opcodes(made.tflite)
    assert codes.count("DEPTHWISE_CONV_2D") == 1
    assert codes.count("TRANSPOSE") == transposes


@pytest.mark.parametrize("name", ["dense", "depthwise", "depth multiplier", "dilated"])
def test_rounded_weights_are_off_by_half_their_steps(name: str) -> None:
    body, size = CONVOLUTIONS[name]
    made = artifacts(f"y = {body}", f"float[1,3,{size}]")
    (node,) = made.graph.nodes
    assert isinstance(node.operator, Conv)
    weights = made.quantized.weights[node.name]
    x = made.real("x", made.x)
    (floating,) = run(write_float(made.graph), x)
    # What half a step in each weight can move: half of the sum of the pixels' sizes under it.
    ones = Conv(
        np.ones_like(node.operator.weight),
        np.zeros_like(node.operator.bias),
        node.operator.strides,
        node.operator.pads,
        node.operator.dilations,
        node.operator.groups,
    )
    sizes_graph = made.graph.with_nodes([type(node)(node.name, ones, node.inputs, node.output)])
    (sizes,) = run(write_float(sizes_graph), np.abs(x))
    steps = f32(weights.params.scale)[:, None, None]
    bias_steps = weights.bias_scale[:, None, None]
    allowed = 0.5 * steps * sizes + 0.5 * bias_steps + ROUNDING * made.step("y")
    for outputs in (made.in_onnx(), made.in_litert()):
        error = np.abs(made.real("y", outputs["y"]) - floating)
        assert (error <= allowed * 1.001).all()
        # A weight step of twice the size would be seen.
        assert error.max() > 0.2 * made.step("y")
