"""Some images through all models: a few numbers for each, and no scores left."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.dataset import image_files
from calibration.evaluation.cache import ScoreCache
from calibration.evaluation.probabilities import is_distribution, log_probabilities
from calibration.evaluation.subjects import Subject
from calibration.images import Picture
from calibration.metrics import F64, centred_energies, divergences, log_softmax, ranks
from calibration.scores import EvaluationError, ScoringModel
from edge.tensors import F32, Array

# What is kept of one model on one image. `rank`: how many classes come before the true one;
# `signal`, `noise`: centred energies against the reference; `kl`: against it in nats, [its scores
# taken for logits, for probabilities][this model's likewise], NaN where they cannot be.
ROW = np.dtype(
    [
        ("predicted", np.int32),
        ("rank", np.int32),
        ("distribution", np.bool_),
        ("signal", np.float64),
        ("noise", np.float64),
        ("kl", np.float64, (2, 2)),
    ]
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What every process needs to know. `models`: the reference first; `cache`: for its scores.

    On other machines paths must be absolute.
    """

    models: tuple[Subject, ...]
    folder: str
    root: Path
    cache: Path | None

    def open(self) -> Evaluator:
        """As `Evaluator`."""
        return Evaluator(self)

    def files(self, chunk: Chunk) -> list[Path]:
        models = [Path(model.path) for model in self.models]
        return [*models, *(self.root / name for name in chunk.names)]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images by name, and the class of each."""

    names: tuple[str, ...]
    classes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a chunk. `rows`: ROW [models, images that could be read]."""

    names: tuple[str, ...]
    classes: tuple[int, ...]
    rows: Array
    broken: Mapping[str, str]
    notes: tuple[str, ...]


class Evaluator:
    """All models, opened. Belongs to one thread."""

    def __init__(self, plan: Plan) -> None:
        """Raises: EdgeError: a model cannot be opened, or is another file than `plan` was made of;
        OSError: the cache cannot be made.
        """
        self._plan = plan
        self._columns = [np.array(model.columns) for model in plan.models]
        self._models = [ScoringModel(model.open(), model.preprocess) for model in plan.models]
        self._check_files()
        self._cache = ScoreCache(plan.cache, plan.models[0]) if plan.cache else None

    def run(self, chunk: Chunk) -> Outcome:
        """Raises: EdgeError: an inference failed, or a score is not finite; OSError."""
        root, count = self._plan.root, len(chunk.names)
        images = image_files(self._plan.folder, root, [root / name for name in chunk.names])
        reference = np.full((count, self._plan.models[0].classes), np.nan, np.float32)
        held, key, note = None, "", ""
        if self._cache is not None:
            key = self._cache.key(root, chunk.names)
            held, note = self._cache.load(key, count)
            reference = reference if held is None else held
        place = {name: index for index, name in enumerate(chunk.names)}
        rows, good = [], []
        for picture in images.readable():
            index = place[picture.name]
            good.append(index)
            if not np.isfinite(reference[index]).all():
                reference[index], held = self._models[0].scores(picture)[0], None
            rows.append(self._rows(picture, reference[index][None], chunk.classes[index]))
        if self._cache is not None and held is None:
            self._cache.store(key, reference)
        return Outcome(
            names=tuple(chunk.names[index] for index in good),
            classes=tuple(chunk.classes[index] for index in good),
            rows=np.stack(rows, axis=1) if rows else np.zeros((len(self._models), 0), ROW),
            broken=images.broken,
            notes=(note,) if note else (),
        )

    def close(self) -> None:
        for model in self._models:
            model.backend.close()

    def _check_files(self) -> None:
        """See that the models are those that were looked at. Raises: EvaluationError."""
        for wanted, model in zip(self._plan.models, self._models, strict=True):
            if model.backend.spec.sha256 != wanted.sha256:
                raise EvaluationError(
                    f"{wanted.path} is another file on {platform.node()}, or has just changed; "
                    "every process and machine needs the same under this path"
                )

    def _rows(self, picture: Picture, first: F32, true_class: int) -> Array:
        rows = np.zeros(len(self._models), ROW)
        reference, logs = first[:, self._columns[0]], _Logs(first, self._columns[0])
        for place, (row, columns) in enumerate(zip(rows, self._columns, strict=True)):
            whole = self._models[place].scores(picture) if place else first
            scores = whole[:, columns]
            row["predicted"] = scores.argmax()
            row["rank"] = ranks(scores, np.array([true_class]))[0]
            row["signal"], row["noise"] = centred_energies(reference, scores)
            own = _Logs(whole, columns)
            row["distribution"] = own.probabilities is not None
            row["kl"] = _divergences(logs, own)
        return rows


class _Logs:
    """Logarithms of what the classes' probabilities are, in either meaning of the scores."""

    def __init__(self, whole: F32, columns: Array) -> None:
        scores = whole[:, columns]
        self.logits: F64 = log_softmax(scores)
        fits = is_distribution(whole)
        self.probabilities: F64 | None = log_probabilities(scores) if fits else None

    def both(self) -> tuple[F64, F64 | None]:
        return self.logits, self.probabilities


def _divergences(reference: _Logs, test: _Logs) -> F64:
    """Return KL in nats, [reference's meaning, test's meaning], NaN where a meaning is none."""
    return np.array(
        [
            [np.nan if p is None or q is None else divergences(p, q)[0] for q in test.both()]
            for p in reference.both()
        ]
    )
