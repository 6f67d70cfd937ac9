import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Graph, Node
from converters.operators import Conv, Gemm
from converters.quantize.params import from_range
from converters.tflite.builder import TfliteBuilder
from converters.tflite.numbers import FloatNumbers, Int8Numbers
from edge.tensors import Array
from tests.converters.artifacts import make
from tests.converters.models import f32, normal

INFINITY = float("inf")


def floats(weight: Array, *, half: bool = False) -> tuple[FloatNumbers, Node]:
    node = Node("fc", Gemm(f32(weight), f32([0.5, -1])), ("x",), "y")
    return FloatNumbers(Graph("tiny", {"x": (1, 3)}, ("y",), (node,)), half), node


def flipped(weight: Array) -> Array:
    return weight.T


def data_of(builder: TfliteBuilder, tensor: int) -> Array:
    """Return what a constant tensor holds."""
    found = builder.tensors[tensor]
    types = {schema.TensorType.FLOAT16: np.float16, schema.TensorType.FLOAT32: np.float32} | {
        schema.TensorType.INT8: np.int8,
        schema.TensorType.INT32: np.int32,
    }
    values: Array = builder.buffers[found.buffer].data
    assert values.dtype == types[found.type]
    return values.reshape(found.shape)


def test_float_weights_are_turned_and_biases_are_not() -> None:
    numbers, node = floats(np.arange(6).reshape(2, 3))
    builder = TfliteBuilder("t")
    weight, bias = numbers.weights(builder, node, flipped, axis=1)
    np.testing.assert_array_equal(data_of(builder, weight), f32([[0, 3], [1, 4], [2, 5]]))
    np.testing.assert_array_equal(data_of(builder, bias), f32([0.5, -1]))
    assert [builder.tensors[i].name for i in (weight, bias)] == ["fc/weight", "fc/bias"]
    assert not builder.operators


def test_channels_go_where_they_lie_in_memory() -> None:
    numbers, node = floats(np.arange(6).reshape(2, 3))
    builder = TfliteBuilder("t")
    weight, bias = numbers.weights(builder, node, flipped, axis=1, order=(1, 0))
    np.testing.assert_array_equal(data_of(builder, weight), f32([[3, 0], [4, 1], [5, 2]]))
    np.testing.assert_array_equal(data_of(builder, bias), f32([-1, 0.5]))
    made = make("y = Conv(x, w, b)", w=normal(4, 3, 1, 1), b=normal(4))
    (node,) = made.graph.nodes
    order = [2, 0, 3, 1]
    weight, bias = Int8Numbers(made.quantized).weights(builder, node, lambda w: w, 0, order)
    constants = made.quantized.weights[node.name]
    np.testing.assert_array_equal(data_of(builder, weight), constants.weight[order])
    np.testing.assert_array_equal(data_of(builder, bias), constants.bias[order])
    scales = [builder.tensors[i].quantization.scale for i in (weight, bias)]
    np.testing.assert_array_equal(scales[0], f32(constants.params.scale)[order])
    np.testing.assert_array_equal(scales[1], constants.bias_scale[order])


def test_half_weights_go_through_a_dequantize() -> None:
    numbers, node = floats(normal(2, 3), half=True)
    builder = TfliteBuilder("t")
    weight, bias = numbers.weights(builder, node, flipped, axis=1)
    (operator,) = builder.operators
    (source,) = operator.inputs
    assert list(operator.outputs) == [weight]
    np.testing.assert_array_equal(data_of(builder, source), normal(2, 3).T.astype(np.float16))
    assert builder.tensors[weight].buffer == 0  # computed, not kept
    assert data_of(builder, bias).dtype == np.float32


@pytest.mark.parametrize(("largest", "is_half"), [(65504.0, True), (65520.0, False)])
def test_a_weight_beyond_float16_keeps_its_nodes_weights_in_float32(
    largest: float, is_half: bool
) -> None:
    numbers, node = floats(f32([[1, 2, -largest], [0, 0, 1e-3]]), half=True)
    builder = TfliteBuilder("t")
    numbers.weights(builder, node, flipped, axis=1)
    assert len(builder.operators) == is_half
    assert np.isfinite(data_of(builder, 1)).all()


def test_float_constants_are_the_numbers_themselves_but_finite() -> None:
    numbers, _ = floats(normal(2, 3))
    found = numbers.constant("x", f32([-INFINITY, -2.5, 0, 1e30]))
    np.testing.assert_array_equal(found, f32([np.finfo(np.float32).min, -2.5, 0, 1e30]))
    assert numbers.name("x") == "x"


def test_int8_numbers_are_the_quantized_graphs() -> None:
    made = make("y = Conv(x, w, b)", w=normal(4, 3, 1, 1), b=normal(4))
    numbers, builder = Int8Numbers(made.quantized), TfliteBuilder("t")
    (node,) = made.graph.nodes
    assert isinstance(node.operator, Conv)
    weight, bias = numbers.weights(builder, node, lambda w: w.transpose(1, 2, 3, 0), axis=3)
    constants = made.quantized.weights[node.name]
    np.testing.assert_array_equal(
        data_of(builder, weight), constants.weight.transpose(1, 2, 3, 0), strict=True
    )
    np.testing.assert_array_equal(data_of(builder, bias), constants.bias, strict=True)
    for tensor, axis, scales in (
        (weight, 3, f32(constants.params.scale)),
        (bias, 0, constants.bias_scale),
    ):
        quantization = builder.tensors[tensor].quantization
        assert quantization.quantizedDimension == axis
        np.testing.assert_array_equal(quantization.scale, scales)
        assert not np.any(quantization.zeroPoint)


def test_int8_constants_are_integers_of_the_value_they_stand_beside() -> None:
    made = make("y = Relu(x)")
    numbers = Int8Numbers(made.quantized)
    params = from_range(-6.0, 5.0)
    assert numbers.params("x") == params
    found = numbers.constant("x", f32([0, params.scale[0], -100, 100]))
    zero = params.zero_point[0]
    np.testing.assert_array_equal(found, np.asarray([zero, zero + 1, -128, 127], np.int8))
    # What never wins is the smallest integer there is, whatever it means.
    np.testing.assert_array_equal(
        numbers.constant("x", f32([-INFINITY, -INFINITY])), np.asarray([-128, -128], np.int8)
    )


def test_a_value_that_a_caller_sees_as_float_gives_its_name_away() -> None:
    made = make("r = Relu(x) y = MaxPool<kernel_shape=[2,2]>(r)")
    assert [Int8Numbers(made.quantized).name(v) for v in "xry"] == ["x", "r", "y"]
    names = [Int8Numbers(made.quantized, "float32").name(v) for v in "xry"]
    assert names == ["x/integer", "r", "y/integer"]
