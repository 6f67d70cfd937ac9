"""Values of more axes than an image has, and of fewer."""

import numpy as np
import pytest

from tests.converters.artifacts import REQUANTIZED, Artifacts, assert_within, make, opcodes
from tests.converters.models import Constants, int64, normal

CONSTANTS: Constants = {
    "five": int64(1, 3, 2, 4, 8),
    "six": int64(1, 3, 2, 4, 2, 4),
    "seven": int64(1, 3, 2, 2, 2, 2, 4),
    "one": int64(192),
    "two": int64(192, 1),
    "full5": normal(1, 3, 2, 4, 8, seed=2),
    "some5": normal(1, 1, 2, 1, 8, seed=3),
    "half": np.asarray(0.5, np.float32),
    "w": normal(8, 5, spread=0.5),
    "w5": normal(1, 3, 2, 8, 4, spread=0.5),
    "pads5": int64(0, 0, 1, 0, 0, 0, 0, 0, 1, 1),
    "repeats5": int64(1, 1, 2, 1, 3),
    "starts": int64(1, 0),
    "stops": int64(3, 2),
    "axes": int64(1, 2),
    "pairs": np.asarray([[0, 1], [1, 1]]),
    "inner": int64(2, 4),
}
FIVE = [
    "y = Relu(r)",
    "y = Transpose<perm=[0,4,2,1,3]>(r)",
    "y = Add(r, full5)",
    "y = Mul(r, some5)",
    "y = Mul(r, half)",
    "y = Max(r, full5)",
    "y = PRelu(r, full5)",
    "y = Softmax<axis=2>(r)",
    "y = LogSoftmax<axis=4>(r)",
    "y = ReduceMean<axes=[2], keepdims=1>(r)",
    "y = ReduceMax<axes=[1,3], keepdims=0>(r)",
    "m = ReduceMax<axes=[2]>(r) y = Expand(m, five)",
    "y = Pad(r, pads5)",
    'y = Pad<mode="reflect">(r, pads5)',
    "y = Tile(r, repeats5)",
    "y = Slice(r, starts, stops, axes)",
    "y = Gather<axis=2>(r, pairs)",
    "y = Concat<axis=3>(r, r)",
    "y = MatMul(r, w)",
    "y = MatMul(r, w5)",
    "t = Transpose<perm=[0,1,2,4,3]>(r) y = MatMul(r, t)",
]
SIX = [
    "y = Transpose<perm=[0,4,2,5,1,3]>(r)",
    "y = Softmax<axis=3>(r)",
    "y = ReduceSum<keepdims=1>(r, inner)",
    "t = Transpose<perm=[5,4,3,2,1,0]>(r) y = Mul(t, t)",
]


def artifacts(body: str) -> Artifacts:
    return make(body, "float[1,3,8,8]", **CONSTANTS)


@pytest.mark.parametrize(
    "body",
    [f"r = Reshape(x, five) {body}" for body in FIVE]
    + [f"r = Reshape(x, six) {body}" for body in SIX]
    + ["r = Reshape(x, seven) t = Transpose<perm=[6,5,4,3,2,1,0]>(r) y = Relu(t)"],
)
def test_five_axes_and_more(body: str) -> None:
    made = artifacts(body)
    assert_within(made, litert=REQUANTIZED if "QUANTIZE" in opcodes(made.tflite) else 0)


@pytest.mark.parametrize(
    "body",
    [
        "r = Reshape(x, one) y = Relu(r)",
        "r = Reshape(x, one) y = Softmax<axis=0>(r)",
        "r = Reshape(x, two) y = Softmax<axis=0>(r)",
        "y = ReduceMax<keepdims=0>(x)",
        "m = ReduceMax<keepdims=0>(x) y = Exp(m)",
    ],
)
def test_two_axes_and_fewer(body: str) -> None:
    assert_within(artifacts(body))
