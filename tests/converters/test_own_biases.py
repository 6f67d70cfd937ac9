from dataclasses import replace

import numpy as np
import pytest

from calibration.progress import silent
from converters.calibrate import calibrate
from converters.error_trace import Traced, trace_errors
from converters.own_biases import with_own_biases
from converters.passes import run_passes
from converters.quantize.assign import assign
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from edge.tensors import F32, Array
from tests.converters.models import build, imported, normal

W, V = normal(4, 3, 1, 1, seed=1), normal(64, 5, seed=2)
BODY = "h = Conv(x, w) r = Relu(h) f = Flatten(r) y = MatMul(f, v)"
# All of one kind, so that each channel's mean error is far from chance.
PICTURES = [1 + normal(1, 3, 4, 4, seed=seed, spread=0.05) for seed in range(10, 18)]


@pytest.fixture(scope="module")
def plain() -> QuantizedGraph:
    graph, _ = run_passes(imported(build(BODY, "float[1,3,4,4]", w=W, v=V)))
    return assign(graph, from_range(-3.0, 3.0), calibrate(graph, PICTURES).ranges("minmax"))


def moved(quantized: QuantizedGraph, steps: int) -> QuantizedGraph:
    """Return the network with every bias so many steps from where it was."""
    items = quantized.weights.items()
    return replace(quantized, weights={k: replace(w, bias=w.bias + steps) for k, w in items})


def layers(quantized: QuantizedGraph) -> tuple[str, str]:
    first, last = (quantized.graph.producers[value].name for value in "ry")
    return first, last


def held(quantized: QuantizedGraph, layer: str) -> Array:
    """Return [O, I]: a layer's weights, as held."""
    weights = quantized.weights[layer]
    scale = np.asarray(weights.params.scale, np.float64)
    real: Array = weights.weight.reshape(len(scale), -1) * scale[:, None]
    return real


def hidden(x: F32) -> Array:
    sums: Array = np.einsum("oi,ihw->ohw", W[:, :, 0, 0].astype(np.float64), x[0])
    return np.maximum(sums, 0)


def weights_noise(quantized: QuantizedGraph) -> dict[str, float]:
    traced: list[Traced] = trace_errors(quantized, PICTURES, silent)
    return {one.node.name: one.by_weights for one in traced if one.node.name in quantized.weights}


def test_a_layer_has_the_mean_that_it_has_in_float(plain: QuantizedGraph) -> None:
    first, last = layers(plain)
    found = with_own_biases(moved(plain, 1000), PICTURES)
    apart = held(plain, first) - W[:, :, 0, 0]
    errors = {
        first: np.mean([apart @ x[0].mean(axis=(1, 2)) for x in PICTURES], axis=0),
        last: np.mean(
            [(held(plain, last) - V.T) @ hidden(x).reshape(-1) for x in PICTURES], axis=0
        ),
    }
    for name, error in errors.items():
        weights = found.weights[name]
        # There is no bias in float. What chance explains stays, and so does a rounding.
        bound = 0.05 * np.abs(error) + 0.51 * weights.bias_scale
        assert (np.abs(weights.bias * weights.bias_scale + error) < bound).all()
        assert (np.abs(error) > 2 * bound).any()  # so that float's would not do
        np.testing.assert_array_equal(weights.weight, plain.weights[name].weight)


def test_nothing_is_changed_where_nothing_was_corrected(plain: QuantizedGraph) -> None:
    assert with_own_biases(plain, PICTURES) is plain


def test_of_one_picture_it_is_floats_bias(plain: QuantizedGraph) -> None:
    found = with_own_biases(moved(plain, 1000), PICTURES[:1])
    for name, weights in plain.weights.items():
        np.testing.assert_array_equal(found.weights[name].bias, weights.bias)


def test_neither_a_correction_nor_what_it_undoes_is_noise(plain: QuantizedGraph) -> None:
    before, corrected = weights_noise(plain), weights_noise(moved(plain, 1))
    _, last = layers(plain)
    # However far it is moved, it is the same.
    assert weights_noise(moved(plain, -1000)) == corrected
    apart = held(plain, last) - V.T
    errors = [apart @ hidden(x).reshape(-1) for x in PICTURES]

    def noise(of: list[Array]) -> float:
        return sum(float(np.square(error - error.mean()).sum()) for error in of)

    mean = np.mean(errors, axis=0)
    assert corrected[last] == pytest.approx(noise([e - mean for e in errors]), rel=0.1)
    assert before[last] == pytest.approx(noise(errors), rel=0.1)
    assert corrected[last] < before[last] / 5


def test_a_dense_layer_over_positions_has_its_own_bias_too() -> None:
    body = "t = Transpose<perm=[0, 2, 3, 1]>(x) p = MatMul(t, w) r = Relu(p) y = MatMul(r, v)"
    model = build(body, "float[1,3,4,4]", w=normal(3, 8, seed=1), v=normal(8, 5, seed=2))
    graph, _ = run_passes(imported(model))
    quantized = assign(graph, from_range(-3.0, 3.0), calibrate(graph, PICTURES).ranges("minmax"))
    found = with_own_biases(moved(quantized, 1000), PICTURES)
    assert len(quantized.weights) == 2
    for name, old in quantized.weights.items():
        assert (np.abs(found.weights[name].bias - old.bias) < 500).all()
        np.testing.assert_array_equal(found.weights[name].weight, old.weight)
