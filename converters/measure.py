"""What calibration measures, and what the ladder stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.channels import ChannelEnds
from calibration.dataset import tensors
from calibration.images import ImageSet, Tensors, even_steps
from calibration.labelled import listed_classes
from calibration.lint import About, Lint, lint
from calibration.observers import RangeTable
from calibration.progress import Progress
from converters.graph import Graph
from converters.ladder import PICTURES, Climb, Ground
from converters.mixed import Mixing
from converters.pictures import Pictures
from converters.quantize.params import QuantParams, from_range, from_table
from converters.request import Level, Request
from converters.source import Source
from converters.sweep import sweep
from edge.preprocess import lookup_table


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What calibration saw: `ranges` by value, and the pictures that could not be read.

    `ends`: of the channels that may fill their ranges; `widest`: the ranges that cut nothing off,
    where nobody said by what rule to choose them, and the pictures are photographs; `climb`: what
    was tried on top of it, and where it led; `mixing`: which layers are float, where int8 alone
    does not do.
    """

    ranges: RangeTable
    ends: Mapping[str, ChannelEnds]
    input_params: QuantParams
    broken: tuple[str, ...]
    lint: Lint
    widest: RangeTable | None = None
    climb: Climb | None = None
    mixing: Mixing | None = None


def measure(request: Request, source: Source, pictures: Pictures, progress: Progress) -> Calibrated:
    """Observe every activation over the calibration pictures, and see what is wrong with them."""
    images, watch = pictures.calibration, pictures.watch
    seen = sweep(source.graph, source.card.preprocess, images, request.spread, progress)
    watch.add(seen.watch)
    observations = seen.observer.observations()
    synthetic = isinstance(images, ImageSet) and images.synthetic
    ranges = observations.ranges(request.observer, synthetic=synthetic)
    about = About(
        available=pictures.available,
        labels=source.card.labels,
        listed=listed_classes(request.calibration or ""),
        norm=source.norm.opened() if source.norm else None,
        are_given=isinstance(images, Tensors),
        synthetic=synthetic,
    )
    found = lint(watch, observations, about)
    watch.kept.clear()
    is_free = request.observer is None and not synthetic
    widest = observations.ranges("minmax") if is_free else None
    params = input_params(source, images)
    return Calibrated(ranges, observations.ends, params, tuple(seen.broken), found, widest)


def ground(
    request: Request,
    source: Source,
    pictures: Pictures,
    calibrated: Calibrated,
    level: Level,
    progress: Progress,
) -> Ground:
    """Return what the ladder to `level` stands on, with as many pictures as it needs."""
    images = pictures.calibration

    def measured(graph: Graph, like: RangeTable) -> RangeTable:
        seen = sweep(graph, source.card.preprocess, images, request.spread, progress)
        return seen.observer.observations().ranges(like.observer, synthetic=like.synthetic)

    several = even_steps(len(images), PICTURES[level])
    held = tensors(images.subset(several), source.card.preprocess, source.input_spec)
    learned = list(held) if several else []
    return Ground(
        source.graph,
        calibrated.input_params,
        calibrated.ranges,
        calibrated.ends,
        measured,
        learned,
        per_tensor=request.per_tensor,
        widest=calibrated.widest,
    )


def input_params(source: Source, images: ImageSet | Tensors) -> QuantParams:
    """Return the input's parameters: the best for all bytes, or for the tensors that were given."""
    if isinstance(images, Tensors):
        lows, highs = zip(*((float(row.min()), float(row.max())) for row in images), strict=True)
        return from_range(min(lows), max(highs))
    return from_table(lookup_table(source.card.preprocess, source.input_spec).astype(float))
