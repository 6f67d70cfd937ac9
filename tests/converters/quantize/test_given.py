"""Scales that a file gives are kept bit for bit, and what they make impossible is said."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from converters.errors import ConvertError
from converters.operators import INFINITY, Clamp, Conv
from converters.quantize.params import QuantParams
from edge.tensors import Array
from tests.converters.artifacts import float_in_litert, make
from tests.converters.models import Constants, f32, normal
from tests.converters.qdq import Taken, pair, taken, text


def integers(*shape: int, seed: int = 0, dtype: type = np.int8) -> Array:
    limits = np.iinfo(dtype)
    random = np.random.default_rng(seed)
    return random.integers(limits.min, limits.max + 1, shape).astype(dtype)


SCALE, ZERO = np.float32(1 / 51), 17
CONSTANTS: Constants = {
    "s": np.asarray(SCALE),
    "z": np.asarray(ZERO, np.int8),
    "zu": np.asarray(ZERO + 128, np.uint8),
    "s1": f32([0.031]),
    "z1": np.asarray([-128], np.int8),
    "so": f32(0.11),
    "zo": np.asarray(3, np.int8),
    "w": integers(4, 3, 3, 3),
    "ws": np.linspace(0.001, 0.003, 4, dtype=np.float32),
    "b": normal(4),
    "l": integers(5, 4, seed=1),
    "lt": np.ascontiguousarray(integers(5, 4, seed=1).T),
    "ls": np.linspace(0.002, 0.004, 5, dtype=np.float32),
    "lb": normal(5, seed=2),
}
CONV = "wd = DequantizeLinear<axis=0>(w, ws) c = Conv<pads=[1,1,1,1]>(xd, wd, b) "


def model(body: str, **constants: Array) -> onnx.ModelProto:
    return text(body, **{**CONSTANTS, **constants})


def test_as_pytorch_exports_it() -> None:
    """Weights a channel, their zero points left out, biases in float, scalars beside vectors."""
    made = taken(
        model(
            pair("x", "xd", "s, z")
            + CONV
            + "r = Relu(c) "
            + pair("r", "rd", "s1, z1")
            + "g = GlobalAveragePool(rd) "
            + pair("g", "gd", "s1, z1")
            + "f = Flatten(gd) ld = DequantizeLinear<axis=0>(l, ls) "
            + "o = Gemm<transB=1>(f, ld, lb) "
            + pair("o", "y", "so, zo")
        )
    )
    assert made.opcodes == ["QUANTIZE", "CONV_2D", "MEAN", "CONV_2D", "RESHAPE", "DEQUANTIZE"]
    assert dict(made.quantized.activations) == {
        "x": QuantParams((float(SCALE),), (ZERO,)),
        "rd_q": QuantParams((float(np.float32(0.031)),), (-128,)),
        "gd_q": QuantParams((float(np.float32(0.031)),), (-128,)),
        "f": QuantParams((float(np.float32(0.031)),), (-128,)),
        "y": QuantParams((float(np.float32(0.11)),), (3,)),
    }
    conv, gemm = made.quantized.weights.values()
    np.testing.assert_array_equal(conv.weight, CONSTANTS["w"])
    assert (conv.weight == -128).any()  # it is kept
    assert conv.params.scale == tuple(float(v) for v in CONSTANTS["ws"])
    np.testing.assert_array_equal(conv.bias_scale, SCALE * CONSTANTS["ws"])
    np.testing.assert_array_equal(conv.bias, np.rint(CONSTANTS["b"] / (SCALE * CONSTANTS["ws"])))
    np.testing.assert_array_equal(gemm.weight, CONSTANTS["l"])
    assert [note.split(":")[0] for note in made.given.notes] == ["2 biases are float in the file"]
    assert made.steps_apart(made.scale("y")) <= 1


@pytest.mark.parametrize(
    "gemm",
    [
        "ld = DequantizeLinear<axis=1>(lt, ls) o = Gemm(f, ld, lb) ",
        "ld = DequantizeLinear<axis=0>(l, ls) t = Transpose<perm=[1,0]>(ld) o = Gemm(f, t, lb) ",
        "ld = DequantizeLinear<axis=-1>(lt, ls) p = MatMul(f, ld) o = Add(p, lb) ",
    ],
)
def test_weights_are_found_whichever_way_they_are_turned(gemm: str) -> None:
    before = "c = GlobalAveragePool(x) " + pair("c", "cd", "s, z") + "f = Flatten(cd) "
    constants = {"l": integers(5, 3), "lt": np.ascontiguousarray(integers(5, 3).T)}
    made = taken(model(before + gemm + pair("o", "y", "so, zo"), **constants))
    (weights,) = made.quantized.weights.values()
    np.testing.assert_array_equal(weights.weight, constants["l"])
    assert weights.params.scale == tuple(float(v) for v in CONSTANTS["ls"])
    assert made.steps_apart(made.scale("y")) <= 1


def test_as_nncf_exports_it() -> None:
    """Weights are float behind a pair of their own, outputs float; one DequantizeLinear is shared.

    What the file leaves in float is computed in float.
    """
    made = taken(
        model(
            pair("x", "xd", "s, zu")
            + "wq = QuantizeLinear<axis=0>(wf, ws, wz) wd = DequantizeLinear<axis=0>(wq, ws, wz) "
            + "c = Conv<pads=[1,1,1,1]>(xd, wd, b) r = Relu(c) "
            + pair("r", "rd", "s1, zu1")
            + "vq = QuantizeLinear<axis=0>(vf, ws, wz) vd = DequantizeLinear<axis=0>(vq, ws, wz) "
            + "e = Conv(rd, vd) a = Add(e, rd) "
            + pair("a", "ad", "so, zu")
            + "g = GlobalAveragePool(ad) y = Flatten(g) ",
            wf=normal(4, 3, 3, 3, spread=0.3),
            vf=normal(4, 4, 1, 1, spread=0.1),
            wz=np.zeros(4, np.int8),
            zu1=np.zeros(1, np.uint8),
        )
    )
    assert made.zero_point("x") == ZERO
    assert made.zero_point("rd_q") == -128
    first = made.quantized.weights["Conv_c"]
    steps = np.rint(normal(4, 3, 3, 3, spread=0.3) / CONSTANTS["ws"].reshape(4, 1, 1, 1))
    np.testing.assert_array_equal(first.weight, steps.clip(-128, 127))
    # The sum of a float and an integer value is one of floats; only its result is rounded.
    assert made.opcodes == [
        *("QUANTIZE", "CONV_2D", "DEQUANTIZE", "CONV_2D", "ADD"),
        *("QUANTIZE", "DEQUANTIZE", "MEAN", "RESHAPE"),
    ]
    assert any("values stay float" in note for note in made.given.notes)
    # All that tips over is what lies between two integers of `ad`, of which the mean is taken.
    assert made.steps_apart(made.scale("ad_q")) <= 0.1


def test_what_this_writer_wrote_comes_back_with_the_very_same_integers() -> None:
    made = make(
        "c = Conv<pads=[1,1,1,1]>(x, w, b) r = Clip(c, zero, six) "
        "d = Conv<pads=[1,1,1,1], group=4>(r, k) s = Clip(d, zero, six) p = Conv(s, q, b) "
        "a = Add(p, r) m = MaxPool<kernel_shape=[2,2]>(a) g = GlobalAveragePool(m) f = Flatten(g) "
        "z = Gemm(f, l) y = Softmax(z)",
        w=normal(4, 3, 3, 3),
        b=normal(4),
        k=normal(4, 1, 3, 3),
        q=normal(4, 4, 1, 1),
        l=normal(4, 5),
        zero=f32(0),
        six=f32(6),
    )
    for written in (made.onnx, made.write_onnx("int8")):
        back = taken(written)
        assert back.given.notes == ()
        assert back.quantized.activations == made.quantized.activations
        pairs = zip(back.quantized.weights.values(), made.quantized.weights.values(), strict=True)
        for ours, theirs in pairs:
            assert ours.params == theirs.params
            for part in ("weight", "bias", "bias_scale"):
                np.testing.assert_array_equal(getattr(ours, part), getattr(theirs, part))
        assert [node.kind for node in back.graph.nodes] == [node.kind for node in made.graph.nodes]


def conv_with_bias(scale: Array, bias: Array) -> Taken:
    body = pair("x", "xd", "s, z") + "wd = DequantizeLinear<axis=0>(w, ws) "
    body += "bd = DequantizeLinear<axis=0>(bi, bs) c = Conv(xd, wd, bd) " + pair("c", "y", "so, zo")
    return taken(model(body, bi=bias, bs=scale))


def test_biases_are_the_files_own() -> None:
    # Above 2^24 a float32 no longer holds every integer; the file's own are taken.
    bias = np.asarray([1, -(2**24) - 1, 2**24 + 3, 0], np.int32)
    made = conv_with_bias(SCALE * CONSTANTS["ws"], bias)
    (weights,) = made.quantized.weights.values()
    np.testing.assert_array_equal(weights.bias, bias)
    assert made.given.notes == ()


def test_a_bias_of_another_scale_is_rounded_and_said() -> None:
    bias = np.asarray([1000, -2000, 3000, 0], np.int32)
    exact = SCALE * CONSTANTS["ws"]
    for factor, is_said in ((1 + 2.0**-22, False), (1 + 2.0**-19, True), (2.0, False)):
        made = conv_with_bias((exact * np.float32(factor)).astype(np.float32), bias)
        assert bool(made.given.notes) == is_said, factor
        (weights,) = made.quantized.weights.values()
        np.testing.assert_array_equal(weights.bias_scale, exact)
        np.testing.assert_array_equal(weights.bias, np.rint(bias * factor))


def test_a_concat_of_two_scales_is_requantized_and_said() -> None:
    body = (
        pair("x", "xd", "s, z") + "m = MaxPool<kernel_shape=[1,1]>(xd) " + pair("m", "md", "s, z")
    )
    made = taken(model(body + "c = Concat<axis=1>(xd, md) " + pair("c", "y", "so, zo")))
    assert made.opcodes == [
        *("QUANTIZE", "MAX_POOL_2D", "QUANTIZE", "QUANTIZE", "CONCATENATION", "DEQUANTIZE")
    ]
    assert len(made.given.notes) == 2
    assert all("TFLite's Concat has one scale for all" in note for note in made.given.notes)
    assert made.steps_apart(made.scale("y")) <= 1
    # Nothing is to be said where they have one scale.
    alike = taken(model(body + "c = Concat<axis=1>(xd, md) " + pair("c", "y", "s, z")))
    assert (alike.given.notes, alike.opcodes.count("QUANTIZE")) == ((), 1)


def test_a_softmax_has_the_kernels_scale() -> None:
    body = (
        "f = Flatten(x) " + pair("f", "fd", "s, z") + "p = Softmax(fd) " + pair("p", "y", "so, zo")
    )
    made = taken(model(body))
    kinds = [node.kind for node in made.graph.nodes]
    assert kinds == ["Reshape", "Requantize", "Softmax", "Requantize"]
    assert "TFLite's Softmax gives scale 0.00390625, zero point -128" in made.given.notes[0]
    assert made.scale("y") == np.float32(0.11)
    fixed = taken(model(body, so=f32(1 / 256), zo=np.asarray(-128, np.int8)))
    assert [node.kind for node in fixed.graph.nodes] == kinds[:3]


def test_two_meanings_of_one_value_are_two_values() -> None:
    body = pair("x", "xd", "s, z") + CONV + pair("c", "cd", "s1, z1") + pair("c", "ed", "so, zo")
    made = taken(model(body + "a = Add(cd, ed) " + pair("a", "y", "so, zo")))
    # The wider range is made first: from the other, what it cuts off could not be had.
    assert [(node.kind, node.output) for node in made.graph.nodes] == [
        *(("Conv", "ed_q"), ("Requantize", "cd_q"), ("Add", "y"))
    ]
    assert made.given.notes[0].startswith("cd_q: requantized, as in the file")


def test_one_meaning_twice_is_one_value() -> None:
    body = pair("x", "xd", "s, z") + CONV + pair("c", "cd", "so, zo") + pair("c", "ed", "so, zo")
    made = taken(model(body + "a = Add(cd, ed) " + pair("a", "y", "so, zo")))
    assert [node.kind for node in made.graph.nodes] == ["Conv", "Add"]


def test_a_clamp_before_the_integers_is_the_convolutions() -> None:
    body = pair("x", "xd", "s, z") + CONV + "r = Relu(c) "
    made = taken(model(body + pair("r", "y", "so, zo")))
    (node,) = made.graph.nodes
    assert isinstance(node.operator, Conv)
    assert node.operator.clamp == Clamp(0.0, INFINITY)
    # One behind them stays where it is: they are rounded first.
    between = taken(
        model(
            pair("x", "xd", "s, z")
            + CONV
            + pair("c", "cd", "so, zo")
            + "r = Relu(cd) "
            + pair("r", "y", "s1, z1")
        )
    )
    assert [node.kind for node in between.graph.nodes] == ["Conv", "Clamp"]
    assert between.steps_apart(between.scale("y")) <= 1


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        ("wd = DequantizeLinear<axis=1>(w, wi) ", "one scale for all or for each output channel"),
        ("wd = DequantizeLinear(wu, so, zu) ", "its weights are asymmetric"),
        ("wd = Identity(wf) ", "its weights are not quantized in the file"),
    ],
)
def test_weights_without_an_int8_form_are_computed_with_in_float(weight: str, reason: str) -> None:
    body = pair("x", "xd", "s, z") + weight + "c = Conv(xd, wd, b) " + pair("c", "y", "so, zo")
    made = taken(
        model(
            body,
            wi=f32([0.001, 0.002, 0.003]),
            wu=integers(4, 3, 3, 3, dtype=np.uint8),
            wf=normal(4, 3, 3, 3),
        )
    )
    assert made.opcodes == ["QUANTIZE", "DEQUANTIZE", "CONV_2D", "QUANTIZE", "DEQUANTIZE"]
    assert any(reason in note for note in made.given.notes), made.given.notes
    assert made.steps_apart(made.scale("y")) <= 1


def test_bytes_around_the_middle_are_symmetric_weights() -> None:
    body = pair("x", "xd", "s, z") + "wd = DequantizeLinear<axis=0>(wu, ws, wz) "
    body += "c = Conv(xd, wd, b) " + pair("c", "y", "so, zo")
    unsigned = (CONSTANTS["w"].astype(np.int16) + 128).astype(np.uint8)
    made = taken(model(body, wu=unsigned, wz=np.full(4, 128, np.uint8)))
    (weights,) = made.quantized.weights.values()
    np.testing.assert_array_equal(weights.weight, CONSTANTS["w"])


def test_an_output_too_fine_for_the_kernels_is_computed_in_float() -> None:
    body = pair("x", "xd", "s, z") + CONV + pair("c", "y", "tiny, z")
    made = taken(model(body, tiny=f32(1e-9)))
    assert [node.kind for node in made.graph.nodes] == ["Conv", "Requantize"]
    assert "too fine for the integers' kernels" in made.given.notes[0]
    assert made.opcodes == ["QUANTIZE", "DEQUANTIZE", "CONV_2D", "QUANTIZE", "DEQUANTIZE"]


def test_scales_that_are_too_far_apart_are_refused() -> None:
    body = pair("x", "xd", "s, z") + "m = MaxPool<kernel_shape=[1,1]>(xd) " + pair("m", "y", "t, z")
    assert taken(model(body, t=np.asarray(SCALE * 2.0**-15))).opcodes.count("QUANTIZE") == 2
    with pytest.raises(ConvertError, match="too fine to be made from"):
        taken(model(body, t=np.asarray(SCALE * 2.0**-16)))


def test_weights_of_127_steps_as_pytorch_clips_them() -> None:
    body = pair("x", "xd", "s, z") + "wq = QuantizeLinear<axis=0>(wf, ws, wz) "
    body += "wc = Clip(wq, low, high) wd = DequantizeLinear<axis=0>(wc, ws, wz) c = Conv(xd, wd) "
    made = taken(
        model(
            body + pair("c", "y", "so, zo"),
            wf=normal(4, 3, 3, 3),
            wz=np.zeros(4, np.int8),
            low=np.asarray(-127, np.int8),
            high=np.asarray(127, np.int8),
        )
    )
    (weights,) = made.quantized.weights.values()
    assert (weights.weight.min(), weights.weight.max()) == (-127, 127)


@pytest.mark.parametrize(
    ("low", "high", "is_clamp"),
    [(-128, 127, False), (-127, 127, True), (0, 127, True), (-128, 100, True)],
)
def test_activations_of_fewer_steps_as_pytorch_clips_them(
    low: int, high: int, is_clamp: bool
) -> None:
    body = pair("x", "xd", "s, z") + CONV + "q = QuantizeLinear(c, so, zo) k = Clip(q, low, high) "
    body += "y = DequantizeLinear(k, so, zo) "
    ends = {"low": np.asarray(low, np.int8), "high": np.asarray(high, np.int8)}
    made = taken(model(body, so=f32(0.01), zo=np.asarray(max(low, 0), np.int8), **ends))
    (node,) = made.graph.nodes
    assert isinstance(node.operator, Conv)
    assert (node.operator.clamp is not None) == is_clamp
    assert "DEQUANTIZE" not in made.opcodes[:-1]
    assert made.steps_apart(made.scale("y")) <= 1
    q = np.linspace(-30, 30, 192, dtype=np.float32).reshape(1, 3, 8, 8)
    (ours,) = float_in_litert(made.tflite, q).values()
    steps = np.rint(ours / np.float32(0.01)) + max(low, 0)
    assert (steps.min(), steps.max()) == (low, high)


def test_a_gain_a_channel_is_as_exact_as_in_float() -> None:
    """BatchNormalization in a quantized file has no integers: one weight a channel needs none."""
    body = pair("x", "xd", "s, z") + "c = BatchNormalization(xd, g, o, o, g) "
    made = taken(
        model(body + pair("c", "y", "so, zo"), g=f32([0.5, 2.0, 1.5]), o=f32([0.1, -0.3, 0.2]))
    )
    assert made.opcodes == ["QUANTIZE", "DEPTHWISE_CONV_2D", "DEQUANTIZE"]
    assert made.steps_apart(made.scale("y")) <= 1


def test_a_constant_keeps_its_integers() -> None:
    body = pair("x", "xd", "s, z") + "k = DequantizeLinear(kq, s1, z) a = Add(xd, k) "
    held = integers(1, 3, 8, 8, seed=5)
    made = taken(model(body + pair("a", "y", "so, zo"), kq=held))
    assert "DEQUANTIZE" not in made.opcodes[:-1]
    assert made.quantized.activations["a/constant1"] == QuantParams((float(f32(0.031)),), (ZERO,))
    assert made.steps_apart(made.scale("y")) <= 1


def test_biases_that_are_not_the_files_are_found() -> None:
    """The comparison of these tests sees two steps of an output."""
    made = taken(model(pair("x", "xd", "s, z") + CONV + pair("c", "y", "so, zo")))
    assert made.steps_apart(made.scale("y")) <= 1
    ((name, held),) = made.quantized.weights.items()
    off = held.bias + np.rint(2 * 0.11 / held.bias_scale).astype(np.int32)
    weights = {name: replace(held, bias=off)}
    broken = replace(made.given, quantized=replace(made.quantized, weights=weights))
    assert Taken(made.model, broken).steps_apart(made.scale("y")) >= 2
