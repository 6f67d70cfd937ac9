from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from calibration.errors import CalibrationError
from calibration.spread import Here, Spread, SpreadError
from calibration.spread.processes import MAX_JOBS, Processes
from tests.calibration.spread.tasks import Counting, Deadly, OddError, Square

COUNT = 20
SQUARES = [number * number for number in range(COUNT)]


@pytest.mark.parametrize("spread", [Here(), Processes(1), Processes(3)])
def test_results_come_in_order(spread: Spread) -> None:
    found = list(spread.map(Square(slow_s=0.01), range(COUNT)))
    assert [square for square, _ in found] == SQUARES
    others = {process for _, process in found} - {os.getpid()}
    assert bool(others) is isinstance(spread, Processes)
    assert len(others) <= 3


def test_nothing_to_do_is_nothing() -> None:
    assert list(Processes(2).map(Square(), [])) == []


def test_pieces_are_taken_as_they_are_worked_on() -> None:
    taken = 0

    def pieces() -> Iterator[int]:
        nonlocal taken
        while taken < 100:
            taken += 1
            yield taken

    results = Processes(2).map(Square(), pieces())
    for done in range(1, 20):
        next(results)
        assert taken <= done + 4  # two for each process
    results.close()  # type: ignore[attr-defined]
    assert taken < 30


def test_each_process_opens_the_task_once(tmp_path: Path) -> None:
    list(Processes(2).map(Counting(slow_s=0.01, folder=tmp_path), range(COUNT)))
    opened = [path.name.split("-")[0] for path in tmp_path.iterdir()]
    assert len(opened) == len(set(opened)) <= 2


def test_an_error_of_a_piece_is_said_as_here() -> None:
    task = Square(odd=7)
    said = []
    for spread in (Here(), Processes(2)):
        with pytest.raises(CalibrationError) as found:
            list(spread.map(task, range(COUNT)))
        said.append(str(found.value))
    assert said == [str(OddError(7, "a test"))] * 2


def test_a_process_that_dies_is_one_sentence() -> None:
    others = set(multiprocessing.active_children())
    with pytest.raises(SpreadError, match=r"^one of 2 processes died, .* take fewer --jobs$"):
        list(Processes(2).map(Deadly(number=3), range(COUNT)))
    assert set(multiprocessing.active_children()) <= others


def test_who_stops_early_leaves_no_process_and_waits_for_none() -> None:
    others = set(multiprocessing.active_children())
    results = Processes(2).map(Square(slow_s=30), range(COUNT))
    start_s = time.monotonic()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(results)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert set(multiprocessing.active_children()) <= others
    assert time.monotonic() - start_s < 20


SCRIPT = """
from calibration.spread.processes import Processes
from edge.command import run_command
from tests.calibration.spread.tasks import Square

def show(_):
    for square, process in Processes(2).map(Square(slow_s=0.2), range(1000)):
        print(process, flush=True)

if __name__ == "__main__":
    raise SystemExit(run_command("script", show, []))
"""


@pytest.fixture
def script(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A command, in a process group of its own, that prints who does its work."""
    root, path = Path(__file__).parents[3], tmp_path / "script.py"
    path.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(root)},
        start_new_session=True,
    ) as parent:
        yield parent
        parent.kill()


def test_processes_end_with_one_that_is_killed(script: subprocess.Popen[str]) -> None:
    assert script.stdout is not None
    children = {int(script.stdout.readline()) for _ in range(6)}
    assert all(map(_is_alive, children))
    script.kill()
    _wait_for_the_end(children)


@pytest.mark.parametrize("is_early", [True, False])
def test_an_interrupt_from_the_terminal_is_one_sentence(
    script: subprocess.Popen[str], *, is_early: bool
) -> None:
    assert script.stdout is not None
    assert script.stderr is not None
    children = set[int]()
    while len(children) < 2:  # the first keeps count of what is shared
        listed = Path(f"/proc/{script.pid}/task/{script.pid}/children").read_text()
        children = set(map(int, listed.split()))
    if not is_early:
        script.stdout.readline()
    os.killpg(script.pid, signal.SIGINT)
    assert script.wait(20) == 130
    _wait_for_the_end(children)
    assert script.stderr.read() == "script: interrupted\n"


def _wait_for_the_end(processes: Iterable[int]) -> None:
    end_s = time.monotonic() + 20
    while any(map(_is_alive, processes)) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert not any(map(_is_alive, processes))


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # nobody may be there to take note of its end


@pytest.mark.parametrize("jobs", [0, -1, MAX_JOBS + 1])
def test_numbers_of_processes_that_are_none(jobs: int) -> None:
    with pytest.raises(SpreadError, match=f"--jobs {jobs}; allowed: 1 to 256 processes"):
        Processes(jobs)
