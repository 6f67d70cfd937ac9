"""From a few numbers an image to the figures: accuracy, what changed, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.evaluation.classes import Classes
from calibration.evaluation.intervals import Interval, bootstrap_mean
from calibration.evaluation.run import Measured
from calibration.evaluation.subjects import Subject, Subjects
from calibration.metrics import decibels
from edge.errors import GateError
from edge.tensors import Array

TOP = 5
NO_SQNR = (
    "no SQNR, which is of logits: the scores of {} are taken for probabilities, since none is "
    "negative, and they add up to 1, within their rounding, on every image"
)


@dataclass(frozen=True, slots=True)
class Change:
    """What one image became: its true class, and what the reference and the model called it."""

    image: str
    true: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Against:
    """One model against the reference, on the same images.

    `top1`, `top5`: by how much its share is higher, -1 to 1, paired; `agreement`: the share of the
    images that both call alike; `sqnr_db` of the centred logits, None where `no_sqnr` says why;
    `kl_nats`: mean KL(reference || model). `lost`: right before and wrong now; `gained`: the other
    way round; `moved`: wrong both times, but not alike.
    """

    top1: Interval
    top5: Interval
    agreement: Interval
    sqnr_db: float | None
    no_sqnr: str
    kl_nats: float
    lost: tuple[Change, ...]
    gained: tuple[Change, ...]
    moved: tuple[Change, ...]

    def pairs(self, most: int) -> list[tuple[tuple[int, int], int]]:
        """Return (class before, class now) of what changed, and how often; the most frequent."""
        everything = (*self.lost, *self.gained, *self.moved)
        return Counter((one.before, one.after) for one in everything).most_common(most)

    def by_class(self, most: int) -> list[tuple[int, int, int]]:
        """Return (true class, lost, gained) of the classes with the most of both."""
        lost, gained = (Counter(one.true for one in part) for part in (self.lost, self.gained))
        return [(k, lost[k], gained[k]) for k, _ in (lost + gained).most_common(most)]


@dataclass(frozen=True, slots=True)
class Result:
    """One model. `top1`, `top5`: shares, 0 to 1; `against`: None for the reference itself.

    `are_probabilities`: what its scores are taken for, else logits.
    """

    subject: Subject
    top1: Interval
    top5: Interval
    are_probabilities: bool
    inference_ms: float
    against: Against | None


@dataclass(frozen=True, slots=True)
class Report:
    """All that there is to say; the first of `results` is the reference."""

    folder: str
    images: int
    broken: tuple[str, ...]
    classes: Classes
    results: tuple[Result, ...]
    notes: tuple[str, ...]

    @property
    def reference(self) -> Result:
        return self.results[0]

    def check_gate(self, max_drop: float | None) -> None:
        """Raise GateError where a model's top-1 is over `max_drop` points below the reference's.

        What ONNX Runtime's default kernels lose on a PC is not held against a model: a board does
        not compute so.
        """
        for result in self.results:
            change = result.against
            if max_drop is None or change is None or not result.subject.is_exact:
                continue
            drop_pp = 100 * (len(change.lost) - len(change.gained)) / self.images
            if drop_pp > max_drop:
                raise GateError(
                    f"{result.subject.path} is {drop_pp:.2f} points of top-1 below "
                    f"{self.reference.subject.path} on {self.images} images; --max-drop allows "
                    f"{max_drop:g}"
                )


def compare(folder: str, subjects: Subjects, measured: Measured) -> Report:
    """Return the report on what was measured."""
    results: list[Result] = []
    notes = [*subjects.notes, *measured.notes]
    for place, subject in enumerate(subjects.models):
        rows = measured.rows[place]
        if not subject.is_exact and rows.tobytes() == measured.rows[place - 1].tobytes():
            both = replace(results[-1].subject, kernels="exact and default kernels alike")
            results[-1] = replace(results[-1], subject=both)
            continue
        result = _result(subjects.models, measured, place)
        if not subject.is_exact:
            others = rows["predicted"] != measured.rows[place - 1]["predicted"]
            notes.append(_which_kernels(results[-1], result, int(others.sum())))
        results.append(result)
    return Report(
        folder,
        len(measured.names),
        tuple(measured.broken),
        subjects.classes,
        tuple(results),
        tuple(notes),
    )


def _result(models: Sequence[Subject], measured: Measured, place: int) -> Result:
    rank = measured.rows[place]["rank"]
    return Result(
        subject=models[place],
        top1=bootstrap_mean(rank < 1),
        top5=bootstrap_mean(rank < TOP),
        are_probabilities=_are_probabilities(measured, place),
        inference_ms=measured.inference_ms[place],
        against=_against(models, measured, place) if place else None,
    )


def _are_probabilities(measured: Measured, place: int) -> bool:
    return bool(measured.rows[place]["distribution"].all())


def _against(models: Sequence[Subject], measured: Measured, place: int) -> Against:
    first, rows = measured.rows[0], measured.rows[place]
    meanings = [_are_probabilities(measured, which) for which in (0, place)]
    others = [models[which].name for which in (0, place) if _are_probabilities(measured, which)]
    before, after = first["rank"] < 1, rows["rank"] < 1
    differs = first["predicted"] != rows["predicted"]
    signal, noise = float(rows["signal"].sum()), float(rows["noise"].sum())

    def changes(which: Array) -> tuple[Change, ...]:
        return tuple(
            Change(
                measured.names[i],
                int(measured.classes[i]),
                int(first["predicted"][i]),
                int(rows["predicted"][i]),
            )
            for i in np.flatnonzero(which)
        )

    return Against(
        top1=bootstrap_mean(after.astype(int) - before),
        top5=bootstrap_mean((rows["rank"] < TOP).astype(int) - (first["rank"] < TOP)),
        agreement=bootstrap_mean(~differs),
        sqnr_db=None if others else decibels(signal, noise),
        no_sqnr=NO_SQNR.format(" and ".join(others)) if others else "",
        kl_nats=float(rows["kl"][:, int(meanings[0]), int(meanings[1])].mean()),
        lost=changes(before & ~after),
        gained=changes(~before & after),
        moved=changes(~before & ~after & differs),
    )


def _which_kernels(exact: Result, default: Result, others: int) -> str:
    """Say which of two results of one file a board will show; `others`: images called otherwise."""
    return (
        f"{exact.subject.path}: ONNX Runtime's default kernels compute something else on this PC "
        f"than its exact ones, since they may saturate 16-bit sums: {others} images get another "
        f"class, and top-1 is {100 * default.top1.value:.2f} % instead of "
        f"{100 * exact.top1.value:.2f} %. An Arm board shows what the exact kernels show "
        "(session.x64quantprecision=1)"
    )
