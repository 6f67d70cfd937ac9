"""What a conversion leaves: the artifacts, the figures as JSON, the report, the summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converters.pipeline import Conversion
from converters.report import called, how_calibrated, how_optimized, output_row, render
from converters.report_mixed import how_mixed
from converters.report_sensitivity import most_noise
from converters.report_structure import savings
from converters.saving import Saving
from converters.verify import FLOAT, Verification
from edge.figures import decibels, finite, percent, size
from edge.files import replacing
from edge.text import aligned, printable


def save(conversion: Conversion) -> tuple[Path, ...]:
    """Write all files, or, where one cannot be written, none; return their paths.

    Raises: OSError: a folder cannot be written or is full; what was there before still is.
    """
    request = conversion.request
    files = {request.path(kind): data for kind, data in conversion.artifacts.items()}
    figures = json.dumps(to_json(conversion), indent=1, ensure_ascii=False)
    files[request.path("json")] = figures.encode()
    files[request.path("html")] = render(conversion).encode()
    request.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for path, data in files.items():
            stack.enter_context(replacing(path)).write_bytes(data)
    return tuple(files)


def to_json(conversion: Conversion) -> dict[str, Any]:
    """Return the card and the figures; numbers that are not finite become null."""
    verification, calibrated = conversion.verification, conversion.calibrated
    given = conversion.source.given
    return {
        "card": json.loads(conversion.card.to_json()),
        "files": [
            conversion.request.path(kind).name for kind in (*conversion.artifacts, "json", "html")
        ],
        "notes": list(conversion.source.notes),
        "already_quantized": given and {"notes": list(given.notes)},
        "passes": [asdict(report) for report in conversion.source.passes],
        "inventories": {kind: asdict(held) for kind, held in conversion.inventories.items()},
        "saving": conversion.saving and asdict(conversion.saving),
        "ranges": calibrated and calibrated.ranges.to_json(),
        "optimization": finite(_optimization(conversion)),
        "sensitivity": finite(conversion.sensitivity and asdict(conversion.sensitivity)),
        "in_float": finite(calibrated and calibrated.mixing and asdict(calibrated.mixing)),
        "calibration_lint": conversion.lint and asdict(conversion.lint),
        "skipped_images": list(calibrated.broken) if calibrated else [],
        "verification": finite(
            {
                **_other_outputs(verification),
                "pictures": verification.pictures,
                "scores": {kind: asdict(score) for kind, score in verification.scores.items()},
                "size_bytes": dict(verification.size_bytes),
                "default_kernels": verification.default_kernels
                and asdict(verification.default_kernels),
                "tensors": [asdict(check) for check in verification.tensors],
            }
        ),
    }


def _other_outputs(verification: Verification) -> dict[str, Any]:
    """Return the checks of the outputs beside the scores, where there are any."""
    checks = [asdict(check) for check in verification.outputs]
    return {"other_outputs": checks} if checks else {}


def _optimization(conversion: Conversion) -> dict[str, Any] | None:
    reached = conversion.calibrated.climb if conversion.calibrated else None
    if reached is None:
        return None
    return {
        "kept": reached.kept,
        "judged_on": reached.pictures,
        "rungs": [asdict(rung) for rung in reached.rungs],
        "filled": list(reached.filled),
        "equalized": list(reached.equalized),
    }


def to_text(conversion: Conversion, paths: Sequence[Path]) -> str:
    """Return the summary for a terminal."""
    verification = conversion.verification
    rows: list[tuple[str, ...]] = [("", "top-1", "agrees", "SQNR", "size", "ms")]
    rows += [(called(conversion, kind), *cells(verification, kind)) for kind in verification.scores]
    lines = aligned(rows)
    if verification.outputs:
        kinds = tuple(conversion.artifacts)
        table = [("output", "shape", *(f"SQNR, {called(conversion, kind)}" for kind in kinds))]
        table += [output_row(check, kinds) for check in verification.outputs]
        scores = repr(conversion.card.scores)
        lines += ["", f"the figures above are of the classes' scores, {scores}; beside them:"]
        lines += map(printable, aligned(table))
    if conversion.saving is not None:
        lines += ["", _saved(conversion.saving)]
    calibrated = conversion.calibrated
    name = conversion.source.card.name
    head = [f"{name}: {how_calibrated(conversion)}compared on {verification.pictures}"]
    if calibrated is not None and calibrated.ranges.synthetic:
        head.append("no pictures were given: --calibration DIR with your camera's is better")
        if conversion.request.evaluate is None:
            head.append("(synthetic ones belong to no class, so agreement on them says little)")
    if calibrated is not None and calibrated.climb is not None and calibrated.climb.rungs:
        head.append(how_optimized(calibrated.climb))
    if conversion.sensitivity is not None and (line := most_noise(conversion.sensitivity)):
        head.append(line)
    if calibrated is not None and calibrated.mixing is not None:
        head.append(how_mixed(calibrated.mixing))
    given = conversion.source.given
    if given is not None and given.notes:
        head.append(f"the report has {len(given.notes)} notes on what could not stay as it was")
    skipped = len(calibrated.broken if calibrated else ()) + verification.scores[FLOAT].broken
    if skipped:
        head.append(f"{skipped} broken images were passed over")
    return "\n".join([*head, "", *lines, "", *(f"wrote {path}" for path in paths)])


def _saved(found: Saving) -> str:
    """Return a sentence on the channels that were removed."""
    count = sum(change.before - change.after for change in found.channels.values())
    figures = (
        f"{title} {before} to {after} ({-share:+.2%})"
        for title, before, after, share in savings(found)
    )
    return f"{count} channels are constant or unread and were removed: {', '.join(figures)}"


def cells(verification: Verification, kind: str) -> tuple[str, ...]:
    """Return a model's columns: top-1, agreement, SQNR, size, milliseconds."""
    score = verification.scores[kind]
    compared = kind != FLOAT
    return (
        percent(score.top1),
        percent(score.agreement) if compared else "",
        decibels(score.sqnr_db) if compared else "",
        size(verification.size_bytes[kind]),
        f"{score.inference_ms:.2f}",
    )
