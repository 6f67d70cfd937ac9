from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.errors import EdgeError
from edge.live import LiveLoop, LiveOptions
from edge.preprocess import PRESETS
from edge.service import ServiceManager
from edge.tensors import Array
from tests.edge.fakes import Item, ListSource, MeanBackend, solid

# Every label is a sign of life, and none but the first.
ALWAYS, NEVER = "4", str(10**15)


class Listener:
    """The manager's end of $NOTIFY_SOCKET."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._socket.setblocking(False)

    def heard(self) -> list[bytes]:
        """Return the datagrams since the last call."""
        heard = []
        while True:
            try:
                heard.append(self._socket.recv(1 << 16))
            except BlockingIOError:
                return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    name = f"@edge-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify é")
    listener = Listener(name)
    yield listener
    listener.close()


def new_manager(listener: Listener, period_us: str = ALWAYS, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": period_us, **more})


def test_the_first_label_is_ready_and_later_ones_are_signs_of_life(listener: Listener) -> None:
    with new_manager(listener) as manager:
        assert manager.listens
        assert listener.heard() == []
        for _ in range(3):
            manager.labelled()
        manager.status("cat 93 %")
    assert listener.heard() == [
        b"READY=1",
        b"WATCHDOG=1",
        b"WATCHDOG=1",
        b"STATUS=cat 93 %",
        b"STOPPING=1",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"WATCHDOG_USEC": NEVER},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "-4"},
        {"WATCHDOG_USEC": "4", "WATCHDOG_PID": "1"},
    ],
)
def test_no_sign_of_life_is_sent_that_nobody_waits_for(
    listener: Listener, environ: dict[str, str]
) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.name, **environ})
    for _ in range(3):
        manager.labelled()
    assert listener.heard() == [b"READY=1"]


def test_signs_of_life_come_four_times_a_period(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 10**9
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    manager = new_manager(listener, "30000000", WATCHDOG_PID=str(os.getpid()))
    heard_ns = []
    for _ in range(300):
        manager.labelled()
        heard_ns += [now_ns] * len(listener.heard())
        now_ns += 100_000_000
    gaps = {after - before for before, after in itertools.pairwise(heard_ns)}
    assert gaps == {7_500_000_000}


def test_a_camera_that_is_slow_to_begin_gets_time_to_start(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 10**9
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    manager = new_manager(listener, "30000000")
    heard: list[tuple[int, bytes]] = []
    for _ in range(100):  # a first frame after 100 s
        now_ns += 10**9
        manager.alive()
        heard += [(now_ns // 10**9 - 1, news) for news in listener.heard()]
    assert [second for second, _ in heard] == list(range(10, 101, 10))
    assert {news for _, news in heard} == {b"EXTEND_TIMEOUT_USEC=30000000"}
    # Each is sent long before the one before has run out, and none once it is ready.
    manager.labelled()
    now_ns += 20 * 10**9
    manager.alive()
    assert listener.heard() == [b"READY=1", b"WATCHDOG=1"]


def test_what_the_process_starts_does_not_speak_in_its_name(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "4", "WATCHDOG_PID": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    manager = ServiceManager()
    assert not given.keys() & os.environ.keys()
    manager.labelled()
    assert listener.heard() == [b"READY=1"]


def test_without_a_manager_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with ServiceManager({"WATCHDOG_USEC": ALWAYS}) as manager:
        assert not manager.listens
        manager.labelled()
        manager.status("cat")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["a\nSTOPPING=1", "\N{GRINNING FACE}" * 9999, "caf\udce9"])
def test_a_status_is_one_line_that_the_manager_takes(listener: Listener, text: str) -> None:
    new_manager(listener).status(text)
    [datagram] = listener.heard()
    assert datagram.startswith(b"STATUS=")
    assert b"\n" not in datagram
    assert len(datagram) <= 4096  # systemd's NOTIFY_BUFFER_MAX
    assert datagram.decode()


@pytest.mark.parametrize(
    ("error", "words"),
    [(EdgeError("no camera"), [b"STATUS=error: no camera"]), (ValueError("a bug"), [])],
)
def test_the_end_says_what_was_wrong(
    listener: Listener, error: Exception, words: list[bytes]
) -> None:
    with pytest.raises(type(error)), new_manager(listener):
        raise error
    assert listener.heard() == [*words, b"STOPPING=1"]


@pytest.mark.parametrize("name", ["/nowhere/notify", "/" + "x" * 200, "vsock:2:99"])
def test_a_manager_that_cannot_be_told_is_said_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": ALWAYS}) as manager:
        for _ in range(3):
            manager.labelled()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: NOTIFY_SOCKET={name}: the service manager cannot be told (")


def test_a_busy_manager_does_not_stop_the_loop_and_hears_later(listener: Listener) -> None:
    manager = new_manager(listener)
    for _ in range(5000):  # more than any system lets wait
        manager.status("cat")
    manager.labelled()
    waiting = listener.heard()
    assert len(waiting) < 5000
    assert b"READY=1" not in waiting
    manager.labelled()
    assert listener.heard() == [b"READY=1"]


class StuckBackend(MeanBackend):
    """Hangs in the inference number `at` until it is released."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.released = threading.Event()
        self._at = at

    def run(self) -> Array:
        if self.runs == self._at:
            self.reached.set()
            self.released.wait()
        return super().run()


def run_until(
    reached: threading.Event, backend: MeanBackend, source: ListSource, listener: Listener
) -> tuple[list[bytes], list[bytes], Callable[[], None]]:
    """Run a loop; return what was heard until it fell silent, what after that, how to end it.

    One that goes on does not fall silent, and is left to itself after some seconds.
    """
    loop = LiveLoop(backend, PRESETS["unit"], (), LiveOptions(status_s=0.05))
    stop = threading.Event()
    manager = new_manager(listener)

    def run() -> None:
        loop.run(
            source,
            stop=stop,
            on_result=lambda _: manager.labelled(),
            on_status=lambda status: manager.status(str(status.processed)),
        )

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    assert reached.wait(10)
    before: list[bytes] = []
    for _ in range(5):
        time.sleep(0.4)
        news = listener.heard()
        before += news
        if not {b"READY=1", b"WATCHDOG=1"} & set(news):
            break
    time.sleep(0.4)
    return before, listener.heard(), end


def test_an_inference_that_hangs_gives_no_sign_of_life(listener: Listener) -> None:
    backend = StuckBackend(at=3 + 5)  # behind the warm-up
    source = ListSource([solid(0)] * 9)
    before, after, end = run_until(backend.reached, backend, source, listener)
    backend.released.set()
    end()
    assert before.count(b"WATCHDOG=1") == 4
    # Where the model has a thread of its own, the loop still turns, and says so.
    assert all(news.startswith(b"STATUS=") for news in after)
    assert b"WATCHDOG=1" in listener.heard()


def test_a_camera_that_hangs_gives_no_sign_of_life(listener: Listener) -> None:
    reached = threading.Event()
    items: list[Item] = []
    for _ in range(5):
        items += [lambda: time.sleep(0.02), solid(0)]
    source = ListSource([*items, reached.set], is_live=True, then_waits=True)
    before, after, end = run_until(reached, MeanBackend(), source, listener)
    end()
    assert before.count(b"READY=1") == 1
    assert b"WATCHDOG=1" in before
    # The loop itself still turns, and says so; that is not life.
    assert after
    assert all(news.startswith(b"STATUS=") for news in after)


def test_a_camera_that_goes_on_gives_signs_of_life(listener: Listener) -> None:
    reached = threading.Event()

    def frames() -> Iterator[Item]:
        for number in range(10**9):
            if number == 5:
                reached.set()
            yield lambda: time.sleep(0.01)
            yield solid(0)

    source = ListSource(frames(), is_live=True)
    _, after, end = run_until(reached, MeanBackend(), source, listener)
    end()
    assert b"WATCHDOG=1" in after
