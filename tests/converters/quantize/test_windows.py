import numpy as np
import pytest

from converters.graph import Graph, Node
from converters.onnx_qdq.writer import write_float
from converters.operators import Conv, Gemm
from converters.quantize.windows import groups_of, windows
from edge.tensors import Array
from tests.converters.models import normal, run

ZERO_POINT = 7


def sums(operator: Conv | Gemm, x: Array) -> Array:
    """Return [P, O] of all windows times the operator's weights."""
    read = windows(operator, x, ZERO_POINT, limit=10**6, seed=0)
    groups = groups_of(operator)
    weight = operator.weight.reshape(groups, len(operator.weight) // groups, -1)
    found: Array = np.einsum("gpk,gok->pgo", read, weight)
    return found.reshape(len(found), -1)


CONVS = {
    "1x1": Conv(normal(5, 4, 1, 1), normal(5)),
    "3x3, padded": Conv(normal(5, 4, 3, 3), normal(5), pads=(1, 1, 1, 1)),
    "uneven": Conv(normal(5, 4, 3, 2), normal(5), (2, 1), (0, 1, 2, 0), (1, 2)),
    "depthwise": Conv(normal(8, 1, 3, 3), normal(8), (2, 2), (1, 1, 1, 1), groups=4),
    "grouped": Conv(normal(6, 2, 3, 3), normal(6), pads=(0, 0, 1, 1), groups=2),
}


@pytest.mark.parametrize("operator", CONVS.values(), ids=CONVS)
def test_windows_times_weights_are_the_convolution(operator: Conv) -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 4, 9, 8), np.uint8)
    graph = Graph("one", {"x": (1, 4, 9, 8)}, ("y",), (Node("c", operator, ("x",), "y"),))
    real = x.astype(np.float32) - ZERO_POINT
    expected = np.concatenate([run(write_float(graph), row[None])[0] for row in real])
    expected = expected.transpose(0, 2, 3, 1).reshape(-1, expected.shape[1]) - operator.bias
    np.testing.assert_allclose(sums(operator, x), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("shape", [(3, 6), (3, 5, 6)])
def test_rows_of_a_gemm(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    operator = Gemm(normal(4, 6), normal(4))
    expected = (x.astype(np.float32) - ZERO_POINT).reshape(-1, 6) @ operator.weight.T
    np.testing.assert_allclose(sums(operator, x), expected, rtol=1e-4, atol=1e-3)


def test_no_more_than_the_limit_from_all_pictures_alike_each_time() -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 9, 8), np.uint8)
    x[:20], x[20:] = x[:20] // 2, x[20:] // 2 + 128
    operator = CONVS["1x1"]
    read = windows(operator, x, 0, limit=400, seed=0)
    assert read.shape == (1, 400, 4)
    assert 0.35 < (read[0, :, 0] < 128).mean() < 0.65
    np.testing.assert_array_equal(read, windows(operator, x, 0, limit=400, seed=0))
