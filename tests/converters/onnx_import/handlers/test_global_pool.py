import pytest

from tests.converters.models import assert_same, build, int64


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("opset", [11, 22])
@pytest.mark.parametrize("size", ["1,2", "7,5"])
def test_numbers(kind: str, opset: int, size: str) -> None:
    assert_same(build(f"y = {kind}(x)", f"float[1,3,{size}]", opset=opset))


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_a_row_of_pixels(kind: str) -> None:
    assert_same(build(f"r = Reshape(x, s) y = {kind}(r)", s=int64(1, 3, 64)))
