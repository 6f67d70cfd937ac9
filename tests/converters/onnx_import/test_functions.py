from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, parser

from converters.errors import ConvertError
from converters.onnx_import.functions import MAX_COPIED_BYTES, MAX_DEPTH, MAX_NODES, inline
from converters.onnx_import.load import load
from tests.converters.models import assert_same, build

OWN = helper.make_opsetid("own", 1)


def with_functions(body: str, functions: Sequence[str]) -> onnx.ModelProto:
    model = build(body)
    model.opset_import.append(OWN)
    heading = '<domain: "own", opset_import: ["" : 17, "own" : 1]>'
    model.functions.extend(parser.parse_function(f"{heading} {text}") for text in functions)
    return model


def chain(length: int) -> onnx.ModelProto:
    """Return a model of functions F0 to F`length`, each but the last of which calls the next."""
    calls = [f"F{i} (a) => (b) {{ b = own.F{i + 1}(a) }}" for i in range(length)]
    return with_functions("y = own.F0(x)", [*calls, f"F{length} (a) => (b) {{ b = Relu(a) }}"])


def test_functions_are_inlined(tmp_path: Path) -> None:
    block = "Block <bias> (a) => (c) { k = Constant<value_float: float = @bias>() b = Add(a, k) "
    block += "c = Relu(b) }"
    model = with_functions("a = own.Block<bias=0.5>(x) y = own.Block<bias=-0.25>(a)", [block])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    graph = assert_same(load(tmp_path / "m.onnx")[0])
    assert len(graph.nodes) == 4


def test_a_model_without_functions_is_returned_as_it_is() -> None:
    model = build("y = Relu(x)")
    assert inline(model, "m.onnx") is model


def test_deepest_chain_and_one_deeper() -> None:
    assert [node.op_type for node in inline(chain(MAX_DEPTH - 1), "m.onnx").graph.node] == ["Relu"]
    with pytest.raises(ConvertError, match=r"^m\.onnx: its functions call .* deep"):
        inline(chain(MAX_DEPTH), "m.onnx")


@pytest.mark.parametrize("start", ["own.F", "Relu"])
def test_circles(start: str) -> None:
    functions = ["F (a) => (b) { b = own.G(a) }", "G (a) => (b) { b = own.F(a) }"]
    with pytest.raises(ConvertError, match=r"^m\.onnx: its functions"):
        inline(with_functions(f"y = {start}(x)", functions), "m.onnx")


def doubling(depth: int) -> onnx.ModelProto:
    """Return a model of functions F0 to F`depth`, all but the last calling the next twice."""
    calls = [f"F{i} (a) => (b) {{ c = own.F{i + 1}(a) b = own.F{i + 1}(c) }}" for i in range(depth)]
    return with_functions("y = own.F0(x)", [*calls, f"F{depth} (a) => (b) {{ b = Relu(a) }}"])


def overloaded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Call all functions F, and tell them apart by an overload instead (IR version 10)."""
    model.ir_version = 10
    for function in model.functions:
        function.name, function.overload = "F", function.name
    for node in (*model.graph.node, *(n for function in model.functions for n in function.node)):
        if node.domain == "own":
            node.op_type, node.overload = "F", node.op_type
    return model


def test_overloads_are_inlined() -> None:
    inlined = inline(overloaded(doubling(3)), "m.onnx")
    assert [node.op_type for node in inlined.graph.node] == ["Relu"] * 8


@pytest.mark.parametrize("change", [lambda model: model, overloaded])
def test_doubling_is_stopped_before_it_fills_the_memory(
    change: Callable[[onnx.ModelProto], onnx.ModelProto],
) -> None:
    model = change(doubling(20))
    with pytest.raises(ConvertError, match=f"stand for {2**20} nodes; at most {MAX_NODES}"):
        inline(model, "m.onnx")


def holding(values: int, calls: int) -> onnx.ModelProto:
    """Return a model that calls a function so often, which holds a constant of so many values."""
    text = " ".join(f"a{i} = own.F(x)" for i in range(calls))
    model = with_functions(f"{text} y = Relu(x)", ["F (a) => (b) { b = Relu(a) }"])
    value = onnx.numpy_helper.from_array(np.zeros(values, np.float32))
    model.functions[0].node.insert(0, helper.make_node("Constant", [], ["c"], value=value))
    return model


def test_constants_may_be_copied_until_it_is_much() -> None:
    mib = MAX_COPIED_BYTES >> 20
    assert len(inline(holding(1 << 18, mib - 1), "m.onnx").graph.node) == 2 * (mib - 1) + 1
    with pytest.raises(ConvertError, match=rf"^m\.onnx: its functions .* {mib} MiB are copied"):
        inline(holding(1 << 18, mib + 2), "m.onnx")


def test_what_a_call_gives_to_many_nodes_is_counted_for_each() -> None:
    nodes = " ".join(f"k{i} = Constant<value: tensor = @v>()" for i in range(100))
    model = with_functions("y = own.F(x)", [f"F <v> (a) => (b) {{ {nodes} b = Relu(a) }}"])
    value = onnx.numpy_helper.from_array(np.zeros(1 << 18, np.float32))
    model.graph.node[0].attribute.append(helper.make_attribute("v", value))
    with pytest.raises(ConvertError, match="most of them copies"):
        inline(model, "m.onnx")
