"""Tells a broker what the run does: label changes, and how it is; whether it is there or not."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.latency.describe_incidents import sentences
from edge.latency.incidents import COUNTS, Incidents
from edge.latency.recorder import Interval
from edge.latency.stats import StageStats
from edge.mqtt.debounce import UNSURE, Debounce
from edge.mqtt.discovery import HEALTH, LABEL, configurations
from edge.mqtt.options import MqttOptions
from edge.mqtt.outbox import Letter, Outbox
from edge.mqtt.session import Session, SessionError
from edge.text import cut, warn

BACK_OFF_S = (1.0, 60.0)
# What Home Assistant takes for a state.
MAX_STATE = 255
# Health goes out with an interval, or when a problem is told anew (since when it lasts), but not
# oftener; and at once if one comes or goes.
HEALTH_S = 5.0


class Publisher:
    """Takes in what the loop's process sends, and publishes on a thread of its own."""

    def __init__(self, options: MqttOptions, view: RunView) -> None:
        self.outbox = Outbox()
        self._options = options
        self._view = view
        self._debounce = Debounce(options.stable_s, options.confidence)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._said = ""
        self._problems: tuple[str, ...] | None = None
        self._health_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye to the broker: some seconds at most."""
        self._closing.set()
        self._thread.join()

    def take(self, message: wire.Message) -> None:
        """Hear of a message that the view has taken in."""
        if message.kind == "results":
            for at_ns, _, index, confidence in np.frombuffer(
                message.blobs[0], wire.RESULT
            ).tolist():
                if self._debounce.take(at_ns, index, confidence):
                    self._put(LABEL, self._label(at_ns, index, confidence))
        # Before the first status nothing is known of the board.
        if self._problems is not None or message.kind in ("status", "interval"):
            self._tell_health(is_interval=message.kind == "interval")

    def _tell_health(self, *, is_interval: bool) -> None:
        said, problems = self._problems, self._view.problems()
        comes_or_goes = said is None or len(said) != len(problems)
        now_s = time.monotonic()
        is_due = (is_interval or problems != said) and now_s - self._health_s >= HEALTH_S
        if is_due or comes_or_goes:
            self._health_s, self._problems = now_s, problems
            self._put(HEALTH, self._health(problems), is_state=True)

    def _put(self, topic: str, fields: dict[str, Any], *, is_state: bool = False) -> None:
        topic = f"{self._options.topic}/{topic}"
        self.outbox.put(Letter(topic, json.dumps(fields, allow_nan=False), is_state))

    def _label(self, at_ns: int, index: int, confidence: float) -> dict[str, Any]:
        is_sure = self._debounce.current != UNSURE
        ago = timedelta(microseconds=(time.monotonic_ns() - at_ns) // 1000)
        labels = self._view.labels
        label = labels[index] if index < len(labels) else f"class {index}"
        return {
            "label": cut(label, MAX_STATE) if is_sure else None,
            "class": index if is_sure else None,
            "confidence_percent": round(100 * confidence, 1) if is_sure else None,
            "since": (datetime.now(UTC) - ago).isoformat(timespec="milliseconds"),
        }

    def _health(self, problems: tuple[str, ...]) -> dict[str, Any]:
        view = self._view
        return {
            **_figures(view.last_interval),
            "temperature_c": view.health.temperature_c,
            "throttled": view.health.flags_now,
            "problems": list(problems),
            "since_start": _in_all(view.incidents),
            "dropped_messages": self.outbox.dropped,
        }

    def _run(self) -> None:
        pause_s = BACK_OFF_S[0]
        while not self._closing.is_set():
            session = Session(self._options, self.outbox)
            try:
                session.run(self._closing.is_set, self._hello, self._connected)
            except SessionError as error:
                if session.is_connected:
                    pause_s = BACK_OFF_S[0]
                self._say(
                    f"the broker {self._options.broker} {error}; trying again, and the loop goes on"
                )
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, BACK_OFF_S[1])

    def _hello(self) -> dict[str, str]:
        if not self._options.discovery:
            return {}
        has_thermometer = self._view.health.temperature_c is not None
        found = configurations(self._options, self._view.facts, has_thermometer=has_thermometer)
        return {topic: json.dumps(fields) for topic, fields in found.items()}

    def _connected(self) -> None:
        if self._said:
            self._say(f"the broker {self._options.broker} is there again")
            self._said = ""

    def _say(self, text: str) -> None:
        # Each reason once, however often it is tried.
        if text != self._said:
            self._said = text
            warn(f"--mqtt: {text}")


def _figures(interval: Interval | None) -> dict[str, Any]:
    """Return what is told of an interval; before the first one is closed, nothing but names."""
    names = ("fps", "p50_ms", "p99_ms", "captured", "processed", "skipped")
    if interval is None:
        return {**dict.fromkeys(names), "longest_gap_s": None, "incidents": []}
    total = StageStats.of(interval.histograms["total"])
    seconds = max(1, interval.end_ns - interval.start_ns) / 1e9
    figures = (
        round(interval.processed / seconds, 2),
        round(total.p50_ns / 1e6, 2) if total.count else None,
        round(total.p99_ns / 1e6, 2) if total.count else None,
        interval.captured,
        interval.processed,
        interval.skipped,
    )
    return {
        **dict(zip(names, figures, strict=True)),
        "longest_gap_s": _seconds(interval.incidents.longest_gap_ns),
        "incidents": list(sentences(interval.incidents)),
    }


def _in_all(found: Incidents) -> dict[str, float]:
    """Return what befell the run, every kind by a name with its unit."""
    return {
        "outages": found.outages.count,
        "outage_s": _seconds(found.outages.total_ns),
        "pauses": found.pauses.count,
        "pause_s": _seconds(found.pauses.total_ns),
        "suspends": found.suspends.count,
        "suspend_s": _seconds(found.suspends.total_ns),
        "clock_steps": found.clock_steps.count,
        "clock_shift_s": _seconds(found.clock_steps.total_ns),
        **{f"{name}_frames": getattr(found, name) for name in COUNTS},
        "longest_gap_s": _seconds(found.longest_gap_ns),
    }


def _seconds(duration_ns: int) -> float:
    return round(duration_ns / 1e9, 3)
