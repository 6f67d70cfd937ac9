import numpy as np
import pytest

from edge.tensors import Array
from tests.converters.models import assert_same, build, int64
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 13, 14, 28])
@pytest.mark.parametrize(
    "target", [(1, 192), (-1, 192), (0, -1), (1, -1), (0, 3, 64), (1, 3, -1, 2), (0, 0, 64)]
)
def test_numbers(opset: int, target: tuple[int, ...]) -> None:
    assert_same(build("y = Reshape(x, s)", opset=opset, s=int64(*target)))


@pytest.mark.parametrize("target", [(8, 192), (8, -1), (-1, 192), (0, -1)])
def test_a_static_batch_becomes_one(target: tuple[int, ...]) -> None:
    graph = assert_same(build("y = Reshape(x, s)", "float[8,3,8,8]", s=int64(*target)), batch=8)
    assert graph.shapes["y"] == (1, 192)


@pytest.mark.parametrize("target", [(2, 96), (3, 64), (-1, 3), (4, 3, 16), (192,)])
def test_shapes_without_a_batch(target: tuple[int, ...]) -> None:
    assert_same(build("y = Reshape(x, s)", s=int64(*target)), whole=True)


def test_to_its_own_shape_it_is_nothing() -> None:
    graph = assert_same(build("a = Relu(x) y = Reshape(a, s)", s=int64(0, 3, 8, -1)))
    assert len(graph.nodes) == 1


def test_allowzero_without_zeros() -> None:
    assert_same(build("y = Reshape<allowzero=1>(x, s)", opset=14, s=int64(1, -1)))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (int64(1, 191), "does not fit"),
        (int64(1, 193), "does not fit"),
        (int64(-1, -1), "does not fit"),
        (int64(1, -1, 5), "does not fit"),
        (int64(1, -2, -96), "does not fit"),
        (int64(1, 192, 1, 1, 0), "keeps side 4"),
        (int64(), "does not fit"),
        (np.asarray(192), "not a list of whole numbers"),
        (np.asarray([1.0, 192.0], np.float32), "not a list of whole numbers"),
    ],
)
def test_refusals(target: Array, reason: str) -> None:
    assert_refused(build("y = Reshape(x, s)", s=target), reason)


def test_allowzero_with_zeros_is_refused() -> None:
    assert_refused(build("y = Reshape<allowzero=1>(x, s)", s=int64(1, 0)), "does not fit")


def test_allowzero_came_with_opset_14() -> None:
    model = build("y = Reshape<allowzero=0>(x, s)", opset=13, s=int64(1, -1))
    assert_refused(model, "not as opset 13 defines it")
