import numpy as np

from converters.operators import Clamp
from tests.converters.models import assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused


def test_a_constant_as_the_activation() -> None:
    body = "a = CastLike(low, x) b = CastLike(high, x) y = Clip(x, a, b)"
    graph = assert_same(build(body, low=np.asarray(-1), high=np.asarray(6.0)))
    assert graph.nodes[0].operator == Clamp(-1.0, 6.0)


def test_an_activation_as_an_activation_or_float32() -> None:
    graph = assert_same(build("a = Relu(x) b = CastLike(a, x) y = CastLike(b, c)", c=f32(1)))
    assert len(graph.nodes) == 1


def test_an_activation_as_another_type_is_refused() -> None:
    model = build("a = CastLike(x, c) y = Relu(a)", c=int64(1))
    assert_refused(model, "to int64; activations are float32")


def test_text_is_refused() -> None:
    model = build("a = CastLike(c, x) y = Add(x, a)", c=np.asarray(["a"]))
    assert_refused(model, "holds no numbers")
