import dataclasses

import pytest

from converters.errors import GraphError
from converters.graph import Graph, Node
from converters.operators import Add, Clamp, Gemm, GlobalAveragePool, Operator, Reshape
from tests.converters.models import normal

RELU = Clamp(0.0, 6.0)


def chain(*operators: Operator) -> Graph:
    """Return a graph of one-input operators, one after the other: values v0, v1, …"""
    nodes = [Node(f"n{i}", op, (f"v{i}",), f"v{i + 1}") for i, op in enumerate(operators)]
    return Graph("g", {"v0": (1, 3, 4, 4)}, (f"v{len(nodes)}",), tuple(nodes))


GOOD = chain(RELU, GlobalAveragePool(), Reshape((1, 3)))


def test_shapes_follow_from_the_operators() -> None:
    GOOD.verify()
    assert GOOD.shapes == {
        "v0": (1, 3, 4, 4),
        "v1": (1, 3, 4, 4),
        "v2": (1, 3, 1, 1),
        "v3": (1, 3),
    }


def test_producers_and_consumers() -> None:
    twice = Node("twice", Add(), ("v1", "v1"), "w")
    graph = GOOD.with_nodes([*GOOD.nodes, twice])
    assert graph.producers["v1"].name == "n0"
    assert "v0" not in graph.producers
    # A node that reads a value twice is one reader.
    assert [node.name for node in graph.consumers["v1"]] == ["n1", "twice"]
    assert graph.consumers["v3"] == ()


def test_is_only_read_by() -> None:
    first, second, third = GOOD.nodes
    assert GOOD.is_only_read_by("v1", second)
    assert not GOOD.is_only_read_by("v1", third)
    shown = dataclasses.replace(GOOD, outputs=("v3", "v1"))
    assert not shown.is_only_read_by("v1", second)
    shared = GOOD.with_nodes([first, Node("other", RELU, ("v1",), "w"), second, third])
    assert not shared.is_only_read_by("v1", second)


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (dataclasses.replace(GOOD, outputs=()), "no output"),
        (dataclasses.replace(GOOD, outputs=("w",)), "nothing makes the output 'w'"),
        (GOOD.with_nodes(reversed(GOOD.nodes)), "n2: nothing makes its input 'v2'"),
        (GOOD.with_nodes([*GOOD.nodes, GOOD.nodes[0]]), "two nodes are called 'n0'"),
        (GOOD.with_nodes([*GOOD.nodes, Node("n", RELU, ("v0",), "v1")]), "'v1' is made twice"),
        (GOOD.with_nodes([*GOOD.nodes, Node("n", RELU, ("v1",), "v0")]), "'v0' is made twice"),
        (chain(Gemm(normal(2, 3), normal(2))), "n0 (Gemm): weight (2, 3) does not fit"),
        (chain(Add()), "n0 (Add):"),
        (GOOD.with_nodes([Node("n", RELU, ("v0", "v0"), "v3")]), "n (Clamp):"),
    ],
)
def test_contradictions(graph: Graph, reason: str) -> None:
    with pytest.raises(GraphError) as caught:
        graph.verify()
    assert reason in str(caught.value)
