from dataclasses import replace

import numpy as np
import pytest

from calibration.metrics import decibels, energies
from converters import refine as refine_module
from converters.calibrate import FloatGraph, calibrate
from converters.graph import Graph
from converters.onnx_qdq.writer import write_network
from converters.operators import Conv
from converters.passes import run_passes
from converters.quantize.assign import assign
from converters.quantize.keep_float import keep_float
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.weights import SUM_LIMIT
from converters.refine import Steps, refine
from edge.tensors import F32, Array
from tests.converters.models import Constants, build, f32, imported, int64, normal, run

COUNT = 48
INPUT = from_range(-3.0, 3.0)
# Inputs of the second layer that mostly go together, and weights of very different size: what
# rounding to nearest loses most with.
CONSTANTS: Constants = {
    "mix": normal(16, 3, 3, 3) + 0.5,
    "deep": normal(16, 1, 3, 3, seed=1),
    "down": normal(12, 16, 1, 1, seed=2) * np.exp(normal(1, 16, 1, 1, seed=3, spread=2)),
    "head": normal(12, 5, seed=4),
    "zero": f32(0),
    "six": f32(6),
    "axes": int64(2, 3),
}
BODY = (
    "a = Conv<pads=[1,1,1,1]>(x, mix) b = Clip(a, zero, six) "
    "c = Conv<group=16, pads=[1,1,1,1], strides=[2,2]>(b, deep) d = Clip(c, zero, six) "
    "e = Conv(d, down) f = GlobalAveragePool(e) g = Flatten(f) y = MatMul(g, head)"
)


def images(count: int, start: int = 0) -> list[F32]:
    return [normal(1, 3, 8, 8, seed=start + s) for s in range(count)]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return run_passes(imported(build(BODY, **CONSTANTS)))[0]


@pytest.fixture(scope="module")
def plain(graph: Graph) -> QuantizedGraph:
    ranges = calibrate(graph, images(COUNT)).ranges("minmax")
    return coarse(assign(graph, INPUT, ranges))


def coarse(quantized: QuantizedGraph) -> QuantizedGraph:
    """Return the network with weights of 4 bits, so that rounding them is what costs."""
    weights = {}
    for node in quantized.graph.nodes:
        if node.name in quantized.weights:
            old = quantized.weights[node.name]
            scale = tuple(float(np.float32(16 * s)) for s in old.params.scale)
            weights[node.name] = replace(
                old,
                weight=np.rint(old.weight / 16).astype(np.int8),
                params=replace(old.params, scale=scale),
                bias=np.rint(old.bias / 16).astype(np.int32),
                bias_scale=(old.bias_scale * 16).astype(np.float32),
            )
    return QuantizedGraph(quantized.graph, quantized.activations, weights)


def quality(quantized: QuantizedGraph) -> float:
    """Return the SQNR of the outputs on pictures that nobody has seen, in dB."""
    graph = quantized.graph
    model, runner = write_network(quantized), FloatGraph(graph, graph.outputs)
    given = quantized.activations["x"].spec("x", (), "uint8")
    made = quantized.activations["y"].spec("y", (), "uint8")
    signal = noise = 0.0
    for x in images(32, start=1000):
        found = made.dequantize(run(model, given.quantize(x), session__x64quantprecision="1")[0])
        parts = energies(runner.run(x)["y"], found)
        signal, noise = signal + parts[0], noise + parts[1]
    return decibels(signal, noise)


def test_each_step_helps(plain: QuantizedGraph) -> None:
    nothing = quality(plain)
    biases = quality(refine(plain, images(COUNT), Steps(rounding=False)))
    rounding = quality(refine(plain, images(COUNT), Steps(biases=False)))
    both = quality(refine(plain, images(COUNT), Steps()))
    assert biases > nothing + 1
    assert rounding > nothing + 1
    assert both > biases + 0.5


def test_scales_stay_and_the_given_network_too(plain: QuantizedGraph) -> None:
    before = {name: held.weight.copy() for name, held in plain.weights.items()}
    refined = refine(plain, images(COUNT), Steps())
    assert refined.activations == plain.activations
    for name, held in refined.weights.items():
        assert held.params == plain.weights[name].params
        assert held.largest_sum().max() < SUM_LIMIT
        np.testing.assert_array_equal(plain.weights[name].weight, before[name])
    assert any(np.any(held.weight != before[name]) for name, held in refined.weights.items())


def test_no_step_is_no_change(plain: QuantizedGraph) -> None:
    refined = refine(plain, images(4), Steps(rounding=False, biases=False))
    assert refined.weights == plain.weights


def test_a_bias_that_is_off_is_found(plain: QuantizedGraph) -> None:
    (last,) = (node for node in plain.graph.nodes if node.output == "y")
    old = plain.weights[last.name]
    by = np.rint(20 * plain.activations["y"].scale[0] / old.bias_scale).astype(np.int32)
    off = QuantizedGraph(
        plain.graph,
        plain.activations,
        {**plain.weights, last.name: replace(old, bias=old.bias + by)},
    )
    assert quality(off) < quality(plain) - 3
    mended = refine(off, images(COUNT), Steps(rounding=False))
    assert quality(mended) > quality(plain)


def test_it_is_the_same_each_time(plain: QuantizedGraph) -> None:
    first, second = (refine(plain, images(16), Steps()) for _ in range(2))
    for name, held in first.weights.items():
        np.testing.assert_array_equal(held.weight, second.weights[name].weight)
        np.testing.assert_array_equal(held.bias, second.weights[name].bias)


def test_one_picture_says_nothing_certain_of_a_mean(plain: QuantizedGraph) -> None:
    refine(plain, images(1), Steps())  # no standard error: no division by zero


def test_no_more_pictures_are_held_than_fit(
    plain: QuantizedGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    widest = 16 * 8 * 8 + 16 * 4 * 4  # what the depthwise layer reads and makes
    monkeypatch.setattr(refine_module, "HELD_BYTES", 5 * widest + 1)
    taken = []

    def counted() -> object:
        for x in images(COUNT):
            taken.append(x)
            yield x

    refine(plain, counted(), Steps(rounding=False))  # type: ignore[arg-type]
    assert len(taken) == 5


def test_a_layer_of_too_many_inputs_is_left(plain: QuantizedGraph) -> None:
    refined = refine(plain, images(8), Steps(biases=False, most_inputs=9))
    changed = {
        node.output
        for node in plain.graph.nodes
        if node.name in plain.weights
        and np.any(refined.weights[node.name].weight != plain.weights[node.name].weight)
    }
    assert changed == {"d"}  # the depthwise one, which reads 9


def test_layers_in_float_stay_and_the_others_are_refined(plain: QuantizedGraph) -> None:
    (layer,) = (node.name for node in plain.graph.nodes if node.output == "d")
    mixed = keep_float(plain, frozenset((layer,)))
    refined = refine(mixed, images(COUNT), Steps())
    assert refined.weights.keys() == mixed.weights.keys() == plain.weights.keys() - {layer}
    assert refined.activations == mixed.activations
    assert quality(refined) > quality(mixed) + 1
    assert quality(refined) > quality(refine(plain, images(COUNT), Steps()))


def test_values_that_do_not_begin_with_one() -> None:
    # Windows, as in attention: four of 4 x 4 pixels, side by side as a batch.
    body = (
        "a = Conv<pads=[1,1,1,1]>(x, mix) b = Reshape(a, parts) "
        "c = Transpose<perm=[2,4,0,1,3,5]>(b) d = Reshape(c, batch) e = Conv(d, down) "
        "f = Transpose<perm=[0,2,3,1]>(e) g = MatMul(f, head) h = Reshape(g, whole) "
        "y = MatMul(h, last)"
    )
    shapes = {
        "parts": int64(1, 16, 2, 4, 2, 4),
        "batch": int64(4, 16, 4, 4),
        "whole": int64(1, 320),
        "last": normal(320, 5, seed=5),
    }
    of, _ = run_passes(imported(build(body, **{**CONSTANTS, **shapes})))
    assert any(shape[0] == 4 for shape in of.shapes.values())
    coarsely = coarse(assign(of, INPUT, calibrate(of, images(COUNT)).ranges("minmax")))
    assert quality(refine(coarsely, images(COUNT), Steps())) > quality(coarsely) + 1


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("largest", [refine_module.MOST_BYTES, 1])
def test_means_are_those_of_all_positions_of_a_channel(
    dtype: type, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine_module, "MOST_BYTES", largest)
    graph, _ = run_passes(imported(build(BODY, **CONSTANTS)))
    node = next(node for node in graph.nodes if isinstance(node.operator, Conv))
    values: Array = np.random.default_rng(0).integers(0, 256, (3, 2, 5, 7, 9)).astype(dtype)
    expected = [[values[n, :, c].astype(float).mean() for c in range(5)] for n in range(3)]
    np.testing.assert_allclose(refine_module._channel_means(node, values), expected, rtol=1e-6)
