"""What PyTorch, NNCF, AIMET, Brevitas and Quark exported themselves keeps its integers.

`quantized_files/make_files.py` had them do it. Scales and integers are read of the ONNX file and of
the TFLite file here, by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from calibration.progress import silent
from converters import pipeline
from converters.graph import Node
from converters.pipeline import Conversion
from converters.quantize import given
from converters.quantize.given_weights import Found, given_weights
from converters.quantize.integers import GivenConstants
from converters.quantize.params import QuantParams
from converters.request import Request
from edge.tensors import Array
from tests.converters.artifacts import opcodes

FOLDER = Path(__file__).parent / "quantized_files"
TOOLS = sorted(path.stem for path in FOLDER.glob("*.onnx"))
# Its depthwise convolution reads a scale for each channel, which goes into the weights around it.
CHANNELS = "nncf"
# What NNCF and Brevitas leave in float: the last Gemm's output, the mean over all pixels.
IN_FLOAT = {"nncf": ["DEQUANTIZE"], "brevitas": ["DEQUANTIZE", "QUANTIZE"]}


@dataclass(frozen=True)
class Held:
    """What a file says: (scale, zero point) of activations, and integers with scales of weights."""

    activations: frozenset[tuple[float, int]]
    weights: tuple[tuple[Array, Array], ...]


def in_onnx(path: Path) -> Held:
    """Return what the QDQ file holds, its constants computed by ONNX's reference."""
    model = onnx.load(path)
    graph = model.graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    activations, weights = set(), []
    for node in graph.node:
        if all(name in held for name in node.input):
            if node.op_type == "DequantizeLinear":
                if held[node.input[0]].ndim:  # else a limit of a clamp
                    weights.append((held[node.input[0]], held[node.input[1]].reshape(-1)))
                continue
            held[node.output[0]] = _computed(node, held)
        elif node.op_type == "QuantizeLinear":
            scale, zero_point = (held[name].reshape(-1) for name in node.input[1:])
            shift = 128 if zero_point.dtype == np.uint8 else 0
            if scale.size == 1:
                activations.add((float(scale[0]), int(zero_point[0]) - shift))
    return Held(frozenset(activations), tuple(weights))


def _computed(node: onnx.NodeProto, held: dict[str, Array]) -> Array:
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(held[name].dtype), held[name].shape
        )
        for name in node.input
    ]
    outputs = [onnx.helper.make_value_info(node.output[0], onnx.TypeProto())]
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.domain = ""
    graph = onnx.helper.make_graph([plain], "constant", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    (value,) = ReferenceEvaluator(model).run(None, {name: held[name] for name in node.input})
    return np.asarray(value)


def in_tflite(content: bytes) -> Held:
    """Return what LiteRT finds in the file."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    activations, weights = set(), []
    made = {i for op in interpreter._get_ops_details() for i in op["outputs"]}
    given = {detail["index"] for detail in interpreter.get_input_details()}
    for detail in interpreter.get_tensor_details():
        quantization = detail["quantization_parameters"]
        scales, zero_points = quantization["scales"], quantization["zero_points"]
        if detail["dtype"] not in (np.int8, np.int32) or not scales.size:
            continue
        if detail["index"] in made | given:
            activations.add((float(scales[0]), int(zero_points[0])))
        else:
            weights.append((interpreter.get_tensor(detail["index"]), scales))
    return Held(frozenset(activations), tuple(weights))


def is_kept(integers: Array, scales: Array, weights: tuple[tuple[Array, Array], ...]) -> bool:
    """Whether weights hold these integers, whose order TFLite has otherwise, and scales."""
    wanted = np.sort(integers.reshape(-1).astype(np.int64))
    return any(
        np.array_equal(np.sort(found.reshape(-1).astype(np.int64)), wanted)
        and np.array_equal(held, np.broadcast_to(scales, held.shape))
        for found, held in weights
        if found.size == wanted.size
    )


@pytest.fixture(scope="module", params=TOOLS)
def tool(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def conversion(tool: str) -> Conversion:
    return pipeline.convert(Request(FOLDER / f"{tool}.onnx", FOLDER), silent)


def test_every_scale_and_integer_is_kept(tool: str, conversion: Conversion) -> None:
    source, made = in_onnx(FOLDER / f"{tool}.onnx"), in_tflite(conversion.artifacts["tflite"])
    assert len(source.activations) >= 4
    assert source.activations <= made.activations
    weights = [(q, s) for q, s in source.weights if q.ndim > 1]
    assert len(weights) == 5
    kept = [is_kept(q, s, made.weights) for q, s in weights]
    # Of NNCF's, two take the scales of channels, and the last computes a float.
    assert kept.count(True) == (2 if tool == CHANNELS else 5)
    biases = [(q, s) for q, s in source.weights if q.dtype == np.int32]
    assert all(any(np.array_equal(q, f.reshape(-1)) for f, _ in made.weights) for q, _ in biases)
    assert bool(biases) == (tool in ("brevitas", "quark"))


def test_all_is_computed_in_integers(tool: str, conversion: Conversion) -> None:
    found = opcodes(conversion.artifacts["tflite"])
    assert [name for name in found if name.endswith("QUANTIZE")] == IN_FLOAT.get(tool, [])
    # AIMET rounds what its depthwise convolution makes to other integers than the clamp behind it.
    clamps = [name for name in found if name in ("RELU", "RELU6", "MINIMUM", "MAXIMUM")]
    assert clamps == (["RELU6"] if tool == "aimet" else [])


def test_it_computes_what_the_source_does(conversion: Conversion) -> None:
    checks = [check for check in conversion.verification.tensors if check.steps is not None]
    assert len(checks) >= 6
    assert max(check.steps or 0 for check in checks) <= 2
    assert min(check.equal or 0 for check in checks) >= 0.9
    score = conversion.verification.scores["tflite"]
    assert score.agreement == 1.0


def test_scales_of_channels_go_into_weights(conversion: Conversion, tool: str) -> None:
    assert conversion.source.given is not None
    notes = " ".join(conversion.source.given.notes)
    assert ("8 scales along axis 1 are moved into the weights" in notes) == (tool == CHANNELS)


def test_another_integer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(node: Node, constants: GivenConstants, params: QuantParams) -> Found:
        found = given_weights(node, constants, params)
        return replace(found, weights=replace(found.weights, weight=found.weights.weight // 2))

    monkeypatch.setattr(given, "given_weights", off)
    path = FOLDER / "pytorch.onnx"
    made = pipeline.convert(Request(path, FOLDER), silent)
    held = in_tflite(made.artifacts["tflite"])
    assert not any(is_kept(q, s, held.weights) for q, s in in_onnx(path).weights if q.ndim > 1)
    assert max(check.steps or 0 for check in made.verification.tensors) > 2
