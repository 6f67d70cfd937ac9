"""What the training gave, and how much of it could be chance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from calibration.evaluation.intervals import Interval, bootstrap_mean
from converters.mobilenet_v2.ablations.setting import REFERENCE
from edge.errors import EdgeError
from edge.tensors import Array

FILE = Path(__file__).with_name("results.json")
COMMAND = "python -m converters.mobilenet_v2.ablations.train"
Z_95 = 1.959964  # of the normal distribution, for two sides


class ResultsError(EdgeError):
    """A file holds no results."""


@dataclass(frozen=True, slots=True)
class Run:
    """One trained network.

    `right`: of each held-out digit, how many of its pictures the float network names; `right_int8`:
    the same of its int8 artifact; `sqnr_db`: of that one's scores; `losses`: means over equal parts
    of the training, with smoothed labels and dropout; `seconds`: of the processor, for training.
    """

    name: str
    seed: int
    architecture: Mapping[str, Any]
    parameters: int
    multiply_adds: int
    right: tuple[int, ...]
    right_int8: tuple[int, ...]
    sqnr_db: float | None
    losses: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """All runs of one kind; accuracies in parts of 1, one a seed.

    `deviation`: between seeds (of a sample); `sampling`: the binomial interval of the mean, as
    Wilson has it, as if it were one network on so many pictures; `gain`: what it names more than
    the reference, below 0 where it is less, means over the seeds paired over the held-out digits;
    `is_apart`: whether every seed is on the same side of every seed of the reference, and the
    interval of `gain` does not hold 0. `int8_gain`: the same of its int8 file against itself in
    float; `int8_more`: that against the reference's. `gain` and `int8_more` are None of the
    reference itself. `last_loss`: of the end of training, mean over the seeds.
    """

    name: str
    parameters: int
    multiply_adds: int
    accuracies: tuple[float, ...]
    mean: float
    deviation: float
    sampling: tuple[float, float]
    int8: tuple[float, ...]
    int8_gain: Interval
    int8_more: Interval | None
    sqnr_db: tuple[float | None, ...]
    gain: Interval | None
    is_apart: bool
    last_loss: float


@dataclass(frozen=True)
class Results:
    """Runs in one setting. `pictures`: of each held-out digit; `machine`: board and versions."""

    setting: Mapping[str, Any]
    machine: Mapping[str, Any]
    pictures: int
    runs: tuple[Run, ...]

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """One for each kind of network, in the order of training."""
        of_name: dict[str, list[Run]] = {}
        for run in self.runs:
            of_name.setdefault(run.name, []).append(run)
        reference = of_name[REFERENCE]
        return tuple(self._summary(runs, reference) for runs in of_name.values())

    def _summary(self, runs: Sequence[Run], reference: Sequence[Run]) -> Summary:
        first = runs[0]
        shares, in_int8 = self._shares(runs)
        others, others_in_int8 = self._shares(reference)
        accuracies, theirs = shares.mean(axis=1), others.mean(axis=1)
        gained = (in_int8 - shares).mean(axis=0)
        gain = int8_more = None
        if first.name != REFERENCE:
            gain = _bootstrap(shares.mean(axis=0) - others.mean(axis=0))
            int8_more = _bootstrap(gained - (others_in_int8 - others).mean(axis=0))
        is_outside = accuracies.max() < theirs.min() or accuracies.min() > theirs.max()
        return Summary(
            name=first.name,
            parameters=first.parameters,
            multiply_adds=first.multiply_adds,
            accuracies=tuple(map(float, accuracies)),
            mean=float(accuracies.mean()),
            deviation=float(accuracies.std(ddof=1)),
            sampling=wilson(float(accuracies.mean()), shares.shape[1] * self.pictures),
            int8=tuple(map(float, in_int8.mean(axis=1))),
            int8_gain=_bootstrap(gained),
            int8_more=int8_more,
            sqnr_db=tuple(run.sqnr_db for run in runs),
            gain=gain,
            is_apart=bool(is_outside and gain is not None and not gain.low <= 0 <= gain.high),
            last_loss=float(np.mean([run.losses[-1] for run in runs])),
        )

    def _shares(self, runs: Sequence[Run]) -> tuple[Array, Array]:
        """Return float64 [seeds, digits], the share of each digit's pictures that are right: in
        float and in int8.
        """
        right = np.array([run.right for run in runs], np.float64)
        return right / self.pictures, np.array([r.right_int8 for r in runs]) / self.pictures


def _bootstrap(differences: Array) -> Interval:
    """Return the mean of one difference a digit, with its interval."""
    # Rounded, so that equal differences are equal.
    return bootstrap_mean(differences.round(12))


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `count` independent trials.

    Source: E. B. Wilson, "Probable Inference", Journal of the American Statistical Association
    22, 1927.
    """
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    middle, scale = share + Z_95**2 / (2 * count), 1 + Z_95**2 / count
    return (middle - spread) / scale, (middle + spread) / scale


def to_json(results: Results) -> str:
    """Return results as JSON, a run on a line."""
    runs = ",\n".join(f"  {json.dumps(asdict(run))}" for run in results.runs)
    head = json.dumps(
        {
            "command": COMMAND,
            "setting": results.setting,
            "machine": results.machine,
            "pictures": results.pictures,
        },
        indent=1,
    )
    return f'{head.removesuffix("}").rstrip()},\n "runs": [\n{runs}\n ]\n}}\n'


def read_results(path: Path = FILE) -> Results:
    """Return what `to_json` wrote.

    Raises: ResultsError: the file holds something else; OSError: it cannot be read.
    """
    try:
        data = json.loads(path.read_text())
        runs = tuple(Run(**_frozen(run)) for run in data["runs"])
        return Results(data["setting"], data["machine"], data["pictures"], runs)
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise ResultsError(
            f"{path} holds no results of this training ({cause!r}); name another file, or remove it"
        ) from cause


def _frozen(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in run.items()}
