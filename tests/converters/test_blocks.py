from converters.blocks import MAX_BLOCKS, blocks
from converters.graph import Graph, Node
from converters.operators import Abs, Add, Constant, Exp, MaxPool, Tanh
from tests.converters.models import f32


def graph(*names: str) -> Graph:
    """Return a chain of one-input nodes of these names."""
    kinds = (Abs(), Exp(), Tanh())
    nodes = [Node(n, kinds[i % 3], (f"v{i}",), f"v{i + 1}") for i, n in enumerate(names)]
    return Graph("g", {"v0": (1, 3, 8, 8)}, (f"v{len(names)}",), tuple(nodes))


def test_a_block_is_what_its_names_share() -> None:
    found = blocks(graph("stem.conv", "b1.expand.conv", "b1.expand.relu", "b1.add", "b2.conv"))
    assert [block.name for block in found] == ["stem", "b1.expand", "b1", "b2"]
    assert [block.operators for block in found] == ["Abs", "Exp, Tanh", "Abs", "Exp"]
    assert found[1].last.name == "b1.expand.relu"


def test_the_finest_scopes_that_are_few_enough() -> None:
    names = [f"/f/f.{i}/conv/conv.{j}/Conv" for i in range(10) for j in range(6)]
    found = blocks(graph(*names))
    # Sixty at the finest; ten of six nodes each one step before.
    assert len(found) == 10
    assert {len(block.nodes) for block in found} == {6}
    assert found[3].name.startswith("f.f.3")


def test_every_node_is_in_one_block_in_order() -> None:
    made = graph(*(f"a{i % 7}/b{i % 3}/c" for i in range(30)))
    assert [node for block in blocks(made) for node in block.nodes] == list(made.nodes)


def test_names_without_scopes_are_grouped_by_size() -> None:
    names = [f"Abs_{i}" for i in range(2 * MAX_BLOCKS)]
    made = graph(*names)
    pool = Node("pool", MaxPool((2, 2), (2, 2)), (made.outputs[0],), "p")
    small = Node("last", Abs(), ("p",), "y")
    whole = Graph("g", made.inputs, ("y",), (*made.nodes, pool, small))
    assert [(block.name, len(block.nodes)) for block in blocks(whole)] == [
        ("8x8", 2 * MAX_BLOCKS),
        ("4x4", 2),
    ]


def test_constants_are_in_no_block() -> None:
    made = graph("a.x", "a.y")
    constant = Node("c", Constant(f32(1)), (), "c")
    add = Node("a.z", Add(), ("v2", "c"), "y")
    whole = Graph("g", made.inputs, ("y",), (*made.nodes, constant, add))
    (block,) = blocks(whole)
    assert block.operators in ("Abs, Exp, Add",)
