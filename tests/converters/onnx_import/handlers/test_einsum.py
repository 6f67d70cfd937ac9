import numpy as np
import pytest

from tests.converters.models import assert_same, build, normal
from tests.converters.onnx_import.refusals import assert_refused

X = "float[1,3,4,8]"


@pytest.mark.parametrize("opset", [12, 13, 28])
@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        ("bhid,bhjd->bhij", (1, 3, 5, 8)),
        ("bhid,bhjd->bihj", (1, 3, 5, 8)),
        ("bhid,bhdj->bhij", (1, 3, 8, 5)),
        ("bhid,jd->bhij", (5, 8)),
        ("bhid,d->bhi", (8,)),
        ("bhid,bhid->bhid", (1, 3, 4, 8)),
        ("bhid,jk->bhidjk", (2, 5)),
        ("bhid,hij->dbj", (3, 4, 5)),
        ("bhid,bhid->", (1, 3, 4, 8)),
        ("bhid,bhjd->bij", (1, 3, 5, 8)),
        (" b h i d , b h j d -> b h i j ", (1, 3, 5, 8)),
    ],
)
def test_products(equation: str, shape: tuple[int, ...], opset: int) -> None:
    constant = normal(*shape, seed=3)
    model = build(f'y = Einsum<equation="{equation}">(x, c)', X, opset=opset, c=constant)
    assert_same(model, whole=True, rtol=1e-4)


def test_two_activations_and_a_constant_first() -> None:
    attention = 'a = Exp(x) y = Einsum<equation="bhid,bhjd->bhij">(x, a)'
    assert_same(build(attention, "float[1,3,4,2]"), spread=1, rtol=1e-4)
    assert_same(build('y = Einsum<equation="ji,bhid->bhjd">(c, x)', X, c=normal(5, 4)), rtol=1e-4)


@pytest.mark.parametrize(
    ("equation", "reason"),
    [
        ("bhid->bdhi", "two named inputs"),
        ("...id,...jd->...ij", "two named inputs"),
        ("bhid,bhjd", "two named inputs"),
        ("bhid,bhjd->bhi", "sums over a label of one input alone"),
        ("bhii,bhji->bhj", "does not name the axes"),
        ("bhd,bhjd->bhj", "does not name the axes"),
        ("bhid,bhji->bhjd", "'i' of 'bhid,bhji->bhjd' is 4 and 8"),
        ("bhid,bhjd->bhiz", "sums over a label of one input alone"),
    ],
)
def test_refusals(equation: str, reason: str) -> None:
    model = build(f'y = Einsum<equation="{equation}">(x, c)', X, c=normal(1, 3, 5, 8))
    assert_refused(model, reason)


def test_a_constant_that_holds_nan() -> None:
    nan = np.full((1, 3, 5, 8), np.nan, np.float32)
    model = build('y = Einsum<equation="bhid,bhjd->bhij">(x, c)', X, c=nan)
    assert_refused(model, "NaN")
