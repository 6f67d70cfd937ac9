import numpy as np
import onnx
import pytest

from converters.graph import Graph
from converters.onnx_import.importer import import_quantized
from converters.passes.fold_rounding import fold_rounding
from tests.converters.artifacts import float_in_litert
from tests.converters.models import f32, normal
from tests.converters.passes.graphs import applied
from tests.converters.qdq import pair, taken, text


def model(body: str) -> onnx.ModelProto:
    return text(
        body,
        w=normal(4, 3, 3, 3),
        wq=np.arange(-54, 54, dtype=np.int8).reshape(4, 3, 3, 3),
        s=f32(0.07),
        z=np.asarray(-90, np.int8),
        t=f32(0.04),
        m=np.asarray(5, np.int8),
        low=f32(0),
        high=f32(6),
    )


def graph(body: str) -> Graph:
    return import_quantized(model(body), "tiny")[0]


CLAMPED = "c = Conv(x, w) " + pair("c", "d", "s, z") + "r = Clip(d, low, high) "


def test_of_two_equal_roundings_around_a_clamp_one_is_enough() -> None:
    result = applied(fold_rounding, graph(CLAMPED + pair("r", "y", "s, z")))
    assert [node.kind for node in result.graph.nodes] == ["Conv", "Clamp", "Requantize"]
    assert len(result.changed) == 1


@pytest.mark.parametrize(
    "body",
    [
        CLAMPED + pair("r", "y", "t, z"),  # other integers
        CLAMPED + "y = Identity(r)",  # none
        CLAMPED + pair("r", "e", "s, z") + "y = Add(e, r)",  # and floats besides
        CLAMPED + pair("r", "e", "s, z") + "y = Add(e, d)",  # what is not clamped is read too
        "c = Conv(x, w) " + pair("c", "d", "s, z") + "r = Abs(d) " + pair("r", "y", "s, z"),
    ],
)
def test_else_both_stay(body: str) -> None:
    result = applied(fold_rounding, graph(body))
    assert result.changed == ()


def test_the_integers_are_those_of_the_file() -> None:
    """The clamp's upper end lies between two integers, and is rounded to the same one."""
    body = pair("x", "i", "t, m") + "k = DequantizeLinear(wq, t) "
    body += CLAMPED.replace("Conv(x, w)", "Conv(i, k)") + pair("r", "y", "s, z")
    made = taken(model(body))
    assert [node.kind for node in made.graph.nodes] == ["Conv"]
    assert made.opcodes == ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    x = normal(1, 3, 8, 8, spread=3)
    (ours,) = float_in_litert(made.tflite, x).values()
    step = float(f32(0.07))
    assert (np.rint(ours / step).min(), np.rint(ours / step).max()) == (0, 86)
    assert made.steps_apart(step, spread=3) <= 1
