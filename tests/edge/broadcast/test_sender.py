"""The loop's side against a process of a few lines in the place of the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.broadcast import sender as sender_module
from edge.broadcast.latest import Latest
from edge.broadcast.sender import Sender, Setting
from tests.edge.broadcast.runs import frame, interval, result, status

# Notes the kind of each message in a file, and asks for pictures; `then` is what else it does.
CHILD = """
import json, os, signal, sys, time
from multiprocessing.connection import Connection
from edge.broadcast import wire

connection = Connection(int(sys.argv[1]))
with open({notes!r}, "a") as notes:
    for message in wire.messages(connection):
        fields = message.fields if message.kind in ("hello", "bye") else {{}}
        print(json.dumps([message.kind, fields, os.getpid()]), file=notes, flush=True)
        connection.send_bytes(wire.WATCHED)
        {then}
"""


class Child:
    """What the process in the place of the real one has noted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._notes = folder / "notes"

    def then(self, what: str) -> None:
        script = self._folder / "edge_broadcast_stand_in.py"
        script.write_text(CHILD.format(notes=str(self._notes), then=what))
        path = os.pathsep.join([str(self._folder), os.environ.get("PYTHONPATH", "")])
        self._monkeypatch.setenv("PYTHONPATH", path)
        self._monkeypatch.setattr(sender_module, "COMMAND", script.stem)

    def notes(self) -> list[tuple[str, dict[str, Any], int]]:
        if not self._notes.exists():
            return []
        return [tuple(json.loads(line)) for line in self._notes.read_text().splitlines()]

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.notes()]

    def until(self, condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end_s, self.notes()
            time.sleep(0.01)


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Child:
    monkeypatch.setattr(sender_module, "PERIOD_S", 0.01)
    monkeypatch.setattr(sender_module, "BACK_OFF_S", (0.01, 0.02))
    monkeypatch.setattr(sender_module, "CLOSE_S", 0.5)
    return Child(tmp_path, monkeypatch)


def test_what_the_loop_leaves_arrives_and_pictures_where_they_are_watched(child: Child) -> None:
    child.then("")
    latest = Latest()
    with Sender(latest, Setting({"token": "secret"})):
        latest.labelled(frame(1), result(0))
        latest.status(status())
        latest.interval(interval([1.0]))
        child.until(lambda: {"results", "status", "interval", "picture"} <= set(child.kinds()))
        latest.labelled(frame(2), result(0))
        child.until(lambda: child.kinds().count("picture") == 2)
    notes = child.notes()
    assert notes[0][:2] == ("hello", {"token": "secret", "sockets": {}})
    assert notes[-1][:2] == ("bye", {"reason": "stopped"})
    # Nothing twice, though nothing new came for many periods.
    assert [child.kinds().count(kind) for kind in ("results", "status", "interval")] == [2, 1, 1]


def test_no_picture_goes_out_while_nobody_looks(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "WATCHED_S", 0.0)
    child.then("")
    latest = Latest()
    with Sender(latest, Setting({})):
        latest.labelled(frame(1), result(0))
        child.until(lambda: "results" in child.kinds())
        latest.status(status())
        child.until(lambda: "status" in child.kinds())
    assert "picture" not in child.kinds()


@pytest.mark.parametrize("then", ["raise SystemExit(4)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_process_that_ends_is_started_again(
    then: str, child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    child.then(then)
    sender = Sender(Latest(), Setting({}))
    with sender:
        child.until(lambda: child.kinds().count("hello") == 3)
    assert len({pid for _, _, pid in child.notes()}) >= 3
    assert sender.restarts >= 2
    said = capsys.readouterr().err
    assert "warning: the process that serves --web, --metrics and --mqtt has ended (exit" in said
    assert "the loop goes on" in said


def test_a_process_that_takes_nothing_is_replaced(
    child: Child, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sender_module, "STALLED_S", 1)
    child.then("time.sleep(60)")
    latest = Latest()
    with Sender(latest, Setting({})):
        child.until(lambda: "hello" in child.kinds())
        # What no buffer holds.
        one = frame(0)
        number = 0

        def fill() -> bool:
            nonlocal number
            number += 1
            for _ in range(500):
                latest.labelled(one, result(0, sequence=number))
            return child.kinds().count("hello") == 2

        child.until(fill)
    assert "hangs; it is started again" in capsys.readouterr().err


def test_a_process_that_does_not_go_is_ended(child: Child) -> None:
    child.then("time.sleep(60)")
    with Sender(Latest(), Setting({})):
        child.until(lambda: "hello" in child.kinds())
    [(_, _, pid)] = child.notes()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PARENT = """
import sys, time
from edge.broadcast import sender
from edge.broadcast.latest import Latest

sender.COMMAND = "edge_broadcast_stand_in"
sender.Sender(Latest(), sender.Setting({})).start()
time.sleep(60)
"""


def test_a_process_ends_with_a_loop_that_was_killed(child: Child) -> None:
    child.then("")
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=Path(__file__).parents[3]) as loop:
        child.until(lambda: "hello" in child.kinds())
        loop.send_signal(signal.SIGKILL)
    [(_, _, pid)] = child.notes()

    def is_gone() -> bool:
        # Nobody may have waited for it: then it is a zombie of ours, or of init's.
        try:
            return ") Z " in Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True

    child.until(is_gone)
