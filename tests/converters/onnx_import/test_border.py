import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from converters.errors import ConvertError
from converters.onnx_import.border import with_float_border
from converters.onnx_import.runnable import runnable
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


@pytest.mark.parametrize("zero_points", ["", ", z4"])
def test_the_exact_kernels_take_what_has_its_own_zero_points(zero_points: str) -> None:
    one, two = (f"DequantizeLinear<axis=0>({w}, s4{zero_points})" for w in ("w", "v"))
    given = text(
        pair("x", "xd", "s, z")
        + f"wd = {one} vd = {two} ud = {two} c = Conv(xd, wd) "
        + pair("c", "cd", "s, z")
        + "i = Conv(cd, vd) e = Conv(i, ud) "
        + pair("e", "y", "s, z"),
        s=f32(0.05),
        z=np.asarray(100, np.uint8),
        s4=f32([0.01, 0.02, 0.03, 0.04]),
        z4=np.zeros(4, np.int8),
        w=np.arange(12, dtype=np.int8).reshape(4, 3, 1, 1),
        v=np.arange(16, dtype=np.int8).reshape(4, 4, 1, 1),
        opset=21,
    )
    x = normal(1, 3, 8, 8)
    made = runnable(given)
    (ours,) = run(made, x, session__x64quantprecision="1")
    (theirs,) = ReferenceEvaluator(given).run(None, {"x": x})
    assert np.abs(ours - theirs).max() <= 0.0501
    means = [node.input[2] for node in made.graph.node if node.input[0] in ("w", "v")]
    assert len(set(means)) == 3
