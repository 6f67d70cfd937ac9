from typing import get_args

import pytest

from converters.onnx_qdq.operators import WRITERS as ONNX_WRITERS
from converters.operators import Affine, Operator
from converters.quantize.rules import QUANT_RULES
from converters.tflite.handlers import WRITERS as TFLITE_WRITERS


@pytest.mark.parametrize("table", [QUANT_RULES, ONNX_WRITERS, TFLITE_WRITERS])
def test_every_operator_but_affine_has_an_entry(table: dict[type[Operator], object]) -> None:
    # An Affine is gone after the passes: folded, or written as a convolution or Gemm.
    assert set(table) == set(get_args(Operator)) - {Affine}
