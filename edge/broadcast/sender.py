"""The loop's side of the process that broadcasts: a thread that feeds it, and starts it again."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import edge
from edge.broadcast import wire
from edge.broadcast.latest import Latest
from edge.processes import this_python
from edge.text import warn

# Ten times a second: often enough for eyes, seldom enough for the loop not to feel it.
PERIOD_S = 0.1
# Whoever looks says so about once a second.
WATCHED_S = 2.0
# A process that takes nothing for so long hangs, and is started again. One that only gets what the
# loop leaves over of the processor is slow, but not so slow.
STALLED_S = 30
BACK_OFF_S = (1.0, 60.0)
CLOSE_S = 3.0
COMMAND = "edge.broadcast.child"


@dataclass(frozen=True, slots=True)
class Setting:
    """What the process must know: what runs, and what it is to serve.

    `fields` are JSON, and may hold secrets: they go over a socket of the two alone. `sockets` are
    those that listen, by the option that asked for them.
    """

    fields: Mapping[str, Any]
    sockets: Mapping[str, socket.socket] = field(default_factory=dict)


class Sender:
    """Feeds a process that broadcasts what `latest` holds, until it is closed.

    Whatever becomes of that process, the loop goes on: one that ends or hangs is started again,
    after a second at first and a minute at most, and that is said on stderr.
    """

    def __init__(self, latest: Latest, setting: Setting) -> None:
        self.restarts = 0
        self._latest = latest
        self._setting = setting
        self._closing = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._reason = ""
        self._thread = threading.Thread(target=self._run, name="broadcast", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, reason: str) -> None:
        """Tell the process why the run ended, and wait 3 s until it is gone, then end it."""
        self._reason = reason
        self._closing.set()
        self._thread.join(CLOSE_S)
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()
        self._thread.join(CLOSE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(f"error: {error}" if error else "stopped")

    def _run(self) -> None:
        pause_s = BACK_OFF_S[0]
        while not self._closing.is_set():
            began_ns = time.monotonic_ns()
            status = self._serve()
            if self._closing.is_set():
                return
            # One that served for a while has earned a quick start.
            if time.monotonic_ns() - began_ns > BACK_OFF_S[1] * 1e9:
                pause_s = BACK_OFF_S[0]
            self.restarts += 1
            warn(
                f"the process that serves --web, --metrics and --mqtt {status}; it is started "
                f"again in {pause_s:g} s, and the loop goes on"
            )
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, BACK_OFF_S[1])

    def _serve(self) -> str:
        """Start the process and feed it until it or the run ends; return how it ended."""
        ours, theirs = socket.socketpair()
        ours.settimeout(None)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(STALLED_S))
        with theirs:
            sockets = {name: s.fileno() for name, s in self._setting.sockets.items()}
            # In our session: Linux weighs priorities within one (sched(7), autogroups).
            self._child = subprocess.Popen(
                [*this_python(), "-m", COMMAND, str(theirs.fileno())],
                pass_fds=[theirs.fileno(), *sockets.values()],
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": _path()},
            )
        connection = Connection(ours.detach())
        hung = False
        try:
            wire.send(connection, "hello", {**self._setting.fields, "sockets": sockets})
            self._feed(connection)
            wire.send(connection, "bye", {"reason": self._reason})
        except BlockingIOError:
            hung = True
            self._child.kill()
        except (OSError, EOFError):
            pass  # it has ended
        finally:
            # Its end of the line, for a process that has not heard the last message.
            try:
                self._child.wait(CLOSE_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            connection.close()
        return "hangs" if hung else f"has ended (exit status {self._child.returncode})"

    def _feed(self, connection: Connection) -> None:
        latest, watched_ns = self._latest, 0
        sent_newest = sent_status = None
        while True:
            is_last = self._closing.wait(PERIOD_S)
            results, lost = latest.take_results()
            if results:
                wire.send(connection, *wire.results_message(results, lost))
            status = latest.newest_status
            if status is not None and status is not sent_status:
                wire.send(connection, *wire.status_message(status, latest.lost_intervals))
                sent_status = status
            for interval in latest.take_intervals():
                wire.send(connection, *wire.interval_message(interval))
            now_ns = time.monotonic_ns()
            while connection.poll():
                if connection.recv_bytes(len(wire.WATCHED)) == wire.WATCHED:
                    watched_ns = now_ns + round(WATCHED_S * 1e9)
            newest = latest.newest
            if newest is not None and newest is not sent_newest and now_ns < watched_ns:
                wire.send(connection, *wire.picture_message(*newest))
                sent_newest = newest
            if is_last:
                return


def _path() -> str:
    """Return where the other Python finds what this one has found, if it was not installed."""
    root = str(Path(edge.__file__).parents[1])
    return os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))


def _timeval(seconds: int) -> bytes:
    return struct.pack("@ll", seconds, 0)
