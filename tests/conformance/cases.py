"""onnx's own operator tests, run through the float TFLite that we write, in LiteRT.

Each case of `onnx.backend.test` is one node with its inputs and the outputs that it must give.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from converters.errors import ConvertError, UnsupportedModelError
from converters.graph import Graph
from converters.onnx_import.constants import FOLDABLE
from converters.onnx_import.functions import inline
from converters.onnx_import.handlers import HANDLERS
from converters.onnx_import.importer import import_onnx
from converters.onnx_import.inputs import static_inputs
from converters.onnx_import.quantized import QDQ_OPS
from converters.operators import Operator
from converters.passes import run_passes
from converters.tflite.layout import of_input
from converters.tflite.writer import check, write_float_tflite
from edge.backends.quiet import without_info
from edge.card import ModelCard
from edge.errors import EdgeError
from edge.preprocess import PreprocessSpec
from edge.tensors import Array

CARD = ModelCard("case", PreprocessSpec())
# Values near zero: what a float32 kernel may be off by where the case itself allows nothing.
ATOL = 1e-5


# Why a case says nothing of a float32 network.
NO_TENSOR = "an input is no tensor"
NO_FLOAT = "no input is float32"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A case as it was converted: what was left open is an input, the rest are constants.

    `model`: as onnx has it, but for that; `graph`: what it became; `inputs`: float32, by name;
    `expected`: what onnx says comes out, in the order of the model's outputs.
    """

    model: onnx.ModelProto
    graph: Graph
    inputs: Mapping[str, Array]
    expected: Sequence[Array]
    rtol: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: "passed", "refused" or "failed", and why it did not pass.

    `sample`: what was converted, None where it was refused; `kinds`: the operators that it became
    in an int8 file.
    """

    name: str
    op_type: str
    result: str
    reason: str = ""
    sample: Sample | None = None
    kinds: frozenset[type[Operator]] = frozenset()


def cases() -> Iterator[Any]:
    """Yield the node cases all of whose operators are ours to convert."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # onnx computes its expected values as it is imported
        everything = load_model_tests(kind="node")
    # Only a file that is already quantized has integers to read, and these cases are none.
    known = {*HANDLERS, *FOLDABLE, "Shape"} - QDQ_OPS
    for case in everything:
        model = case.model
        if model is not None and {node.op_type for node in _nodes(model)} <= known:
            yield case


def _nodes(model: onnx.ModelProto) -> Sequence[onnx.NodeProto]:
    functions = {(f.domain, f.name) for f in model.functions}
    inner = (node for f in model.functions for node in f.node)
    return [n for n in (*model.graph.node, *inner) if (n.domain, n.op_type) not in functions]


def operators_of(model: onnx.ModelProto) -> set[str]:
    """Return the ONNX operators that reading a model meets, those inside of functions included."""
    return {node.op_type for node in (*_nodes(model), *inline(model, "case").graph.node)}


def run(case: Any) -> Outcome:  # noqa: ANN401 (onnx has no types for it)
    """Convert and run a case, with as many of its inputs left open as can be."""
    op_type = _operator(case)
    reasons: dict[tuple[str, ...], str] = {}
    for given, expected in case.data_sets:
        names = [info.name for info in case.model.graph.input]
        if not all(isinstance(value, np.ndarray | np.generic) for value in given):
            return Outcome(case.name, op_type, "refused", NO_TENSOR)
        values = {name: np.asarray(value) for name, value in zip(names, given, strict=False)}
        choices = _choices(values)
        if not choices:
            return Outcome(case.name, op_type, "refused", NO_FLOAT)
        for opened in choices:
            try:
                sample = _converted(case, values, opened, expected)
            except ConvertError as refusal:
                reasons[opened] = reason_of(refusal)
                continue
            found = _in_litert(write_float_tflite(sample.graph, CARD), sample.inputs)
            error = difference(sample, found, expected)
            return Outcome(case.name, op_type, "failed" if error else "passed", error, sample)
        # What is said of the data alone, its parameters being constants, is what a user would read.
        return Outcome(case.name, op_type, "refused", reasons[choices[0][:1]])
    return Outcome(case.name, op_type, "refused", "it has no data")


def _operator(case: Any) -> str:  # noqa: ANN401
    """Return which operator a case is about: for an expanded function, the function."""
    name: str = case.name
    first: str = case.model.graph.node[0].op_type
    return f"{name.split('_')[1]}, expanded" if "_expanded" in name else first


def reason_of(refusal: EdgeError) -> str:
    """Return why, without the names of the case's own nodes and values."""
    if isinstance(refusal, UnsupportedModelError):
        first = refusal.refusals[0]
        reason = first.reason.partition(";")[0]
        return f"{first.op_type}: {reason}"
    return str(refusal).partition(": ")[2].partition(";")[0]


def _choices(values: Mapping[str, Array]) -> list[tuple[str, ...]]:
    """Return which inputs to leave open, best first: all floats, all but one, each alone."""
    floats = tuple(name for name, value in values.items() if value.dtype == np.float32)
    choices = [floats]
    choices += [tuple(n for n in floats if n != without) for without in reversed(floats)]
    choices += [(name,) for name in floats]
    return [choice for choice in dict.fromkeys(choices) if choice]


def _converted(
    case: Any,  # noqa: ANN401
    values: Mapping[str, Array],
    opened: tuple[str, ...],
    expected: Sequence[Array],
) -> Sample:
    """Return the case with `opened` as its inputs. Raises: ConvertError: it has no TFLite form."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs = [info for info in model.graph.input if info.name in opened]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    constants = [n for n in values if n not in opened]
    model.graph.initializer.extend(numpy_helper.from_array(values[n], n) for n in constants)
    graph, _ = run_passes(import_onnx(inline(model, case.name), case.name, static_inputs))
    check(graph, case.name)
    return Sample(model, graph, {n: values[n] for n in opened}, expected, case.rtol)


def difference(sample: Sample, found: Mapping[str, Array], expected: Sequence[Array]) -> str:
    """Return how far the Graph's outputs are from what is expected, "" where they are not."""
    wanted = [info.name for info in sample.model.graph.output]
    for name, theirs in zip(wanted, expected, strict=True):
        ours = found[name]
        if ours.shape != np.shape(theirs):
            return f"{name}: shape {ours.shape} instead of {np.shape(theirs)}"
        if not np.allclose(ours, theirs, rtol=sample.rtol, atol=ATOL, equal_nan=True):
            return f"{name}: off by {np.nanmax(np.abs(ours - theirs)):.3g}"
    return ""


def _in_litert(model: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    with without_info():
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        value = inputs[detail["name"]]
        interpreter.set_tensor(
            detail["index"], of_input(value.shape).from_onnx(value).reshape(detail["shape"])
        )
    interpreter.invoke()
    return outputs_of(interpreter)


def outputs_of(interpreter: Interpreter) -> dict[str, Array]:
    """Return what an interpreter has computed by name, in ONNX's layout."""
    details = interpreter.get_output_details()
    outputs = {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in details}
    first, y = next(iter(outputs.items()))  # of a graph that does not know its scores
    return outputs | {first: y.transpose(0, 3, 1, 2) if y.ndim == 4 else y}
