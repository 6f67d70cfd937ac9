from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.evaluation.chunks import ROW
from calibration.evaluation.classes import Classes
from calibration.evaluation.comparison import Report, compare
from calibration.evaluation.run import Measured
from calibration.evaluation.subjects import Subject, Subjects, Wanted, find_subjects
from calibration.evaluation.text import render_text
from edge.errors import GateError
from edge.preprocess import PRESETS
from edge.tensors import Array

REFERENCE = Subject(
    name="float.onnx",
    path="float.onnx",
    runtime="onnxruntime 1.0",
    kernels="exact kernels",
    is_exact=True,
    scores="",
    preprocess=PRESETS["unit"],
    columns=(0, 1),
    classes=2,
    input=(8, 8),
    sha256="",
)
EXACT = replace(REFERENCE, name="int8.onnx", path="int8.onnx")
DEFAULT = replace(EXACT, name="int8.onnx (default kernels)", is_exact=False, kernels="default")
TRUE = np.zeros(20, int)


def rows(wrong: int, noise: float = 0.01) -> Array:
    """Return what is kept of twenty images of class 0, the first `wrong` of which are called 1."""
    made = np.zeros(20, ROW)
    made["predicted"][:wrong] = made["rank"][:wrong] = 1
    made["signal"], made["noise"] = 1.0, noise
    return made


def report(*of_models: Array) -> Report:
    models = (REFERENCE, EXACT, DEFAULT)[: len(of_models)]
    names = tuple(f"{index}.png" for index in range(20))
    times = tuple(1.0 for _ in models)
    measured = Measured(names, TRUE, np.stack(of_models), {}, (), times)
    return compare("images", Subjects(models, Classes(2), ()), measured)


def test_kernels_that_compute_the_same_are_one_result() -> None:
    found = report(rows(1), rows(2), rows(2))
    kernels = [one.subject.kernels for one in found.results]
    assert kernels == ["exact kernels", "exact and default kernels alike"]
    assert found.notes == ()


def test_kernels_that_differ_are_two_and_the_board_has_the_exact_ones() -> None:
    found = report(rows(1), rows(2), rows(5))
    names = [one.subject.name for one in found.results]
    assert names == ["float.onnx", "int8.onnx", "int8.onnx (default kernels)"]
    [note] = found.notes
    assert "3 images get another class, and top-1 is 75.00 % instead of 90.00 %" in note
    assert "An Arm board shows what the exact kernels show" in note
    assert "An Arm board shows" in " ".join(render_text(found).split())


def test_the_least_difference_counts() -> None:
    found = report(rows(1), rows(2), rows(2, noise=0.02))
    assert len(found.results) == 3


def test_the_gate_is_for_what_a_board_computes() -> None:
    found = report(rows(1), rows(2), rows(9))
    found.check_gate(None)
    found.check_gate(5.0)  # one of twenty, exactly
    with pytest.raises(
        GateError, match=r"int8.onnx is 5.00 points of top-1 below float.onnx on 20"
    ):
        found.check_gate(4.99)
    report(rows(2), rows(1), rows(1)).check_gate(0.0)


def test_figures_of_known_rows() -> None:
    against = report(rows(1), rows(3)).results[1].against
    assert against is not None
    assert against.sqnr_db == pytest.approx(20.0)
    assert against.agreement.value == pytest.approx(0.9)
    assert [one.image for one in against.lost] == ["1.png", "2.png"]
    assert against.pairs(5) == [((0, 1), 2)]
    assert against.by_class(5) == [(0, 2, 0)]


@pytest.mark.parametrize(("machine", "count"), [("x86_64", 3), ("AMD64", 3), ("aarch64", 2)])
def test_default_kernels_are_looked_at_where_they_may_differ(
    models: Path, monkeypatch: pytest.MonkeyPatch, machine: str, count: int
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = find_subjects(Wanted((models / "float.onnx", models / "qdq.onnx"))).models
    assert [one.is_exact for one in found] == [True, True, False][:count]
    # A float model computes no integers.
    plain = find_subjects(Wanted((models / "float.onnx", models / "other.onnx"))).models
    assert len(plain) == 2
    assert len(find_subjects(Wanted((models / "qdq.onnx",))).models) == count - 1


def test_files_of_one_name_are_told_apart(models: Path, tmp_path: Path) -> None:
    copy = tmp_path / "float.onnx"
    copy.write_bytes((models / "float.onnx").read_bytes())
    found = find_subjects(Wanted((models / "float.onnx", copy, models / "other.onnx"))).models
    assert [one.name for one in found] == [str(models / "float.onnx"), str(copy), "other.onnx"]
