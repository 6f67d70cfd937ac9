"""The same cases with every other operator in float: each kind between integers, and among floats.

What is right is the ONNX file as it is written, node by node, with nothing fused: that its integers
and floats are the right ones, the tests of int8 and of float say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnxruntime
import pytest

from converters.onnx_qdq.writer import write_qdq
from converters.operators import Add, Sub
from converters.quantize.keep_float import is_computing, keep_float
from converters.quantize.quantized import QuantizedGraph
from converters.tflite.handlers import binary
from edge.errors import EdgeError
from tests.conformance.__main__ import FLOAT, Results
from tests.conformance.cases import CARD, Outcome
from tests.conformance.int8 import _real, quantize
from tests.conformance.int8_files import Values, in_litert, in_onnx


def networks(
    outcomes: Iterable[Outcome], first: int
) -> Iterator[tuple[str, QuantizedGraph, Values]]:
    """Yield each case in int8 with every second operator in float, from `first` on, and inputs."""
    for outcome in outcomes:
        sample = outcome.sample
        if outcome.result != "passed" or sample is None:
            continue
        try:
            quantized = quantize(sample, _real(sample))
        except EdgeError:
            continue
        computing = [node.name for node in quantized.graph.nodes if is_computing(node)]
        chosen = frozenset(computing[first::2])
        given = {
            name: np.asarray(quantized.activations[name].spec(name, x.shape, "int8").quantize(x))
            for name, x in sample.inputs.items()
        }
        if chosen:
            yield outcome.name, keep_float(quantized, chosen), given


def as_written(quantized: QuantizedGraph, given: Values) -> Values:
    """Return the outputs of the ONNX file as int8 counts them."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    model = write_qdq(quantized, CARD).SerializeToString()
    opened = onnxruntime.InferenceSession(model, options)
    flip = np.uint8(128)
    feeds = {name: np.asarray(q.view(np.uint8) ^ flip) for name, q in given.items()}
    names = quantized.graph.outputs
    found = zip(names, opened.run(names, feeds), strict=True)
    return {name: (y ^ flip).view(np.int8) for name, y in found}


def check(outcomes: Iterable[Outcome], first: int) -> dict[str, bool]:
    """Return of each case whether no output is more than a step off, in either file."""
    found = {}
    for name, quantized, given in networks(outcomes, first):
        expected = as_written(quantized, given)
        made = [in_litert(quantized, given), in_onnx(quantized, given, "uint8")]
        apart = [
            np.abs(outputs[output].astype(int) - right).max(initial=0)
            for outputs in made
            for output, right in expected.items()
        ]
        found[name] = max(apart) <= 1
    return found


@pytest.mark.parametrize("first", [0, 1])
def test_each_operator_is_right_in_float_and_beside_it(results: Results, first: int) -> None:
    found = check(results[FLOAT], first)
    assert len(found) > 150
    assert [name for name, is_right in found.items() if not is_right] == []


def test_a_wrong_float_operator_is_seen(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [outcome for outcome in results[FLOAT] if outcome.name == "test_add"]
    assert check(outcomes, 0) == {"test_add": True}
    monkeypatch.setitem(binary.OPCODES, Add, binary.OPCODES[Sub])
    assert check(outcomes, 0) == {"test_add": False}
