"""One pass over the calibration pictures, in pieces, for whoever does the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration.dataset import tensors
from calibration.histogram import ObserverError
from calibration.images import ImageSet, Picture, Tensors, none_readable
from calibration.lint import Watch
from calibration.observers import Observer
from calibration.progress import Progress
from calibration.spread import Spread
from converters.calibrate import Calibrator
from converters.graph import Graph
from converters.quantize.assign import observed_values
from converters.quantize.fill import fillable
from edge.preprocess import PreprocessSpec
from edge.tensors import F32, TensorSpec

# Small enough that the default number of pictures is work for several, large enough that to add
# up what was seen of them takes no time beside seeing it.
PIECE_IMAGES = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """Some pictures, or tensors made of some, in their order; the first is number `first`."""

    first: int
    images: ImageSet | Tensors


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of some pictures. `broken`: those that could not be read, and why."""

    observer: Observer
    watch: Watch
    broken: dict[str, str]

    def add(self, other: Seen) -> None:
        """Take in what was seen of the pictures behind these."""
        self.observer.add(other.observer)
        self.watch.add(other.watch)
        self.broken.update(other.broken)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to observe, and of how many pictures. `tensor`: the float32 input."""

    graph: Graph
    preprocess: PreprocessSpec
    tensor: TensorSpec
    count: int

    def open(self) -> Sweeper:
        """As `Sweeper`."""
        return Sweeper(self)

    def files(self, piece: Piece) -> list[Path]:
        return piece.images.files()

    def nothing(self) -> Seen:
        """Return what was seen before the first picture."""
        watch = Watch(self.preprocess, self.tensor)
        observer = Observer(observed_values(self.graph), channels=fillable(self.graph))
        return Seen(observer, watch, {})


class Sweeper:
    """The float graph, opened. Belongs to one thread."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._calibrator = Calibrator(sweep.graph)

    def run(self, piece: Piece) -> Seen:
        """Raises: ObserverError: a value is NaN or infinite; the picture's name is in it."""
        seen, names = self._sweep.nothing(), list[str]()
        scores = 0

        def note(of_one: F32) -> None:
            nonlocal scores
            scores += 1
            seen.watch.scores(of_one)

        try:
            self._calibrator.observe(self._inputs(piece, seen, names), seen.observer, note)
        except ObserverError as error:
            raise ObserverError(f"{names[scores - 1]}: {error}") from error
        return seen

    def close(self) -> None:
        """The session ends with whoever knows it last."""

    def _inputs(self, piece: Piece, seen: Seen, names: list[str]) -> Iterator[F32]:
        """Yield the inputs, and note what was seen of them, and their names."""
        images, sweep = piece.images, self._sweep
        source: Iterable[Picture] | Tensors
        if isinstance(images, Tensors):
            names += [f"tensor {piece.first + index}" for index in range(len(images))]
            source = images
        else:
            source = _pictures(images, seen, names)
        inputs = tensors(source, sweep.preprocess, sweep.tensor)
        are_given = isinstance(images, Tensors)
        yield from seen.watch.inputs(inputs, sweep.count, are_given=are_given, first=piece.first)


def _pictures(images: ImageSet, seen: Seen, names: list[str]) -> Iterator[Picture]:
    """Yield those that can be read, and look at them; what was made only tells of the model."""
    if not images.synthetic:
        images = images.watched(seen.watch.picture)
    for picture in images.readable():
        names.append(picture.name)
        yield picture
    seen.broken.update(images.broken)


def sweep(
    graph: Graph,
    preprocess: PreprocessSpec,
    images: ImageSet | Tensors,
    spread: Spread,
    progress: Progress,
) -> Seen:
    """Observe every value of `graph` that the quantizer needs a range for, over all `images`.

    The result is the same to the bit whoever does the work.
    Raises: EdgeError: a value is NaN or infinite, no picture can be read, or a process died.
    """
    tensor = TensorSpec(graph.input, graph.input_shape, "float32")
    task = Sweep(graph, preprocess, tensor, len(images))
    total = task.nothing()

    def each_image() -> Iterator[int]:
        for seen in spread.map(task, _pieces(images)):
            total.add(seen)
            yield from range(seen.observer.samples + len(seen.broken))

    for _ in progress(each_image(), len(images), "calibrating"):
        pass
    if not total.observer.samples:
        raise none_readable(images.name, len(images), total.broken)
    return total


def _pieces(images: ImageSet | Tensors) -> Iterable[Piece]:
    first = 0
    for piece in images.pieces(PIECE_IMAGES):
        yield Piece(first, piece)
        first += len(piece)
