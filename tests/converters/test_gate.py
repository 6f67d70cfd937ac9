import math
from pathlib import Path
from typing import Any

import pytest

from calibration.evaluate import Evaluation
from converters.gate import shortfall
from converters.request import Request


def scores(**by_kind: tuple[float | None, float]) -> dict[str, Evaluation]:
    """Return scores of models by their top-1 and their SQNR in dB."""
    return {
        kind: Evaluation("here", 10, 0, 1.0, top1=top1, sqnr_db=sqnr_db)
        for kind, (top1, sqnr_db) in by_kind.items()
    }


@pytest.mark.parametrize(
    ("asked", "missed"),
    [
        ({}, None),
        ({"max_drop": 2.5}, None),
        ({"max_drop": 1.5}, "the int8 tflite file is 2.00 points of top-1 below float"),
        ({"max_drop": 0.5}, "points of top-1 below float; --max-drop allows 0.5"),
        ({"min_sqnr": 20.0}, None),
        ({"min_sqnr": 20.5}, "of the int8 onnx file are 20.0 dB from float's; --min-sqnr asks for"),
        ({"max_drop": 2.5, "min_sqnr": 22.0}, "--min-sqnr asks for 22 dB"),
    ],
)
def test_each_file_has_to_reach_each_target(asked: dict[str, Any], missed: str | None) -> None:
    found = shortfall(
        Request(Path("m.onnx"), Path(), **asked),
        scores(float=(0.5, math.inf), onnx=(0.49, 20.0), tflite=(0.48, 21.0)),
    )
    assert (found is None) if missed is None else (missed in str(found))


def test_no_number_is_not_enough_and_exactly_the_limit_is() -> None:
    request = Request(Path("m.onnx"), Path(), min_sqnr=20.0)
    assert shortfall(request, scores(float=(None, math.inf), tflite=(None, math.nan)))
    assert shortfall(request, scores(float=(None, math.inf), tflite=(None, 19.999)))
    assert shortfall(request, scores(float=(None, math.inf), tflite=(None, 20.0))) is None
    assert shortfall(request, scores(float=(None, math.inf), tflite=(None, math.inf))) is None
