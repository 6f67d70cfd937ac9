import onnx
from hypothesis import given
from hypothesis import strategies as st

from converters.onnx_import.order import put_in_order


def graph(*nodes: tuple[str, str]) -> onnx.GraphProto:
    """Return a graph of nodes, each with the values that it reads and that it makes."""
    made = onnx.GraphProto()
    made.node.extend(
        onnx.helper.make_node("Sum", list(inputs), list(outputs)) for inputs, outputs in nodes
    )
    return made


def order(made: onnx.GraphProto) -> str:
    put_in_order(made)
    return "".join(node.output[0] for node in made.node)


def test_each_node_comes_behind_what_it_reads_and_else_stays() -> None:
    assert order(graph(("x", "a"), ("a", "b"), ("ab", "c"))) == "abc"
    assert order(graph(("x", "a"), ("d", "b"), ("b", "c"), ("a", "d"))) == "adbc"


def test_what_waits_for_itself_stays_last() -> None:
    assert order(graph(("b", "a"), ("a", "b"), ("x", "c"))) == "cab"
    assert order(graph(("a", "a"), ("x", "b"))) == "ba"
    # What nobody makes is the importer's to refuse.
    assert order(graph(("b", "a"), ("q", "b"))) == "ba"


@given(st.permutations(range(7)))
def test_whatever_the_order_was(numbers: list[int]) -> None:
    names = "abcdefg"
    edges = [("x" + names[:index][::2], names[index]) for index in range(7)]
    made = graph(*(edges[number] for number in numbers))
    found = order(made)
    assert sorted(found) == sorted(names)
    for inputs, output in edges:
        assert all(found.index(name) < found.index(output) for name in inputs[1:])
