"""What it costs the loop to be seen: frame times without a page, and with pages that are asked for.

    python -m tests.benchmarks.web --model model.int8.tflite

The loop runs at full speed on one processor that it shares with the process that serves, as on a
board where inference takes all cores; the clients have the other one. Blocks of frames under each
condition take turns, so that whatever else the machine does meets all of them:

    none        nobody can ask
    idle        --web, nobody asks
    page, pages what one page asks for, and eight: every picture, and figures once a second
    deaf        eight clients that ask and never read
    flood       sixteen connections, opened, asked on and closed as fast as they go
    threaded    eight browsers, and what serves them as a thread of the loop's process
    threaded flood

Samples are the times from label to label. They go to tests/benchmarks/results/web.json.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.backends import open_model
from edge.broadcast import child, wire
from edge.broadcast.address import Address, listen
from edge.broadcast.broadcast import Broadcast
from edge.broadcast.latest import Latest
from edge.broadcast.sender import Sender, Setting
from edge.classifier import choose_preprocess
from edge.live import LiveLoop, LiveOptions, Result
from edge.preprocess import PRESETS
from tests.benchmarks import record
from tests.benchmarks.loop_parts import MemorySource, pictures_of, synthetic_pictures

LOOP_CPU, CLIENT_CPU = 0, 1
# Clients, how many, and whether a thread serves them.
CONDITIONS: dict[str, tuple[str, int, bool] | None] = {
    "none": None,
    "idle": ("page", 0, False),
    "page": ("page", 1, False),
    "pages": ("page", 8, False),
    "deaf": ("deaf", 8, False),
    "flood": ("flood", 16, False),
    "threaded": ("page", 8, True),
    "threaded flood": ("flood", 16, True),
}
SETTLE_S = 1.0
# No client goes on for longer, whatever becomes of the run.
CLIENT_S = 120.0


def browse(port: int, end_s: float) -> int:
    """Ask as the page does, and return how many pictures came."""
    pictures, number, status_s = 0, -1, 0.0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    while time.monotonic() < end_s:
        path = f"/live.jpg?after={number}"
        if time.monotonic() - status_s > 1:
            path, status_s = "/status.json?after=0", time.monotonic()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):  # where the loop leaves it no time
            connection.close()
            continue
        if answer.status == 200 and "live" in path:
            pictures += 1
            number = int(answer.headers["x-number"])
    return pictures


def be_deaf(port: int, end_s: float) -> int:
    """Ask for many pictures on a connection, read none, and try again when it is cut off."""
    asked = 0
    request = b"GET /live.jpg?after=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    while time.monotonic() < end_s:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", port))
            try:
                for _ in range(100):
                    connection.sendall(request)
                    asked += 1
                    time.sleep(0.1)
            except OSError:
                continue
    return asked


def flood(port: int, end_s: float) -> int:
    """Open a connection, ask, take what comes, close: as fast as it goes."""
    answered = 0
    request = b"GET /live.jpg?after=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    while time.monotonic() < end_s:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(request)
                answered += bool(connection.recv(65536))
        except OSError:
            continue
    return answered


CLIENTS: dict[str, Callable[[int, float], int]] = {"page": browse, "deaf": be_deaf, "flood": flood}


def be_clients(kind: str, count: int, port: int, duration_s: float) -> None:
    """Be so many clients, and print what they got together."""
    os.sched_setaffinity(0, {CLIENT_CPU})
    # They must not push aside what else runs there: the loop would feel it, and not by being asked.
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    got: list[int] = []
    end_s = time.monotonic() + min(duration_s, CLIENT_S)
    threads = [
        threading.Thread(target=lambda: got.append(CLIENTS[kind](port, end_s)))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(got))


@contextmanager
def clients(kind: str, count: int, port: int, duration_s: float) -> Iterator[list[int]]:
    """Have clients for so long; what they got stands in the list when the context ends."""
    got: list[int] = []
    if not count:
        yield got
        return
    command = [sys.executable, "-m", "tests.benchmarks.web", "--be", kind]
    words = [str(count), str(port), str(duration_s)]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            # Python takes a while to start.
            time.sleep(SETTLE_S)
            yield got
        finally:
            out, _ = process.communicate()
            got.append(int(out))


@contextmanager
def on_air(broadcast: Broadcast, *, is_thread: bool) -> Iterator[Latest]:
    """Serve by a process, as edge-live does, or by a thread of this one."""
    fields: dict[str, Any] = {
        "facts": {},
        "labels": [],
        "log": "",
        "hosts": broadcast.hosts,
        "tokens": {},
        "mqtt": None,
    }
    latest = Latest()
    sender = Sender(latest, Setting(fields, broadcast.sockets))
    if not is_thread:
        with sender:
            yield latest
        return
    ours, theirs = socket.socketpair()
    connection = Connection(ours.detach())
    serving = threading.Thread(target=child._broadcast, args=(Connection(theirs.detach()),))
    serving.start()
    copies = {name: os.dup(s.fileno()) for name, s in broadcast.sockets.items()}
    wire.send(connection, "hello", {**fields, "sockets": copies})
    feeding = threading.Thread(target=sender._feed, args=(connection,))
    feeding.start()
    try:
        yield latest
    finally:
        sender._closing.set()
        feeding.join()
        wire.send(connection, "bye", {})
        serving.join()
        connection.close()


def wait_for_page(port: int) -> None:
    """Return when the page answers."""
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/status.json")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError("the page does not answer")


class Bench:
    """One loop, and the blocks that it runs."""

    def __init__(self, loop: LiveLoop, pictures: list[Any], frames: int) -> None:
        self._loop = loop
        self._pictures = pictures
        self._frames = frames
        self._at_ns: NDArray[np.int64] = np.zeros(frames, np.int64)

    def run(self, latest: Latest | None, frames: int) -> NDArray[np.int64]:
        """Return the times from label to label, ns."""
        at_ns, clock, place = self._at_ns, time.monotonic_ns, 0

        def note(_: Result) -> None:
            nonlocal place
            at_ns[place] = clock()
            place += 1

        source = MemorySource(self._pictures, frames)
        self._loop.run(source, stop=threading.Event(), on_result=note, listener=latest)
        return np.diff(at_ns[:frames])

    def block(self, condition: str, expected_s: float) -> tuple[NDArray[np.int64], list[int]]:
        """Return the times of one block, and what its clients got."""
        setting = CONDITIONS[condition]
        if setting is None:
            return self._settled(None), []
        kind, count, is_thread = setting
        with ExitStack() as stack:
            broadcast = stack.enter_context(Broadcast())
            address = Address("127.0.0.1", 0)
            broadcast.sockets["--web"] = listening = listen(address, "--web")
            broadcast.hosts["--web"] = address.host
            port = listening.getsockname()[1]
            latest = stack.enter_context(on_air(broadcast, is_thread=is_thread))
            wait_for_page(port)
            got = stack.enter_context(clients(kind, count, port, 2 * expected_s + 2 * SETTLE_S))
            times = self._settled(latest)
        return times, got

    def _settled(self, latest: Latest | None) -> NDArray[np.int64]:
        """Return the times of the second half of twice the frames.

        By then the clients have their pictures, and the system has moved away what it can.
        """
        self.run(latest, self._frames)
        return self.run(latest, self._frames)


def figures_of(samples: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Return for each condition the medians over the rounds, and the paired ratios to `none`."""
    found = {}
    for condition, blocks in samples.items():
        figures: dict[str, float] = {}
        for name in ("p50_ms", "p99_ms", "mean_ms"):
            values = np.array([block[name] for block in blocks])
            base = np.array([block[name] for block in samples["none"]])
            figures[name] = float(np.median(values))
            low, middle, high = np.percentile(values / base, (25, 50, 75))
            figures |= {f"{name}_ratio": float(middle)}
            figures |= {f"{name}_ratio_low": float(low), f"{name}_ratio_high": float(high)}
        figures["frames_per_second"] = 1000 / figures["mean_ms"]
        found[condition] = figures
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the figures and keep the samples."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--preprocess", choices=tuple(PRESETS))
    parser.add_argument("--source")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--frames", type=int, default=600, help="frames a block")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--be", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.be:
        kind, count, port, duration_s = args.be
        be_clients(kind, int(count), int(port), float(duration_s))
        return
    os.sched_setaffinity(0, {LOOP_CPU})
    cv2.setNumThreads(1)
    machine = record.machine()
    backend = open_model(args.model, threads=1)
    preprocess = choose_preprocess(backend.spec, args.preprocess)
    loop = LiveLoop(backend, preprocess, (), LiveOptions(warmup=3))
    pictures = pictures_of(args.source, 32) if args.source else synthetic_pictures(8)
    bench = Bench(loop, pictures, args.frames)
    expected_s = float(bench.run(None, args.frames).sum()) / 1e9
    samples: dict[str, list[dict[str, Any]]] = {condition: [] for condition in args.conditions}
    for number in range(args.rounds):
        for condition, blocks in samples.items():
            times_ns, got = bench.block(condition, expected_s)
            p50, p99 = np.percentile(times_ns, (50, 99)) / 1e6
            blocks.append(
                {
                    "p50_ms": float(p50),
                    "p99_ms": float(p99),
                    "mean_ms": float(times_ns.mean()) / 1e6,
                    "clients_got": got,
                    "times_us": (times_ns // 1000).tolist(),
                }
            )
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    backend.close()
    figures = figures_of(samples)
    record.save(
        "web",
        machine,
        figures=figures,
        model=args.model.name,
        model_sha256=backend.spec.sha256,
        frames_a_block=args.frames,
        samples=samples,
    )
    for condition, values in figures.items():
        print(
            f"{condition:15} {values['frames_per_second']:7.1f} fps  p50 {values['p50_ms']:.2f} ms "
            f"({values['p50_ms_ratio']:.3f})  p99 {values['p99_ms']:.2f} ms "
            f"({values['p99_ms_ratio']:.3f})  mean ratio {values['mean_ms_ratio']:.3f} "
            f"[{values['mean_ms_ratio_low']:.3f}, {values['mean_ms_ratio_high']:.3f}]"
        )


if __name__ == "__main__":
    main()
