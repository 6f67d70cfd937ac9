from collections.abc import Callable

import numpy as np
import pytest

from calibration.progress import silent
from converters.calibrate import calibrate
from converters.noise_parts import measure_parts
from converters.passes import run_passes
from converters.quantize.assign import assign
from converters.quantize.params import QuantParams, from_range
from converters.quantize.quantized import QuantizedGraph
from edge.tensors import F32, Array
from tests.converters.models import build, imported, normal

W, V = normal(12, 9, seed=1), normal(9, 5, seed=2)
BODY = "f = Flatten(x) h = MatMul(f, w) r = Relu(h) y = MatMul(r, v)"
PICTURES = [normal(1, 3, 2, 2, seed=seed) for seed in range(10, 16)]


@pytest.fixture(scope="module")
def quantized() -> QuantizedGraph:
    graph, _ = run_passes(imported(build(BODY, "float[1,3,2,2]", w=W, v=V)))
    ranges = calibrate(graph, PICTURES).ranges("minmax")
    return assign(graph, from_range(-3.0, 3.0), ranges)


def share(changed: Callable[[F32], Array]) -> float:
    """Return the noise of the scores that `changed` gives, worked out here."""
    signal = noise = 0.0
    for x in PICTURES:
        right = np.maximum(x.reshape(1, -1).astype(np.float64) @ W, 0) @ V
        found = changed(x.reshape(1, -1)).astype(np.float64)
        right, found = right - right.mean(), found - found.mean()
        signal += float(np.square(right).sum())
        noise += float(np.square(found - right).sum())
    return noise / signal


def rounded(values: Array, params: QuantParams) -> Array:
    steps = np.rint(values / params.scale[0]) + params.zero_point[0]
    held: Array = np.clip(steps, -128, 127) - params.zero_point[0]
    return held * params.scale[0]


def held(quantized: QuantizedGraph, value: str) -> tuple[Array, Array]:
    """Return [I, O] and [O]: the weight and bias of the layer that makes a value, as held."""
    weights = quantized.weights[quantized.graph.producers[value].name]
    scale = np.asarray(weights.params.scale)
    return (weights.weight * scale[:, None]).T, weights.bias * weights.bias_scale


def test_each_part_is_one_rounding(quantized: QuantizedGraph) -> None:
    parts = measure_parts(quantized, PICTURES, silent, corrects_biases=False)
    (w, b), (v, c) = held(quantized, "r"), held(quantized, "y")
    hidden, scores = quantized.activations["r"], quantized.activations["y"]
    first, last = (quantized.graph.producers[value].name for value in "ry")
    expected = {
        first: share(lambda x: np.maximum(x @ w + b, 0) @ V),
        last: share(lambda x: np.maximum(x @ W, 0) @ v + c),
    }
    assert parts.own == pytest.approx(expected, rel=1e-3)
    expected = {
        "r": share(lambda x: rounded(np.maximum(x @ W, 0), hidden) @ V),
        "y": share(lambda x: rounded(np.maximum(x @ W, 0) @ V, scores)),
    }
    # A few values lie between two integers.
    assert parts.values == pytest.approx(expected, rel=0.02)


def test_a_mean_that_is_corrected_is_no_noise(quantized: QuantizedGraph) -> None:
    parts = measure_parts(quantized, PICTURES, silent, corrects_biases=True)
    v, _ = held(quantized, "y")
    last = quantized.graph.producers["y"].name
    moved = np.mean([np.maximum(x.reshape(1, -1) @ W, 0) @ (v - V) for x in PICTURES], axis=0)
    expected = share(lambda x: np.maximum(x @ W, 0) @ v - moved)
    assert parts.own[last] == pytest.approx(expected, rel=1e-3)
    plain = measure_parts(quantized, PICTURES, silent, corrects_biases=False)
    assert parts.own[last] < 0.95 * plain.own[last]


def test_parts_add_up_to_the_whole(quantized: QuantizedGraph) -> None:
    parts = measure_parts(quantized, PICTURES, silent, corrects_biases=False)
    (w, b), (v, c) = held(quantized, "r"), held(quantized, "y")
    hidden, scores = quantized.activations["r"], quantized.activations["y"]

    def whole(x: Array) -> Array:
        return rounded(rounded(np.maximum(x @ w + b, 0), hidden) @ v + c, scores)

    total = sum(parts.own.values()) + sum(parts.values.values())
    assert total == pytest.approx(share(whole), rel=0.35)


def test_what_is_brought_to_one_scale_is_a_part_of_its_reader() -> None:
    body = (
        "a = Conv(x, w) s = Sigmoid(a) m = Concat<axis=1>(s, a) p = GlobalAveragePool(m) "
        "f = Flatten(p) t = Add(s, s) q = GlobalAveragePool(t) g = Flatten(q) "
        "y = Concat<axis=1>(f, g)"
    )
    graph, _ = run_passes(imported(build(body, w=normal(4, 3, 1, 1, spread=20.0))))
    pictures = [normal(1, 3, 8, 8, seed=seed) for seed in range(4)]
    made = assign(graph, from_range(-3.0, 3.0), calibrate(graph, pictures).ranges("minmax"))
    between = {node.output for node in made.graph.nodes if node.kind == "Requantize"}
    (concat,) = (
        node for node in made.graph.nodes if between & {*node.inputs} and node.output == "m"
    )
    parts = measure_parts(made, pictures, silent, corrects_biases=False)
    assert parts.own[concat.name] > 0
    assert not between & parts.values.keys()
