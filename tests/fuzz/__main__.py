"""Converts thousands of damaged models, and says how each kind of case ends.

    python -m tests.fuzz [--cases N] [--seed N] [--keep DIR]

A case may be refused in a sentence or converted; a traceback, a death, more than 10 s or 1 GiB, or
a file that computes something else than its source is a finding: it is printed, its bytes are kept,
and the run exits with 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutant
from tests.fuzz.nasty import CASES
from tests.fuzz.worker import FINDING, Worker

KEEP = Path("build/fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=KEEP, help=f"for findings; default: {KEEP}")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    started = time.monotonic()
    with Worker() as worker:

        def case(data: bytes) -> None:
            outcome = worker.try_case(data)
            counts[outcome.kind] += 1
            if outcome.kind == FINDING:
                options.keep.mkdir(parents=True, exist_ok=True)
                path = options.keep / f"{sha256(data).hexdigest()[:12]}.onnx"
                path.write_bytes(data)
                print(f"{FINDING} {path}: {outcome.words}", flush=True)

        for nasty in CASES:
            case(nasty.make())
        for number in range(options.cases - len(CASES)):
            case(mutant(Random(f"{options.seed}:{number}")))  # noqa: S311 (no secret)
    for kind, count in counts.most_common():
        print(f"{count:6} {kind}")
    print(f"{counts.total():6} cases in {time.monotonic() - started:.0f} s")
    return 1 if counts[FINDING] else 0


if __name__ == "__main__":
    sys.exit(main())
