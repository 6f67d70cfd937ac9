"""What a run tells the service manager: that it is ready, that it lives, how it goes.

The protocol is that of sd_notify(3): a datagram of `NAME=value` lines to the socket that
$NOTIFY_SOCKET names. It needs nothing but the standard library, and where nobody asked for it,
nothing is sent.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import MutableMapping
from types import TracebackType
from typing import Self

from edge.errors import EdgeError
from edge.text import cut, printable

# systemd drops a datagram of more than 4096 bytes; these columns are at most 1200.
STATUS_COLUMNS = 300
# Twice as often as sd_watchdog_enabled(3) asks, so that a slow frame in between does no harm.
SIGNS_A_PERIOD = 4
# Before it is ready, a service that still waits for its camera asks for so much time, so often.
EXTENSION_NS, EXTEND_AGAIN_NS = 30_000_000_000, 10_000_000_000


class ServiceManager:
    """Sends what the loop has done, never what it hopes.

    It is ready when a first frame has its label: then the model, the camera and the inference are
    known to work together, and whoever starts the service hears of it if they do not. From then on
    every label is a sign of life, and so is that the loop waits for a camera that is slow, or that
    is being opened again: it ends by itself, with a better message, when that takes too long.
    Before the first label, such a wait asks for more time to start: a camera that gives a frame in
    100 s may take longer than the unit's TimeoutStartSec. An inference that hangs is silent, and so
    is a file.

    Never raises: a manager that does not listen is said once on stderr, and the run goes on.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Take what `environ` (None: the process's own) says of the manager out of it.

        What this process starts must not speak in its name.
        """
        environ = os.environ if environ is None else environ
        self._address = environ.pop("NOTIFY_SOCKET", "")
        period_us = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        self._sign_ns: int | None = None
        if period_us.isascii() and period_us.isdecimal() and pid in ("", str(os.getpid())):
            self._sign_ns = int(period_us) * 1000 // SIGNS_A_PERIOD
        self._alive_ns: int | None = None
        self._extended_ns = time.monotonic_ns()
        self._failed = False

    @property
    def listens(self) -> bool:
        """Whether there is a service manager that wants to be told."""
        return bool(self._address)

    def labelled(self) -> None:
        """Say that a frame has its label: the first makes the service ready, all are progress."""
        if self._alive_ns is not None:
            self.alive()
            return
        now_ns = time.monotonic_ns()
        if self._send("READY=1"):
            self._alive_ns = now_ns

    def alive(self) -> None:
        """Give a sign of life, where one is wanted again; before it is ready, ask for time."""
        now_ns = time.monotonic_ns()
        if self._alive_ns is None:
            is_due = now_ns - self._extended_ns >= EXTEND_AGAIN_NS
            if is_due and self._send(f"EXTEND_TIMEOUT_USEC={EXTENSION_NS // 1000}"):
                self._extended_ns = now_ns
            return
        if self._sign_ns is None:
            return
        if now_ns - self._alive_ns >= self._sign_ns and self._send("WATCHDOG=1"):
            self._alive_ns = now_ns

    def status(self, text: str) -> None:
        """Say in one line how the run goes."""
        self._send(f"STATUS={cut(printable(text), STATUS_COLUMNS)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say that the run is over, and what was wrong."""
        if isinstance(error, EdgeError):
            self.status(f"error: {error}")
        self._send("STOPPING=1")

    def _send(self, news: str) -> bool:
        if not self._address:
            return False
        try:
            # "@" stands for the NUL that begins an abstract socket's name.
            name = os.fsencode(self._address)
            name = b"\0" + name[1:] if name.startswith(b"@") else name
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                # A manager that is busy must not stop the camera; the next frame tries again.
                manager.setblocking(False)
                manager.sendto(news.encode(), name)
        except BlockingIOError:
            return False
        except OSError as cause:
            if not self._failed:
                print(
                    f"warning: NOTIFY_SOCKET={printable(self._address)}: the service manager "
                    f"cannot be told ({cause.strerror or cause}); the loop goes on",
                    file=sys.stderr,
                )
            self._failed = True
            return False
        return True
