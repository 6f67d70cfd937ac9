from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edge.broadcast import wire
from edge.latency.incidents import Incidents, Tally
from edge.latency.recorder import STAGES
from tests.edge.broadcast.runs import frame, interval, result, status


def over(message: tuple[str, dict[str, Any], Sequence[bytes | memoryview]]) -> wire.Message:
    """Return a message as it comes out at the other end."""
    theirs, ours = multiprocessing.Pipe(duplex=False)
    with theirs, ours:
        # More than a pipe holds.
        sender = threading.Thread(target=wire.send, args=(ours, *message))
        sender.start()
        received = next(wire.messages(theirs))
        sender.join()
        return received


def test_results_come_over_whole() -> None:
    given = [(1_000 + n, result(n, f"<b>{n}", sequence=n, confidence=0.25)) for n in range(3)]
    message = over(wire.results_message(given, 5))
    rows = np.frombuffer(message.blobs[0], wire.RESULT)
    assert rows["at_ns"].tolist() == [2_001_000 + n for n in range(3)]
    assert rows["age_ns"].tolist() == [3_000_000] * 3
    assert rows["index"].tolist() == [0, 1, 2]
    assert rows["confidence"].tolist() == [0.25] * 3
    assert message.fields["guesses"] == [["<b>2", 0.25], ["other", 0.05]]
    assert (message.fields["lost"], message.fields["sequence"]) == (5, 2)


def test_an_interval_comes_over_with_every_count() -> None:
    befell = Incidents(pauses=Tally(1, 5, 5), clock_steps=Tally(1, -9, -9), blank=3)
    given = interval([0.5, 0.5, 3.0, 7.25], befell)
    given.histograms["age"].negative = 2
    got = wire.read_interval(over(wire.interval_message(given)))
    assert (got.captured, got.processed, got.skipped) == (5, 4, 1)
    assert (got.start_ns, got.end_ns) == (given.start_ns, given.end_ns)
    assert got.incidents == befell
    assert got.histograms["age"].negative == 2
    for stage in STAGES:
        a, b = got.histograms[stage], given.histograms[stage]
        assert (a.counts == b.counts).all()
        assert (a.count, a.min_ns, a.max_ns) == (b.count, b.min_ns, b.max_ns)


@pytest.mark.parametrize(
    ("shape", "sent"),
    [
        ((48, 64), (48, 64)),
        ((480, 640), (480, 640)),
        ((481, 641), (241, 321)),
        ((9, 3000), (2, 600)),
    ],
)
def test_a_picture_comes_over_no_larger_than_a_page_needs(
    shape: tuple[int, int], sent: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    # A view of rows that are wider, as cameras give it.
    wide = np.zeros((shape[0], shape[1] + 5, 3), np.uint8)
    wide[:, :-5] = pixels
    message = over(wire.picture_message(frame(9, wide[:, :-5]), result(1, "x" * 9999)))
    assert message.fields["shape"] == [*sent, 3]
    assert message.fields["color"] == "bgr"
    assert message.fields["guesses"][0] == ["x" * 200, 0.9]
    step = -(-max(shape) // 640)
    assert message.blobs[0] == pixels[::step, ::step].tobytes()


def test_a_status_comes_over() -> None:
    message = over(wire.status_message(status(10, 2, 5, "no frame for 7 s"), 3))
    assert message.fields == {
        "fps": 30.5,
        "p50_ns": 2_000_000,
        "p99_ns": 4_000_000,
        "processed": 10,
        "skipped": 2,
        "outage_ns": 5,
        "notice": "no frame for 7 s",
        "lost_intervals": 3,
    }


@pytest.mark.parametrize("rest", [b"", b"\0\0", b"\0\0\0\x09blob"])
def test_messages_end_with_the_sender_even_in_the_middle_of_one(rest: bytes) -> None:
    theirs, ours = multiprocessing.Pipe(duplex=False)
    with theirs:
        wire.send(ours, "one", {})
        ours.send_bytes(b'["two", {}, 1]')
        # Of a blob of nine bytes, so much.
        os.write(ours.fileno(), rest)
        ours.close()
        assert [message.kind for message in wire.messages(theirs)] == ["one"]
