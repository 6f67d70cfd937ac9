from __future__ import annotations

import math
import shutil
import subprocess

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.device import Health
from edge.errors import MissingExtraError
from edge.latency.incidents import Incidents, Tally
from edge.metrics import BUCKETS_MS, check_installed, metrics_app
from edge.web.access import Access
from edge.web.guard import Guard
from tests.edge.broadcast.runs import FACTS, interval, packed, status, view
from tests.edge.latency.logs import SECOND
from tests.edge.web.serving import Answer, serving


def scrape(seen: RunView, path: str = "/metrics", accept: str = "*/*") -> Answer:
    with serving(Guard(metrics_app(seen), Access("127.0.0.1", 0))) as client:
        return client.get(path, accept=accept)


def families(answer: Answer) -> dict[str, Metric]:
    assert answer.status == 200
    return {family.name: family for family in plain(answer.body.decode())}


def value(found: dict[str, Metric], name: str, **labels: str) -> float:
    [one] = [s.value for s in found[name].samples if labels.items() <= s.labels.items()]
    return float(one)


def test_frames_add_up_and_gauges_say_what_was_last() -> None:
    found = families(scrape(view()))
    assert value(found, "edge_frames_captured") == 12
    assert value(found, "edge_frames_processed") == 10
    assert value(found, "edge_frames_skipped") == 2
    assert value(found, "edge_broadcast_lost_results") == 4
    assert value(found, "edge_broadcast_lost_intervals") == 1
    assert found["edge_frames_captured"].type == "counter"
    assert value(found, "edge_frames_per_second") == 30.5
    assert value(found, "edge_last_class") == 3
    assert value(found, "edge_last_confidence_ratio") == 0.9
    assert value(found, "edge_last_age_seconds") == 0.003
    assert 0 <= value(found, "edge_silent_seconds") < 60
    assert value(found, "edge_temperature_celsius") == 48.5
    assert value(found, "edge_throttled", flag="under-voltage") == 1
    assert value(found, "edge_throttled", flag="frequency capped") == 0
    assert value(found, "edge_throttled_since_boot", flag="throttled") == 1
    labels = found["edge_build_info"].samples[0].labels
    assert labels["runtime"] == "fake 1.0"
    assert labels["model_sha256"] == FACTS["model_sha256"]


BEFELL = Incidents(
    pauses=Tally(2, 3 * SECOND, 2 * SECOND),
    suspends=Tally(1, 60 * SECOND, 60 * SECOND),
    clock_steps=Tally(2, -5 * SECOND, -7 * SECOND),
    outages=Tally(1, 8 * SECOND, 8 * SECOND),
    interrupted=1,
    broken=2,
    blank=3,
    identical=4,
    resized=5,
    longest_gap_ns=9 * SECOND,
)
# By the name of a counter, without _total: what it must say after BEFELL came twice.
COUNTED = {
    "edge_camera_outages": 2,
    "edge_camera_lost_seconds": 16,
    "edge_pauses": 4,
    "edge_pause_seconds": 6,
    "edge_suspends": 2,
    "edge_suspend_seconds": 120,
    "edge_clock_steps": 4,
    "edge_frames_interrupted": 2,
    "edge_frames_broken": 4,
    "edge_frames_blank": 6,
    "edge_frames_identical": 8,
    "edge_frames_resized": 10,
}


def test_what_befell_the_run_is_counted_with_its_unit() -> None:
    seen = view()
    before = families(scrape(seen))
    assert value(before, "edge_problems") == 2  # what the board says
    assert {value(before, name) for name in COUNTED} == {0}
    for _ in range(2):
        seen.take(wire.Message(*packed(wire.interval_message(interval([1.0], BEFELL)))))
    lost = status(outage_ns=7 * SECOND, notice="no frame for 7 s")
    seen.take(wire.Message(*packed(wire.status_message(lost, 0))))
    found = families(scrape(seen))
    assert {name: value(found, name) for name in COUNTED} == COUNTED
    for name in COUNTED:
        assert found[name].type == "counter"
        assert [sample.name for sample in found[name].samples] == [f"{name}_total"]
    # Backwards, it is no counter; and the longest is not added up.
    assert value(found, "edge_clock_shift_seconds") == -10
    assert value(found, "edge_longest_gap_seconds") == 9
    assert {found[n].type for n in ("edge_clock_shift_seconds", "edge_problems")} == {"gauge"}
    assert value(found, "edge_camera_outage_seconds") == 7
    assert value(found, "edge_problems") == 3


def test_the_histogram_of_a_stage_counts_every_frame_once() -> None:
    seen = view()
    took_ms = [0.05, 4.9, 4.9, 5.2, 700, 9000]
    seen.take(wire.Message(*packed(wire.interval_message(interval(took_ms)))))
    took_ms += [1.0, 2.0, 3.0]  # the view began with these
    stages = families(scrape(seen))["edge_stage_seconds"]
    assert stages.type == "histogram"
    mine = [s for s in stages.samples if s.labels["stage"] == "inference"]
    buckets = {float(s.labels["le"]): s.value for s in mine if s.name.endswith("_bucket")}
    # A value on a border may count above it: it is known to three digits.
    for end_ms in BUCKETS_MS:
        low = sum(ms <= end_ms * 0.999 for ms in took_ms)
        high = sum(ms <= end_ms * 1.001 for ms in took_ms)
        assert low <= buckets[end_ms / 1e3] <= high, end_ms
    assert buckets[math.inf] == len(took_ms)
    assert [s.value for s in mine if s.name.endswith("_count")] == [len(took_ms)]
    [total_s] = [s.value for s in mine if s.name.endswith("_sum")]
    assert total_s == pytest.approx(sum(took_ms) / 1e3, rel=1e-3)


def test_what_is_not_known_is_not_said() -> None:
    nothing = RunView(facts={"timestamps": "arrival"}, labels=(), ask_health=Health)
    found = families(scrape(nothing))
    assert value(found, "edge_frames_captured") == 0
    for name in ("edge_temperature_celsius", "edge_throttled", "edge_last_class"):
        assert name not in found
    stages = {s.labels["stage"] for s in found["edge_stage_seconds"].samples}
    assert stages == {"queue", "preprocess", "inference", "postprocess", "total"}


def test_the_newer_format_is_given_to_those_who_take_it() -> None:
    answer = scrape(view(), accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    found = {family.name: family for family in open_metrics(answer.body.decode())}  # type: ignore[no-untyped-call]
    assert found["edge_frames_captured"].samples[0].value == 12


@pytest.mark.parametrize(
    "accept",
    ["application/openmetrics-text; version=x", "text/plain; version=1..\xff", ",;=,", "*/*"],
)
def test_a_wild_accept_gets_the_plain_format(accept: str) -> None:
    answer = scrape(view(), accept=accept)
    assert answer.headers["content-type"].startswith("text/plain")
    assert value(families(answer), "edge_frames_captured") == 12


def test_only_one_path_is_there() -> None:
    assert scrape(view(), "/").status == 404
    assert scrape(view(), "/metrics/../etc/passwd").status == 404


def test_hostile_names_stay_in_their_quotes() -> None:
    hostile = 'a"} 1\nevil_total 2\\\n# '
    found = families(scrape(view(card=hostile)))
    assert "evil" not in found
    assert found["edge_build_info"].samples[0].labels["card"] == hostile


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("kind", ["a run", "nothing yet"])
def test_promtool_finds_nothing(kind: str) -> None:
    seen = view() if kind == "a run" else RunView(facts={}, labels=(), ask_health=Health)
    text = scrape(seen).body

    def check(given: bytes) -> tuple[int, bytes]:
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=given, capture_output=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert check(text) == (0, b"")
    assert check(text.replace(b"frames_captured_total", b"frames_captured"))[0] != 0


def test_a_missing_client_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[metrics\]"):
        check_installed()
