"""What the artifacts must reach, and what they miss of it."""

from __future__ import annotations

from collections.abc import Mapping

from calibration.evaluate import Evaluation
from converters.request import Request
from converters.verify import FLOAT, drop_pp
from edge.figures import decibels


def shortfall(request: Request, scores: Mapping[str, Evaluation]) -> str | None:
    """Return in words which artifact misses what the request demands; None where none does.

    Args: scores: by "float", "onnx" and "tflite".
    """
    for kind in (name for name in scores if name != FLOAT):
        which = f"the {request.kind} {kind} file"
        drop, limit = drop_pp(scores, kind), request.max_drop
        if limit is not None and drop is not None and drop > limit:
            return f"{which} is {drop:.2f} points of top-1 below float; --max-drop allows {limit:g}"
        sqnr_db, least = scores[kind].sqnr_db, request.min_sqnr
        # Written so that NaN fails.
        if least is not None and sqnr_db is not None and not sqnr_db >= least:
            return (
                f"the scores of {which} are {decibels(sqnr_db)} from float's; --min-sqnr asks for "
                f"{least:g} dB"
            )
    return None
