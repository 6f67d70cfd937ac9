"""A BatchNormalization behind weights that are integers, as training leaves it."""

import numpy as np
import onnx
import pytest

from tests.converters.models import Constants, f32, normal
from tests.converters.qdq import pair, taken, text

GAIN = f32([0.5, -2.0, 1e-3, 0.0])
CONSTANTS: Constants = {
    "s": f32(0.02),
    "z": np.asarray(3, np.int8),
    "so": f32(0.05),
    "w": np.arange(-54, 54, dtype=np.int8).reshape(4, 3, 3, 3),
    "ws": f32([0.001, 0.002, 0.003, 0.004]),
    "b": normal(4),
    "bi": np.asarray([5, -700, 90, 2**25 + 1], np.int32),
    "bs": f32(0.02) * f32([0.001, 0.002, 0.003, 0.004]),
    "g": GAIN,
    "o": f32([0.1, -0.3, 0.2, 0.4]),
    "v": f32(np.full(4, 1 - 1e-5)),
    "zero": f32(np.zeros(4)),
    "m": f32([2, 3, 4, 5]).reshape(1, 4, 1, 1),
}
START = pair("x", "xd", "s, z") + "wd = DequantizeLinear<axis=0>(w, ws) "
NORMALIZED = "c = Conv(xd, wd, b) n = BatchNormalization(c, g, o, zero, v) "


def model(body: str, **constants: object) -> onnx.ModelProto:
    return text(body, **{**CONSTANTS, **constants})


def test_the_scales_take_the_gains_and_the_integers_stay() -> None:
    made = taken(model(START + NORMALIZED + "r = Relu(n) " + pair("r", "y", "so, z")))
    assert made.opcodes == ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    (weights,) = made.quantized.weights.values()
    turned = CONSTANTS["w"] * np.sign(GAIN).astype(np.int8).reshape(4, 1, 1, 1)
    np.testing.assert_array_equal(weights.weight, turned)
    scales = CONSTANTS["ws"] * np.abs(np.where(GAIN == 0, 1, GAIN))
    np.testing.assert_allclose(weights.params.scale, scales, rtol=2e-7)
    assert made.steps_apart(made.scale("y")) <= 1


def test_biases_in_integers_stay_too_where_only_gains_follow() -> None:
    body = START + "bd = DequantizeLinear<axis=0>(bi, bs) c = Conv(xd, wd, bd) p = Mul(c, m) "
    made = taken(model(body + pair("p", "y", "so, z")))
    (weights,) = made.quantized.weights.values()
    np.testing.assert_array_equal(weights.bias, CONSTANTS["bi"])
    assert made.given.notes == ()


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        (NORMALIZED + "a = Add(n, c) " + pair("a", "y", "so, z"), {}),  # read elsewhere
        (NORMALIZED + pair("n", "y", "so, z"), {"w": np.full((4, 3, 3, 3), -128, np.int8)}),
        (NORMALIZED + pair("n", "y", "so, z"), {"g": f32([1, 1, 1e-37, 1])}),
        (
            "c = Conv(xd, wd) e = Relu(c) n = Mul(e, m) " + pair("n", "y", "so, z"),
            {},
        ),
    ],
)
def test_else_the_integers_are_as_in_the_file(body: str, constants: Constants) -> None:
    given = model(START + body, **constants)
    made = taken(given)
    assert len(made.graph.nodes) > 1
    for weights in made.quantized.weights.values():
        if weights.weight.shape == (4, 3, 3, 3):
            np.testing.assert_array_equal(weights.weight, {**CONSTANTS, **constants}["w"])
    assert made.steps_apart(made.scale("y")) <= 1
