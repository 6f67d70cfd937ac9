import numpy as np
import pytest

from converters.graph import Graph, Node
from converters.operators import Abs, Add, Affine, Exp, Gelu, Operator, Tanh
from converters.passes.match import (
    Match,
    close,
    replaced,
    scaled_source,
    sole_reader,
    uniform,
    unscaled,
)
from tests.converters.models import f32


def node(name: str, operator: Operator, *inputs: str) -> Node:
    return Node(name, operator, inputs, name.lower())


def scale(gain: float, offset: float = 0.0) -> Affine:
    return Affine(np.full(3, gain, np.float32), np.full(3, offset, np.float32))


def graph(*nodes: Node, outputs: tuple[str, ...] = ("c",)) -> Graph:
    made = Graph("g", {"x": (1, 3, 2, 2)}, outputs, nodes)
    made.verify()
    return made


A, B, C = node("A", Exp(), "x"), node("B", Abs(), "a"), node("C", Tanh(), "b")


def matched(*parts: Node, last: Node = C) -> Match:
    return Match(Gelu(), "x", last, (*parts, last))


def names(made: Graph) -> list[str]:
    made.verify()
    return [node.name for node in made.nodes]


def test_parts_become_one_node() -> None:
    made = replaced(graph(A, B, C), [matched(A, B)])
    assert made.nodes == (Node("C", Gelu(), ("x",), "c"),)


def test_without_a_match_the_graph_is_the_same() -> None:
    assert replaced(graph(A, B, C), []) == graph(A, B, C)


@pytest.mark.parametrize(
    ("reads", "kept"), [("a", ["A", "C", "D"]), ("b", ["A", "B", "C", "D"]), ("c", ["C", "D"])]
)
def test_parts_that_others_read_stay_with_what_they_read(reads: str, kept: list[str]) -> None:
    made = replaced(graph(A, B, C, node("D", Abs(), reads), outputs=("c", "d")), [matched(A, B)])
    assert names(made) == kept


@pytest.mark.parametrize(("shown", "kept"), [("a", ["A", "C"]), ("b", ["A", "B", "C"])])
def test_parts_that_are_outputs_stay(shown: str, kept: list[str]) -> None:
    assert names(replaced(graph(A, B, C, outputs=("c", shown)), [matched(A, B)])) == kept


def test_a_part_of_two_matches_goes_with_both() -> None:
    other = node("D", Tanh(), "b")
    given = graph(A, B, C, other, outputs=("c", "d"))
    assert names(replaced(given, [matched(A, B), matched(A, B, last=other)])) == ["C", "D"]
    assert names(replaced(given, [matched(A, B)])) == ["A", "B", "C", "D"]


def test_the_last_of_one_match_stays_where_it_is_a_part_of_another() -> None:
    given = graph(A, B, C)
    first, second = matched(A, last=B), Match(Gelu(), "b", C, (B, C))
    assert names(replaced(given, [first, second])) == ["B", "C"]


def test_what_comes_after_takes_the_factor() -> None:
    after = node("D", scale(0.5), "c")
    match = Match(Gelu(), "x", C, (A, B, C), scale(3))
    made = replaced(graph(A, B, C, after, outputs=("d",)), [match])
    assert names(made) == ["C", "D"]
    assert uniform(made.nodes[-1]) == (3, 0)


def test_uniform() -> None:
    assert uniform(node("A", scale(2, 1), "x")) == (2, 1)
    assert uniform(node("A", Affine(f32([1, 1, 2]), f32([0, 0, 0])), "x")) is None
    assert uniform(node("A", Affine(f32([1, 1, 1]), f32([0, 0, 1])), "x")) is None
    assert uniform(A) is None
    assert uniform(None) is None


def test_sole_reader() -> None:
    given = graph(A, B, C, node("D", Add(), "b", "b"), outputs=("c", "d"))
    assert sole_reader(given, "a") == B
    assert sole_reader(given, "b") is None
    assert sole_reader(given, "d") is None
    assert sole_reader(graph(A, B, C, outputs=("c", "a")), "a") is None


def test_close_at_its_limit_and_just_over() -> None:
    assert close(1.0, 1.0 + 0.9e-5)
    assert not close(1.0, 1.0 + 1.1e-5)
    assert not close(0.0, 1e-9)


def test_scaled_source() -> None:
    times = node("B", scale(2), "a")
    given = graph(A, times, C)
    assert scaled_source(given, "b") == ("a", 2, (times,))
    assert scaled_source(given, "c") == ("c", 1, ())
    assert scaled_source(given, "x") == ("x", 1, ())
    assert scaled_source(graph(A, node("B", scale(2, 1), "a"), C), "b") == ("b", 1, ())


def test_unscaled_by_nothing_or_by_its_reader() -> None:
    times = node("B", scale(0.5), "a")
    given = graph(A, times, C)
    assert unscaled(given, A, 1.0) == (A, None)
    assert unscaled(given, A, 2.0) == (times, None)
    rest = unscaled(given, A, 6.0)
    assert rest is not None
    assert rest[0] == A
    assert rest[1] is not None
    assert uniform(node("R", rest[1], "a")) == (3, 0)


@pytest.mark.parametrize("reader", [Abs(), Tanh()])
def test_unscaled_by_another_reader_there_is_none(reader: Operator) -> None:
    assert unscaled(graph(A, node("B", reader, "a"), C), A, 2.0) is None
    shown = graph(A, node("B", scale(0.5), "a"), C, outputs=("c", "a"))
    assert unscaled(shown, A, 2.0) is None


def test_unscaled_by_a_reader_with_an_offset_keeps_that() -> None:
    given = graph(A, node("B", scale(0.5, 7), "a"), C)
    rest = unscaled(given, A, 2.0)
    assert rest is not None
    assert rest[1] is not None
    np.testing.assert_array_equal(rest[1].weight, [1, 1, 1])
    np.testing.assert_array_equal(rest[1].bias, [7, 7, 7])
