import pytest

from converters.errors import GraphError
from converters.graph import Graph, PassResult
from converters.passes import PASSES, run_passes
from tests.converters.models import build, imported, normal
from tests.converters.passes.graphs import applied


def block() -> Graph:
    """Return convolutions with BatchNormalization and ReLU, a shortcut, and something unused."""
    return imported(
        build(
            "c = Conv(x, w) n = BatchNormalization(c, g, b, b, v) r = Relu(n) "
            "d = Conv<group=3>(r, k) m = BatchNormalization(d, g, b, b, v) a = Add(m, r) "
            "z = BatchNormalization(a, g, b, b, v) y = Relu(z) unused = Flatten(d)",
            w=normal(3, 3, 1, 1),
            k=normal(3, 1, 1, 1),
            g=normal(3),
            b=normal(3),
            v=abs(normal(3)),
        )
    )


def test_all_in_order() -> None:
    def everything(graph: Graph) -> PassResult:
        return PassResult(run_passes(graph)[0])

    graph = applied(everything, block()).graph
    assert [node.kind for node in graph.nodes] == ["Conv", "Conv", "Add", "Conv"]


def test_each_pass_reports() -> None:
    _, reports = run_passes(block())
    assert [report.name for report in reports] == [rewrite.__name__ for rewrite in PASSES]
    by_name = {report.name: report for report in reports}
    assert by_name["remove_unused"].changed == ("Flatten_unused",)
    assert len(by_name["fold_affine"].changed) == 2
    assert by_name["fold_affine"].left == ("BatchNormalization_z: Add before it has no weights",)
    assert by_name["lower_affine"].changed == ("BatchNormalization_z as Conv",)
    assert by_name["fold_clamp"].changed == (
        "Relu_r into Conv_c",
        "Relu_y into BatchNormalization_z",
    )


def test_a_pass_that_breaks_the_graph_is_caught() -> None:
    def broken(graph: Graph) -> PassResult:
        return PassResult(graph.with_nodes(graph.nodes[1:]))

    with pytest.raises(GraphError, match="nothing makes its input"):
        run_passes(block(), [broken])
