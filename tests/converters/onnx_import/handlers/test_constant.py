import numpy as np
import pytest
from onnx import helper, numpy_helper

from converters.errors import ConvertError
from tests.converters.models import assert_same, build, imported
from tests.converters.onnx_import.refusals import assert_refused


@pytest.mark.parametrize(
    "attribute",
    [
        "value = float[3,1,1] {1.0, -2.0, 0.5}",
        "value_float = 1.5",
        "value_floats = [1.5]",
    ],
)
@pytest.mark.parametrize("opset", [12, 13, 28])
def test_values(attribute: str, opset: int) -> None:
    assert_same(build(f"c = Constant<{attribute}>() y = Add(x, c)", opset=opset))


@pytest.mark.parametrize("attribute", ["value_ints = [1, -1]", "value = int64[2] {0, -1}"])
def test_whole_numbers(attribute: str) -> None:
    assert_same(build(f"s = Constant<{attribute}>() y = Reshape(x, s)"))


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ('value_string = "a"', "holds no number"),
        ("value_int = 1.5", "not as opset"),
        ("", "holds no number"),
    ],
)
def test_refusals(attribute: str, reason: str) -> None:
    attributes = f"<{attribute}>" if attribute else ""
    assert_refused(build(f"c = Constant{attributes}() y = Add(x, c)"), reason)


def test_a_sparse_constant_is_refused() -> None:
    model = build("c = Constant<value_float=1.0>() y = Add(x, c)")
    (attribute,) = model.graph.node[0].attribute
    dense = helper.make_tensor("v", 1, [1], [1.0])
    places = helper.make_tensor("i", 7, [1], [0])
    attribute.CopyFrom(
        helper.make_attribute("sparse_value", helper.make_sparse_tensor(dense, places, [3]))
    )
    assert_refused(model, "sparse")


def test_a_constant_in_another_file_is_refused() -> None:
    model = build("c = Constant<value = float[1] {1.0}>() y = Add(x, c)")
    tensor = model.graph.node[0].attribute[0].t
    tensor.ClearField("float_data")
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    assert_refused(model, "another file")


def test_data_that_does_not_fit_its_shape_is_refused() -> None:
    model = build("c = Constant<value = float[1] {1.0}>() y = Add(x, c)")
    model.graph.node[0].attribute[0].t.dims[0] = 1 << 40
    assert_refused(model, "fit its shape")


def test_a_constant_is_no_output() -> None:
    with pytest.raises(ConvertError, match="output 'c' does not depend on the image"):
        imported(build("y = Relu(x) c = Constant<value_float=1.0>()", outputs=["y", "c"]))


def test_a_constant_of_another_type_is_refused_by_its_reader() -> None:
    model = build("c = Constant<value = float[1] {1.0}>() y = Add(x, c)")
    half = numpy_helper.from_array(np.ones(1, np.float16))
    model.graph.node[0].attribute[0].t.CopyFrom(half)
    assert_refused(model, "float16; only float32")
