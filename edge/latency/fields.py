"""The fields of a log's lines, checked: a log may come from anyone."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from edge.latency import hdr
from edge.latency.histogram import LATENCY, Packed
from edge.latency.incidents import COUNTS, TALLIES, Incidents, Tally
from edge.latency.log_lines import RunHeader
from edge.text import printable

MAX_LINE_BYTES = 1 << 20
MAX_TEXT = 4096
MAX_FACTS = 200
MAX_NS = 1 << 62
MAX_FRAMES = 1 << 40


class BadLineError(Exception):
    """A line is not what the format has there."""


def parse(line: bytes) -> dict[str, Any]:
    """Return the JSON object that a line is."""
    if len(line) > MAX_LINE_BYTES:
        raise BadLineError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        data = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as cause:
        raise BadLineError("not JSON") from cause
    if not isinstance(data, dict):
        raise BadLineError("not a JSON object")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(name)


def integer(data: Mapping[str, Any], key: str, highest: int, lowest: int = 0) -> int:
    """Return a whole number of `lowest` to `highest`."""
    value = data.get(key)
    if type(value) is not int or not lowest <= value <= highest:
        raise BadLineError(f"{key!r} is not a whole number of {lowest} to {highest}")
    return value


def temperature(health: Mapping[str, Any]) -> float | None:
    """Return degrees Celsius, None where they are not known."""
    value = health.get("temperature_c")
    return None if value is None else number(value, "temperature_c")


def number(value: object, name: str) -> float:
    """Return a finite number of a size that makes sense."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise BadLineError(f"{name!r} is not a number")
    return float(value)


def text(value: object) -> str:
    """Return a string that is safe to print."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise BadLineError(f"a text is missing, or longer than {MAX_TEXT} characters")
    return printable(value)


def reason(value: object) -> str:
    """Return why a run ended: an error's whole message; a run that has one has ended."""
    return text(value[:MAX_TEXT] if isinstance(value, str) else value)


def flags(health: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Return the names of throttle flags, None where they are not known."""
    value = health.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_FACTS:
        raise BadLineError(f"{key!r} is not a list of flags")
    return tuple(text(flag) for flag in value)


def header(data: Mapping[str, Any]) -> RunHeader:
    """Return what a run line says of its run."""
    return RunHeader(
        model=text(data.get("model")),
        model_sha256=text(data.get("model_sha256")),
        card=text(data.get("card")),
        runtime=text(data.get("runtime")),
        source=text(data.get("source")),
        timestamps=text(data.get("timestamps")),
        threads=integer(data, "threads", 1 << 16),
        interval_s=number(data.get("interval_s"), "interval_s"),
        started=text(data.get("started")),
        started_ns=integer(data, "started_ns", MAX_NS),
        clock=text(data.get("clock")),
        board=_facts(data.get("board")),
        camera=_facts(data.get("camera", {})),  # older logs have none
        versions=_facts(data.get("versions")),
    )


def _facts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_FACTS:
        raise BadLineError("board, camera and versions must be objects")
    return {text(name): text(fact) for name, fact in value.items()}


def incidents(value: object) -> Incidents:
    """Return what an interval says of incidents; what it leaves out did not happen."""
    if not isinstance(value, dict):
        raise BadLineError("'incidents' is not an object")
    limits = dict.fromkeys(COUNTS, MAX_FRAMES) | {"longest_gap_ns": MAX_NS}
    read: dict[str, Any] = {
        **{name: _tally(name, value[name]) for name in TALLIES if name in value},
        **{name: integer(value, name, most) for name, most in limits.items() if name in value},
    }
    return Incidents(**read)


def _tally(name: str, value: object) -> Tally:
    if not isinstance(value, dict):
        raise BadLineError(f"{name!r} is not an object")
    total_ns, longest_ns = (integer(value, k, MAX_NS, -MAX_NS) for k in ("total_ns", "longest_ns"))
    return Tally(integer(value, "count", MAX_FRAMES), total_ns, longest_ns)


def stage(name: str, data: object) -> Packed:
    """Return the histogram of a stage; the figures beside it are not looked at.

    Raises: HistogramError: the histogram cannot be decoded, or is of another layout.
    """
    if not isinstance(data, dict) or not isinstance(data.get("histogram"), str):
        raise BadLineError(f"stage {name} has no histogram")
    try:
        encoded = base64.b64decode(data["histogram"], validate=True)
    except ValueError as cause:
        raise BadLineError(f"the histogram of stage {name} is not base64") from cause
    index, counts = hdr.decode(encoded)
    negative, above = (integer(data, key, int(counts.sum())) for key in ("negative", "above"))
    min_max_ns = (integer(data, "min", MAX_NS), integer(data, "max", MAX_NS))
    if index.size:
        low, high = LATENCY.bounds(index[[0, -1]])
        if not all(lo <= v <= hi for lo, v, hi in zip(low, min_max_ns, high, strict=True)):
            raise BadLineError(f"min and max of stage {name} do not fit its histogram")
    return Packed(index, counts, min_max_ns, negative, above)
