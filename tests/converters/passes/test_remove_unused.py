from converters.passes.remove_unused import remove_unused
from tests.converters.models import build, imported
from tests.converters.passes.graphs import applied


def test_what_no_output_needs_goes() -> None:
    graph = imported(build("a = Relu(x) y = Flatten(a) b = Flatten(x) c = Relu(b)"))
    result = applied(remove_unused, graph)
    assert [node.output for node in result.graph.nodes] == ["a", "y"]
    assert result.changed == ("Flatten_b", "Relu_c")


def test_every_output_is_kept() -> None:
    graph = imported(build("y = Relu(x) b = Flatten(x)", outputs=["y", "b"]))
    result = applied(remove_unused, graph)
    assert result.graph == graph
    assert result.changed == ()
