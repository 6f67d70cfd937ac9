"""Both int8 files of a QuantizedGraph, and every value that they compute."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter

from converters.onnx_qdq.writer import Activation, write_qdq
from converters.quantize.quantized import QuantizedGraph
from converters.tflite.layout import of_input
from converters.tflite.writer import layouts, write_tflite
from edge.backends.quiet import without_info
from edge.tensors import Array
from tests.conformance.cases import CARD, outputs_of
from tests.converters.models import session

Values = Mapping[str, Array]  # by name, in ONNX's layout


def in_litert(quantized: QuantizedGraph, given: Values) -> Values:
    """Return int8 values of the TFLite file in LiteRT: outputs as a user gets them, and between."""
    model, lies = write_tflite(quantized, CARD), layouts(quantized, "integer")
    kept = _interpreted(model, given, experimental_preserve_all_tensors=True)
    between = {
        detail["name"]: lies[detail["name"]].to_onnx(kept.get_tensor(detail["index"]))
        for detail in kept.get_tensor_details()
        if detail["name"] in lies
    }
    return {**between, **outputs_of(_interpreted(model, given))}


def _interpreted(model: bytes, given: Values, **options: bool) -> Any:  # noqa: ANN401 (untyped)
    with warnings.catch_warnings(), without_info():
        # It warns that keeping every tensor costs memory, which is what is wanted here.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = Interpreter(model_content=model, num_threads=1, **options)
        interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        x = given[detail["name"]]
        lying = of_input(x.shape).from_onnx(x).reshape(detail["shape"])
        interpreter.set_tensor(detail["index"], lying)
    interpreter.invoke()
    return interpreter


def in_onnx(quantized: QuantizedGraph, given: Values, activation: Activation) -> Values:
    """Return int8 values of the ONNX file in ONNX Runtime with kernels that do not saturate."""
    model = write_qdq(quantized, CARD, activation=activation)
    made = {name for node in model.graph.node for name in node.output}
    names = [name for name in quantized.activations if name in made]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    # As uint8 every integer is larger by 128: its highest bit is turned.
    flip = np.uint8(128 if activation == "uint8" else 0)
    feeds = {n: np.asarray(q.view(np.uint8) ^ flip).view(activation) for n, q in given.items()}
    found = session(model, session__x64quantprecision="1").run(names, feeds)
    return {n: (q.view(np.uint8) ^ flip).view(np.int8) for n, q in zip(names, found, strict=True)}


TFLITE, ONNX = "int8 TFLite", "int8 ONNX"
Runner = Callable[[QuantizedGraph, Values], Values]
FORMATS: Mapping[str, Sequence[Runner]] = {
    TFLITE: (in_litert,),
    ONNX: (partial(in_onnx, activation="uint8"), partial(in_onnx, activation="int8")),
}
