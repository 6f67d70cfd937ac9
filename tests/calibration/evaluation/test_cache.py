from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.evaluation.cache import ScoreCache
from calibration.evaluation.chunks import Plan
from calibration.evaluation.run import Measured, measure
from calibration.evaluation.subjects import Subject, Wanted, find_subjects
from calibration.progress import silent
from calibration.spread import Here
from calibration.spread.processes import Processes
from edge.picture_flags import PreprocessFlags
from tests.calibration.evaluation.conftest import CLASSES, NAMES

UNIT = PreprocessFlags("unit", resize=0)
CHUNKS = 4  # of 32 images


@pytest.fixture
def subjects(models: Path) -> tuple[Subject, ...]:
    files = (models / "float.onnx", models / "other.onnx")
    return find_subjects(Wanted(files, picture=UNIT)).models


def run(subjects: tuple[Subject, ...], pictures: Path, cache: Path | None, jobs: int) -> Measured:
    spread = Here() if jobs == 1 else Processes(jobs)
    images = dict(zip(NAMES, CLASSES.tolist(), strict=True))
    return measure(Plan(subjects, str(pictures), pictures, cache), images, spread, silent)


def files(cache: Path) -> dict[str, tuple[int, int]]:
    found = {path.name: path.stat() for path in cache.iterdir()}
    return {name: (status.st_mtime_ns, status.st_size) for name, status in found.items()}


def test_scores_are_taken_from_it(
    subjects: tuple[Subject, ...], pictures: Path, tmp_path: Path
) -> None:
    without = run(subjects, pictures, None, 1)
    first = run(subjects, pictures, tmp_path / "cache", 1)
    held = files(tmp_path / "cache")
    again = run(subjects, pictures, tmp_path / "cache", 2)
    assert len(held) == CHUNKS == len(files(tmp_path / "cache"))
    for one in (first, again):
        assert one.rows.tobytes() == without.rows.tobytes()
        assert one.notes == ()
    assert files(tmp_path / "cache") == held
    # Other scores under the same key are what counts, so it is indeed read.
    for path in (tmp_path / "cache").iterdir():
        with np.load(path) as data:
            key, third = data["key"], np.zeros_like(data["scores"])
        third[:, 2] = 1
        np.savez(path, key=key, scores=third)
    assert set(without.rows[0]["predicted"].tolist()) == {0, 1, 2}
    assert set(run(subjects, pictures, tmp_path / "cache", 1).rows[0]["predicted"]) == {2}


def test_an_interrupted_run_goes_on(
    subjects: tuple[Subject, ...], pictures: Path, tmp_path: Path
) -> None:
    first = run(subjects, pictures, tmp_path, 1)
    held = files(tmp_path)
    gone = sorted(held)[1]
    (tmp_path / gone).unlink()
    assert run(subjects, pictures, tmp_path, 1).rows.tobytes() == first.rows.tobytes()
    now = files(tmp_path)
    assert set(now) == set(held)
    assert {name for name in now if now[name] != held[name]} == {gone}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b"scores.npy") + 150  # behind the array's own header
    data[at] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("what is this?")


class Opened:
    """Says so when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("unpickled",)


def code(path: Path) -> None:
    with np.load(path) as data:
        key = data["key"]
    scores = np.array([Opened()], dtype=object)
    np.savez(path, scores=scores, key=key)


def other_shape(path: Path) -> None:
    with np.load(path) as data:
        np.savez(path, key=data["key"], scores=data["scores"][:, :2])


@pytest.mark.parametrize("damage", [cut, flip, empty, text, code, other_shape])
def test_a_damaged_file_is_made_again_and_said(
    subjects: tuple[Subject, ...],
    pictures: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    first = run(subjects, pictures, cache, 1)
    held = sorted(cache.iterdir())
    contents = held[0].read_bytes()
    damage(held[0])
    found = run(subjects, pictures, cache, 1)
    assert found.rows.tobytes() == first.rows.tobytes()
    [note] = found.notes
    assert str(held[0]) in note
    assert "it was computed again" in note
    assert held[0].read_bytes() == contents
    assert not (tmp_path / "unpickled").exists()
    assert run(subjects, pictures, cache, 1).notes == ()


def test_of_many_damaged_files_a_few_are_named(
    subjects: tuple[Subject, ...], pictures: Path, tmp_path: Path
) -> None:
    run(subjects, pictures, tmp_path, 1)
    for path in tmp_path.iterdir():
        empty(path)
    notes = run(subjects, pictures, tmp_path, 1).notes
    assert [note.endswith("it was computed again") for note in notes] == [True] * 3 + [False]
    assert notes[3] == f"the same holds for {CHUNKS - 3} more there"


def test_another_chunks_file_is_not_taken(
    subjects: tuple[Subject, ...], pictures: Path, tmp_path: Path
) -> None:
    first = run(subjects, pictures, tmp_path, 1)
    one, two, *_ = sorted(tmp_path.iterdir())
    one.write_bytes(two.read_bytes())
    found = run(subjects, pictures, tmp_path, 1)
    assert "holds something else" in found.notes[0]
    assert found.rows.tobytes() == first.rows.tobytes()


def test_whatever_scores_depend_on_is_in_the_key(
    subjects: tuple[Subject, ...], models: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    model = tmp_path / "model" / "float.onnx"
    model.parent.mkdir()
    model.write_bytes((models / "float.onnx").read_bytes() + b"weights.bin")
    subject = replace(subjects[0], path=str(model))

    def key(subject: Subject = subject) -> str:
        return ScoreCache(tmp_path / "cache", subject).key(tmp_path, ["a.png"])

    keys = [key(), key(replace(subject, sha256="0")), key(replace(subject, runtime="new 2.0"))]
    keys.append(key(replace(subject, kernels="others")))
    keys.append(key(replace(subject, preprocess=subjects[0].preprocess.with_color("bgr"))))
    (model.parent / "weights.bin").write_bytes(b"12")  # which the model names
    keys.append(key())
    (model.parent / "weights.bin").write_bytes(b"123")
    keys.append(key())
    (tmp_path / "a.png").write_bytes(b"12")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    (model.parent / "no weights").write_bytes(b"1")
    assert key() == keys[-1]
    assert key(replace(subject, name="x", columns=(0,))) == keys[-1]
