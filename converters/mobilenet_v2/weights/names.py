"""From the names in a file to those of `Architecture.weight_shapes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from converters.mobilenet_v2.architecture import Architecture, Kind, Layer
from converters.mobilenet_v2.weights.contents import WeightFileError, shown
from converters.mobilenet_v2.weights.families import (
    COUNTERS,
    FAMILIES,
    PREFIXES,
    Family,
    Pair,
)
from edge.tensors import Array

NORM_PARTS = ("gamma", "beta", "mean", "var")
KINDS: tuple[Kind, ...] = ("expand", "depthwise", "project")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: `number` from 1 over all, `stage` and `repeat` from 0."""

    number: int
    stage: int
    repeat: int
    is_expanded: bool


@dataclass(frozen=True, slots=True)
class Named:
    """Arrays of a family, without prefixes and counters; `classifier` is "" where there is none."""

    family: Family
    arrays: Mapping[str, Array]
    blocks: tuple[Place, ...]
    classifier: str
    not_read: Counter[str]
    notes: tuple[str, ...]

    def kernel(self, layer: str) -> str:
        """Return the name of a layer's kernel: the one that is there, or else the first usual."""
        names = [f"{layer}{self.family.joint}{part}" for part in self.family.kernels]
        return next((name for name in names if name in self.arrays), names[0])

    def pair(self, kind: Kind, place: Place | None) -> Pair:
        """Return the names of a convolution and its BatchNorm; `place` of what is in a block."""
        if place is not None:
            return block_pair(self.family, kind, place) or ("", "")
        pair = self.family.stem if kind == "stem" else self.family.head
        last = len(self.blocks) + 1
        return pair[0].format(last=last), pair[1].format(last=last)

    def parts(self, layer: Layer, place: Place | None) -> Iterator[tuple[str, str]]:
        """Yield (our name, name in the file) for each array of a layer."""
        joint = self.family.joint
        if layer.kind == "classifier":
            yield f"{layer.name}.weight", self.kernel(self.classifier)
            yield f"{layer.name}.bias", f"{self.classifier}{joint}bias"
            return
        convolution, norm = self.pair(layer.kind, place)
        yield f"{layer.name}.weight", self.kernel(convolution)
        for ours, theirs in zip(NORM_PARTS, self.family.norm, strict=True):
            yield f"{layer.name}.{ours}", f"{norm}{joint}{theirs}"


def block_pair(family: Family, kind: Kind, place: Place) -> Pair | None:
    """Return the names of a block's layer, None where the family has none for such a block."""
    block = family.expanded if place.is_expanded else family.plain
    if place.number == 1 and family.first is not None:
        block = family.first
    pair = block.get(kind)
    if pair is None:
        return None
    b, s, r = place.number, place.stage, place.repeat
    convolution, norm = (name.format(b=b, b1=b - 1, b2=b - 2, s=s, r=r) for name in pair)
    return convolution, norm


def places_of(architecture: Architecture) -> dict[str, Place]:
    """Return where each block of the architecture stands, by its name."""
    expanded = {layer.block for layer in architecture.layers() if layer.kind == "expand"}
    repeats = (
        (stage, repeat)
        for stage, facts in enumerate(architecture.stages)
        for repeat in range(facts.repeats)
    )
    return {
        f"block{number}": Place(number, stage, repeat, f"block{number}" in expanded)
        for number, (stage, repeat) in enumerate(repeats, 1)
    }


def name_arrays(path: Path, arrays: Mapping[str, Array]) -> Named:
    """Tell whose names these are. Raises: WeightFileError: nobody's that is known."""
    notes: list[str] = []
    stripped = _without_prefixes(path, arrays, notes)
    counters = {n for n in stripped if n.rpartition(".")[2] in COUNTERS}
    kept = {name: array for name, array in stripped.items() if name not in counters}
    layers = {f.name: {name.rpartition(f.joint)[0] for name in kept} for f in FAMILIES}
    counts = [_count(family, layers[family.name]) for family in FAMILIES]
    family = FAMILIES[counts.index(max(counts))]
    blocks = tuple(_blocks(family, layers[family.name]))
    if not blocks:  # a stem or a norm alone has the same name in many a network
        first = ", ".join(shown(name) for name in list(kept)[:5])
        raise WeightFileError(
            f"{path}: its {len(kept)} arrays are named as no known MobileNetV2's ({first}, ...); "
            f"known are the names of {', '.join(f.name for f in FAMILIES)}"
        )
    not_read = Counter({"counters of training steps": len(counters)} if counters else {})
    classifier = _classifier(family, kept)
    return Named(family, kept, blocks, classifier, not_read, tuple(notes))


def _without_prefixes(
    path: Path, arrays: Mapping[str, Array], notes: list[str]
) -> Mapping[str, Array]:
    for prefix in PREFIXES:
        count = sum(name.startswith(prefix) for name in arrays)
        if count:
            arrays = dict(_unique(path, prefix, arrays.items()))
            notes.append(f"{prefix!r} before {count} of the names is left off")
    return arrays


def _unique(
    path: Path, prefix: str, items: Iterable[tuple[str, Array]]
) -> Iterator[tuple[str, Array]]:
    seen: set[str] = set()
    for name, array in items:
        short = name.removeprefix(prefix)
        if short in seen:
            raise WeightFileError(
                f"{path}: holds {shown(short)} with and without {prefix!r} before it; save one "
                "model alone"
            )
        seen.add(short)
        yield short, array


def _count(family: Family, layers: AbstractSet[str]) -> int:
    """Count the layers that the family's names find, outside of head and classifier."""
    named = set(family.stem).union(
        *(_layer_names(family, place) for place in _blocks(family, layers))
    )
    return len(named & layers)


def _blocks(family: Family, layers: AbstractSet[str]) -> Iterator[Place]:
    """Yield the blocks that are there, from the first on, until one is not."""
    stage = repeat = 0
    for number in range(1, len(layers) + 1):
        place = _found(family, layers, number, stage, repeat)
        if place is None and family.is_staged and repeat:
            stage, repeat = stage + 1, 0
            place = _found(family, layers, number, stage, repeat)
        if place is None:
            return
        yield place
        repeat += 1


def _found(
    family: Family, layers: AbstractSet[str], number: int, stage: int, repeat: int
) -> Place | None:
    """Return the block where any layer of it is there: the kind of which most layers are."""
    places = [Place(number, stage, repeat, is_expanded) for is_expanded in (False, True)]
    counts = [len(_layer_names(family, place) & layers) for place in places]
    # Where both are alike it is plain: nothing speaks for an expansion.
    return places[counts[1] > counts[0]] if max(counts) else None


def _layer_names(family: Family, place: Place) -> set[str]:
    pairs = (block_pair(family, kind, place) for kind in KINDS)
    return {name for pair in pairs if pair for name in pair}


def _classifier(family: Family, arrays: Mapping[str, Array]) -> str:
    joint = family.joint
    for name in family.classifiers:
        if any(f"{name}{joint}{part}" in arrays for part in family.kernels):
            return name
    if family.takes_any_dense:
        layers = {n.rpartition(joint)[0] for n, array in arrays.items() if array.ndim == 2}
        if len(layers) == 1:
            return layers.pop()
    return ""
