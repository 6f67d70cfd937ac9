"""The page's paths behind their guard, on a real server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.broadcast import wire
from edge.broadcast.view import RunView
from edge.latency.incidents import Incidents, Tally
from edge.latency.log import LogWriter
from edge.web import report as report_module
from edge.web.access import Access
from edge.web.app import FILES, guarded_web, run_status
from edge.web.guard import HEADERS
from edge.web.pictures import encode
from tests.edge.broadcast.runs import frame, interval, packed, result, status, view
from tests.edge.latency.logs import HEADER
from tests.edge.web.serving import Client, serving

TOKEN = "0123456789abcdef"  # noqa: S105


@contextmanager
def web(seen: RunView, token: str = "") -> Iterator[Client]:
    with serving(guarded_web(seen, Access("127.0.0.1", 8080, token))) as client:
        yield client


def show(seen: RunView, number: int, label: str = "cat") -> None:
    """Let a picture of one grey come in."""
    message = wire.picture_message(frame(number), result(1, label))
    seen.take(wire.Message(*packed(message)))  # type: ignore[arg-type]


def test_files_are_ours_and_all_answers_have_the_headers() -> None:
    with web(view()) as client:
        for path, (_, kind) in FILES.items():
            answer = client.get(path)
            assert (answer.status, answer.headers["content-type"]) == (200, kind)
            assert answer.body
            assert HEADERS.items() <= answer.headers.items()
        # The colours of the reports, light and dark.
        assert client.get("/page.css").body.count(b"--blue: #") == 2


@pytest.mark.parametrize(
    "path",
    [
        "/static/page.js",
        "/page.js/",
        "/../app.py",
        "/%2e%2e/app.py",
        "//etc/passwd",
        "/page.js%00",
        "/etc/passwd",
        "/report.html/../../x",
        "/openapi.json",
    ],
)
def test_no_other_path_is_there(path: str) -> None:
    with web(view()) as client:
        answer = client.get(path)
    assert answer.status in (307, 404)
    assert len(answer.body) < 20
    assert HEADERS.items() <= answer.headers.items()


def test_a_picture_comes_with_its_own_label_and_when_it_is_new() -> None:
    seen = view()
    told: list[float] = []
    seen.watched = lambda: told.append(time.monotonic())
    show(seen, 100, "<b>cat")
    with web(seen) as client:
        first = client.get("/live.jpg")
        assert (first.status, first.headers["content-type"]) == (200, "image/jpeg")
        assert json.loads(first.headers["x-guesses"])[0] == ["<b>cat", 0.9]
        assert first.headers["x-age-ns"] == "3000000"
        pixels = cv2.imdecode(np.frombuffer(first.body, np.uint8), cv2.IMREAD_COLOR)
        assert np.asarray(pixels).shape == (48, 64, 3)
        assert np.abs(np.asarray(pixels, np.int64) - 100).max() <= 3
        number = first.headers["x-number"]
        # The same again for others; none for one who has it.
        assert client.get("/live.jpg?after=-1").body == first.body
        show(seen, 200)
        second = client.get(f"/live.jpg?after={number}")
        assert second.headers["x-number"] != number
        assert second.body != first.body
    assert told


def test_who_has_the_picture_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.web.pictures.WAIT_S", 0.1)
    seen = view()
    with web(seen) as client:
        assert client.get("/live.jpg").status == 204
        show(seen, 1)
        assert client.get("/live.jpg?after=1").status == 204
        for wild in ("x", "-5", "9" * 30, "%C2%B2", "1&after=2", ""):
            assert client.get(f"/live.jpg?after={wild}").status in (200, 204)


def test_colours_go_out_as_they_came_in() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = 200
    for color, place in (("bgr", 0), ("rgb", 2)):
        seen = view()
        one = frame(0, pixels)
        one.color = color  # type: ignore[assignment]
        seen.take(wire.Message(*packed(wire.picture_message(one, result(0)))))  # type: ignore[arg-type]
        assert seen.picture is not None
        data = np.frombuffer(encode(seen.picture), np.uint8)
        got = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
        assert int(got[8, 8].argmax()) == place


def test_figures_come_once() -> None:
    seen = view()
    with web(seen) as client:
        said = json.loads(client.get("/status.json?after=0").body)
        assert said["newest"]["guesses"][0] == ["class 3", 0.9]
        assert said["health"]["throttled"] == ["under-voltage", "throttled"]
        assert said["problems"] == list(seen.problems())
        [row] = said["rows"]
        assert row[2:] == [30.5, 2_000_000, 4_000_000, 10, 2, 48.5]
        later = json.loads(client.get(f"/status.json?after={said['last']}").body)
        assert later["rows"] == later["marks"] == []
        assert later["now_ms"] - row[1] < 60_000
    # A client of the process before this one gets all there is.
    assert len(run_status(seen, after=500)["rows"]) == 1


def test_what_befell_a_run_comes_once_and_in_all() -> None:
    seen = view()
    lost = Incidents(outages=Tally(1, 7 * 10**9, 7 * 10**9), longest_gap_ns=8 * 10**9)
    take = (wire.interval_message(interval([1.0], lost)), wire.status_message(status(), 0))
    for message in take:
        seen.take(wire.Message(*packed(message)))
    with web(seen) as client:
        said = json.loads(client.get("/status.json?after=1").body)
        [mark] = said["marks"]
        assert mark["words"] == ["camera lost"]
        assert mark["sentences"] == ["the camera was lost once, for 7.0 s"]
        assert mark["began_ms"] <= mark["ended_ms"] <= said["now_ms"]
        assert said["since_start"]["sentences"] == mark["sentences"]
        assert said["since_start"]["longest_gap_ns"] == 8 * 10**9
        assert json.loads(client.get("/status.json?after=2").body)["marks"] == []
        # One who counts further than we do knows another process: it gets all.
        assert json.loads(client.get("/status.json?after=9").body)["marks"] == [mark]


def test_names_that_no_utf8_can_hold_are_told() -> None:
    hostile = os.fsdecode(b"caf\xe9</script>")
    with web(view(source=hostile)) as client:
        assert json.loads(client.get("/status.json").body)["facts"]["source"] == hostile


def test_nothing_is_seen_without_the_token() -> None:
    seen = view()
    show(seen, 1)
    with web(seen, TOKEN) as client:
        for path in ("/page.js", "/live.jpg", "/status.json", "/report.html"):
            answer = client.get(path)
            assert answer.status == 401
            assert answer.body.startswith(b"show the token")
        answer = client.get("/")
        assert (answer.status, answer.headers["location"]) == (303, "/login")
        assert client.get("/live.jpg", authorization=f"Bearer {TOKEN}").status == 200


def test_a_login_gives_a_cookie_that_opens_all() -> None:
    with web(view(), TOKEN) as client:
        assert b'<form class="card" method="post"' in client.get("/login").body
        form = {"content_type": "application/x-www-form-urlencoded"}
        wrong = client.get("/login", method="POST", body=b"token=wrong", **form)
        assert (wrong.status, wrong.headers["location"]) == (303, "login?wrong")
        assert "set-cookie" not in wrong.headers
        right = client.get("/login", method="POST", body=f"token={TOKEN}".encode(), **form)
        assert (right.status, right.headers["location"]) == (303, "./")
        cookie, *attributes = right.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(attributes)
        assert client.get("/", cookie=cookie).status == 200
        assert client.get("/", cookie=f"{cookie}0").status == 303


def test_tokens_cannot_be_tried_for_long() -> None:
    with web(view(), TOKEN) as client:
        statuses = [
            client.get("/login", method="POST", body=b"token=%d" % number).status
            for number in range(12)
        ]
        assert statuses == [303] * 10 + [429] * 2
        # Not even the right one is told apart now.
        assert client.get("/login", method="POST", body=f"token={TOKEN}".encode()).status == 429


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    with LogWriter(path, HEADER) as writer:
        writer.interval(interval([1.0, 2.0, 30.0]), {})
    return path


def test_the_report_is_drawn_once_for_all_who_ask(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = view()
    seen.log = str(log)
    with web(seen) as client:
        assert json.loads(client.get("/status.json").body)["no_report"] == ""
        answer = client.get("/report.html")
        assert answer.status == 200
        assert answer.headers["content-disposition"] == 'attachment; filename="edge-live.html"'
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert b"<svg" in answer.body
        log.unlink()
        assert client.get("/report.html").body == answer.body
        monkeypatch.setattr(report_module, "KEPT_S", 0.0)
        assert client.get("/report.html").status == 503


def test_why_there_is_no_report(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = view()
    with web(seen) as client:
        answer = client.get("/report.html")
        assert (answer.status, answer.body) == (
            503,
            b"There is no report: edge-live writes no log (--log).\n",
        )
    seen.log = str(log)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with web(seen) as client:
        said = json.loads(client.get("/status.json").body)["no_report"]
    assert "edge-deploy[report]" in said
