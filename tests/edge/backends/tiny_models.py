"""Tiny classifiers in both formats, whose output is known in closed form.

The network averages its picture over height and width: one class a channel. With height and width
of one power of two, the mean is exact in float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from edge.card import TENSORS_KEY

HEIGHT, WIDTH, CLASSES = 8, 4, 3
SCALE, ZERO_POINT = 0.5, -128

_TFLITE_TYPES = {
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "float32": schema.TensorType.FLOAT32,
}


def tflite_model(
    metadata: Mapping[str, bytes] | None = None,
    *,
    dtype: str = "int8",
    shape: Sequence[int] = (1, HEIGHT, WIDTH, CLASSES),
    outputs: int = 1,
    gives_image: bool = False,
    custom_operator: str = "",
) -> bytes:
    """Return a TFLite file: MEAN over height and width; input and output share their scale.

    With `gives_image`, the picture is an output too, the first. With `custom_operator`, an operator
    of that name, which no runtime has, in the place of MEAN.
    """
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    if custom_operator:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = custom_operator
    model.operatorCodes = [code]
    axes = schema.BufferT()
    axes.data = np.frombuffer(np.array([1, 2], "<i4").tobytes(), np.uint8)
    model.buffers = [schema.BufferT(), axes]
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor("image", list(shape), dtype),
        _tensor("axes", [2], "int32", buffer=1),
        *(_tensor(f"scores{i}", [1, shape[-1]], dtype) for i in range(outputs)),
    ]
    graph.inputs = [0]
    graph.outputs = [*([0] if gives_image else []), *range(2, 2 + outputs)]
    graph.operators = []
    for output in range(2, 2 + outputs):
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = [0, 1], [output]
        if not custom_operator:
            operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
            operator.builtinOptions = schema.ReducerOptionsT()
        graph.operators.append(operator)
    model.subgraphs = [graph]
    model.metadata = []
    for name, content in (metadata or {}).items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: list[int], dtype: str, buffer: int = 0) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
    tensor.type = schema.TensorType.INT32 if dtype == "int32" else _TFLITE_TYPES[dtype]
    if dtype in ("int8", "uint8"):
        tensor.quantization = schema.QuantizationParametersT()
        zero_point = ZERO_POINT if dtype == "int8" else ZERO_POINT + 128
        tensor.quantization.scale, tensor.quantization.zeroPoint = [SCALE], [zero_point]
    return tensor


def onnx_model(
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: str = "float32",
    shape: Sequence[int | str] = ("batch", CLASSES, HEIGHT, WIDTH),
    outputs: int = 1,
    gives_image: bool = False,
) -> bytes:
    """Return an ONNX file: the mean over height and width, for int8 between DQ and Q.

    With `gives_image`, the picture is an output too, the first.
    """
    kind = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "float16": TensorProto.FLOAT16}[
        dtype
    ]
    nodes, initializers, source = [], [], "image"
    if dtype == "int8":
        initializers = [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [SCALE]),
            helper.make_tensor("zero", TensorProto.INT8, [], [ZERO_POINT]),
        ]
        nodes.append(helper.make_node("DequantizeLinear", ["image", "scale", "zero"], ["real"]))
        source = "real"
    for i in range(outputs):
        target = f"mean{i}" if dtype == "int8" else f"scores{i}"
        nodes.append(helper.make_node("ReduceMean", [source], [target], axes=[2, 3], keepdims=0))
        if dtype == "int8":
            nodes.append(
                helper.make_node("QuantizeLinear", [target, "scale", "zero"], [f"scores{i}"])
            )
    given = []
    if gives_image:
        nodes.append(helper.make_node("Identity", ["image"], ["copy"]))
        given.append(helper.make_tensor_value_info("copy", kind, list(shape)))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kind, list(shape))],
        given
        + [
            helper.make_tensor_value_info(f"scores{i}", kind, [shape[0], shape[1]])
            for i in range(outputs)
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def move_weights_out(path: Path, location: str) -> Path:
    """Let the ONNX model at `path` add weights of its own to the picture, from a file beside it.

    They are all 0.25; the runtime maps them. Returns: their file.
    """
    model = onnx.load(path)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    offsets = np.full([1, *shape[1:]], 0.25, np.float32)
    model.graph.initializer.append(numpy_helper.from_array(offsets, "offsets"))
    model.graph.node[0].input[0] = "shifted"
    model.graph.node.insert(0, helper.make_node("Add", ["image", "offsets"], ["shifted"]))
    weights = path.parent / location
    weights.parent.mkdir(exist_ok=True, parents=True)
    onnx.save(model, path, save_as_external_data=True, location=location, size_threshold=0)
    return weights


def onnx_tensors_json() -> str:
    """Return what the converter writes of an integer input and output."""
    entry = {"scale": SCALE, "zero_point": ZERO_POINT}
    assert TENSORS_KEY == "edge_tensors"
    return json.dumps({"input": {"name": "image", **entry}, "output": {"name": "scores0", **entry}})
