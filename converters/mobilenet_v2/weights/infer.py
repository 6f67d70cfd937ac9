"""What network the weights are of, read off their shapes; and whether the user says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from converters.mobilenet_v2.architecture import (
    HEAD_CHANNELS,
    PAPER_STAGES,
    STEM_CHANNELS,
    Activation,
    Architecture,
    Bottleneck,
    Kind,
    Padding,
    Stage,
    scale_channels,
)
from converters.mobilenet_v2.weights.contents import Topology, WeightFileError
from converters.mobilenet_v2.weights.names import Named, Place

DEFAULT_HW = (224, 224)
# Asked in this order, so that of widths that give the same channels the usual one is named.
USUAL_WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 0.1, 1.25, 1.3, 1.4, 1.5, 2.0)
WIDTHS = USUAL_WIDTHS + tuple(percent / 100 for percent in range(5, 401))
PAPER_EXPANSION = 6

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user names, None where not. `channels` are the picture's, `labels` a count."""

    width: float | None = None
    image_hw: tuple[int, int] | None = None
    classes: int | None = None
    labels: int | None = None
    channels: int | None = None
    expansion: int | None = None
    activation: Activation | None = None
    shortcut: bool | None = None
    bottleneck: Bottleneck | None = None
    padding: Padding | None = None
    epsilon: float | None = None


@dataclass(frozen=True, slots=True)
class Shapes:
    """Channels as the kernels have them, None where one is missing or has other dimensions.

    `hidden` and `outputs` have an entry for each block: its depthwise channels and its result.
    """

    channels: int | None
    stem: int | None
    hidden: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    head: int | None
    classes: int | None


def wished(wishes: Wishes) -> Architecture:
    """Return the network that the user names, where there are no weights to ask."""
    return Architecture(
        width=_or(wishes.width, 1.0),
        image_hw=_or(wishes.image_hw, DEFAULT_HW),
        classes=_or(wishes.classes, _or(wishes.labels, 1000)),
        channels=_or(wishes.channels, 3),
        padding=_or(wishes.padding, "tensorflow"),
        epsilon=_or(wishes.epsilon, 1e-5),
        activation=_or(wishes.activation, "relu6"),
        bottleneck=_or(wishes.bottleneck, "linear"),
        shortcut=_or(wishes.shortcut, True),
        expansion=wishes.expansion,
    )


def infer(
    path: Path, named: Named, shapes: Shapes, topology: Topology, wishes: Wishes
) -> Architecture:
    """Return the network that the weights are of; where they say nothing, what the user wishes.

    Raises: WeightFileError: there are no classes, neither in the weights nor named; or there are
        so many blocks that their strides cannot be told.
    """
    classes = _or(shapes.classes, wishes.classes)
    if classes is None:
        raise WeightFileError(
            f"{path}: has no classifier (include_top=False, or features alone), so nothing tells "
            "its classes; name --classes N for a new, untrained one, to be trained"
        )
    width, expansion, stages = _table(path, named, shapes, wishes.width)
    family = named.family
    return Architecture(
        width=width,
        image_hw=_or(wishes.image_hw, _or(topology.image_hw, DEFAULT_HW)),
        classes=classes,
        channels=_or(shapes.channels, 3) if shapes.channels in (1, 3, None) else 3,
        padding=_or(wishes.padding, _or(topology.padding, family.paddings[0])),
        stages=stages,
        epsilon=_or(wishes.epsilon, _or(topology.epsilon, family.epsilons[0])),
        activation=_or(wishes.activation, _or(topology.activation, "relu6")),
        bottleneck=_or(wishes.bottleneck, "linear"),
        shortcut=_or(wishes.shortcut, _or(topology.has_shortcut, True)),
        expansion=expansion,
    )


def _or(first: Value | None, otherwise: Value) -> Value:
    return otherwise if first is None else first


def shapes_of(named: Named) -> Shapes:
    """Return the channels of the kernels that are there."""
    is_hwio = named.family.layout == "HWIO"

    def sides(layer: str, count: int) -> tuple[int, ...] | None:
        array = named.arrays.get(named.kernel(layer))
        if array is None or array.ndim != count:
            return None
        # [H, W, I, O] backwards is [O, I, W, H], and [I, O] is [O, I].
        return array.shape[::-1] if is_hwio else array.shape

    def outputs(kind: Kind, place: Place | None = None) -> int | None:
        shape = sides(named.pair(kind, place)[0], 4)
        if shape is None:
            return None
        # A depthwise kernel is [O, 1, H, W], or [H, W, O, 1].
        return shape[1] if kind == "depthwise" and is_hwio else shape[0]

    stem = sides(named.pair("stem", None)[0], 4)
    dense = sides(named.classifier, 2) or sides(named.classifier, 4)
    return Shapes(
        channels=stem[1] if stem else None,
        stem=stem[0] if stem else None,
        hidden=tuple(outputs("depthwise", place) for place in named.blocks),
        outputs=tuple(outputs("project", place) for place in named.blocks),
        head=outputs("head"),
        classes=dense[0] if dense and dense[0] > 0 else None,
    )


def _table(
    path: Path, named: Named, shapes: Shapes, wished_width: float | None
) -> tuple[float, int | None, tuple[Stage, ...]]:
    """Return width, expansion and stages: the paper's where they fit, or else the weights' own."""
    repeats = _repeats(path, named)
    paper_repeats = [stage.repeats for stage in PAPER_STAGES]
    widths = WIDTHS if wished_width is None else (wished_width, *WIDTHS)
    width = min(widths, key=lambda width: _misfits(shapes, repeats, width))
    expansions = [
        hidden // before
        for hidden, before in zip(shapes.hidden, (shapes.stem, *shapes.outputs), strict=False)
        if hidden and before and hidden >= before
    ]
    inner = expansions[repeats[0] :]
    common = Counter(inner).most_common(1)[0][0] if inner else PAPER_EXPANSION
    expansion = None if common == PAPER_EXPANSION else common
    is_paper = repeats == paper_repeats and set(inner) <= {common} and set(expansions[:1]) <= {1}
    if is_paper and not _misfits(shapes, repeats, width):
        return width, expansion, PAPER_STAGES
    own = tuple(_own_stages(shapes, repeats))
    if len(own) == len(PAPER_STAGES) and (shapes.stem, shapes.head) == (
        STEM_CHANNELS,
        HEAD_CHANNELS,
    ):
        return 1.0, None, own
    return width, expansion, PAPER_STAGES


def _repeats(path: Path, named: Named) -> list[int]:
    """Return how many blocks each of the seven stages has."""
    paper = [stage.repeats for stage in PAPER_STAGES]
    if named.family.is_staged:
        counts = Counter(place.stage for place in named.blocks)
        found = [counts[stage] for stage in sorted(counts)]
    else:
        found = paper if len(named.blocks) == sum(paper) else [len(named.blocks)]
    if len(found) != len(paper):
        raise WeightFileError(
            f"{path}: has {len(named.blocks)} blocks one after another by the names of "
            f"{named.family.name}; allowed: {sum(paper)}, or any number whose names tell 7 stages, "
            "as timm's do: nothing else says where the strides are"
        )
    return found


def _misfits(shapes: Shapes, repeats: list[int], width: float) -> int:
    """Count the layers that have other channels than the paper's at this width."""
    expected = [
        scale_channels(stage.channels, width)
        for stage, count in zip(PAPER_STAGES, repeats, strict=True)
        for _ in range(count)
    ]
    pairs = [
        (shapes.stem, scale_channels(STEM_CHANNELS, width)),
        (shapes.head, scale_channels(HEAD_CHANNELS, max(1.0, width))),
        *zip(shapes.outputs, expected, strict=True),
    ]
    return sum(found is not None and found != right for found, right in pairs)


def _own_stages(shapes: Shapes, repeats: list[int]) -> Iterator[Stage]:
    """Yield the stages as the weights have them, as far as each is one expansion and width."""
    before, start = shapes.stem, 0
    for paper, count in zip(PAPER_STAGES, repeats, strict=True):
        hidden, outputs = (s[start : start + count] for s in (shapes.hidden, shapes.outputs))
        start += count
        inputs = (before, *outputs[:-1])
        before = outputs[-1]
        times = {h / i for h, i in zip(hidden, inputs, strict=True) if h and i}
        if len(times) != 1 or len(set(outputs)) != 1 or not before:
            return
        expansion = times.pop()
        if expansion != int(expansion) or before != scale_channels(before, 1.0):
            return
        yield Stage(int(expansion), before, count, paper.stride)
