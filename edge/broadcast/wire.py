"""What the loop's process tells the one that broadcasts, message by message.

A message is a name, fields that are JSON, and blobs of bytes. The other way goes one byte,
`WATCHED`: somebody looks at the picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from edge.latency import fields as log_fields
from edge.latency.histogram import I64, Histogram
from edge.latency.recorder import STAGES, Interval
from edge.live import Result, Status
from edge.sources.base import Frame
from edge.tensors import U8
from edge.text import cut

WATCHED = b"w"
# Of each frame that got a label: when (ns, monotonic), how old it was then, its class.
RESULT = np.dtype([("at_ns", "<i8"), ("age_ns", "<i8"), ("index", "<i4"), ("confidence", "<f4")])
MAX_SIDE = 640
IDLE_S = 1.0
# What fits a screen, however long a model's names are.
MAX_GUESSES = 10
MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class Message:
    """What came: `blobs` are bytes in the order in which they were sent."""

    kind: str
    fields: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()


def send(
    connection: Connection,
    kind: str,
    fields: Mapping[str, Any],
    blobs: Sequence[bytes | memoryview] = (),
) -> None:
    """Send one message. Raises: OSError: nobody reads."""
    connection.send_bytes(json.dumps([kind, fields, len(blobs)]).encode())
    for blob in blobs:
        connection.send_bytes(blob)


def messages(connection: Connection) -> Iterator[Message]:
    """Yield what comes until the other side is gone; "idle" where nothing came for a second."""
    while True:
        try:
            while not connection.poll(IDLE_S):
                yield Message("idle", {})
            kind, fields, count = json.loads(connection.recv_bytes())
            blobs = tuple(connection.recv_bytes() for _ in range(count))
        except (EOFError, OSError):  # between two messages, or in the middle of one
            return
        yield Message(kind, fields, blobs)


def results_message(
    results: Sequence[tuple[int, Result]], lost: int
) -> tuple[str, dict[str, Any], list[bytes]]:
    """Return what to send of results, each with the arrival of its frame; `lost` came before."""
    rows = np.array(
        [
            (arrived_ns + r.total_ns, r.age_ns, r.guesses[0].index, r.guesses[0].confidence)
            for arrived_ns, r in results
        ],
        RESULT,
    )
    newest = results[-1][1]
    fields = {
        "lost": lost,
        "sequence": newest.sequence,
        "total_ns": newest.total_ns,
        "guesses": _guesses(newest),
    }
    return "results", fields, [rows.tobytes()]


def status_message(status: Status, lost_intervals: int) -> tuple[str, dict[str, Any], list[bytes]]:
    """Return what to send of a status."""
    fields = {
        "fps": status.fps,
        "p50_ns": status.p50_ns,
        "p99_ns": status.p99_ns,
        "processed": status.processed,
        "skipped": status.skipped,
        "outage_ns": status.outage_ns,
        "notice": status.notice,
        "lost_intervals": lost_intervals,
    }
    return "status", fields, []


def interval_message(interval: Interval) -> tuple[str, dict[str, Any], list[bytes]]:
    """Return what to send of an interval: counts, and the filled buckets of each stage."""
    blobs: list[bytes] = []
    stages = {}
    for stage in STAGES:
        histogram = interval.histograms[stage]
        index, counts = histogram.recorded()
        blobs += [index.tobytes(), counts.tobytes()]
        stages[stage] = [
            histogram.min_ns,
            histogram.max_ns,
            histogram.negative,
            histogram.above,
        ]
    fields = {
        "start_ns": interval.start_ns,
        "end_ns": interval.end_ns,
        "captured": interval.captured,
        "processed": interval.processed,
        "skipped": interval.skipped,
        "incidents": interval.incidents.to_json(),
        "stages": stages,
    }
    return "interval", fields, blobs


def read_interval(message: Message) -> Interval:
    """Return the interval of its message, without traces."""
    fields, histograms = message.fields, {}
    for place, (stage, figures) in enumerate(fields["stages"].items()):
        index, counts = (
            np.frombuffer(blob, np.int64) for blob in message.blobs[2 * place : 2 * place + 2]
        )
        histogram = Histogram()
        histogram.add_counts(index, counts, (figures[0], figures[1]))
        histogram.negative, histogram.above = figures[2:]
        histograms[stage] = histogram
    no_trace: I64 = np.empty((0, 6), np.int64)
    return Interval(
        start_ns=fields["start_ns"],
        end_ns=fields["end_ns"],
        captured=fields["captured"],
        processed=fields["processed"],
        skipped=fields["skipped"],
        histograms=histograms,
        trace=no_trace,
        incidents=log_fields.incidents(fields["incidents"]),
    )


def picture_message(
    frame: Frame, result: Result
) -> tuple[str, dict[str, Any], list[bytes | memoryview]]:
    """Return what to send of a picture: every n-th pixel, so that no side exceeds 640."""
    step = -(-max(frame.pixels.shape[:2]) // MAX_SIDE)
    pixels: U8 = np.ascontiguousarray(frame.pixels[::step, ::step])
    fields = {
        "shape": pixels.shape,
        "color": frame.color,
        "arrived_ns": frame.arrived_ns,
        "age_ns": result.age_ns,
        "guesses": _guesses(result),
    }
    return "picture", fields, [pixels.data.cast("B")]


def _guesses(result: Result) -> list[list[Any]]:
    return [
        [cut(guess.label, MAX_LABEL), guess.confidence] for guess in result.guesses[:MAX_GUESSES]
    ]
