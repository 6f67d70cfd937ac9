from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from calibration.evaluation.chunks import Plan
from calibration.evaluation.run import measure
from calibration.evaluation.subjects import Subject, Wanted, find_subjects
from calibration.progress import T, silent
from calibration.scores import EvaluationError
from calibration.spread import Here, SpreadError
from calibration.spread.processes import Processes
from edge.backends.base import OpenedModel
from edge.picture_flags import PreprocessFlags
from tests.calibration.evaluation.conftest import CLASSES, COUNT, NAMES

IMAGES = dict(zip(NAMES, CLASSES.tolist(), strict=True))


class Deadly(Subject):
    """A model that takes its process with it, as one that needs too much memory does."""

    def open(self) -> OpenedModel:
        assert multiprocessing.parent_process() is not None
        os._exit(9)


@pytest.fixture
def subject(models: Path) -> Subject:
    wanted = Wanted((models / "float.onnx",), picture=PreprocessFlags("unit", resize=0))
    return find_subjects(wanted).models[0]


def test_a_process_that_dies_is_one_sentence(subject: Subject, pictures: Path) -> None:
    values = asdict(subject) | {"preprocess": subject.preprocess}
    plan = Plan((Deadly(**values),), str(pictures), pictures, None)
    with pytest.raises(SpreadError, match=r"one of 2 processes died, .* take fewer --jobs"):
        measure(plan, IMAGES, Processes(2), silent)


def test_a_model_that_is_another_file_there_is_said(subject: Subject, pictures: Path) -> None:
    plan = Plan((replace(subject, sha256="0" * 64),), str(pictures), pictures, None)
    with pytest.raises(EvaluationError, match=r"float\.onnx is another file on "):
        measure(plan, IMAGES, Here(), silent)


def test_progress_counts_every_image(subject: Subject, pictures: Path) -> None:
    seen: list[tuple[int, int]] = []

    def watch(items: Iterable[T], total: int, what: str) -> Iterable[T]:
        assert what == "evaluating"
        for done, item in enumerate(items, 1):
            seen.append((done, total))
            yield item

    measure(Plan((subject,), str(pictures), pictures, None), IMAGES, Here(), watch)
    assert seen == [(done, COUNT) for done in range(1, COUNT + 1)]
