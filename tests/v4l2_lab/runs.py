"""What the guest left of one run of the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from edge.latency.incidents import NOTHING, Incidents
from edge.latency.log_lines import LogError
from edge.latency.read import LatencyLog, LoggedInterval, read_log
from edge.latency.recorder import STAMPS
from edge.tensors import Array
from tests.pi_lab.roots import LabError

# A deed is in the log within one interval, and the frames that it met within another.
LATER_NS = 1_500_000_000


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: its exit status, and what it wrote to stderr."""

    status: int
    said: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `results` and `summary` are the lines that it wrote; `trace`: int64 [frames, 6].

    `deeds` are what was done to it, by name, with `begin_ns` and `end_ns` on the clock of the log.
    """

    end: End
    results: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    log: LatencyLog
    trace: Array
    deeds: Mapping[str, Mapping[str, Any]]

    def during(self, deed: str) -> list[LoggedInterval]:
        """Return the intervals in which a deed, or what came of it, is noticed."""
        when = self.deeds[deed]
        begin_ns, end_ns = when["begin_ns"], when["end_ns"] + LATER_NS
        return [
            one for one in self.log.intervals if one.end_ns > begin_ns and one.start_ns < end_ns
        ]

    def incidents(self, deed: str) -> Incidents:
        """Return what the log has of a deed."""
        return reduce(Incidents.merged, (one.incidents for one in self.during(deed)), NOTHING)

    def longest_ns(self, deed: str, stage: str) -> int:
        """Return the most that a frame took of `stage` about the time of a deed."""
        return max(one.stages[stage].max_ns for one in self.during(deed))


def read_end(out: Path, name: str) -> End:
    """Return how a run of that name ended. Raises: OSError, ValueError, KeyError."""
    status = json.loads((out / f"{name}.json").read_text())["status"]
    return End(status, (out / f"{name}.err").read_text())


def read(out: Path, name: str) -> Run:
    """Return a run of that name. Raises: LabError: something of it is missing or broken."""
    try:
        facts = json.loads((out / f"{name}.json").read_text())
        lines = [json.loads(line) for line in (out / f"{name}.out").read_text().splitlines()]
        log = out / f"{name}.jsonl"
        return Run(
            end=read_end(out, name),
            results=[line for line in lines if line["kind"] == "result"],
            summary=next((line for line in lines if line["kind"] == "summary"), {}),
            log=read_log(log),
            trace=_trace(log),
            deeds={deed["name"]: deed for deed in facts["deeds"]},
        )
    except (OSError, ValueError, LookupError, LogError) as cause:
        raise LabError(f"what is left of the run {name!r} cannot be read: {cause}") from cause


def _trace(path: Path) -> Array:
    rows: list[list[int]] = []
    for line in path.read_text().splitlines():
        data = json.loads(line)
        if data["kind"] == "trace":
            rows += data["rows"]
    return np.array(rows, np.int64).reshape(-1, len(STAMPS))
