"""Does the loop wear out? Two million frames at full speed, and twenty minutes of a real model.

    python -m tests.benchmarks.soak --models digits.int8.tflite digits.int8.onnx

Each part is a process of its own, watched from outside once a second: resident memory, open files,
threads, and the size of its latency log beside what a formula says it should be. One part loses its
camera and opens it again, ten thousand times. After the warm-up memory may grow by less than 2 MB,
files and threads not at all, and the log keeps to its formula within 15 %. Raw samples go to
tests/benchmarks/results/soak.json; with --only, those of the other parts stay.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.latency import hdr
from edge.latency.histogram import I64
from edge.latency.read import read_runs
from edge.live import LiveLoop, LiveOptions, RunLog
from edge.preprocess import PRESETS
from edge.sources.base import Frame, SourceError, Timestamps
from edge.sources.reopening import ReopeningSource
from edge.tensors import U8
from tests.benchmarks import record
from tests.benchmarks.loop_parts import MemorySource, StubBackend
from tests.edge.fakes import model_spec

SCRIPT = Path(__file__).parents[2] / "device_scripts" / "live_classify.py"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MAX_GROWTH_BYTES = 2_000_000
MAX_LOG_ERROR = 0.15
# Of a part's time, but at least so many intervals: closing the first makes what is made once.
WARM_UP, WARM_UP_INTERVALS = 0.1, 2
SAMPLE_S = 1.0
LINE_BYTES, HISTOGRAM_BYTES = 1200, 48
COLUMNS = ("seconds", "rss_bytes", "files", "threads", "log_bytes")


@dataclass(frozen=True)
class Part:
    """A process to watch: its command, which writes a latency log to `log`."""

    name: str
    command: list[str]
    log: Path
    interval_s: float


def pictures() -> list[U8]:
    """Return eight pictures of noise, uint8 [96, 96, 3]: what is soaked is the loop."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3), dtype=np.uint8)
    return list(noise)


class FailingCamera:
    """Gives `frames` frames and fails; together the openings fail `left[0]` times, then end."""

    is_live = True
    name = "failing"
    timestamps: Timestamps = "sensor"
    broken_count = 0

    def __init__(self, left: list[int], frames: int) -> None:
        self._left = left
        self._frames = frames
        self._pictures = pictures()

    def read(self) -> Frame | None:
        if self._frames == 0:
            if self._left[0] == 0:
                return None
            self._left[0] -= 1
            raise SourceError("failing: unplugged")
        self._frames -= 1
        time.sleep(0.001)
        now_ns = time.monotonic_ns()
        return Frame(self._pictures[self._frames % 8], "bgr", self._frames, now_ns, now_ns)

    def close(self) -> None:
        pass


def run_stub(frames: int, log: Path, interval_s: float) -> None:
    """The child of the first part: every frame of a file, a model that takes no time."""
    backend = StubBackend(model_spec(classes=10))
    source = MemorySource(pictures(), frames)
    loop = LiveLoop(backend, PRESETS["unit"], (), LiveOptions(interval_s=interval_s))
    run_log = RunLog(log, backend.spec, source, interval_s)
    live = loop.run(source, stop=threading.Event(), log=run_log, on_status=lambda _: None)
    assert live.run.processed == frames


def run_failing(failures: int, log: Path, interval_s: float) -> None:
    """The child of the last part: a camera that fails after every few frames."""
    backend = StubBackend(model_spec(classes=10))
    left = [failures]

    def open_one() -> FailingCamera:
        return FailingCamera(left, 10)

    source = ReopeningSource(open_one(), open_one, first_delay_s=0.0, say=lambda _: None)
    loop = LiveLoop(backend, PRESETS["unit"], (), LiveOptions(interval_s=interval_s))
    run_log = RunLog(log, backend.spec, source, interval_s)
    live = loop.run(source, stop=threading.Event(), log=run_log, on_status=lambda _: None)
    assert live.run.incidents.outages.count == failures


def watch(part: Part) -> dict[str, Any]:
    """Run a part to its end; return its samples by COLUMNS and what its log says."""
    print(f"{part.name} ...", file=sys.stderr, flush=True)
    samples: list[tuple[float, int, int, int, int]] = []
    start = time.monotonic()
    with subprocess.Popen(part.command, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            sample = _sample(child.pid, part.log)
            if sample is not None:
                samples.append((round(time.monotonic() - start, 2), *sample))
            time.sleep(SAMPLE_S)
    if child.returncode:
        raise SystemExit(f"{part.name}: exit status {child.returncode}")
    [run] = read_runs(part.log)
    return {
        **{name: [row[i] for row in samples] for i, name in enumerate(COLUMNS)},
        "frames": sum(interval.processed for interval in run.intervals),
        "captured": sum(interval.captured for interval in run.intervals),
        "skipped": sum(interval.skipped for interval in run.intervals),
        "measured_log_bytes": part.log.stat().st_size,
        "predicted_log_bytes": predict(part.log),
        "interval_s": part.interval_s,
    }


def _sample(pid: int, log: Path) -> tuple[int, int, int, int] | None:
    process = Path(f"/proc/{pid}")
    try:
        rss_bytes = int((process / "statm").read_text().split()[1]) * PAGE_BYTES
        files, threads = (len(list((process / what).iterdir())) for what in ("fd", "task"))
    except (OSError, ValueError, IndexError):
        return None  # it has ended
    return rss_bytes, files, threads, log.stat().st_size if log.exists() else 0


def predict(log: Path) -> int:
    """Return what the log should take.

    A line of an interval, and that of the whole run, has 1200 bytes of names and figures, and for
    each of the seven stages a histogram in base64 (4 bytes for 3). An interval of n frames has at
    most n filled buckets a stage: with 30 frames a second and 10 s, less than 4.6 kB.
    """
    total = 0.0
    for line in log.read_bytes().splitlines():
        data = json.loads(line)
        if data["kind"] == "run":
            total += len(line) + 1
            continue
        total += LINE_BYTES
        for stage in data["stages"].values():
            filled = hdr.decode(base64.b64decode(stage["histogram"]))
            total += 4 / 3 * predict_histogram(*filled)
    return round(total)


def predict_histogram(index: I64, counts: I64) -> float:
    """Return how many bytes an encoded histogram should take, by its filled buckets.

    It is a sequence of counts, and of the gaps between filled buckets. The best code that gives
    each of these numbers a word of its own needs their entropy (Shannon 1948), and about a byte for
    each different one to say what its word is; 48 bytes are headers.
    """
    gaps = np.diff(index, prepend=-1) - 1
    _, often = np.unique(np.concatenate([-gaps[gaps > 0], counts]), return_counts=True)
    entropy_bits = -(often * np.log2(often / often.sum())).sum()
    return float(HISTOGRAM_BYTES + entropy_bits / 8 + len(often))


def judge(name: str, samples: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a part after its warm-up, and whether they are good."""
    seconds = samples["seconds"]
    warm_s = max(WARM_UP * seconds[-1], WARM_UP_INTERVALS * samples["interval_s"])
    warm = next(i for i, second in enumerate(seconds) if second > warm_s)
    rss = samples["rss_bytes"][warm:-1]
    # Quarters against each other: one sample may fall on a moment's need.
    quarter = max(1, len(rss) // 4)
    growth = int(np.median(rss[-quarter:]) - np.median(rss[:quarter]))
    files, threads = (sorted(set(samples[key][warm:-1])) for key in ("files", "threads"))
    log_bytes, predicted_bytes = samples["measured_log_bytes"], samples["predicted_log_bytes"]
    adds_up = samples["captured"] == samples["frames"] + samples["skipped"]
    is_as_predicted = abs(log_bytes / predicted_bytes - 1) < MAX_LOG_ERROR
    is_constant = len(files) == len(threads) == 1
    return {
        "part": name,
        "frames": samples["frames"],
        "minutes": round(seconds[-1] / 60, 1),
        "rss_growth_bytes": growth,
        "rss_at_warm_bytes": rss[0],
        "rss_highest_bytes": max(rss),
        "files": files,
        "threads": threads,
        "log_bytes": log_bytes,
        "predicted_log_bytes": predicted_bytes,
        "adds_up": adds_up,
        "good": growth < MAX_GROWTH_BYTES and is_constant and is_as_predicted and adds_up,
    }


def parts(args: argparse.Namespace, folder: Path) -> list[Part]:
    """Return what is to be watched, in order."""
    child = [sys.executable, "-m", "tests.benchmarks.soak", "--interval", str(args.interval)]
    found = [
        Part(name, [*child, "--child", name, str(count)], folder / f"{name}.jsonl", args.interval)
        for name, count in (("stub", args.frames), ("failing", args.failures))
    ]
    for part in found:
        part.command.append(str(part.log))
    for model in args.models:
        log = folder / f"{model.name}.jsonl"
        command = [sys.executable, str(SCRIPT), "--model", str(model), "--source", "digits"]
        command += ["--duration", str(60 * args.minutes), "--log", str(log)]
        command += ["--interval", str(args.interval)]
        found.append(Part(model.name, command, log, args.interval))
    return found


def show(figures: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a table."""
    rows = [
        (
            figure["part"],
            f"{figure['frames']:,}",
            f"{figure['minutes']}",
            f"{figure['rss_growth_bytes'] / 1e6:+.2f}",
            " ".join(map(str, figure["files"])),
            " ".join(map(str, figure["threads"])),
            f"{figure['log_bytes']:,}",
            f"{figure['predicted_log_bytes']:,}",
            "yes" if figure["good"] else "no",
        )
        for figure in figures
    ]
    head = ("part", "frames", "min", "MB grown", "files", "threads", "log", "predicted", "good")
    return record.table(head, rows)


def main() -> None:
    """Watch every part, print the figures and keep the samples."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--models", nargs="*", type=Path, default=[])
    parser.add_argument("--frames", type=int, default=2_000_000, help="of the stub")
    parser.add_argument("--failures", type=int, default=10_000, help="of the camera that fails")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each model")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between log lines")
    parser.add_argument(
        "--only", nargs="+", metavar="PART", help="stub, failing, or a model's name"
    )
    parser.add_argument("--child", nargs=3, metavar=("PART", "COUNT", "LOG"), help="for itself")
    args = parser.parse_args()
    if args.child:
        part, count, log = args.child
        run = {"stub": run_stub, "failing": run_failing}[part]
        run(int(count), Path(log), args.interval)
        return
    before = record.machine()
    figures: dict[str, Any] = {}
    samples: dict[str, Any] = {}
    if args.only:
        kept = json.loads((record.RESULTS / "soak.json").read_text())
        figures, samples = kept["figures"], kept["samples"]
    with tempfile.TemporaryDirectory() as folder:
        for part in parts(args, Path(folder)):
            if args.only and part.name not in args.only:
                continue
            found = watch(part)
            # Parts may be of different days: each says where and when it ran.
            samples[part.name] = found
            figures[part.name] = judge(part.name, found) | {"machine": record.machine()}
    record.save("soak", before, figures=figures, samples=samples)
    print(show(list(figures.values())))
    if not all(figure["good"] for figure in figures.values()):
        raise SystemExit("the loop wears out: see the table")


if __name__ == "__main__":
    main()
