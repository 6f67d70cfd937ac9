import pytest

from tests.converters.models import assert_same, build
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize("opset", [11, 22])
@pytest.mark.parametrize("size", ["1,2", "7,5"])
def test_numbers(opset: int, size: str) -> None:
    assert_same(build("y = GlobalAveragePool(x)", f"float[1,3,{size}]", opset=opset))


def test_one_pixel() -> None:
    assert_same(build("m = MaxPool<kernel_shape=[8,8]>(x) y = GlobalAveragePool(m)"))


def test_a_vector_has_no_pixels() -> None:
    model = build("f = Flatten(x) y = GlobalAveragePool(f)")
    assert_refused(model, "has no pixels")
