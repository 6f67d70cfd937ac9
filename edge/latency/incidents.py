"""What befell a run that no percentile shows: pauses, clocks that were set, a camera that was gone.

Every kind is counted, with its size, in the interval in which it was noticed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something happened, how long it took in all, and the longest of them.

    The sizes of steps of a clock have a sign; then `longest_ns` is the one furthest from 0.
    """

    count: int = 0
    total_ns: int = 0
    longest_ns: int = 0

    def with_one(self, size_ns: int) -> Tally:
        """Return this and one more."""
        return self.merged(Tally(1, size_ns, size_ns))

    def merged(self, other: Tally) -> Tally:
        """Return both together."""
        longest_ns = max(self.longest_ns, other.longest_ns, key=abs)
        return Tally(self.count + other.count, self.total_ns + other.total_ns, longest_ns)


@dataclass(frozen=True, slots=True)
class Incidents:
    """What happened in an interval, or in several.

    `pauses`: the loop's thread did not run for 0.2 s or more where it had something to do: the
        process was stopped, its memory was swapped out, others had the processor, a disk was slow.
    `suspends`: the machine slept; the monotonic clock, and with it every duration, leaves it out.
    `clock_steps`: the wall clock was set; durations are not touched, dates of log lines are.
    `outages`: the camera was lost; counted where one begins, timed as far as it lies in the
        interval, and the longest as long as it was by the interval's end.
    `interrupted`: labelled frames of which a pause or a suspend is a part.
    `broken`: frames that were no picture (cut off, another dtype), or could not be read.
    `blank`: frames without contrast: a lens that is covered, a buffer that nobody filled.
    `identical`: frames like the one before, which noise does not give: a picture that is frozen.
    `resized`: frames of another size than the one before.
    `longest_gap_ns`: the longest time between two frames of a live source, the one that goes on
        included.
    """

    pauses: Tally = Tally()
    suspends: Tally = Tally()
    clock_steps: Tally = Tally()
    outages: Tally = Tally()
    interrupted: int = 0
    broken: int = 0
    blank: int = 0
    identical: int = 0
    resized: int = 0
    longest_gap_ns: int = 0

    def merged(self, other: Incidents) -> Incidents:
        """Return what happened in both."""
        both: dict[str, Any] = {
            "longest_gap_ns": max(self.longest_gap_ns, other.longest_gap_ns),
            **{name: getattr(self, name).merged(getattr(other, name)) for name in TALLIES},
            **{name: getattr(self, name) + getattr(other, name) for name in COUNTS},
        }
        return Incidents(**both)

    def to_json(self) -> dict[str, Any]:
        """Return what is not 0, by the names of the fields."""
        return {
            name: value
            for name, value in asdict(self).items()
            if (value["count"] or value["total_ns"] if isinstance(value, dict) else value)
        }


# The fields in their order: tallies, then counts of frames, then the gap.
TALLIES = tuple(f.name for f in fields(Incidents) if f.type == "Tally")
COUNTS = tuple(f.name for f in fields(Incidents) if f.type == "int")[:-1]
NOTHING = Incidents()
