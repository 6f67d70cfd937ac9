"""The report for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from calibration.evaluation.comparison import Report, Result
from calibration.evaluation.intervals import CONFIDENCE, RESAMPLES, SEED
from edge.figures import finite


def to_json(report: Report) -> dict[str, Any]:
    """Return every figure; shares are 0 to 1, and numbers that are not finite become null."""
    found: dict[str, Any] = finite(
        {
            "folder": report.folder,
            "images": report.images,
            "broken": list(report.broken),
            "classes": report.classes.count,
            "labels": list(report.classes.names),
            "reference": report.reference.subject.name,
            "bootstrap": {"confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": SEED},
            "models": [_model(result) for result in report.results],
            "notes": list(report.notes),
        }
    )
    return found


def _offset(columns: tuple[int, ...]) -> int | None:
    """Return how many classes stand before the images' own; None where these lie apart."""
    first = columns[0]
    return first if columns == tuple(range(first, first + len(columns))) else None


def _model(result: Result) -> dict[str, Any]:
    subject = result.subject
    against = result.against
    changes = ("lost", "gained", "moved")
    return {
        "name": subject.name,
        "path": subject.path,
        "sha256": subject.sha256,
        "runtime": subject.runtime,
        "kernels": subject.kernels,
        "as_on_arm": subject.is_exact,
        "preprocess": subject.preprocess.to_json(),
        "input": list(subject.input),
        "class_offset": _offset(subject.columns),
        "scores": "probabilities" if result.are_probabilities else "logits",
        "inference_ms": result.inference_ms,
        "top1": asdict(result.top1),
        "top5": asdict(result.top5),
        "against": against
        and {**asdict(against), **{k: [asdict(c) for c in getattr(against, k)] for k in changes}},
    }
