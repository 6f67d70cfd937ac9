"""A scale for each channel of an activation, as NNCF gives what depthwise convolutions read."""

import numpy as np
import onnx
import pytest

from converters.operators import INFINITY, Clamp, Conv
from converters.quantize.params import QuantParams
from tests.converters.models import Constants, f32, normal
from tests.converters.qdq import pair, taken, text

CHANNELS = f32([0.011, 6 / 255, 0.002, 0.0091])
CONSTANTS: Constants = {
    "s": f32(0.02),
    "z": np.asarray(3, np.int8),
    "c": CHANNELS,
    "u": np.zeros(4, np.uint8),
    "w": np.arange(-54, 54, dtype=np.int8).reshape(4, 3, 3, 3),
    "ws": f32([0.001, 0.002, 0.003, 0.004]),
    "b": np.asarray([5, -700, 90, 2**25 + 1], np.int32),
    "bs": f32(0.02) * f32([0.001, 0.002, 0.003, 0.004]),
    "k": np.arange(-36, 36, dtype=np.int8).reshape(8, 1, 3, 3),
    "ks": np.linspace(0.01, 0.04, 8, dtype=np.float32),
    "kb": normal(8),
    "six": f32(6),
    "zero": f32(0),
    "one": f32(1),
}


def per_channel(source: str, meaning: str = "c, u") -> str:
    q = f"e_q = QuantizeLinear<axis=1>({source}, {meaning}) "
    return q + f"e = DequantizeLinear<axis=1>(e_q, {meaning}) "


FIRST = (
    pair("x", "xd", "s, z")
    + "wd = DequantizeLinear<axis=0>(w, ws) bd = DequantizeLinear<axis=0>(b, bs) "
    + "a = Conv<pads=[1,1,1,1]>(xd, wd, bd) "
)
LAST = "kd = DequantizeLinear<axis=0>(k, ks) d = Conv<pads=[1,1,1,1], group=4>(e, kd, kb) " + pair(
    "d", "y", "s, z"
)


def model(body: str, **constants: object) -> onnx.ModelProto:
    return text(body, **{**CONSTANTS, **constants})


@pytest.mark.parametrize(
    ("clamp", "left"),
    [
        ("r = Clip(a, zero, six) ", Clamp(0.0, INFINITY)),
        ("r = Relu(a) ", Clamp(0.0, INFINITY)),
        ("r = Identity(a) ", None),
    ],
)
def test_between_convolutions_the_scales_go_into_the_weights(
    clamp: str, left: Clamp | None
) -> None:
    made = taken(model(FIRST + clamp + per_channel("r") + LAST))
    first, last = made.graph.nodes
    assert made.opcodes == ["QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE"]
    assert isinstance(first.operator, Conv)
    assert first.operator.clamp == left
    assert made.quantized.activations[first.output] == QuantParams((float(CHANNELS[1]),), (-128,))
    assert made.given.notes[0].startswith("e_q: 4 scales along axis 1 are moved into the weights")
    # What a kernel multiplies its sums by is the file's to the rounding of a float32.
    weights = made.quantized.weights[first.name]
    np.testing.assert_array_equal(weights.weight, CONSTANTS["w"])
    np.testing.assert_array_equal(weights.bias, CONSTANTS["b"])
    scales = np.asarray(weights.params.scale) / CHANNELS[1]
    np.testing.assert_allclose(scales, CONSTANTS["ws"] / CHANNELS, rtol=2e-7)
    weights = made.quantized.weights[last.name]
    np.testing.assert_array_equal(weights.weight, CONSTANTS["k"])
    scales = np.asarray(weights.params.scale) * CHANNELS[1]
    np.testing.assert_allclose(scales, CONSTANTS["ks"] * np.repeat(CHANNELS, 2), rtol=2e-7)
    assert made.steps_apart(made.scale("y")) <= 1


ELSEWHERE = {
    "zero points differ, and no one fits": FIRST + per_channel("a", "c, v") + LAST,
    "no convolution makes it": per_channel("x", "c3, u3") + "y = Relu(e)",
    "what makes it is read elsewhere": FIRST
    + "t = Sigmoid(a) "
    + per_channel("a")
    + "o = Mul(t, e) y = Identity(o)",
    "no depthwise convolution reads it": FIRST + per_channel("a") + pair("e", "y", "s, z"),
    "a clamp within the range": FIRST + "r = Clip(a, zero, one) " + per_channel("r") + LAST,
    "weights in float": FIRST
    + per_channel("a")
    + "d = Conv<group=4>(e, kf) "
    + pair("d", "y", "s, z"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_elsewhere_one_range_covers_all(case: str) -> None:
    made = taken(
        model(
            ELSEWHERE[case],
            v=np.asarray([0, 128, 0, 0], np.uint8),
            c3=CHANNELS[:3],
            u3=np.zeros(3, np.uint8),
            kf=normal(4, 1, 3, 3),
        )
    )
    (note,) = [note for note in made.given.notes if note.startswith("e_q:")]
    assert "TFLite has one: requantized to scale" in note


def test_one_range_is_as_good_as_its_steps() -> None:
    """Of what no channel cut off, all that is lost is the finer steps of the narrower channels."""
    body = FIRST + "h = HardSwish(a) " + per_channel("h", "c, v") + LAST
    wide = f32([0.02, 0.03, 0.01, 0.025])
    made = taken(model(body, c=wide, v=np.asarray([30, 128, 100, 20], np.uint8), so=f32(0.5)))
    assert made.given.notes[0].startswith("e_q: 4 scales along axis 1; TFLite has one")
    # Half a step of 0.03, and of the channel's own, through nine weights of at most 36 * 0.04.
    assert made.steps_apart(made.scale("y")) <= 40


def test_a_channel_that_is_always_0_may_have_another_zero_point() -> None:
    """The smallest scale that there is, as tools give it to a range of nothing."""
    odd = CHANNELS.copy()
    odd[2] = 1e-6
    weight = CONSTANTS["w"].copy()
    weight[2] = 0
    body = FIRST + "r = Relu(a) " + per_channel("r", "c, v") + LAST
    bias = np.asarray([5, -700, 0, 90], np.int32)
    zero_points = np.asarray([0, 0, 128, 0], np.uint8)
    made = taken(model(body, c=odd, v=zero_points, w=weight, b=bias))
    assert made.opcodes == ["QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE"]
    assert "but for 1 channels" in made.given.notes[0]
    assert "e_q/one_scale" in made.quantized.activations
    assert made.steps_apart(made.scale("y")) <= 1
