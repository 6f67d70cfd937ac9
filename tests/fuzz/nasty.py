"""Models made to do harm, each with what must be said of it: those of another kind than a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

from edge.card import CARD_KEY
from tests.converters.models import build, f32, int64, normal
from tests.fuzz.models import OWN, move_out
from tests.fuzz.nasty_graphs import BAD_GRAPHS, CONVERTED, END

Change = Callable[[onnx.ModelProto], object]


@dataclass(frozen=True, slots=True)
class Case:
    """`expected`: part of the refusal, or `CONVERTED`."""

    name: str
    expected: str
    make: Callable[[], bytes]


def _changed(change: Change, body: str = "y = Flatten(x)") -> Callable[[], bytes]:
    """Return what makes a model with a weight `w`, and changes it."""

    def make() -> bytes:
        model = build(body, w=normal(4, 3, 3, 3))
        change(model)
        return bytes(model.SerializeToString())

    return make


# Shapes and names


def _side(axis: int, side: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side

    return change


def _a_step(model: onnx.ModelProto) -> None:
    """Call a value as the ONNX writer calls what stands before the quantization of `y`."""
    first, second = model.graph.node
    first.output[0] = second.input[0] = "y/exact"


def _unknown(op_type: str, name: str) -> Change:
    return lambda model: model.graph.node.add(op_type=op_type, name=name, output=["z"])


def _shapes() -> Iterator[Case]:
    for side in (-1, 0, 1 << 31, 1 << 62, -(1 << 62)):
        yield Case(f"a side of {side}", "input 'x' has shape", _changed(_side(3, side)))
    yield Case("a batch of 2^62", "a batch may have", _changed(_side(0, 1 << 62)))
    yield Case("a batch of -1, which is any", CONVERTED, _changed(_side(0, -1)))
    again: Change = lambda model: model.graph.initializer.append(model.graph.initializer[0])  # noqa: E731
    yield Case("a weight given twice", "cannot run it", _changed(again))
    obeyed = _unknown("\x1b[2J", "\n\r")
    yield Case("names that a terminal obeys", "\N{REPLACEMENT CHARACTER}[2J", _changed(obeyed))
    long = _unknown("Unknown", "n" * (1 << 20))
    yield Case("a name of a megabyte", "(Unknown): not supported", _changed(long))
    step = _changed(_a_step, "v = Relu(x) y = Flatten(v)")
    yield Case("the name of a step", "has a tensor called 'y/exact'", step)


# Tensors


def _dims(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims.append(1 << 62)


def _sparse_tensor(side: int) -> onnx.SparseTensorProto:
    tensor = onnx.SparseTensorProto(dims=[side])
    tensor.values.CopyFrom(numpy_helper.from_array(f32([1]), "sparse"))
    tensor.indices.CopyFrom(numpy_helper.from_array(int64(0), "places"))
    return tensor


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(_sparse_tensor(1 << 28))


def _sparse_constant(model: onnx.ModelProto) -> None:
    value = _sparse_tensor(1 << 40)
    model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=value))


def _text(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[2])
    tensor.string_data.extend((b"root:x:0", b"\xff"))
    model.graph.initializer[0].CopyFrom(tensor)


def _large_attribute(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("a", bytes(1 << 23)))


def _card(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key=CARD_KEY, value="[" * 100_000)


def _tensors() -> Iterator[Case]:
    yield Case("dims of 2^62", "does not fit its shape", _changed(_dims))
    yield Case("sparse weights", "holds sparse tensors", _changed(_sparse))
    yield Case("a sparse constant", "cannot be converted", _changed(_sparse_constant))
    yield Case("text as a weight", "does not fit its shape", _changed(_text, "y = Conv(x, w)"))
    yield Case("megabytes of attributes", "not as opset 17", _changed(_large_attribute))
    yield Case("a card that is no JSON", "card", _changed(_card))


# External data


def _external(**entries: int | str) -> Callable[[], bytes]:
    def change(model: onnx.ModelProto) -> None:
        move_out(model.graph.initializer[0], **entries)

    return _changed(change, f"c = Conv(x, w) {END.format('c')}")


def _shared(model: onnx.ModelProto) -> None:
    """Twenty thousand tensors, all of them the same 16 kB of one file: 320 MB."""
    for index in range(20_000):
        move_out(model.graph.initializer.add(name=f"t{index}", dims=[4096], data_type=1))


def _elsewhere() -> Iterator[Case]:
    for place in ("/etc/passwd", "../../etc/passwd", "link.bin", "/dev/zero"):
        yield Case(f"weights in {place}", "outside the model's folder", _external(location=place))
    yield Case("weights in the model itself", "shape", _external(location="model.onnx"))
    yield Case("weights that are nowhere", "not there", _external(location="none.bin"))
    yield Case("weights from 2^62 on", "cannot be read", _external(offset=1 << 62))
    yield Case("weights of 2^62 bytes", "its shape needs", _external(length=1 << 62))
    yield Case("one part of a file for many weights", "again and again", _changed(_shared))


# Functions, and graphs in graphs


def _functions(body: str, *texts: str, held: int = 0) -> Callable[[], bytes]:
    """Return what makes a model with functions, the first of which holds `held` zeros."""

    def make() -> bytes:
        model = build(body)
        model.opset_import.append(OWN)
        heading = '<domain: "own", opset_import: ["" : 17, "own" : 1]>'
        model.functions.extend(parser.parse_function(f"{heading} {text}") for text in texts)
        if held:
            value = numpy_helper.from_array(np.zeros(held, np.float32))
            constant = helper.make_node("Constant", [], ["held"], value=value)
            model.functions[0].node.insert(0, constant)
        return bytes(model.SerializeToString())

    return make


def _given_to_many() -> bytes:
    """One call gives a megabyte to a function that has it in a thousand nodes."""
    nodes = " ".join(f"k{i} = Constant<value: tensor = @v>()" for i in range(1000))
    data = _functions("y = own.F(x)", f"F <v> (a) => (b) {{ {nodes} b = Relu(a) }}")()
    model = onnx.ModelProto()
    model.ParseFromString(data)
    value = numpy_helper.from_array(np.zeros(1 << 18, np.float32))
    model.graph.node[0].attribute.append(helper.make_attribute("v", value))
    return bytes(model.SerializeToString())


def _nested(model: onnx.ModelProto) -> None:
    node = model.graph.node[0]
    for _ in range(15):
        inner = onnx.NodeProto()
        inner.CopyFrom(node)
        result = helper.make_empty_tensor_value_info("y")
        branch = helper.make_graph([inner], "branch", [], [result])
        node.CopyFrom(helper.make_node("If", ["w"], ["y"], then_branch=branch))


def _deep() -> bytes:
    """Return graphs in graphs, deeper than any parser goes, written by hand."""
    data = b""
    for _ in range(300):
        for key in (0x32, 0x2A, 0x0A):  # the graph of an attribute, that of a node, that of a graph
            data = bytes([key]) + _varint(len(data)) + data
    return b"\x08\x08" + b"\x3a" + _varint(len(data)) + data + b"\x42\x04\x0a\x00\x10\x11"


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def _inside() -> Iterator[Case]:
    doubling = [
        *(f"F{i} (a) => (b) {{ c = own.F{i + 1}(a) b = own.F{i + 1}(c) }}" for i in range(40)),
        "F40 (a) => (b) { b = Relu(a) }",
    ]
    yield Case("functions that double", "stand for", _functions("y = own.F0(x)", *doubling))
    itself = _functions("y = own.F(x)", "F (a) => (b) { b = own.F(a) }")
    yield Case("a function that calls itself", "its functions", itself)
    calls = " ".join(f"a{i} = own.F(x)" for i in range(1000))
    copied = _functions(f"{calls} y = Flatten(x)", "F (a) => (b) { b = Relu(a) }", held=1 << 18)
    yield Case("a megabyte in a function called a thousand times", "most of them copies", copied)
    yield Case("a megabyte given to a thousand nodes", "most of them copies", _given_to_many)
    yield Case("branches in branches", "(If): not supported", _changed(_nested))
    yield Case("graphs 300 deep", "not an ONNX file", _deep)


def _graphs() -> Iterator[Case]:
    for bad in BAD_GRAPHS:
        yield Case(bad.name, bad.expected, bad.make)


CASES = (*_graphs(), *_shapes(), *_tensors(), *_elsewhere(), *_inside())
