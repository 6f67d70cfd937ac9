import numpy as np
import pytest

from converters.operators import Affine
from tests.converters.models import Constants, assert_same, build, f32, normal
from tests.converters.onnx_import.refusals import assert_refused


def statistics(channels: int = 3) -> Constants:
    return {
        "scale": normal(channels, seed=1),
        "bias": normal(channels, seed=2),
        "mean": normal(channels, seed=3),
        "variance": np.abs(normal(channels, seed=4)),
    }


NORM = "BatchNormalization{}(x, scale, bias, mean, variance)"


@pytest.mark.parametrize("opset", [11, 14, 15, 28])
@pytest.mark.parametrize("attributes", ["", "<epsilon=0.1, momentum=0.5>"])
def test_images(opset: int, attributes: str) -> None:
    graph = assert_same(build(f"y = {NORM.format(attributes)}", opset=opset, **statistics()))
    assert isinstance(graph.nodes[0].operator, Affine)


def test_vectors() -> None:
    body = f"f = Flatten(x) y = {NORM.replace('(x', '(f').format('')}"
    assert_same(build(body, "float[1,3,2,2]", **statistics(12)))


def test_explicit_evaluation_mode() -> None:
    assert_same(build(f"y = {NORM.format('<training_mode=0>')}", **statistics()))


def test_training_mode_is_refused() -> None:
    model = build(f"y, m, v = {NORM.format('<training_mode=1>')}", **statistics())
    assert_refused(model, "training mode")


def test_training_mode_before_opset_14_shows_in_the_outputs() -> None:
    model = build(f"y, m, v, a, b = {NORM.format('')}", opset=13, **statistics())
    assert_refused(model, "training mode")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"variance": f32([-1, 1, 1])}, "variance is negative"),
        ({"variance": f32([np.nan, 1, 1])}, "NaN"),
        ({"scale": f32([1, 1])}, "one length"),
        ({"scale": np.ones((3, 1), np.float32)}, "one length"),
        (statistics(4), "does not fit an input"),
        ({"scale": f32([3e38, 1, 1]), "variance": f32([1e-9] * 3)}, "infinity"),
    ],
)
def test_refusals(changed: Constants, reason: str) -> None:
    assert_refused(build(f"y = {NORM.format('')}", **{**statistics(), **changed}), reason)


def test_smallest_variance() -> None:
    # ONNX adds epsilon first, so that zero and a little below are fine.
    zero = {**statistics(), "variance": f32([0, 0, -1e-6])}
    assert_same(build(f"y = {NORM.format('')}", **zero))


def test_a_row_of_pixels() -> None:
    body = f"r = Reshape(x, s) y = {NORM.replace('(x', '(r').format('')}"
    assert_same(build(body, s=np.asarray([1, 3, 64]), **statistics()))
