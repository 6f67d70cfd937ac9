import numpy as np
import onnx
import pytest
from onnx import TensorProto

from converters.errors import ConvertError
from converters.onnx_import.border import with_float_border
from tests.converters.models import f32, normal, run
from tests.converters.qdq import pair, text

INSIDE = "d = DequantizeLinear(x, s, z) r = Relu(d) y = QuantizeLinear(r, t, z)"


def model(body: str = INSIDE) -> onnx.ModelProto:
    made = text(body, "uint8[1,3,8,8]", s=f32(0.02), t=f32(0.015), z=np.asarray(100, np.uint8))
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    return made


def test_integers_at_the_border_become_floats() -> None:
    x = normal(1, 3, 8, 8)
    made = with_float_border(model(), "tiny")
    assert [info.name for info in (*made.graph.input, *made.graph.output)] == ["x", "y"]
    integers = (np.rint(x / np.float32(0.02)) + 100).clip(0, 255).astype(np.uint8)
    (theirs,) = run(model(), integers)
    (ours,) = run(made, x)
    np.testing.assert_array_equal(ours, (theirs.astype(np.float32) - 100) * np.float32(0.015))


def test_floats_at_the_border_stay() -> None:
    given = text(pair("x", "y", "s, z"), s=f32(0.02), z=np.asarray(100, np.uint8))
    assert with_float_border(given, "tiny") == given


def test_what_nothing_gives_a_meaning_is_refused() -> None:
    with pytest.raises(ConvertError, match="nothing says what the integers 'x' mean"):
        with_float_border(model("r = Cast<to=1>(x) y = QuantizeLinear(r, t, z)"), "tiny")


def test_a_meaning_that_comes_too_late_is_refused() -> None:
    computed = INSIDE.replace("d =", "u = Mul(s, t) d =").replace("(x, s", "(x, u")
    with pytest.raises(ConvertError, match="the scale of input 'x' is no initializer"):
        with_float_border(model(computed), "tiny")


def test_a_name_that_is_taken_is_refused() -> None:
    given = model()
    given.graph.node[1].output[0] = given.graph.node[2].input[0] = "x/integer"
    with pytest.raises(ConvertError, match="a value is called 'x/integer'"):
        with_float_border(given, "tiny")
