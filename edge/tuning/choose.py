"""Open a model in the runtime and with the threads that a user named, or that do best here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from edge.backends import default_threads, open_model, read_model
from edge.backends.base import BackendError, ModelSpec, OpenedModel
from edge.device import describe_board, describe_versions
from edge.errors import EdgeError
from edge.files import sha256
from edge.text import printable
from edge.tuning.measure import BUDGET_NS, Candidate, Measured, measure, pick
from edge.tuning.memory import MemoryFileError, memory_file, recall, remember

SUFFIXES = {"litert": ".tflite", "onnxruntime": ".onnx"}
BACKENDS = ("auto", *SUFFIXES)
# More are not tried: no board has them, and each costs time and memory at the start.
MOST_THREADS = 8
# All candidates are open at once.
MOST_BYTES = 256 << 20
RUNTIMES = ("ai-edge-litert", "tflite-runtime", "onnxruntime")
# What the board is; its kernel and its governor change more often than the answer.
BOARD = ("model", "cpu", "cores", "machine")

Threads: TypeAlias = int | Literal["auto"] | None
Note: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for.

    `threads`: a number, "auto", or None for `default_threads()`. `backend`: one of BACKENDS, or
    None for the named file's own. `scores` as in `open_model`. `memory`: the file that remembers
    what was measured (None: nothing is remembered).
    """

    model: Path
    threads: Threads = None
    backend: str | None = None
    scores: str = ""
    memory: Path | None = field(default_factory=memory_file)
    budget_ns: int = BUDGET_NS


def open_wished(wish: Wish, note: Note) -> OpenedModel:
    """Open the model as wished; what is left open is measured, or remembered.

    Args: note: takes one line for people on what was chosen, and on what could not be done.
    Raises: as `open_model`; BackendError: the backend's file is not there.
    """
    files = _files(wish, note)
    cores = len(os.sched_getaffinity(0))
    threads: Sequence[int] = range(1, min(cores, MOST_THREADS) + 1)
    if wish.threads != "auto":
        threads = [default_threads() if wish.threads is None else wish.threads]
    candidates = [Candidate(file, count) for count in threads for file in files]
    if len(candidates) == 1:
        return _open(candidates[0], wish)
    return _Tuner(wish, note, candidates).open_best()


def _files(wish: Wish, note: Note) -> list[Path]:
    """Return the named file, and the one for the other runtime where it may be taken instead."""
    named = wish.model
    suffix = named.suffix.lower()
    if wish.backend is None or suffix == SUFFIXES.get(wish.backend):
        return [named]
    other = {".tflite": ".onnx", ".onnx": ".tflite"}.get(suffix)
    beside = named.with_suffix(other) if other else None
    if wish.backend == "auto":
        if beside is not None and beside.is_file():
            return [named, beside]
        note(f"--backend auto: {named} alone, as there is no {beside or 'other file'} beside it")
        return [named]
    if beside is None or not beside.is_file():
        raise BackendError(
            f"--backend {wish.backend} needs a {SUFFIXES[wish.backend]} file: {named} is none, and "
            f"{beside or 'nothing'} does not lie beside it; copy it there, or leave out --backend"
        )
    return [beside]


def _open(candidate: Candidate, wish: Wish) -> OpenedModel:
    return open_model(candidate.path, threads=candidate.threads, scores=wish.scores)


class _Tuner:
    """One choice among several candidates."""

    def __init__(self, wish: Wish, note: Note, candidates: list[Candidate]) -> None:
        self._wish = wish
        self._note = note
        self._candidates = candidates
        self._several = len({candidate.path for candidate in candidates}) > 1
        options = (("--backend", wish.backend), ("--threads", wish.threads))
        self._name = " and ".join(f"{name} auto" for name, value in options if value == "auto")
        # Files that cannot be taken, and why.
        self._refused: dict[Path, EdgeError] = {}
        self._first: ModelSpec | None = None

    def open_best(self) -> OpenedModel:
        hashes = {path: sha256(read_model(path)) for path in {one.path for one in self._candidates}}
        key = self._key(hashes)
        remembered = self._recall(key, hashes)
        if remembered is not None:
            return _open(remembered, self._wish)
        total_bytes = sum(one.path.stat().st_size for one in self._candidates)
        if total_bytes > MOST_BYTES:
            return self._fall_back(f"too large to open {len(self._candidates)} times")
        measured, opened = measure(
            self._candidates, self._open_candidate, budget_ns=self._wish.budget_ns
        )
        if self._first is None and self._refused:
            raise next(iter(self._refused.values()))
        best = pick(measured) if measured else None
        chosen = None
        for candidate, model in opened.items():
            if best is not None and candidate == best.candidate:
                chosen = model
            else:
                model.close()
        if best is None or chosen is None:
            return self._fall_back("too slow to be measured at the start")
        others = [self._figures(one) for one in measured if one is not best]
        of = f" (against {'; '.join(others)})" if others else ""
        self._note(f"{self._name}: {self._figures(best)}{of}{self._remember(key, best, hashes)}")
        return chosen

    def _fall_back(self, why: str) -> OpenedModel:
        """Open what would be taken without being asked."""
        paths = [one.path for one in self._candidates if one.path not in self._refused]
        threads = self._wish.threads if isinstance(self._wish.threads, int) else None
        candidate = Candidate(paths[0], threads or default_threads())
        self._note(f"{self._name}: {self._called(candidate)}, {why}")
        return _open(candidate, self._wish)

    def _open_candidate(self, candidate: Candidate) -> OpenedModel | None:
        path = candidate.path
        if path in self._refused:
            return None
        try:
            model = _open(candidate, self._wish)
        except EdgeError as error:
            self._refuse(path, error)
            return None
        if self._first is None:
            self._first = model.spec
        elif not _is_same(self._first, model.spec):
            model.close()
            cards = f"{self._first.path} and {path}"
            self._refuse(path, BackendError(f"{cards} are not of one conversion, by their cards"))
            return None
        return model

    def _refuse(self, path: Path, error: EdgeError) -> None:
        self._refused[path] = error
        if self._several:
            self._note(f"{self._name}: {path} is left out: {error}")

    def _figures(self, one: Measured) -> str:
        times = f"p99 {one.p99_ns / 1e6:.1f}, median {one.p50_ns / 1e6:.1f} ms"
        return f"{self._called(one.candidate)}: {times}"

    def _called(self, candidate: Candidate) -> str:
        count = candidate.threads
        called = f"{count} thread{'s' if count > 1 else ''}"
        return f"{printable(candidate.path.name)}, {called}" if self._several else called

    def _key(self, hashes: dict[Path, str]) -> str:
        """Return what the answer hangs on: models, threads, runtimes and board."""
        versions, board = describe_versions(), describe_board()
        facts = [
            [hashes[path] for path in dict.fromkeys(one.path for one in self._candidates)],
            sorted({one.threads for one in self._candidates}),
            {name: versions[name] for name in RUNTIMES if name in versions},
            {name: board[name] for name in BOARD if name in board},
        ]
        return sha256(json.dumps(facts, sort_keys=True).encode())

    def _recall(self, key: str, hashes: dict[Path, str]) -> Candidate | None:
        path = self._wish.memory
        try:
            entry = recall(path, key) if path is not None else None
        except MemoryFileError as error:
            self._note(f"{self._name}: {error}, so it is measured again")
            return None
        if entry is None:
            return None
        for one in self._candidates:
            if (hashes[one.path], one.threads) == (entry.get("sha256"), entry.get("threads")):
                self._note(f"{self._name}: {self._called(one)}, as {path} remembers")
                return one
        self._note(f"{self._name}: {path} remembers nothing that fits, so it is measured again")
        return None

    def _remember(self, key: str, best: Measured, hashes: dict[Path, str]) -> str:
        path = self._wish.memory
        if path is None:
            return "; not remembered, as there is no home"
        if not best.is_calm:
            return "; not remembered, as the machine was busy"
        entry = {
            "sha256": hashes[best.candidate.path],
            "threads": best.candidate.threads,
            "p50_ns": best.p50_ns,
            "p99_ns": best.p99_ns,
            "file": best.candidate.path.name,
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            remember(path, key, entry)
        except MemoryFileError as error:
            return f"; not remembered: {error}"
        return f"; remembered in {path}"


def _is_same(one: ModelSpec, other: ModelSpec) -> bool:
    """Return whether two files are of one conversion, so that either may stand for the other."""
    if one.path == other.path:
        return True
    a, b = one.card, other.card
    if a is None or b is None or not a.source_sha256:
        return False
    return (a.source_sha256, a.labels, a.preprocess, a.scores) == (
        b.source_sha256,
        b.labels,
        b.preprocess,
        b.scores,
    )
