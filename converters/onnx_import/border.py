"""A quantized file that takes or gives integers, as one that takes and gives float32."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from converters.errors import ConvertError

BYTES = (TensorProto.INT8, TensorProto.UINT8)


def with_float_border(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """Return a copy with QuantizeLinear before every integer input, and so behind the outputs.

    What the integers mean is what the DequantizeLinear that reads an input, or the QuantizeLinear
    that makes an output, says. All else stays as it is.

    Raises: ConvertError: nothing says what an input or output means.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constants and _is_bytes(i)]
    outputs = [o for o in graph.output if _is_bytes(o)]
    first, last = [], []
    for info in inputs:
        reader = next(
            (n for n in graph.node if n.op_type == "DequantizeLinear" and info.name in n.input[:1]),
            None,
        )
        integers = _renamed(made, info, where)
        first.append(_border("QuantizeLinear", reader, info.name, integers, where))
    for info in outputs:
        maker = next(
            (n for n in graph.node if n.op_type == "QuantizeLinear" and info.name in n.output),
            None,
        )
        integers = _renamed(made, info, where)
        last.append(_border("DequantizeLinear", maker, integers, info.name, where))
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    known = {tensor.name for tensor in graph.initializer}
    for node in first:
        if not known.issuperset(node.input[1:]):
            raise ConvertError(
                f"{where}: the scale of input {node.input[0]!r} is no initializer; "
                "export it with a float32 input"
            )
    return made


def _is_bytes(info: onnx.ValueInfoProto) -> bool:
    return info.type.tensor_type.elem_type in BYTES


def _renamed(model: onnx.ModelProto, info: onnx.ValueInfoProto, where: str) -> str:
    """Give integers another name everywhere, so that floats can have theirs; return it."""
    integers = f"{info.name}/integer"
    for node in model.graph.node:
        if integers in node.output:
            raise ConvertError(f"{where}: a value is called {integers!r}; rename it")
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == info.name:
                    names[index] = integers
    info.type.tensor_type.elem_type = TensorProto.FLOAT
    return integers


def _border(
    op_type: str, other: onnx.NodeProto | None, source: str, output: str, where: str
) -> onnx.NodeProto:
    """Return the node between floats and integers, with the meaning that `other` has."""
    if other is None:
        raise ConvertError(
            f"{where}: nothing says what the integers {source!r} mean; export the model with a "
            "float32 input and output"
        )
    node = helper.make_node(op_type, [source, *other.input[1:]], [output], f"{op_type}:{output}")
    node.attribute.extend(other.attribute)
    return node
