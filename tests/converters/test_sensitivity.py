from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.metrics import decibels
from calibration.progress import silent
from converters import error_trace
from converters.error_trace import PICTURES, affordable
from converters.passes import run_passes
from converters.pipeline import Conversion
from converters.quantize.params import QuantParams
from converters.quantize.quantized import QuantizedGraph
from converters.sensitivity import Row, Sensitivity, measure_sensitivity
from edge.tensors import F32
from tests.converters.artifacts import make, quantize, quantized_of
from tests.converters.models import Constants, normal
from tests.converters.random_graphs import network

F64: TypeAlias = NDArray[np.float64]
# Float32 sums, and values that they bring over the border between two steps.
CLOSE_DB = 0.02


def pictures(quantized: QuantizedGraph, count: int = 3) -> list[F32]:
    """Return noise in the middle of the input's range."""
    spread = min(2.0, quantized.activations[quantized.graph.input].high / 3)
    return [normal(*quantized.graph.input_shape, seed=70 + s, spread=spread) for s in range(count)]


def measured(quantized: QuantizedGraph, count: int = 3) -> Sensitivity:
    return measure_sensitivity(quantized, pictures(quantized, count), silent)


def by_name(found: Sensitivity) -> dict[str, Row]:
    return {row.name: row for row in found.rows}


def worst(found: Sensitivity) -> Row:
    return max(found.rows, key=lambda row: row.share)


# A network that NumPy computes in a few lines: 1x1 convolutions, a shortcut, a mean.
W, V = normal(6, 3, seed=1), normal(3, 6, seed=2)
BODY = "a = Conv(x, w) b = Relu(a) c = Conv(b, v) d = Add(c, x) y = GlobalAveragePool(d)"


@pytest.fixture(scope="module")
def tiny() -> QuantizedGraph:
    return make(BODY, w=W.reshape(6, 3, 1, 1), v=V.reshape(3, 6, 1, 1)).quantized


def fake(params: QuantParams, x: F64) -> F64:
    """Return what int8 leaves of x: ONNX's QuantizeLinear and DequantizeLinear, spelt out."""
    (scale,), (zero,) = params.scale, params.zero_point
    left: F64 = (np.clip(np.rint(x / scale) + zero, -128, 127) - zero) * scale
    return left


def mix(weight: F64 | F32, x: F64, bias: F64 | float = 0.0) -> F64:
    mixed: F64 = np.einsum("oi,ihw->ohw", weight, x) + bias
    return mixed


def relu(x: F64) -> F64:
    return np.maximum(x, 0)


def mean(x: F64) -> F64:
    averaged: F64 = x.mean(axis=(1, 2))
    return averaged


def energy(x: F64) -> float:
    return float(np.sum(np.square(x)))


def db(signal: float, noise: float) -> float:
    return 10 * math.log10(signal / noise) if noise else math.inf


def energies(quantized: QuantizedGraph) -> dict[str, dict[str, float]]:
    """Return, by value, the sums of squares that its Row is made of: NumPy, float64, no runtime."""
    held = [quantized.weights[node.name] for node in quantized.graph.nodes[:2]]
    w, v = (h.weight[:, :, 0, 0] * np.asarray(h.params.scale)[:, None] for h in held)
    biases: list[F64] = [h.bias.astype(np.float64) * h.bias_scale for h in held]
    bias_w, bias_v = (bias[:, None, None] for bias in biases)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for picture in pictures(quantized):
        x: F64 = picture[0].astype(np.float64)
        b = relu(mix(W, x))
        c = mix(V, b)
        real = {"x": x, "b": b, "c": c, "d": c + x, "y": mean(c + x)}
        r = {name: fake(quantized.activations[name], value) for name, value in real.items()}
        read = {
            "x": x,
            "b": relu(mix(W, r["x"])),
            "c": mix(V, r["b"]),
            "d": r["c"] + r["x"],
            "y": mean(r["d"]),
        }
        weighted = {**read, "b": relu(mix(w, r["x"], bias_w)), "c": mix(v, r["b"], bias_v)}
        to_scores: dict[str, Callable[[F64], F64]] = {
            "x": lambda t: mean(mix(V, relu(mix(W, t))) + t),
            "b": lambda t, x=x: mean(mix(V, t) + x),  # type: ignore[misc]
            "c": lambda t, x=x: mean(t + x),  # type: ignore[misc]
            "d": mean,
            "y": lambda t: t,
        }
        for name, go in to_scores.items():
            alone = fake(quantized.activations[name], weighted[name])
            errors = {
                "by_weights": weighted[name] - read[name],
                "by_output": alone - weighted[name],
            }
            errors["together"] = errors["by_weights"] + errors["by_output"]
            of = sums[name]
            for key, error in errors.items():
                effect = go(real[name] + error) - go(real[name])
                of[key] += energy(effect - effect.mean())
            of["signal"] += energy(real[name])
            of["alone"] += energy(alone - real[name])
            of["weights"] += energy(errors["by_weights"])
            of["activations"] += energy(fake(quantized.activations[name], read[name]) - real[name])
        sums["scores"]["signal"] += energy(real["y"] - real["y"].mean())
    return sums


def test_every_figure_is_what_numpy_finds(tiny: QuantizedGraph) -> None:
    found, wanted = measured(tiny), energies(tiny)
    signal = wanted["scores"]["signal"]
    total = sum(wanted[n]["by_weights"] + wanted[n]["by_output"] for n in "xbcdy")
    assert [row.name for row in found.rows] == ["x", "b", "c", "d", "y"]
    for row in found.rows:
        of = wanted[row.name]
        assert row.alone_db == pytest.approx(db(of["signal"], of["alone"]), abs=CLOSE_DB)
        near = db(of["signal"], of["activations"])
        assert row.activations_db == pytest.approx(near, abs=CLOSE_DB)
        assert row.scores_db == pytest.approx(db(signal, of["together"]), abs=CLOSE_DB)
        assert row.weights_share == pytest.approx(of["by_weights"] / total, abs=1e-3)
        assert row.activations_share == pytest.approx(of["by_output"] / total, abs=1e-3)
        if row.name in "bc":
            assert row.weights_db == pytest.approx(db(of["signal"], of["weights"]), abs=CLOSE_DB)
        else:
            assert row.weights_db is None
    assert found.parts_db == pytest.approx(db(signal, total), abs=CLOSE_DB)


def test_what_is_cumulative_is_no_better_than_the_first_and_falls(tiny: QuantizedGraph) -> None:
    rows = by_name(measured(tiny))
    assert rows["x"].cumulative_db is None
    # Of the first layer everything before it is the picture, which `alone` rounds too.
    assert rows["b"].cumulative_db == pytest.approx(rows["b"].alone_db, abs=0.1)
    for name in "cd":
        assert (rows[name].cumulative_db or 0) < rows[name].alone_db + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_the_parts_add_up_to_the_whole(seed: int) -> None:
    same = "Conv<pads=[1,1,1,1]>"
    body = (
        f"a = {same}(x, w) b = Relu(a) c = {same}(b, v) d = Relu(c) e = Conv(d, u) f = Add(e, b) "
    )
    body += "g = Conv(f, t) y = GlobalAveragePool(g)"
    constants: Constants = {
        "w": normal(24, 3, 3, 3, seed=seed),
        "v": normal(48, 24, 3, 3, seed=10 + seed, spread=0.07),
        "u": normal(24, 48, 1, 1, seed=20 + seed, spread=0.2),
        "t": normal(100, 24, 1, 1, seed=30 + seed),
    }
    found = measured(make(body, **constants).quantized)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    # What the errors have in common, a weight's being the same all over a picture, is left out.
    assert found.parts_db == pytest.approx(found.measured_db, abs=1.5)
    # No part of it would do: neither the weights nor the activations.
    for share in (sum(r.weights_share for r in found.rows), sum(r.share for r in found.rows[-1:])):
        assert found.parts_db - 10 * math.log10(share) > found.measured_db + 1.5


def test_every_block_has_its_share(conversion: Conversion) -> None:
    found = conversion.sensitivity
    assert found is not None
    shares = found.shares(lambda row: row.block)
    assert list(shares) == ["input", "stem", *(f"block {i}" for i in range(1, 18)), "head"]
    assert sum(shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in shares.values())


def coarse(quantized: QuantizedGraph, name: str, factor: int) -> QuantizedGraph:
    """Return the network with a layer's weights in steps `factor` times as large."""
    old = quantized.weights[name]
    q = np.rint(old.weight / np.float32(factor)) * factor
    worse = replace(old, weight=q.clip(-127, 127).astype(np.int8))
    return replace(quantized, weights={**quantized.weights, name: worse})


@pytest.mark.parametrize("place", [4, 20, -1])
def test_a_layer_with_coarse_weights_comes_first_for_its_weights(
    conversion: Conversion, place: int
) -> None:
    quantized = quantized_of(conversion)
    node = [node for node in quantized.graph.nodes if node.name in quantized.weights][place]
    good, found = measured(quantized), measured(coarse(quantized, node.name, 32))
    row = worst(found)
    assert row.name == node.output
    assert row.weights_share > 0.4
    assert row.weights_share > 5 * row.activations_share
    before = by_name(good)
    assert worst(good).name != node.output
    assert row.weights_db is not None
    assert row.weights_db < (before[row.name].weights_db or 0) - 15
    assert row.scores_db < before[row.name].scores_db - 10
    # What only the activations lose stays, and so does every other layer by itself.
    assert row.activations_db == before[row.name].activations_db
    others = [one for one in found.rows if one.name != row.name]
    assert [one.alone_db for one in others] == [before[one.name].alone_db for one in others]


def test_a_value_with_a_wide_range_comes_first_for_its_activations(tiny: QuantizedGraph) -> None:
    old = tiny.activations["d"]
    wide = QuantParams((old.scale[0] * 16,), old.zero_point)
    found = measured(replace(tiny, activations={**tiny.activations, "d": wide}))
    row = worst(found)
    assert worst(measured(tiny)).name != "d"
    assert (row.name, row.weights_db) == ("d", None)
    assert row.activations_share > 0.5


def test_what_moves_integers_costs_nothing() -> None:
    body = "a = Conv(x, w) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a) "
    body += "t = Transpose<perm=[0,1,3,2]>(m) b = Conv(t, v) y = GlobalAveragePool(b)"
    quantized = make(body, w=normal(4, 3, 1, 1), v=normal(3, 4, 1, 1, seed=1)).quantized
    rows = by_name(measured(quantized))
    for name in "mt":
        assert rows[name].scores_db == math.inf
        assert rows[name].share == 0
        assert rows[name].alone_db < 60  # it reads what was rounded
    assert rows["a"].share > 0.05


def test_a_second_scale_is_counted_where_it_is_taken() -> None:
    body = "a = Conv(x, w) b = Conv(x, v) c = Concat<axis=1>(a, b) d = Exp(a) e = Conv(c, u) "
    body += "f = Add(e, d) y = GlobalAveragePool(f)"
    constants: Constants = {"w": normal(3, 3, 1, 1), "v": 20 * normal(3, 3, 1, 1, seed=1)}
    found = measured(make(body, **constants, u=normal(3, 6, 1, 1, seed=2)).quantized)
    (step,) = (row for row in found.rows if row.kind == "Requantize")
    assert step.share > 0
    assert by_name(found)["c"].share == 0


def test_what_does_not_lead_to_the_scores_costs_them_nothing() -> None:
    body = "a = Conv(x, w) y = GlobalAveragePool(a) b = Conv(a, v) z = GlobalAveragePool(b) "
    body += "u = Exp(y)"
    constants: Constants = {"w": normal(3, 3, 1, 1), "v": normal(3, 3, 1, 1, seed=1)}
    quantized = make(body, outputs=("y", "z", "u"), **constants).quantized
    rows = by_name(measured(quantized))
    assert [rows[name].scores_db for name in "bzu"] == [math.inf] * 3
    assert all(rows[name].alone_db < 60 for name in "bz")
    assert rows["a"].share > 0


@pytest.mark.parametrize("stretches", [1, 3, 1000])
def test_however_the_network_is_cut(
    conversion: Conversion, stretches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantized = quantized_of(conversion)
    expected = measured(quantized, count=1)
    monkeypatch.setattr(error_trace, "STRETCHES", stretches)
    for row, wanted in zip(measured(quantized, count=1).rows, expected.rows, strict=True):
        assert row.scores_db == pytest.approx(wanted.scores_db, abs=CLOSE_DB)
        assert row.alone_db == pytest.approx(wanted.alone_db, abs=CLOSE_DB)
        assert row.share == pytest.approx(wanted.share, abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_any_network_is_traced(seed: int) -> None:
    quantized = quantize(run_passes(network(seed))[0]).quantized
    found = measured(quantized)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert len(found.rows) == 1 + len(quantized.graph.nodes)
    assert not any(math.isnan(row.alone_db) for row in found.rows)


def test_a_layer_of_any_rank_is_traced() -> None:
    body = "a = MatMul(x, k) b = Conv(a, w) y = GlobalAveragePool(b)"
    quantized = make(body, k=normal(8, 5), w=normal(4, 3, 1, 1, seed=1)).quantized
    assert [row.kind for row in measured(quantized).rows[:2]] == ["Input", "Gemm"]


def test_scores_that_a_rounding_makes_infinite_are_lost() -> None:
    # Small squares are rounded to zero, of which the reciprocal root is infinite.
    body = "s = Mul(x, x) t = Sqrt(s) r = Reciprocal(t) n = Mul(r, x) c = Conv(n, w) "
    body += "y = GlobalAveragePool(c)"
    quantized = make(body, reals=(1.0, 3.0), w=normal(4, 3, 1, 1)).quantized
    found = measure_sensitivity(quantized, [np.abs(x) for x in pictures(quantized)], silent)
    rows = by_name(found)
    assert rows["s"].scores_db == pytest.approx(0)
    # By itself it is only rounded, and its reader saturates.
    assert rows["s"].alone_db > 20
    assert not any(math.isnan(row.alone_db) or math.isnan(row.share) for row in found.rows)
    assert sum(row.share for row in found.rows) == pytest.approx(1)


def test_nothing_is_lost_without_a_signal(tiny: QuantizedGraph) -> None:
    silence = np.zeros(tiny.graph.input_shape, np.float32)
    found = measure_sensitivity(tiny, [silence], silent)
    assert {row.share for row in found.rows} == {0.0}
    assert found.measured_db == math.inf


def test_a_network_that_takes_long_is_not_traced_unasked(
    tiny: QuantizedGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert affordable(tiny) == PICTURES
    monkeypatch.setattr(error_trace, "BUDGET", 1)
    assert affordable(tiny) == 0


def test_a_number_without_a_shape_rounds_too() -> None:
    constants: Constants = {"w": W.reshape(6, 3, 1, 1), "k": np.float32(0.3)}
    quantized = make("a = Conv(x, w) b = Max(a, k) y = GlobalAveragePool(b)", **constants).quantized
    (constant,) = (name for name, shape in quantized.graph.shapes.items() if shape == ())
    row = by_name(measured(quantized))[constant]
    assert row.kind == "Constant"
    left = fake(quantized.activations[constant], np.float64(np.float32(0.3)) * np.ones(1))
    assert row.alone_db == pytest.approx(decibels(0.09, float((left[0] - 0.3) ** 2)), abs=0.01)
