import numpy as np
import pytest

from calibration.observers import Range, RangeTable
from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.operators import Add, Conv
from converters.passes import run_passes
from converters.quantize.assign import assign, observed_values
from converters.quantize.params import QuantParams, from_range
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.rules import (
    MAX_ADD_FACTOR,
    MAX_CLAMP_FACTOR,
    MAX_CONV_FACTOR,
    MAX_CONV_STEPS,
    MAX_HARD_SWISH_FACTOR,
    MAX_MEAN_FACTOR,
    MAX_MUL_FACTOR,
)
from tests.converters.artifacts import Artifacts, steps_apart
from tests.converters.models import Constants, build, f32, imported, normal, rng

INPUT = from_range(-1.0, 1.0)
WEIGHT = normal(3, 3, 1, 1)


def table(**ranges: tuple[float, float]) -> RangeTable:
    return RangeTable({name: Range(*ends) for name, ends in ranges.items()}, "minmax", 1)


def prepared(body: str, **constants: object) -> Graph:
    arrays: Constants = {name: f32(value) for name, value in constants.items()}
    return run_passes(imported(build(body, **arrays)))[0]


def test_observed_are_those_with_a_range_of_their_own() -> None:
    graph = prepared(
        "c = Conv(x, w) m = MaxPool<kernel_shape=[2,2]>(c) a = AveragePool<kernel_shape=[2,2]>(m) "
        "r = Relu(a) s = Add(r, a) p = GlobalAveragePool(s) f = Flatten(p) g = Gemm(f, k) "
        "y = Softmax(g)",
        w=WEIGHT,
        k=normal(3, 4),
    )
    assert observed_values(graph) == ("c", "r", "s", "p", "g")


def test_several_inputs_have_parameters_each() -> None:
    nodes = (Node("add", Add(), ("a", "b"), "y"),)
    graph = Graph("two", {"a": (1, 4), "b": (1, 4)}, ("y",), nodes)
    inputs = {"a": INPUT, "b": from_range(0.0, 5.0)}
    activations = assign(graph, inputs, table(y=(-1.0, 6.0))).activations
    assert activations == {**inputs, "y": from_range(-1.0, 6.0)}


def test_ties_and_fixed_parameters() -> None:
    graph = prepared(
        "m = MaxPool<kernel_shape=[2,2]>(x) a = AveragePool<kernel_shape=[2,2]>(m) "
        "p = GlobalAveragePool(a) f = Flatten(p) y = Softmax(f)"
    )
    activations = assign(graph, INPUT, table(p=(-2.0, 3.0))).activations
    assert activations["x"] == activations["m"] == activations["a"] == INPUT
    assert activations["p"] == activations["f"] == from_range(-2.0, 3.0)
    # What TFLite's kernel demands, and ONNX Runtime's takes.
    assert activations["y"] == QuantParams((1 / 256,), (-128,))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 6.0), (0.0, float("inf")), (-1.0, 1.0), (0.0, 3.0)]
)
@pytest.mark.parametrize("node", ["c = Conv(x, w)", "q = Identity(x) c = Add(x, q)", "c = {}"])
def test_clamps_are_what_the_integers_saturate_at(node: str, low: float, high: float) -> None:
    body = "y = Clip(x, low, high)" if node == "c = {}" else f"{node} y = Clip(c, low, high)"
    graph = prepared(body, w=WEIGHT, low=low, high=high)
    # Observed by another program, unclamped: nothing beyond the clamp may be held.
    params = assign(graph, INPUT, table(y=(-9.0, 9.0))).activations["y"]
    assert params == from_range(max(low, -9.0), min(high, 9.0))
    assert params.saturates_at(low, high)


def test_a_convolution_keeps_its_factor_below_the_kernels_limit() -> None:
    graph = prepared("y = Conv(x, w)", w=[[[[1e4]], [[0]], [[0]]]])
    for high in (1e4, 10.0, 1e-3, 0.0):
        quantized = assign(graph, INPUT, table(y=(0.0, high)))
        (weights,) = quantized.weights.values()
        (scale,) = quantized.activations["y"].scale
        assert weights.bias_scale.max() / scale < MAX_CONV_FACTOR
        wanted = from_range(0.0, high).scale[0]
        if weights.bias_scale.max() / wanted < MAX_CONV_FACTOR:
            assert scale == wanted
        else:
            assert scale > wanted


@pytest.mark.parametrize("layer", ["f = Flatten(x) y = Gemm(f, g)", "y = Conv(x, k)"])
def test_a_sum_of_very_many_equal_weights_does_not_wrap(layer: str) -> None:
    # 127 for each of them, times inputs of up to 255, passes 2^31 from 66312 inputs on.
    inputs = (3, 160, 160)
    count = int(np.prod(inputs))
    constants = {"g": np.full((count, 2), [1, -1]), "k": f32([1, -1]).reshape(2, 1, 1, 1)}
    constants["k"] = np.broadcast_to(constants["k"], (2, *inputs))
    weights: Constants = {name: f32(value / count) for name, value in constants.items()}
    graph = imported(build(layer, "float[1,3,160,160]", **weights))
    quantized = assign(graph, from_range(0.0, 1.0), table(y=(-1.0, 1.0)))
    x = np.random.default_rng(0).integers(60, 128, (1, *inputs)).astype(np.int8)
    made = Artifacts(quantized, x)
    mean = made.real("x", x).mean(dtype=np.float64)
    for outputs in (made.in_onnx(), made.in_litert()):
        found = made.real("y", outputs["y"]).reshape(-1)
        # Half a step of the output, and half of one in 110 of the weights.
        np.testing.assert_allclose(found, [mean, -mean], atol=0.501 / 127.5 + 0.5 / 110)


@pytest.mark.parametrize("bias", [-1e3, -1e8, -1e12, 1e12])
def test_one_huge_bias_before_a_clamp_changes_nothing_beside_it(bias: float) -> None:
    body = "c = Conv<pads=[1,1,1,1]>(x, w, b) y = Clip(c, low, high)"
    constants = {"w": normal(3, 3, 3, 3), "low": 0, "high": 6}
    made = {}
    for name, value in (("plain", 0.0), ("huge", bias)):
        graph = prepared(body, b=[0.1, value, -0.2], **constants)
        quantized = assign(graph, INPUT, table(y=(0.0, 6.0)))
        made[name] = Artifacts(quantized, INPUT.spec("x", (), "int8").quantize(normal(1, 3, 8, 8)))
    huge = made["huge"]
    assert huge.step("y") == made["plain"].step("y")
    for outputs in (huge.in_onnx()["y"], huge.in_litert()["y"]):
        assert (outputs[:, 1] == (127 if bias > 0 else -128)).all()
        # The others' sums are the same integers; a constant may be added in another order.
        assert steps_apart(outputs[:, ::2], made["plain"].in_onnx()["y"][:, ::2]) <= 1


@pytest.mark.parametrize("count", [16, 600, 2400])
def test_a_dead_layer_of_many_inputs_stays_dead(count: int) -> None:
    # Observed is zero alone, so that its steps could be so small that the sums, in them, leave
    # int32: they came out of LiteRT as the largest value.
    graph = prepared(
        "p = GlobalAveragePool(x) c = Conv(p, w) f = Flatten(c) g = Gemm(f, k) y = Relu(g)",
        w=np.ones((count, 3, 1, 1)),
        k=np.full((count, 2), -1.0),
    )
    ranges = table(p=(0.0, 1.0), c=(0.0, 3.0), y=(0.0, 0.0))
    made = Artifacts(assign(graph, INPUT, ranges), np.full((1, 3, 8, 8), 127, np.int8))
    (weights,) = (w for n, w in made.quantized.weights.items() if n.startswith("Gemm"))
    factor = weights.bias_scale[0] / made.step("y")
    assert factor < MAX_CONV_FACTOR
    assert factor * 127 * 255 * count < MAX_CONV_STEPS
    for outputs in (made.in_onnx(), made.in_litert()):
        assert (outputs["y"] == -128).all()


@pytest.mark.parametrize("high", [100.0, 1e-1, 1e-6])
def test_an_add_keeps_its_factors_below_the_kernels_limit(high: float) -> None:
    graph = prepared("c = Conv(x, w) y = Add(c, x)", w=WEIGHT)
    quantized = assign(graph, INPUT, table(c=(-50.0, 50.0), y=(-high, high)))
    activations = quantized.activations
    for name in ("c", "x"):
        assert activations[name].scale[0] / activations["y"].scale[0] < MAX_ADD_FACTOR


@pytest.mark.parametrize("small", [1e-4, 1e-9, 1e-15])
def test_an_add_takes_an_input_of_any_smaller_scale(small: float) -> None:
    graph = prepared("c = Conv(x, w) y = Add(c, x)", w=WEIGHT * small)
    quantized = assign(graph, INPUT, table(c=(-3 * small, 3 * small), y=(-1.0, 1.0)))
    made = Artifacts(quantized, INPUT.spec("x", (), "int8").quantize(normal(1, 3, 8, 8)))
    for outputs in (made.in_onnx(), made.in_litert()):
        # Half a step by rounding; what is added is at most 12e-4 of 1/127.5.
        assert np.abs(made.real("y", outputs["y"]) - made.real("x", made.x)).max() <= 0.7 / 127.5


CLAMPS = {"Relu": "Relu({})", "ReLU6": "Clip({}, low, six)", "0 to 3": "Clip({}, low, three)"}


@pytest.mark.parametrize("high", [1.0, 1e-4, 1e-6, 1e-9, 0.0])
@pytest.mark.parametrize("clamp", CLAMPS)
def test_a_clamp_keeps_its_factor_below_the_kernels_limit(clamp: str, high: float) -> None:
    graph = prepared(f"y = {CLAMPS[clamp].format('x')}", low=0, six=6, three=3)
    quantized = assign(graph, INPUT, table(y=(0.0, high)))
    (scale,) = quantized.activations["y"].scale
    factor = INPUT.scale[0] / from_range(0.0, high).scale[0]
    assert INPUT.scale[0] / scale < MAX_CLAMP_FACTOR
    assert (scale == from_range(0.0, high).scale[0]) is (factor < MAX_CLAMP_FACTOR)
    x = np.arange(-96, 96).astype(np.int8).reshape(1, 3, 8, 8)
    made = Artifacts(quantized, x)
    # Zero and less stays zero; everything else is far beyond the range, but for that up to 1.
    for outputs in (made.in_onnx(), made.in_litert()):
        error = made.real("y", outputs["y"]) - made.exact()["y"]
        assert np.abs(error).max() <= 1.001 * scale


FINEST = {
    "Add": ("y = Add(x, other)", MAX_ADD_FACTOR),
    "Sub": ("y = Sub(x, other)", MAX_ADD_FACTOR),
    "Mul": ("y = Mul(x, other)", MAX_MUL_FACTOR / INPUT.scale[0]),
    "HardSwish": ("y = HardSwish(x)", MAX_HARD_SWISH_FACTOR),
}


@pytest.mark.parametrize("high", [1.0, 1e-1, 1e-3, 1e-6, 0.0])
@pytest.mark.parametrize("name", FINEST)
def test_an_output_is_no_finer_than_the_kernels_compute(name: str, high: float) -> None:
    # What comes out may be nearly zero where what goes in is not: two values that cancel.
    body, limit = FINEST[name]
    other = rng(1).permutation(np.linspace(-1, 1, 192)).reshape(1, 3, 8, 8)
    graph = prepared(body, other=other)
    quantized = assign(graph, INPUT, table(y=(-high, high)))
    wanted, (scale,) = from_range(-high, high).scale[0], quantized.activations["y"].scale
    # Beyond the limit by the 1 % that keep rounding away from it, and no more.
    assert max(wanted, INPUT.scale[0] / limit) <= scale * (1 + 1e-6)
    assert scale <= max(wanted, 1.02 * INPUT.scale[0] / limit) * (1 + 1e-6)
    made = Artifacts(quantized, rng(2).integers(-128, 128, (1, 3, 8, 8)).astype(np.int8))
    assert steps_apart(made.in_onnx()["y"], made.in_litert()["y"]) <= 1


@pytest.mark.parametrize("high", [1.0, 1e-3, 1e-9, 0.0])
def test_a_mean_keeps_its_factor_below_the_kernels_limit(high: float) -> None:
    # What is pooled may be nearly zero where what it was cut from is not.
    graph = prepared("y = GlobalAveragePool(x)")
    quantized = assign(graph, INPUT, table(y=(0.0, high)))
    (scale,) = quantized.activations["y"].scale
    assert INPUT.scale[0] / (scale * 64) < MAX_MEAN_FACTOR
    made = Artifacts(quantized, np.full((1, 3, 8, 8), 127, np.int8))
    assert steps_apart(made.in_onnx()["y"], made.in_litert()["y"]) <= 1


def test_every_weighted_node_has_its_constants() -> None:
    graph = prepared(
        "c = Conv(x, w) p = GlobalAveragePool(c) f = Flatten(p) y = Gemm<transB=1>(f, k)",
        w=WEIGHT,
        k=normal(4, 3),
    )
    quantized = assign(graph, INPUT, table(c=(-1.0, 1.0), p=(-1.0, 1.0), y=(-1.0, 1.0)))
    assert list(quantized.weights) == ["Conv_c", "Gemm_y"]
    assert quantized.weights["Conv_c"].weight.shape == WEIGHT.shape
    assert quantized.weights["Gemm_y"].weight.shape == (4, 3)
    assert quantized.graph is graph


def test_a_node_that_cannot_be_quantized_is_named() -> None:
    graph = prepared("y = Conv(x, w)", w=WEIGHT)
    (node,) = graph.nodes
    assert isinstance(node.operator, Conv)
    broken = node.operator.weight.copy()
    broken[0] = float("nan")
    node = type(node)(node.name, Conv(broken, node.operator.bias), node.inputs, node.output)
    with pytest.raises(ConvertError, match=r"^Conv_y \(Conv\): weights hold NaN or infinity"):
        assign(graph.with_nodes([node]), INPUT, table(y=(-1.0, 1.0)))


def kinds(quantized: QuantizedGraph) -> list[str]:
    return [node.kind for node in quantized.graph.nodes]


JOINS = ["Concat<axis=1>(c, d)", "Max(c, d)", "Min(c, d)"]


@pytest.mark.parametrize("join", JOINS)
def test_what_only_a_join_reads_is_written_with_its_parameters(join: str) -> None:
    graph = prepared(f"c = Conv(x, w) d = Conv(x, v) y = {join}", w=WEIGHT, v=WEIGHT)
    quantized = assign(graph, INPUT, table(c=(-1.0, 1.0), d=(-2.0, 3.0), y=(-2.0, 3.0)))
    assert quantized.graph is graph
    assert {quantized.activations[name] for name in "cdy"} == {from_range(-2.0, 3.0)}


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize(
    ("other", "outputs"),
    [
        ("d = MaxPool<kernel_shape=[1,1]>(x)", "y"),  # an input has the parameters that it has
        ("d = Sigmoid(x)", "y"),  # the kernel has fixed ones
        ("d = Conv(x, v) z = Relu(d)", "yz"),  # somebody else reads it
        ("d = Conv(x, v)", "yd"),  # the caller reads it
        ("e = Conv(x, v) z = Relu(e) d = MaxPool<kernel_shape=[1,1]>(e)", "yz"),
    ],
)
def test_what_a_join_may_not_change_is_requantized(join: str, other: str, outputs: str) -> None:
    body = f"c = Conv(x, w) {other} y = {join}"
    graph = run_passes(imported(build(body, outputs=tuple(outputs), w=WEIGHT, v=WEIGHT)))[0]
    ranges = table(c=(-1.0, 1.0), d=(-2.0, 3.0), e=(-2.0, 3.0), z=(0.0, 3.0), y=(-2.0, 4.0))
    quantized = assign(graph, INPUT, ranges)
    assert kinds(quantized).count("Requantize") == 1
    (step,) = (node for node in quantized.graph.nodes if node.kind == "Requantize")
    assert step.inputs == ("d",)
    assert quantized.activations["d"] != quantized.activations["y"]
    (last,) = (node for node in quantized.graph.nodes if node.output == "y")
    assert [quantized.activations[name] for name in last.inputs] == [from_range(-2.0, 4.0)] * 2
    quantized.graph.verify()


def test_copies_on_the_way_to_a_concat_take_its_parameters_too() -> None:
    graph = prepared(
        "c = Conv(x, w) p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(c) "
        "t = Transpose<perm=[0,1,3,2]>(p) y = Concat<axis=1>(t, x)",
        w=WEIGHT,
    )
    quantized = assign(graph, INPUT, table(c=(-1.0, 1.0), y=(-2.0, 3.0)))
    assert kinds(quantized) == ["Conv", "MaxPool", "Transpose", "Requantize", "Concat"]
    assert {quantized.activations[name] for name in "cpty"} == {from_range(-2.0, 3.0)}


def test_a_value_that_is_joined_with_itself_is_requantized_once_a_place_or_retied() -> None:
    made = assign(prepared("y = Concat<axis=1>(x, x)"), INPUT, table(y=(-2.0, 2.0)))
    assert kinds(made) == ["Requantize", "Requantize", "Concat"]
    graph = prepared("c = Conv(x, w) y = Concat<axis=1>(c, c)", w=WEIGHT)
    made = assign(graph, INPUT, table(c=(-1.0, 1.0), y=(-2.0, 2.0)))
    assert kinds(made) == ["Conv", "Concat"]
    assert made.activations["c"] == from_range(-2.0, 2.0)


def test_an_input_whose_kernel_cannot_be_as_fine_as_a_minimum_is_requantized() -> None:
    # XNNPACK refuses the whole file when one convolution's factor is too large.
    graph = prepared("c = Conv(x, w) r = Relu(x) y = Min(c, r)", w=100 * WEIGHT)
    quantized = assign(graph, INPUT, table(c=(-200.0, 200.0), r=(0.0, 1.0), y=(0.0, 1e-3)))
    assert kinds(quantized) == ["Conv", "Clamp", "Requantize", "Minimum"]
    made = Artifacts(quantized, np.full((1, 3, 8, 8), 127, np.int8))
    assert steps_apart(made.in_onnx()["y"], made.in_litert()["y"]) <= 1


@pytest.mark.parametrize("value", [0.5, -50.0])
def test_a_pad_with_a_value_has_it_in_its_range(value: float) -> None:
    pads = np.asarray([0, 0, 1, 1, 0, 0, 1, 1])
    body = "c = Conv(x, w) y = Pad(c, pads, value)"
    model = build(body, w=WEIGHT, pads=pads, value=f32(value))
    graph = run_passes(imported(model))[0]
    low, high = min(-1.0, value), max(1.0, value)
    assert observed_values(graph) == ("c", "y")
    quantized = assign(graph, INPUT, table(c=(-1.0, 1.0), y=(low, high)))
    assert quantized.activations["c"] == quantized.activations["y"] == from_range(low, high)
    shared = run_passes(imported(build("y = Pad(x, pads, value)", pads=pads, value=f32(value))))[0]
    quantized = assign(shared, INPUT, table(y=(low, high)))
    assert kinds(quantized) == (["Requantize", "Pad"] if value < -1 else ["Pad"])


def test_a_pad_with_zeros_has_the_parameters_of_what_it_pads() -> None:
    graph = run_passes(imported(build("y = Pad(x, pads)", pads=np.ones(8, np.int64))))[0]
    assert observed_values(graph) == ()
    assert assign(graph, INPUT, table()).activations["y"] == INPUT


def test_ranges_beyond_float32_are_refused() -> None:
    graph = prepared("y = Mul(x, x)")
    with pytest.raises(ConvertError, match="scale inf is no positive normal float32"):
        assign(graph, from_range(-1e38, 1e38), table(y=(-1.0, 1.0)))
