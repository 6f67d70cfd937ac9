import pytest

from converters.graph import Graph
from edge.tensors import Array
from tests.converters.models import assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes]


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axis", [2, 3, -1])
def test_equal_parts(axis: int, opset: int) -> None:
    model = build(f"a, b = Split<axis={axis}>(x)", outputs=["a", "b"], opset=opset)
    graph = assert_same(model)
    assert kinds(graph) == ["Slice", "Slice"]
    assert graph.outputs == ("a", "b")


def test_sizes_as_an_attribute() -> None:
    body = "a, b, c = Split<axis=3, split=[1,5,2]>(x)"
    graph = assert_same(build(body, outputs=["c", "b", "a"], opset=11))
    assert graph.shapes["b"] == (1, 3, 8, 5)


@pytest.mark.parametrize("opset", [13, 18, 28])
@pytest.mark.parametrize("sizes", [(1, 5, 2), (6, 1, 1)])
def test_sizes_as_an_input(sizes: tuple[int, ...], opset: int) -> None:
    body = "a, b, c = Split<axis=2>(x, s)"
    model = build(body, outputs=["a", "b", "c"], opset=opset, s=int64(*sizes))
    assert kinds(assert_same(model)) == ["Slice"] * 3


@pytest.mark.parametrize("opset", [18, 28])
@pytest.mark.parametrize("parts", [2, 3, 4, 8])
def test_a_number_of_parts(parts: int, opset: int) -> None:
    names = [f"p{index}" for index in range(parts)]
    body = f"{', '.join(names)} = Split<axis=3, num_outputs={parts}>(x)"
    graph = assert_same(build(body, outputs=names, opset=opset))
    assert graph.shapes[names[-1]][3] == 8 - (parts - 1) * -(-8 // parts)


@pytest.mark.parametrize("opset", [11, 13])
def test_into_one_part_it_is_nothing(opset: int) -> None:
    graph = assert_same(build("a = Exp(x) y = Split<axis=1>(a)", opset=opset), spread=1)
    assert kinds(graph) == ["Exp"]


def test_parts_are_read_apart() -> None:
    # A channel shuffle's halves: one goes on as it is.
    body = "a, b = Split<axis=3>(x) c = Relu(b) y = Concat<axis=3>(c, a)"
    assert_same(build(body, opset=13))


def test_the_default_axis_is_the_batch() -> None:
    body = "t = Transpose<perm=[1,0,2,3]>(x) a, b, c = Split(t) y = Add(c, a)"
    assert_same(build(body, opset=13), whole=True)


def test_parts_renamed_by_identity() -> None:
    body = "a, b = Split<axis=3>(x) y = Identity(b) z = Identity(a)"
    graph = assert_same(build(body, outputs=["z", "y"], opset=13))
    assert kinds(graph) == ["Slice", "Slice"]
    assert graph.outputs == ("z", "y")


def test_of_a_constant() -> None:
    body = "a, b = Split<axis=0>(c, s) d = Add(x, b) y = Mul(d, a)"
    assert_same(build(body, c=f32([2, 3]), s=int64(1, 1)))


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        (int64(4, 5), "sizes [4, 5] for 2 parts of 8"),
        (int64(4, 3), "sizes [4, 3] for 2 parts of 8"),
        (int64(8, 0), "sizes [8, 0] for 2 parts of 8"),
        (int64(9, -1), "sizes [9, -1] for 2 parts of 8"),
        (int64(8), "sizes [8] for 2 parts of 8"),
        (int64(2, 2, 4), "sizes [2, 2, 4] for 2 parts of 8"),
        (int64(), "sizes [] for 2 parts of 8"),
        (f32([4, 4]), "not a list of whole numbers"),
    ],
)
def test_sizes_that_do_not_fit(sizes: Array, reason: str) -> None:
    model = build("a, b = Split<axis=3>(x, s) y = Add(a, b)", s=sizes)
    assert_refused(model, reason)


@pytest.mark.parametrize(
    ("body", "opset", "reason"),
    [
        ("a, b = Split<axis=4>(x)", 13, "axis 4 of a value of 4 axes"),
        ("a, b = Split<axis=-5>(x)", 13, "axis -5 of a value of 4 axes"),
        ("a, b, c = Split<axis=3>(x)", 11, "3 parts of 8; before opset 18 they are equal"),
        ("a, b, c = Split<axis=3>(x)", 17, "3 parts of 8; before opset 18 they are equal"),
        ("a, b = Split<axis=3, num_outputs=3>(x)", 18, "sizes [3, 3, 2] for 2 parts"),
        ("a, b = Split<axis=3>(x)", 18, "neither sizes nor num_outputs"),
        ("a, b = Split<axis=3, num_outputs=0>(x)", 18, "sizes [8] for 2 parts"),
        ("a, b, c, d, e = Split<axis=3, num_outputs=5>(x)", 18, "for 5 parts of 8"),
        ("a, b = Split<axis=3, num_outputs=2>(x)", 13, "not as opset 13 defines it"),
        ("a, b = Split<axis=3>(x, x)", 13, "computed from the image"),
    ],
)
def test_refusals(body: str, opset: int, reason: str) -> None:
    assert_refused(build(f"{body} y = Add(a, b)", opset=opset), reason)


@pytest.mark.parametrize("given", ["x", "c"])
@pytest.mark.parametrize("names", ['a, "", b', '"", a, b', 'a, b, ""'])
def test_parts_without_a_name_are_refused(names: str, given: str) -> None:
    # ONNX lets none be left out, and ONNX Runtime crashes where one is.
    body = f"{names} = Split<axis=3>({given}, s) c1 = Add(x, a) y = Add(c1, b)"
    model = build(body, s=int64(2, 4, 2), c=f32([[[[*range(8)]]]]))
    assert_refused(model, "output has no name" if names[0] == '"' else "outputs has no name")
