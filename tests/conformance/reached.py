"""Which operators' handlers the cases reach in int8, and which test holds each of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from converters.onnx_import.handlers import HANDLERS
from converters.onnx_qdq.operators import WRITERS as ONNX_WRITERS
from converters.tflite.handlers import WRITERS as TFLITE_WRITERS
from tests.conformance.cases import Outcome, operators_of
from tests.conformance.int8_files import ONNX, TFLITE

READER = "ONNX reader"
# By which side the handler is of, and its operator: the test that holds what no case reaches.
ELSEWHERE: Mapping[tuple[str, str], str] = {
    (ONNX, "Erf"): "tests.converters.int8.test_functions.test_erf_is_in_the_onnx_file_alone",
    (READER, "DequantizeLinear"): "tests.converters.onnx_import.handlers.test_quantize_linear"
    ".test_constants_are_what_onnxruntime_reads",
    (READER, "Dropout"): "tests.converters.onnx_import.handlers.test_identity"
    ".test_dropout_changes_nothing",
    (READER, "Einsum"): "tests.converters.onnx_import.handlers.test_einsum.test_products",
    (READER, "Erf"): "tests.converters.passes.test_fuse_gelu"
    ".test_numbers_are_those_of_the_operator",
    (READER, "QuantizeLinear"): "tests.converters.onnx_import.handlers.test_quantize_linear"
    ".test_an_activation_is_read_as_int8",
}


def unreached(results: Mapping[str, Iterable[Outcome]]) -> set[tuple[str, str]]:
    """Return the handlers that no case which passes reaches, given the outcomes by format."""
    passed = {
        name: [outcome for outcome in outcomes if outcome.result == "passed"]
        for name, outcomes in results.items()
    }
    missing = {
        (name, kind.__name__)
        for name, writers in ((TFLITE, TFLITE_WRITERS), (ONNX, ONNX_WRITERS))
        for kind in writers.keys() - {kind for outcome in passed[name] for kind in outcome.kinds}
    }
    samples = [outcome.sample for outcome in passed[TFLITE] if outcome.sample]
    read = {op for sample in samples for op in operators_of(sample.model)}
    return missing | {(READER, op) for op in HANDLERS.keys() - read}
