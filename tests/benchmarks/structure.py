"""What the artifacts are made of: operators of the TFLite file, and of ONNX Runtime's own graph.

    python -m tests.benchmarks.structure --shared ../shared

ONNX Runtime rewrites a graph when it opens it; what counts is the rewritten one, which its default
session writes out. Beside ours stand Google's file and quantize_static's.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tests.benchmarks import inputs, record
from tests.benchmarks.artifacts import ToolError, Workshop

# Operators of a TFLite file that only move or rescale what others computed.
OVERHEAD = ("PAD", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE")
ARM = "ours, --target arm, as Arm runs it"
_OPERATORS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}
_TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


def tflite_operators(data: bytes) -> dict[str, int]:
    """Return how many of each operator a file has."""
    model = schema.ModelT.InitFromPackedBuf(data)
    codes = [_OPERATORS[code.builtinCode] for code in model.operatorCodes]
    (subgraph,) = model.subgraphs
    return dict(Counter(codes[operator.opcodeIndex] for operator in subgraph.operators))


def tflite_activation_types(data: bytes) -> dict[str, int]:
    """Return how many of the tensors that are no constants have each element type."""
    model = schema.ModelT.InitFromPackedBuf(data)
    (subgraph,) = model.subgraphs
    used = {int(index) for operator in subgraph.operators for index in operator.inputs}
    used |= {int(index) for operator in subgraph.operators for index in operator.outputs}
    tensors = [subgraph.tensors[index] for index in sorted(used) if index >= 0]
    return dict(Counter(_TYPES[t.type] for t in tensors if model.buffers[t.buffer].data is None))


def xnnpack_partitions(data: bytes) -> dict[str, Any]:
    """Return how many pieces of the graph LiteRT gives to XNNPACK, and whether one is all of it.

    A single piece that reads the input and gives the output has every operator in it: one left
    to LiteRT's own kernels would come before it, after it, or cut it in two.
    """
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    pieces = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    ends = (
        ("inputs", interpreter.get_input_details()[0]["index"]),
        ("outputs", interpreter.get_output_details()[0]["index"]),
    )
    whole = len(pieces) == 1 and all(tensor in pieces[0][end] for end, tensor in ends)
    return {"partitions": len(pieces), "whole": whole}


def optimized_operators(path: Path, *, as_on_arm: bool = False) -> tuple[dict[str, int], list[str]]:
    """Return how many of each operator ONNX Runtime's default session runs, and all in order.

    `as_on_arm`: let it turn int8 activations into integer operators, its default on Arm alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # it warns that the written graph is for this machine only
        options.optimized_model_filepath = str(written)
        if as_on_arm:
            options.add_session_config_entry("session.qdqisint8allowed", "1")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        order = [node.op_type for node in onnx.load(written).graph.node]
    return dict(Counter(order)), order


def main() -> None:
    """Count, print tables, keep the counts."""
    args = record.parser(__doc__).parse_args()
    shared = inputs.find(args.shared)
    workshop = Workshop(shared, args.work, args.onnx2tf)
    model = inputs.CLASSIFIER
    before = record.machine()
    notes = []
    tflite = {"ours": workshop.ours(model)["tflite"], "Google's": shared.google}
    onnx_files = {
        "ours, --target any": workshop.ours(model)["onnx"],
        ARM: workshop.ours(model, "--target", "arm")["onnx"],
    }
    try:
        tflite["onnx2tf + ai-edge-quantizer"] = workshop.ai_edge_quantizer(model)
    except ToolError as error:
        notes.append(f"onnx2tf + ai-edge-quantizer: {error}")
    try:
        for activation, title in (("uint8", "U8S8"), ("int8", "S8S8")):
            made = workshop.quantize_static(model, activation, "minmax")
            onnx_files[f"quantize_static {title}"] = made
    except ToolError as error:
        notes.append(f"quantize_static: {error}")

    figures: dict[str, Any] = {"tflite": {}, "onnx": {}}
    for name, path in tflite.items():
        data = path.read_bytes()
        figures["tflite"][name] = {
            "operators": tflite_operators(data),
            "activations": tflite_activation_types(data),
            "xnnpack": xnnpack_partitions(data),
            "size_bytes": len(data),
        }
    for name, path in onnx_files.items():
        operators, order = optimized_operators(path, as_on_arm=name == ARM)
        figures["onnx"][name] = {
            "operators": operators,
            "order": order,
            "size_bytes": path.stat().st_size,
        }
    print(record.heading("Structure", before))
    print(show_tflite(figures["tflite"]) + "\n\n" + show_onnx(figures["onnx"]))
    for note in notes:
        print(f"left out: {note}", file=sys.stderr)
    record.save("structure", before, figures=figures, left_out=notes)


def show_tflite(figures: dict[str, Any]) -> str:
    rows = []
    for name, entry in figures.items():
        operators = entry["operators"]
        overhead = [str(operators.get(kind, 0)) for kind in OVERHEAD]
        types = ", ".join(f"{count} {kind}" for kind, count in entry["activations"].items())
        pieces = (
            "whole" if entry["xnnpack"]["whole"] else f"{entry['xnnpack']['partitions']} part(s)"
        )
        rows.append((name, str(sum(operators.values())), *overhead, types, pieces))
    header = ("TFLite", "operators", *OVERHEAD, "activations", "graph in XNNPACK")
    return record.table(header, rows)


def show_onnx(figures: dict[str, Any]) -> str:
    kinds = ("QLinearConv", "QLinearAdd", "Conv", "FusedConv", "Add", "Gemm", "Transpose")
    rows = []
    for name, entry in figures.items():
        operators = entry["operators"]
        shown = [str(operators.get(kind, 0)) for kind in kinds]
        others = ", ".join(
            f"{count} {kind}" for kind, count in operators.items() if kind not in kinds
        )
        rows.append((name, str(sum(operators.values())), *shown, others))
    return record.table(("in ONNX Runtime", "nodes", *kinds, "others"), rows)


if __name__ == "__main__":
    main()
