"""Real runtimes on tiny models: what is measured, what is remembered, what is said of it."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge.backends.base import BackendError
from edge.card import CARD_KEY, ModelCard
from edge.preprocess import PRESETS
from edge.tuning import choose
from edge.tuning.choose import Wish, open_wished
from edge.tuning.measure import Candidate, Measured, measure
from tests.edge.backends.tiny_models import onnx_model, tflite_model

LABELS = ("red", "green", "blue")
MS = 1_000_000


def write_pair(folder: Path, *, source: str = "ab", other_source: str = "ab") -> Path:
    """Write a.int8.tflite and a.int8.onnx, and return the former."""
    for suffix, sha256 in ((".tflite", source), (".onnx", other_source)):
        card = ModelCard("tiny", PRESETS["unit"], LABELS, source_sha256=sha256).to_json()
        model = (
            onnx_model({CARD_KEY: card})
            if suffix == ".onnx"
            else tflite_model({CARD_KEY: card.encode()}, dtype="float32")
        )
        (folder / f"a.int8{suffix}").write_bytes(model)
    return folder / "a.int8.tflite"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return write_pair(tmp_path)


class Session:
    """One user with one memory."""

    def __init__(self, model: Path) -> None:
        self.notes: list[str] = []
        self.wish = Wish(model, memory=model.parent / "memory" / "choices.json", budget_ns=20 * MS)

    def open(self, **wishes: object) -> tuple[str, int]:
        """Return the suffix of the file that was opened, and its threads."""
        self.notes = []
        wish = replace(self.wish, **wishes)  # type: ignore[arg-type]
        opened = open_wished(wish, self.notes.append)
        assert opened.run().shape == (3,)
        opened.close()
        return Path(opened.spec.path).suffix, opened.spec.threads


@pytest.fixture
def session(model: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return one whose clock goes on by 0.1 ms whenever it is looked at, however long it took."""
    ticks_ns = itertools.count(0, MS // 10)
    ticking = functools.partial(measure, clock=lambda: next(ticks_ns))
    monkeypatch.setattr(choose, "measure", ticking)
    return Session(model)


def rig(monkeypatch: pytest.MonkeyPatch, *times_ms: float, p99_factor: float = 1) -> None:
    """Let the real measuring happen, but put these medians in the place of what it found."""
    real: Callable[..., tuple[list[Measured], object]] = vars(choose)["measure"]

    def rigged(*args: object, **options: object) -> object:
        measured, opened = real(*args, **options)
        assert len(measured) == len(times_ms)
        figures = [
            Measured(one.candidate, round(ms * MS), round(ms * MS * p99_factor))
            for one, ms in zip(measured, times_ms, strict=True)
        ]
        return figures, opened

    monkeypatch.setattr(choose, "measure", rigged)


def test_a_number_is_taken_without_a_word(session: Session) -> None:
    assert session.open(threads=2) == (".tflite", 2)
    assert session.open() == (".tflite", 2)
    assert session.notes == []


@pytest.mark.parametrize(("times_ms", "threads"), [((4, 3), 2), ((4, 3.9), 1)])
def test_threads_are_measured_once_and_remembered(
    times_ms: tuple[float, ...],
    threads: int,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig(monkeypatch, *times_ms)
    assert session.open(threads="auto") == (".tflite", threads)
    [note] = session.notes
    assert note.startswith(f"--threads auto: {threads} thread")
    assert "(against " in note
    assert f"remembered in {session.wish.memory}" in note
    # It would fail if it were measured again.
    rig(monkeypatch)
    assert session.open(threads="auto") == (".tflite", threads)
    [note] = session.notes
    assert note == (
        f"--threads auto: {threads} thread{'s' * (threads > 1)}, as {session.wish.memory} remembers"
    )


def test_another_model_board_or_runtime_is_measured_again(
    session: Session, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig(monkeypatch, 4, 3)
    session.open(threads="auto")

    def is_measured() -> bool:
        session.open(threads="auto")
        return "against" in session.notes[0]

    assert not is_measured()
    with monkeypatch.context() as patch:
        patch.setattr(choose, "describe_board", lambda: {"model": "Raspberry Pi 9"})
        assert is_measured()
    with monkeypatch.context() as patch:
        patch.setattr(choose, "describe_versions", lambda: {"ai-edge-litert": "9.9"})
        assert is_measured()
    write_pair(model.parent, source="cd")
    assert is_measured()
    assert not is_measured()


def test_a_busy_machine_is_not_remembered(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig(monkeypatch, 4, 3, p99_factor=1.6)
    assert session.open(threads="auto") == (".tflite", 2)
    assert session.notes[0].endswith("not remembered, as the machine was busy")
    assert not session.wish.memory.exists()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "entry",
    [
        '{"threads": 64, "sha256": "x"}',
        '{"threads": [], "sha256": {}}',
        '{"threads": 1e999}',
        "{}",
    ],
)
def test_a_memory_that_says_nonsense_is_not_believed(
    entry: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig(monkeypatch, 4, 3)
    session.open(threads="auto")
    path = session.wish.memory
    assert path is not None
    [key] = [line.split('"')[1] for line in path.read_text().splitlines() if len(line) > 60][:1]
    path.write_text(f'{{"format": 1, "choices": {{"{key}": {entry}}}}}')
    assert session.open(threads="auto") == (".tflite", 2)
    first, second = session.notes
    assert "remembers nothing that fits, so it is measured again" in first
    assert "remembered in" in second


def test_a_damaged_memory_and_none_are_said(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig(monkeypatch, 4, 3)
    path = session.wish.memory
    assert path is not None
    path.parent.mkdir()
    path.write_text("{")
    assert session.open(threads="auto") == (".tflite", 2)
    assert "cannot be used" in session.notes[0]
    session.open(threads="auto", memory=None)
    assert session.notes[0].endswith("not remembered, as there is no home")
    session.open(threads="auto", memory=path / "below" / "a file")
    assert "not remembered: " in session.notes[-1]


@pytest.mark.parametrize(
    ("times_ms", "expected"),
    [
        # In the order of one thread, two threads, and of both the named file first.
        ((4, 4, 4, 4), (".tflite", 1)),
        ((4, 3, 4, 3), (".onnx", 1)),
        ((4, 3, 2, 2), (".tflite", 2)),
        ((4, 3, 2.9, 2), (".onnx", 2)),
    ],
)
def test_both_files_are_measured(
    times_ms: tuple[float, ...],
    expected: tuple[str, int],
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig(monkeypatch, *times_ms)
    assert session.open(threads="auto", backend="auto") == expected
    assert session.notes[0].startswith(f"--backend auto and --threads auto: a.int8{expected[0]}, ")
    assert session.open(threads="auto", backend="auto") == expected
    assert "remembers" in session.notes[0]


def test_the_named_runtime_takes_its_file(session: Session, model: Path) -> None:
    assert session.open(backend="onnxruntime") == (".onnx", 2)
    assert session.open(backend="litert") == (".tflite", 2)
    onnx = replace(session.wish, model=model.with_suffix(".onnx"), backend="litert", threads=1)
    assert open_wished(onnx, session.notes.append).spec.path == str(model)
    assert session.notes == []
    model.with_suffix(".onnx").unlink()
    with pytest.raises(BackendError, match=r"needs a \.onnx file: .*a\.int8\.onnx does not lie"):
        session.open(backend="onnxruntime")


def test_a_file_of_another_conversion_is_left_out(session: Session, model: Path) -> None:
    write_pair(model.parent, other_source="cd")
    assert session.open(backend="auto", threads=1) == (".tflite", 1)
    assert "a.int8.onnx is left out: " in session.notes[0]
    assert "not of one conversion" in session.notes[0]


def test_a_damaged_file_is_left_out_and_two_are_an_error(session: Session, model: Path) -> None:
    onnx = model.with_suffix(".onnx")
    onnx.write_bytes(b"no model at all")
    assert session.open(backend="auto", threads=1) == (".tflite", 1)
    assert "a.int8.onnx is left out: " in session.notes[0]
    model.write_bytes(b"no model at all")
    with pytest.raises(BackendError, match=r"a\.int8\.tflite is not a TFLite model"):
        session.open(backend="auto", threads="auto")


def test_one_file_alone_is_said(session: Session, model: Path) -> None:
    model.with_suffix(".onnx").unlink()
    assert session.open(backend="auto", threads=1) == (".tflite", 1)
    assert session.notes == [
        f"--backend auto: {model} alone, as there is no {model.with_suffix('.onnx')} beside it"
    ]


def test_what_cannot_be_measured_is_opened_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.open(threads="auto", budget_ns=0) == (".tflite", 2)
    assert session.notes == ["--threads auto: 2 threads, too slow to be measured at the start"]
    monkeypatch.setattr(choose, "MOST_BYTES", 1000)
    assert session.open(threads="auto") == (".tflite", 2)
    assert session.notes == ["--threads auto: 2 threads, too large to open 2 times"]


def test_one_core_has_nothing_to_choose(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert session.open(threads="auto") == (".tflite", 1)
    assert session.notes == []


def test_all_but_the_chosen_are_closed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Candidate] = []
    real = choose._open

    def spy(candidate: Candidate, wish: Wish) -> object:
        opened = real(candidate, wish)
        close = opened.close

        def noted() -> None:
            closed.append(candidate)
            close()

        monkeypatch.setattr(opened, "close", noted)
        return opened

    monkeypatch.setattr(choose, "_open", spy)
    rig(monkeypatch, 4, 3)
    opened = open_wished(replace(session.wish, threads="auto"), session.notes.append)
    assert [candidate.threads for candidate in closed] == [1]
    assert opened.spec.threads == 2
