import numpy as np
import pytest

from tests.converters.models import assert_same, build, f32
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 12, 13, 28])
def test_dropout_changes_nothing(opset: int) -> None:
    graph = assert_same(build("a = Relu(x) y = Dropout(a)", opset=opset))
    assert [node.output for node in graph.nodes] == ["y"]  # the value under the output's name


def test_dropout_with_its_mask() -> None:
    assert_same(build("a, m = Dropout(x) y = Relu(a)"))


def test_dropout_with_a_ratio() -> None:
    assert_same(build("a = Dropout<ratio=0.3>(x) y = Relu(a)", opset=11))
    assert_same(build("a = Dropout(x, r) y = Relu(a)", r=f32(0.3)))


@pytest.mark.parametrize("training", [True, False])
def test_training_mode(training: bool) -> None:
    ratio = np.asarray(0.3, np.float32)
    body = "a = Dropout(x, r, t) y = Relu(a)"
    model = build(body, r=ratio, t=np.asarray(training))
    if training:
        assert_refused(model, "training mode")
    else:
        assert_same(model)


def test_identity() -> None:
    graph = assert_same(build("a = Identity(x) b = Relu(a) y = Identity(b)"))
    assert [node.kind for node in graph.nodes] == ["Clamp"]


def test_identity_of_a_constant() -> None:
    assert_same(build("d = Identity(c) y = Add(x, d)", c=np.ones(1, np.float32)))
