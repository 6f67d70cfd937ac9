from typing import get_args

from converters import operators
from converters.onnx_qdq.operators import WRITERS as ONNX_WRITERS
from converters.operators import Binary, Erf, Operator, Reduce, Unary
from converters.quantize.rules import QUANT_RULES
from converters.tflite.handlers import WRITERS as TFLITE_WRITERS

# Those that only stand for their kinds.
KINDS = {Binary, Reduce, Unary}


def test_every_operator_has_an_entry_in_every_table() -> None:
    everything = {
        found
        for name in operators.__all__
        if isinstance(found := getattr(operators, name), type)
        and issubclass(found, get_args(Operator))
    } - KINDS
    assert len(everything) > 40
    assert set(QUANT_RULES) == everything
    assert set(ONNX_WRITERS) == everything
    # An Erf is refused, or part of a GELU.
    assert set(TFLITE_WRITERS) == everything - {Erf}
