import pytest

from converters import cost
from converters.cost import PRODUCTS_A_VALUE, check_cost, most_held, products
from converters.errors import ConvertError
from converters.graph import Graph
from tests.converters.models import build, imported, normal

X = 3 * 8 * 8


def graph(body: str) -> Graph:
    return imported(build(body, w=normal(5, 3, 1, 1)))


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ("a = Relu(x) b = Exp(a) y = Tanh(b)", 2),
        ("a = Relu(x) b = Exp(a) y = Add(b, a)", 3),
        ("a = Relu(x) b = Exp(a) y = Add(b, x)", 3),
        ("a = Relu(x) b = Exp(x) c = Tanh(x) d = Add(a, b) y = Add(d, c)", 4),
        ("a = Relu(x) b = Exp(x) d = Add(a, b) c = Tanh(d) y = Add(d, c)", 3),
        ("a = Relu(x) b = Exp(x) c = Exp(b) y = Tanh(c)", 2),  # nobody reads `a`
    ],
)
def test_a_value_is_held_until_its_last_reader(body: str, held: int) -> None:
    assert most_held(graph(body)) == held * X


def test_wide_values_count_four_times() -> None:
    made = graph("a = Relu(x) b = Exp(a) y = Add(b, a)")
    assert most_held(made, {"a"}) == (4 + 1 + 1) * X
    assert most_held(made, {"a", "b"}) == (4 + 4 + 1) * X


def test_products() -> None:
    made = graph("c = Conv(x, w) m = MaxPool<kernel_shape=[2,2]>(c) q = MatMul(m, m) y = Exp(q)")
    moved = PRODUCTS_A_VALUE
    assert [products(made, node) for node in made.nodes] == [
        5 * 64 * (3 * 5 + moved),  # 3 channels take as long as 16
        5 * 49 * 4 * moved + 5 * 64 * moved,
        5 * 49 * 7 + 5 * 49 * moved,
        5 * 49 * moved,
    ]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("limit", "needed", "words"),
    [
        ("MAX_HELD_VALUES", 8 * 64, "holds {} values at once"),
        ("MAX_PRODUCTS", 5 * 64 * (3 * 5 + PRODUCTS_A_VALUE), "takes {} products"),
    ],
)
def test_the_most_that_is_run_and_one_more(
    batch: int, limit: str, needed: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = graph("y = Conv(x, w)")
    monkeypatch.setattr(cost, limit, batch * needed)
    check_cost(made, batch, "m.onnx")
    monkeypatch.setattr(cost, limit, batch * needed - 1)
    with pytest.raises(ConvertError, match=f"^m.onnx: {words.format(batch * needed)}"):
        check_cost(made, batch, "m.onnx")
