from collections.abc import Mapping

import numpy as np
import pytest

from calibration.observers import Range, RangeTable
from converters.graph import Graph
from converters.onnx_qdq.node_session import NodeSession
from converters.passes import run_passes
from converters.quantize.assign import assign
from converters.quantize.exact_sums import exact_sums
from converters.quantize.params import QuantParams, from_range
from tests.converters.models import Constants, build, imported, normal

CONSTANTS: Constants = {"w": normal(4, 3, 1, 1), "v": normal(4, 4, 1, 1), "zero": np.float32(0)}
CONSTANTS["six"] = np.float32(6)
CHAIN = "a = Conv(x, w) b = Conv(a, v) s = Add(a, b) c = Conv(s, v) t = Add(s, c) "
HEAD = "y = GlobalAveragePool(t)"


def graph(body: str) -> Graph:
    return run_passes(imported(build(body, **CONSTANTS)))[0]


def table(**reaches: float) -> RangeTable:
    return RangeTable({name: Range(-r, r) for name, r in reaches.items()}, "mse", 1)


def params(ranges: RangeTable) -> Mapping[str, QuantParams]:
    return {name: from_range(one.low, one.high) for name, one in ranges.items()}


def rounding(quantized: Mapping[str, QuantParams]) -> float:
    """Return the sum of what all rounding of the chain makes, in the sums' own unit."""
    noise = sum(quantized[name].scale[0] ** 2 for name in "abc")
    for first, second, total in (("a", "b", "s"), ("s", "c", "t")):
        scales = {quantized[name].scale for name in (first, second, total)}
        noise += quantized[total].scale[0] ** 2 if len(scales) > 1 else 0
    return noise / 12


def test_sums_of_like_size_are_tied() -> None:
    before = table(a=1, b=1.1, s=1.2, c=1.1, t=1.3, y=1)
    after, exact = exact_sums(graph(CHAIN + HEAD), before)
    assert exact == ("s", "t")
    found = params(after)
    assert len({found[name].scale for name in "abstc"}) == 1
    assert found["t"].scale == params(before)["t"].scale
    assert after["y"] == before["y"]
    assert rounding(found) < rounding(params(before))


def test_a_summand_that_is_much_finer_stays_so() -> None:
    before = table(a=1, b=0.1, s=1, c=0.1, t=1, y=1)
    after, exact = exact_sums(graph(CHAIN + HEAD), before)
    assert exact == ()
    assert after == before


def test_one_of_two_sums_is_tied() -> None:
    before = table(a=1, b=1, s=1, c=1, t=9, y=1)
    after, exact = exact_sums(graph(CHAIN + HEAD), before)
    assert exact == ("s",)
    assert after["t"] == before["t"]


@pytest.mark.parametrize("seed", range(20))
def test_no_sum_gets_noisier_and_no_range_narrower(seed: int) -> None:
    sizes = np.exp(np.random.default_rng(seed).normal(0, 0.5, 5))
    before = table(**dict(zip("abstc", sizes.tolist(), strict=True)), y=1)
    after, _ = exact_sums(graph(CHAIN + HEAD), before)
    assert rounding(params(after)) <= rounding(params(before)) * (1 + 1e-6)
    for name, one in before.items():
        step = params(after)[name].scale[0]
        assert after[name].low <= one.low + step
        assert after[name].high >= one.high - step


def test_what_is_never_negative_stays_so() -> None:
    of = graph("a = Conv(x, w) b = Conv(a, v) s = Add(a, b) t = Relu(s) y = GlobalAveragePool(t)")
    ranges = RangeTable(
        {"a": Range(-1, 1), "b": Range(-1, 1), "t": Range(0, 1.9), "y": Range(0, 1)}, "mse", 1
    )
    after, exact = exact_sums(of, ranges)
    assert exact == ("t",)
    quantized = assign(of, from_range(-1, 1), after)
    assert quantized.activations["t"].zero_point == (-128,)
    assert len({quantized.activations[name].scale for name in "abt"}) == 1


@pytest.mark.parametrize(
    "body",
    [
        "a = Conv(x, w) b = Conv(a, v) s = Add(a, b) t = Clip(s, zero, six) ",
        "d = Conv(x, w) a = Clip(d, zero, six) b = Conv(a, v) t = Add(a, b) ",
        # The output of a Sigmoid has one scale only.
        "d = Conv(x, w) a = Sigmoid(d) b = Conv(a, v) t = Add(a, b) ",
        "a = Conv(x, w) b = Conv(a, v) t = Mul(a, b) ",
    ],
)
def test_what_has_a_scale_of_its_own_is_left(body: str) -> None:
    of = graph(body + HEAD)
    ranges = table(**{node.output: 1 for node in of.nodes if node.kind != "Sigmoid"})
    assert exact_sums(of, ranges) == (ranges, ())


def test_the_integers_add_up() -> None:
    of = graph(CHAIN + HEAD)
    ranges, _ = exact_sums(of, table(a=3, b=3.3, s=4, c=3.1, t=5, y=1))
    quantized = assign(of, from_range(-3, 3), ranges)
    first, second = np.random.default_rng(0).integers(0, 256, (2, 1, *of.shapes["s"]), np.uint8)
    session = NodeSession(quantized, of.producers["s"])
    found = session.run({"a": first, "b": second}, 0).astype(int)
    zeros = {name: quantized.activations[name].zero_point[0] + 128 for name in "abs"}
    total = first[0].astype(int) - zeros["a"] + second[0] - zeros["b"] + zeros["s"]
    np.testing.assert_array_equal(found, np.clip(total, 0, 255))


def test_all_sums_of_a_deep_network_are_tied() -> None:
    body = "s0 = Conv(x, w) " + "".join(
        f"b{i} = Conv(s{i}, v) s{i + 1} = Add(s{i}, b{i}) " for i in range(300)
    )
    of = graph(body + "y = GlobalAveragePool(s300)")
    _, exact = exact_sums(of, table(**{node.output: 1 for node in of.nodes}))
    assert len(exact) == 300
