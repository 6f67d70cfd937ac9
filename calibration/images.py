"""Sets of pictures and of tensors, which stream: memory does not grow with their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from calibration.decode import BrokenImageError, quiet_opencv
from calibration.errors import CalibrationError
from edge.preprocess import Color
from edge.tensors import F32, U8

# Decoding a photograph of 340x256 takes 1 ms where a MobileNetV2 takes 10; two workers hide it,
# larger photographs included.
WORKERS = 2
AHEAD = 4
T = TypeVar("T")


class DatasetError(CalibrationError):
    """A set of images, tensors or labels is missing, empty or broken."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture. `pixels`: uint8 [H, W, 3], or [H, W] where `color` is "gray"."""

    name: str
    pixels: U8
    color: Color = "bgr"


@dataclass(frozen=True, slots=True)
class Job:
    """One picture still to be made; `load` runs on a worker, and may raise BrokenImageError.

    `file`: what it reads, by an absolute path, None where it reads none. Where `load` can be
    pickled, as that of sets from the disk can, another process may do the job.
    """

    name: str
    load: Callable[[], Picture]
    file: Path | None = None


class ImageSet:
    """Pictures, one at a time, in the same order at every iteration.

    `name`: what to call it in messages; `synthetic`: whether its pictures were made rather than
    taken; `broken`: the names that the last iteration could not read and passed over, and why.
    """

    def __init__(
        self, name: str, count: int, jobs: Callable[[], Iterable[Job]], *, synthetic: bool = False
    ) -> None:
        self.name = name
        self.synthetic = synthetic
        self.broken: dict[str, str] = {}
        self._count = count
        self._jobs = jobs

    def __len__(self) -> int:
        """How many there are, broken ones included."""
        return self._count

    def subset(self, indices: Sequence[int]) -> ImageSet:
        """Return the set of the pictures at these places, in the set's own order."""
        wanted = frozenset(indices)

        def jobs() -> Iterator[Job]:
            return (job for place, job in enumerate(self._jobs()) if place in wanted)

        return ImageSet(self.name, len(wanted), jobs, synthetic=self.synthetic)

    def pieces(self, size: int) -> Iterator[ImageSet]:
        """Yield sets of `size` pictures each, the last of what is left, which can be pickled."""
        for jobs in _batched(self._jobs(), size):
            yield ImageSet(self.name, len(jobs), partial(tuple, jobs), synthetic=self.synthetic)

    def files(self) -> list[Path]:
        """Return the files that the pictures are read from."""
        return [job.file for job in self._jobs() if job.file is not None]

    def watched(self, note: Callable[[Picture], None]) -> ImageSet:
        """Return the same set, of which each picture that is read is shown to `note` as well.

        `note` runs on the worker that read it, several beside each other.
        """

        def load(job: Job) -> Picture:
            picture = job.load()
            note(picture)
            return picture

        def jobs() -> Iterator[Job]:
            return (Job(job.name, partial(load, job), job.file) for job in self._jobs())

        return ImageSet(self.name, self._count, jobs, synthetic=self.synthetic)

    def __iter__(self) -> Iterator[Picture]:
        """Yield the pictures. Raises: DatasetError: there is not one that can be read."""
        good = 0
        for picture in self.readable():
            good += 1
            yield picture
        if not good:
            raise none_readable(self.name, len(self), self.broken)

    def readable(self) -> Iterator[Picture]:
        """Yield the pictures that can be read, as a part of a set may have none."""
        self.broken = {}
        with quiet_opencv():
            for name, result in _ahead(self._jobs()):
                try:
                    picture = result()
                except BrokenImageError as cause:
                    self.broken[name] = str(cause)
                    continue
                yield picture


def none_readable(name: str, count: int, broken: Mapping[str, str]) -> DatasetError:
    """Return what is wrong with a set of `count`; `broken`: its pictures, and why each is."""
    first = next(iter(broken.items()), None)
    reason = f"{first[0]}: {first[1]}" if first else "it is empty"
    return DatasetError(
        f"{name}: not one of its {count} images can be read ({reason}); give a folder of JPEG or "
        "PNG files"
    )


def _ahead(jobs: Iterable[Job]) -> Iterator[tuple[str, Callable[[], Picture]]]:
    """Yield each job's name and its result, in order, while the next ones are under way."""
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="decode")
    waiting: deque[tuple[str, Future[Picture]]] = deque()
    try:
        for job in jobs:
            waiting.append((job.name, pool.submit(job.load)))
            if len(waiting) > AHEAD:
                name, future = waiting.popleft()
                yield name, future.result
        while waiting:
            name, future = waiting.popleft()
            yield name, future.result
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Tensors:
    """Input tensors that are preprocessed already, as an .npz file may hold them.

    `shape` is that of one, without batch; iterating yields float32 [1, *shape].
    """

    name: str
    count: int
    shape: tuple[int, ...]
    rows: Callable[[], Iterator[F32]]

    def __len__(self) -> int:
        return self.count

    def subset(self, indices: Sequence[int]) -> Tensors:
        """Return the tensors at these places, in their own order."""
        wanted = frozenset(indices)

        def rows() -> Iterator[F32]:
            return (row for place, row in enumerate(self.rows()) if place in wanted)

        return Tensors(self.name, len(wanted), self.shape, rows)

    def pieces(self, size: int) -> Iterator[Tensors]:
        """Yield sets of `size` tensors each, the last of what is left, which can be pickled.

        They hold their tensors. Raises: DatasetError: one holds NaN or an infinity.
        """
        for rows in _batched((x[0] for x in self), size):
            yield Tensors(self.name, len(rows), self.shape, partial(iter, rows))

    def files(self) -> list[Path]:
        """Return none: a piece of such a set holds what was read."""
        return []

    def __iter__(self) -> Iterator[F32]:
        """Yield the tensors. Raises: DatasetError: one holds NaN or an infinity."""
        for index, row in enumerate(self.rows()):
            if not np.isfinite(row).all():
                raise DatasetError(
                    f"{self.name}: tensor {index} holds NaN or infinite values; leave it out"
                )
            yield row[None]


def _batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield the items, `size` at a time."""
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def even_steps(count: int, limit: int | None) -> list[int]:
    """Return `limit` indices spread evenly over `count`, or all where there are no more."""
    if limit is None or limit >= count:
        return list(range(count))
    return [i * count // limit for i in range(limit)]


def held_apart(count: int, samples: int, others: int) -> tuple[list[int], list[int]]:
    """Return the places to calibrate on, and up to `others` different ones to verify on.

    Both are spread evenly. Where calibration takes all there are, verification gets them too.
    """
    first = even_steps(count, samples)
    rest = sorted(set(range(count)) - set(first)) or first
    return first, [rest[i] for i in even_steps(len(rest), others)]
