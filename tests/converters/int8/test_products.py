"""Gemm, MatMul and the Softmax behind them."""

import numpy as np
import pytest

from tests.converters.artifacts import ROUNDING, Artifacts, assert_within, make, opcodes
from tests.converters.models import Constants, f32, int64, normal

CONSTANTS: Constants = {
    "b": normal(8, seed=5),
    "k": normal(8, 3, 1, 1, spread=0.3),
    "g": normal(48, 8, spread=0.2),
    "h": normal(8, 5, spread=0.5),
    "u": normal(3, 5, spread=0.5),
    "bias": normal(5, seed=6),
    "matrices": normal(1, 3, 8, 8, seed=2),
    "tokens": int64(1, 3, 64),
    "rows": int64(24, 8),
    "heads": int64(1, 8, 8, 3),
    "zero": f32(0),
    "p3": f32(3),
    "m2": f32(-2),
    "p2": f32(2),
}
X = "float[1,3,8,8]"


def artifacts(body: str, x: str = X, *outputs: str) -> Artifacts:
    return make(body, x, outputs=outputs or ("y",), **CONSTANTS)


@pytest.mark.parametrize("last", ["Flatten(p)", "Reshape(p, shape)"])
def test_flattened_vector_as_an_output(last: str) -> None:
    shape = np.asarray([1, -1])
    made = make(f"p = GlobalAveragePool(x) y = {last}", X, shape=shape)
    assert_within(made)
    assert opcodes(made.tflite) == ["MEAN", "RESHAPE"]


def test_gemm_on_a_flattened_image_takes_its_columns_in_tflites_order() -> None:
    made = artifacts("f = Flatten(x) y = Gemm(f, g, b)", "float[1,3,4,4]")
    assert_within(made)
    assert opcodes(made.tflite)[0] != "TRANSPOSE"


def test_gemm_behind_a_clamp_on_a_flattened_image() -> None:
    made = artifacts("f = Flatten(x) r = Clip(f, m2, p2) y = Gemm(r, g)", "float[1,3,4,4]")
    gain = np.abs(CONSTANTS["g"]).sum(axis=0).max()
    assert_within(made, ROUNDING + 0.5 * made.step("r") * gain / made.step("y"), apart=2)


@pytest.mark.parametrize("activation", ["r = Relu(a)", "r = Clip(a, zero, p3)"])
def test_chained_gemms(activation: str) -> None:
    body = f"f = Flatten(x) a = Gemm(f, g, b) {activation} y = Gemm(r, h)"
    made = artifacts(body, "float[1,3,4,4]")
    # Each of the first one's values is off by half a step, and the second weighs and adds them.
    gain = np.abs(CONSTANTS["h"]).sum(axis=0).max()
    assert_within(made, ROUNDING + 0.5 * made.step("r") * gain / made.step("y"), apart=2)


def test_softmax_head() -> None:
    made = artifacts("f = Flatten(x) l = Gemm(f, g, b) y = Softmax(l)", "float[1,3,4,4]")
    # The rows of softmax's derivative, |p_i (1_ij - p_j)|, sum to 2 p (1 - p), at most 1/2. One
    # step more: TFLite's kernel computes exp with few bits and rounds twice.
    assert_within(made, ROUNDING + 0.5 * 0.5 * made.step("l") / made.step("y") + 1, apart=2)


def test_several_outputs_of_one_graph() -> None:
    made = artifacts("c = Conv(x, k) p = GlobalAveragePool(c) y = Flatten(p)", X, "y", "c", "p")
    assert_within(made, ROUNDING + 0.5 * made.step("c") / made.step("p"), apart=2)
    assert tuple(made.in_litert()) == made.graph.outputs


GEMMS = {
    "rank 2": ("r = Reshape(x, rows) y = Gemm(r, h, bias)", 1),
    "rank 3": ("r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) y = MatMul(t, u)", 0),
    "rank 4, along the columns": ("m = MatMul(x, h) y = Add(m, bias)", 2),
    "rank 4, along the channels": (
        "t = Transpose<perm=[0,2,3,1]>(x) m = MatMul(t, u) y = Transpose<perm=[0,3,1,2]>(m)",
        0,
    ),
    "of pooled channels": ("p = ReduceMax<axes=[2,3], keepdims=0>(x) y = MatMul(p, u)", 0),
    "of pixels in rows": (
        "t = Transpose<perm=[0,2,3,1]>(x) r = Flatten<axis=3>(t) y = Gemm(r, u, bias)",
        0,
    ),
}


@pytest.mark.parametrize("name", GEMMS)
def test_gemm_along_the_last_axis_of_any_rank(name: str) -> None:
    body, transposes = GEMMS[name]
    made = artifacts(body)
    assert_within(made)
    codes = opcodes(made.tflite)
    assert codes.count("CONV_2D") == 1
    assert codes.count("TRANSPOSE") == transposes


TURN = "Transpose<perm=[0,1,3,2]>"
MATMULS = {
    "of itself": "y = MatMul(x, x)",
    "second transposed": f"t = {TURN}(x) y = MatMul(x, t)",
    "first transposed": f"t = {TURN}(x) y = MatMul(t, x)",
    "both transposed": f"t = {TURN}(x) y = MatMul(t, t)",
    "by constants": "y = MatMul(matrices, x)",
    "one matrix for all": "m = ReduceMax<axes=[1]>(x) y = MatMul(x, m)",
    "all for one matrix": "m = ReduceMax<axes=[1]>(x) y = MatMul(m, x)",
    "of tokens": "r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) y = MatMul(r, t)",
    "attention's scores": (
        "r = Reshape(x, heads) q = Transpose<perm=[0,2,1,3]>(r) "
        "o = Transpose<perm=[0,2,3,1]>(r) y = MatMul(q, o)"
    ),
}


@pytest.mark.parametrize("name", MATMULS)
def test_matmul_of_two_activations(name: str) -> None:
    made = artifacts(MATMULS[name])
    (node,) = (node for node in made.graph.nodes if node.kind == "MatMul")
    # TFLite's kernel rounds twice: to as many bits below the output's step as the factor is small.
    factor = made.step(node.inputs[0]) * made.step(node.inputs[1]) / made.step("y")
    assert_within(made, litert=factor)
    assert opcodes(made.tflite).count("BATCH_MATMUL") == 1


def test_a_transposed_operand_is_read_as_it_lies() -> None:
    body = "r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) y = MatMul(r, t)"
    assert "TRANSPOSE" not in opcodes(artifacts(body).tflite)
    # An image's matrices lie with their channels last: each operand is moved once, the output too.
    assert opcodes(artifacts("y = MatMul(x, x)").tflite).count("TRANSPOSE") == 2
