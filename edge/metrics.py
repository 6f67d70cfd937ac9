"""The run in Prometheus's words, put together when somebody asks.

What is counted here was counted by the loop: frames as its status has them, a second old at most,
the stages' histograms and what befell the run as its closed intervals have them. Durations are in
seconds, as is the custom there (https://prometheus.io/docs/practices/naming/).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import edge
from edge.broadcast.view import RunView
from edge.device import THROTTLE_FLAGS
from edge.errors import MissingExtraError
from edge.latency.histogram import Histogram
from edge.latency.recorder import STAGES
from edge.web.guard import App, Receive, Scope, Send

if TYPE_CHECKING:
    from prometheus_client.core import Metric

EXTRA = "metrics"
Counter: TypeAlias = tuple[str, str, float]
# Upper ends in ms, in steps of about 1, 2, 5: from what preprocessing takes to a stalled camera.
BUCKETS_MS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 33, 50, 100, 200, 500, 1000, 2000, 5000)
# All that the header may say to us: the client takes what it says at its word.
_OPENMETRICS = re.compile(rb"application/openmetrics-text *; *version=1\.0\.0")
# name, help, value. A class is told by its number: as a label of its own, each of a thousand
# classes would be a series that comes and goes.
_GAUGES: tuple[tuple[str, str, Callable[[RunView], float | None]], ...] = (
    (
        "edge_frames_per_second",
        "Labels a second, over the last second.",
        lambda view: view.progress.fps,
    ),
    (
        "edge_silent_seconds",
        "Time since the last frame got its label.",
        lambda view: view.silent_s(),
    ),
    (
        "edge_camera_outage_seconds",
        "For how long the camera has been lost; 0 while it is there.",
        lambda view: view.progress.outage_ns / 1e9,
    ),
    (
        "edge_problems",
        "How many things are wrong with the run now; --web and --mqtt say which.",
        lambda view: float(len(view.problems())),
    ),
    (
        "edge_longest_gap_seconds",
        "The longest time between two frames of the camera in the last closed interval.",
        lambda view: (
            view.last_interval.incidents.longest_gap_ns / 1e9 if view.last_interval else None
        ),
    ),
    (
        "edge_clock_shift_seconds",
        "By how much the wall clock was set: all steps with their signs, added up.",
        lambda view: view.incidents.clock_steps.total_ns / 1e9,
    ),
    (
        "edge_last_class",
        "Number of the most probable class of the last frame.",
        lambda view: float(view.newest.index) if view.newest else None,
    ),
    (
        "edge_last_confidence_ratio",
        "Confidence of the most probable class of the last frame, 0 to 1.",
        lambda view: view.newest.guesses[0][1] if view.newest else None,
    ),
    (
        "edge_last_age_seconds",
        "Time from the sensor to the label of the last frame.",
        lambda view: view.newest.age_ns / 1e9 if view.newest else None,
    ),
    (
        "edge_temperature_celsius",
        "Temperature of the board.",
        lambda view: view.health.temperature_c,
    ),
)
_COUNTERS: tuple[tuple[str, str, Callable[[RunView], float]], ...] = (
    (
        "edge_frames_captured",
        "Frames that the camera gave.",
        lambda view: view.progress.processed + view.progress.skipped,
    ),
    ("edge_frames_processed", "Frames that got a label.", lambda view: view.progress.processed),
    (
        "edge_frames_skipped",
        "Frames that a newer one replaced, or that the source missed.",
        lambda view: view.progress.skipped,
    ),
    (
        "edge_broadcast_lost_results",
        "Results that were not broadcast, for want of time.",
        lambda view: view.lost_results,
    ),
    (
        "edge_broadcast_lost_intervals",
        "Intervals that are missing in what is counted by intervals, for want of time.",
        lambda view: view.progress.lost_intervals,
    ),
    (
        "edge_camera_outages",
        "How often the camera was lost.",
        lambda view: view.incidents.outages.count,
    ),
    (
        "edge_camera_lost_seconds",
        "For how long the camera was lost, in all.",
        lambda view: view.incidents.outages.total_ns / 1e9,
    ),
    (
        "edge_pauses",
        "How often the loop stood still: stopped, swapped out, or starved.",
        lambda view: view.incidents.pauses.count,
    ),
    (
        "edge_pause_seconds",
        "For how long the loop stood still, in all.",
        lambda view: view.incidents.pauses.total_ns / 1e9,
    ),
    (
        "edge_suspends",
        "How often the machine slept.",
        lambda view: view.incidents.suspends.count,
    ),
    (
        "edge_suspend_seconds",
        "For how long the machine slept, in all.",
        lambda view: view.incidents.suspends.total_ns / 1e9,
    ),
    (
        "edge_clock_steps",
        "How often the wall clock was set.",
        lambda view: view.incidents.clock_steps.count,
    ),
    (
        "edge_frames_interrupted",
        "Labelled frames that have a pause or a sleep in their time.",
        lambda view: view.incidents.interrupted,
    ),
    (
        "edge_frames_broken",
        "Frames that were no pictures, or could not be read.",
        lambda view: view.incidents.broken,
    ),
    (
        "edge_frames_blank",
        "Frames without contrast.",
        lambda view: view.incidents.blank,
    ),
    (
        "edge_frames_identical",
        "Frames like the one before, to the bit.",
        lambda view: view.incidents.identical,
    ),
    (
        "edge_frames_resized",
        "Frames of another size than the one before.",
        lambda view: view.incidents.resized,
    ),
)


def check_installed() -> None:
    """Raises: MissingExtraError: prometheus-client is not installed."""
    if importlib.util.find_spec("prometheus_client") is None:
        raise MissingExtraError("prometheus-client", EXTRA)


class RunCollector:
    """Gives what `view` holds as metrics, for a registry of the official client.

    `more` gives counters that are not of the run: name, help, value.
    """

    def __init__(self, view: RunView, more: Callable[[], Iterable[Counter]] = tuple) -> None:
        self._view = view
        self._more = more

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        view = self._view
        for name, text, count in _COUNTERS:
            yield CounterMetricFamily(name, text, value=count(view))
        for name, text, number in self._more():
            yield CounterMetricFamily(name, text, value=number)
        for name, text, value in _GAUGES:
            known = value(view)
            if known is not None:
                yield GaugeMetricFamily(name, text, value=known)
        yield from self._throttling()
        stages = HistogramMetricFamily(
            "edge_stage_seconds",
            "What the stages of a frame took, by closed intervals; the sum is within 0.1 %.",
            labels=["stage"],
        )
        # Without a time of exposure these two would say what they do not know.
        unknown = ("capture", "age") if view.facts.get("timestamps") == "arrival" else ()
        with view.lock:
            for stage in (stage for stage in STAGES if stage not in unknown):
                buckets, total_s = _buckets(view.histograms[stage])
                stages.add_metric([stage], buckets, total_s)
        yield stages
        facts = {"version": edge.__version__, **_info(view.facts)}
        yield InfoMetricFamily("edge_build", "What runs here.", value=facts)

    def _throttling(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        health = self._view.health
        if health.throttled is None:
            return
        for name, text, flags in (
            ("edge_throttled", "Whether the board slows itself now, and why.", health.flags_now),
            (
                "edge_throttled_since_boot",
                "Whether the board has slowed itself since it started, and why.",
                health.flags_since_boot,
            ),
        ):
            family = GaugeMetricFamily(name, text, labels=["flag"])
            for flag in THROTTLE_FLAGS:
                family.add_metric([flag], float(flag in flags))
            yield family


def metrics_app(view: RunView, more: Callable[[], Iterable[Counter]] = tuple) -> App:
    """Return the app that answers GET /metrics, in the format that was asked for."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry()
    registry.register(RunCollector(view, more))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        headers = dict(scope["headers"])
        status, body, kind = 404, b"only /metrics is here\n", "text/plain; charset=utf-8"
        if scope["path"] == "/metrics":
            newer = _OPENMETRICS.search(headers.get(b"accept", b""))
            encode, kind = choose_encoder(newer[0].decode() if newer else "")
            status, body = 200, encode(registry)
        start: dict[str, Any] = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", kind.encode()),
                (b"content-length", b"%d" % len(body)),
            ],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body})

    return app


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return (upper end in s, values up to it) for BUCKETS_MS and all, and the sum in s.

    A value counts where the highest of its bucket does: at most 0.1 % above it.
    """
    index, counts = histogram.recorded()
    high_ns = histogram.layout.bounds(index)[1]
    below = np.cumsum(counts)
    ends_ns = [round(end_ms * 1e6) for end_ms in BUCKETS_MS]
    places = np.searchsorted(high_ns, ends_ns, side="right")
    cumulative = [int(below[place - 1]) if place else 0 for place in places]
    ends_s = [str(end_ms / 1e3) for end_ms in BUCKETS_MS]
    named = list(zip(ends_s, map(float, cumulative), strict=True))
    return [*named, ("+Inf", float(histogram.count))], histogram.mean() * histogram.count / 1e9


def _info(facts: Mapping[str, Any]) -> dict[str, str]:
    names = ("card", "model_sha256", "runtime", "source", "timestamps", "threads")
    return {name: str(facts[name]) for name in names if facts.get(name) not in (None, "")}
