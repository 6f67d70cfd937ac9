from __future__ import annotations

import pytest

from converters.channels import Channels, trace
from converters.graph import Graph
from tests.converters.models import Constants, build, imported, int64, normal


def traced(body: str, **constants: object) -> tuple[Graph, Channels]:
    given: Constants = {"w": normal(4, 3, 1, 1), **constants}
    graph = imported(build(body, **given))
    return graph, trace(graph)


@pytest.mark.parametrize(
    "body",
    [
        "y = Relu(a)",
        "y = MaxPool<kernel_shape=[2,2]>(a)",
        "y = GlobalAveragePool(a)",
        "y = Conv<group=4>(a, k)",
        "y = Mul(a, a)",
        "t = Transpose<perm=[0,2,3,1]>(a) y = Transpose<perm=[0,3,1,2]>(t)",
        "y = ReduceMean<axes=[2,3], keepdims=0>(a)",
        "r = Relu(a) y = Add(r, a)",
        "y = Softmax<axis=3>(a)",
    ],
)
def test_channels_that_stay_what_they_are(body: str) -> None:
    given = {"k": normal(4, 1, 3, 3)} if ", k)" in body else {}
    _, channels = traced(f"a = Conv(x, w) {body}", **given)
    assert channels.of("y").tolist() == channels.of("a").tolist()
    assert len(set(channels.of("a").tolist())) == 4
    assert set(channels.fixed.values()) == {"they are the input", "they are an output"}


def test_a_sum_ties_what_it_adds() -> None:
    _, channels = traced(
        "a = Conv(x, w) b = Conv(x, w) s = Add(a, b) y = Conv(s, k)", k=normal(2, 4, 1, 1)
    )
    assert channels.of("a").tolist() == channels.of("b").tolist() == channels.of("s").tolist()
    assert not set(channels.of("y").tolist()) & set(channels.of("s").tolist())
    assert not set(channels.of("s").tolist()) & set(channels.fixed)


def test_one_value_for_all_channels_is_tied_to_none() -> None:
    body = "a = Conv(x, w) b = Conv(x, k) s = Mul(a, b) y = Conv(s, p)"
    _, channels = traced(body, k=normal(1, 3, 1, 1), p=normal(2, 4, 1, 1))
    assert channels.of("s").tolist() == channels.of("a").tolist()
    assert channels.of("b")[0] not in channels.of("a")


def test_flattened_and_joined_and_parted() -> None:
    body = "a = Conv(x, w) c = Concat<axis=1>(a, x) s = Slice(c, two, six, one) y = Flatten(s)"
    _, channels = traced(body, two=int64(2), six=int64(6), one=int64(1))
    a, x = channels.of("a").tolist(), channels.of("x").tolist()
    assert channels.of("c").tolist() == a + x
    assert channels.of("s").tolist() == a[2:] + x[:2]
    assert channels.of("y").tolist() == [one for one in a[2:] + x[:2] for _ in range(64)]


@pytest.mark.parametrize(
    "body",
    [
        "y = Softmax<axis=1>(a)",
        "y = Conv<group=2>(a, k)",
        "y = MatMul(a, square)",
        "y = Reshape(a, half)",
        "y = Concat<axis=2>(a, a)",
        "y = Pad(a, pads)",
        "y = Slice(a, zero, four, one, two)",
        "t = Transpose<perm=[0,2,3,1]>(a) y = Conv(t, e)",
    ],
)
def test_channels_that_are_mixed_are_fixed(body: str) -> None:
    constants = {
        "k": normal(4, 2, 1, 1),
        "half": int64(1, 2, 2, 64),
        "pads": int64(0, 1, 0, 0, 0, 0, 0, 0),
        "zero": int64(0),
        "four": int64(4),
        "one": int64(1),
        "two": int64(2),
        "e": normal(2, 8, 1, 1),
        "square": normal(1, 4, 8, 8),
    }
    used = {name: v for name, v in constants.items() if f" {name}" in body.split("(", 1)[1]}
    graph, channels = traced(f"a = Conv(x, w) {body}", **used)
    last = graph.nodes[-1]
    assert last.name in channels.mixers
    reason = f"{last.name} ({last.kind}) reads them as a whole"
    assert {channels.fixed[one] for one in channels.of("a").tolist()} == {reason}
