from itertools import permutations

import pytest

from tests.converters.models import assert_same, build, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("perm", ["<perm=[0,2,3,1]>", "<perm=[0,1,3,2]>", "<perm=[3,2,1,0]>", ""])
def test_numbers(perm: str, opset: int) -> None:
    # Left out, the order is turned around.
    graph = assert_same(build(f"y = Transpose{perm}(x)", "float[1,3,4,5]", opset=opset), whole=True)
    assert [node.kind for node in graph.nodes] == ["Transpose"]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_every_order(order: tuple[int, ...]) -> None:
    perm = ",".join(map(str, order))
    body = f"a = Exp(x) y = Transpose<perm=[{perm}]>(a)"
    graph = assert_same(build(body, "float[1,3,4,5]"), whole=True, spread=1)
    assert len(graph.nodes) == (1 if order == (0, 1, 2, 3) else 2)


@pytest.mark.parametrize("shape", [(6, 10), (3, 4, 5), (1, 3, 2, 2, 5), (1, 3, 2, 2, 5, 1)])
def test_every_rank(shape: tuple[int, ...]) -> None:
    model = build("r = Reshape(x, s) y = Transpose(r)", "float[1,3,4,5]", s=int64(*shape))
    assert assert_same(model, whole=True).shapes["y"] == shape[::-1]


@pytest.mark.parametrize(
    ("perm", "reason"),
    [
        ("0,1,2", "an order of 3 axes"),
        ("0,1,2,3,4", "axis 4 of a value of 4 axes"),
        ("0,1,2,2", "axes [0, 1, 2, 2] of 4"),
    ],
)
def test_refusals(perm: str, reason: str) -> None:
    assert_refused(build(f"y = Transpose<perm=[{perm}]>(x)"), reason)
