"""What is really in the artifacts: read back from the files, not remembered from writing them."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema

BORDER = frozenset(("QuantizeLinear", "DequantizeLinear"))
BORDER_OPCODES = frozenset(("QUANTIZE", "DEQUANTIZE"))
INTEGER_OPERATORS = ("QLinear", "QGemm")
TFLITE_INTEGERS = (schema.TensorType.INT8, schema.TensorType.INT32)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Operators of an artifact by type, and those that compute in float, by name."""

    operators: Mapping[str, int]
    in_float: tuple[str, ...]

    def count(self, *kinds: str) -> int:
        return sum(self.operators.get(kind, 0) for kind in kinds)


def inventory(kind: str, data: bytes) -> Inventory:
    """Return what the artifact `data` of the format "onnx" or "tflite" holds."""
    return _onnx(data) if kind == "onnx" else _tflite(data)


def _tflite(data: bytes) -> Inventory:
    model: Any = schema.ModelT.InitFromPackedBuf(data, 0)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    graph = model.subgraphs[0]
    operators: Counter[str] = Counter()
    in_float = []
    for operator in graph.operators:
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        operators[name] += 1
        if name in BORDER_OPCODES:
            continue
        tensors = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        if any(tensor.type not in TFLITE_INTEGERS for tensor in tensors):
            in_float.append(tensors[-1].name.decode())
    return Inventory(dict(operators), tuple(in_float))


def _onnx(data: bytes) -> Inventory:
    """Look at what ONNX Runtime makes of the file in its default session on this machine."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it warns that the saved graph suits this machine only
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        optimized = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(optimized)
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(optimized).graph
    operators = Counter(node.op_type for node in graph.node)
    # What moves integers gives integers; whatever reads a float, but for scales, computes in it.
    floats = {
        given.name
        for given in graph.input
        if given.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    in_float = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            floats.update(node.output)
        elif node.op_type in BORDER or node.op_type.startswith(INTEGER_OPERATORS):
            continue
        elif floats.intersection(node.input):
            floats.update(node.output)
            in_float.append(node.name)
    return Inventory(dict(operators), tuple(in_float))
