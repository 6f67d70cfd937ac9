"""Dead units, and the rank that survives each activation, in float and in int8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from converters.anatomy import EXPAND, Place, anatomy
from converters.calibrate import FloatGraph
from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.memory import give_back
from converters.mobilenet_v2.explore.experiment import Asked
from converters.mobilenet_v2.explore.moments import Moments, Spectrum, positions_of
from converters.mobilenet_v2.explore.subject import Subject
from converters.operators import INFINITY, Clamp, Clamped, Conv, clamp_of
from converters.quantize.quantized import QuantizedGraph
from converters.tensor_check import OnnxTensors
from edge.tensors import F32


@dataclass(frozen=True, slots=True)
class Site:
    """One activation: `value` is what it makes, of `before`; `clamp` what it cuts off.

    `needed`: how many channels the expansion before it reads, None behind other layers.
    """

    value: str
    before: str
    clamp: Clamp
    channels: int
    place: Place
    needed: int | None

    @property
    def clamps_above(self) -> bool:
        return self.clamp.high < INFINITY

    @property
    def function(self) -> str:
        return f"ReLU{self.clamp.high:g}" if self.clamps_above else "ReLU"


@dataclass(frozen=True, slots=True)
class Int8Unit:
    """The same in the int8 artifact, of the channels that are left in it.

    `dead`: all its integers are the zero point; `at_top`: all are at the upper clamp; `after`: the
    ranks of its real values, `after_float` those of float's with the same gains on the channels.
    """

    channels: int
    dead: int
    at_top: int
    after: Spectrum
    after_float: Spectrum


@dataclass(frozen=True, slots=True)
class Unit:
    """What one activation does. Counts are of channels, over all pictures and positions.

    `dead`: never above 0; `at_top`: always at the upper clamp. `before`, `after`: the ranks of the
    matrix [positions x channels]. `active`: the least, mean and largest number of channels at a
    position that the activation lets through unchanged; `short`: the share of positions where they
    are fewer than what the expansion read, None behind other layers.
    """

    site: Site
    positions: int
    dead: int
    at_top: int
    before: Spectrum
    after: Spectrum
    active: tuple[int, float, int]
    short: float | None
    int8: Int8Unit


@dataclass(frozen=True, slots=True)
class UnitsResult:
    """`units` in the order of the network; `pictures`: how many and which were looked at."""

    name: str
    units: tuple[Unit, ...]
    pictures: str
    command: str


def run(asked: Asked) -> UnitsResult:
    """Look at every activation that cuts off below zero, on real pictures.

    Raises: ConvertError: the network has none.
    """
    subject = asked.subject
    sites = activations(subject.graph)
    if not sites:
        raise ConvertError(
            f"{subject.conversion.request.model}: no activation in it cuts off below zero, as ReLU "
            "and ReLU6 do, so that there are no dead units to look for; leave units out of --only"
        )
    count = len(subject.pictures)
    # First what leaves no matrices behind: those of both would take twice the memory.
    int8 = _int8_side(
        subject, sites, asked.progress(subject.inputs(), count, "looking at units in int8")
    )
    give_back()
    float_side = _float_side(
        subject.graph, sites, asked.progress(subject.inputs(), count, "looking at units")
    )
    units = tuple(_unit(site, float_side[site.value], int8[site.value]) for site in sites)
    words = f"{count} {subject.words}"
    return UnitsResult(subject.conversion.card.name, units, words, asked.command("units"))


def activations(graph: Graph) -> tuple[Site, ...]:
    """Return every activation of a network that ends at zero below, in order."""
    places = anatomy(graph)
    found = []
    for node in graph.nodes:
        is_own = isinstance(node.operator, Clamp)
        clamp = node.operator if isinstance(node.operator, Clamp) else clamp_of(node.operator)
        if clamp is None or clamp.low != 0:
            continue
        before = node.inputs[0] if is_own else _before(node)
        shape = graph.shapes[node.output]
        channels = shape[1] if len(shape) == 4 else shape[-1]
        place, needed = places[node.name], None
        if place.part == EXPAND and isinstance(node.operator, Conv):
            needed = node.operator.weight.shape[1]
        found.append(Site(node.output, before, clamp, channels, place, needed))
    return tuple(found)


def apart(graph: Graph, sites: Sequence[Site]) -> Graph:
    """Return the graph with each of the activations as a node of its own, behind its `before`."""
    fused = {site.value: site for site in sites}
    nodes: list[Node] = []
    for node in graph.nodes:
        site = fused.get(node.output)
        if site is None or not isinstance(node.operator, Clamped):
            nodes.append(node)
            continue
        linear = replace(node.operator, clamp=None)
        nodes.append(replace(node, operator=linear, output=site.before))
        nodes.append(Node(f"{node.name} activation", site.clamp, (site.before,), node.output))
    return graph.with_nodes(nodes)


def _before(node: Node) -> str:
    # Exporters put no spaces into names.
    return f"{node.output} before"


class _Watched:
    """What is seen of one activation in the float network."""

    def __init__(self, site: Site) -> None:
        self.before, self.after = Moments(site.channels), Moments(site.channels)
        self.least, self.most, self.total, self.short = site.channels, 0, 0, 0
        self._site = site

    def add(self, before: F32, after: F32) -> None:
        """Add float32 [positions, channels] each."""
        self.before.add(before)
        self.after.add(after)
        active = np.count_nonzero((after > 0) & (after < self._site.clamp.high), axis=1)
        self.least = min(self.least, int(active.min()))
        self.most = max(self.most, int(active.max()))
        self.total += int(active.sum())
        if self._site.needed is not None:
            self.short += int(np.count_nonzero(active < self._site.needed))


def _float_side(
    graph: Graph, sites: Sequence[Site], inputs: Iterable[F32]
) -> Mapping[str, _Watched]:
    names = [name for site in sites for name in (site.before, site.value)]
    watched = {site.value: _Watched(site) for site in sites}
    session = FloatGraph(apart(graph, sites), tuple(dict.fromkeys(names)))
    for x in inputs:
        values = session.run(x)  # not beside the sums, which take every core
        for site in sites:
            before, after = (positions_of(values[name]) for name in (site.before, site.value))
            watched[site.value].add(before, after)
    return watched


def _int8_side(
    subject: Subject, sites: Sequence[Site], inputs: Iterable[F32]
) -> Mapping[str, Int8Unit]:
    """Return what the artifact makes of the same pictures.

    Channels that are constant are not in it, and the others may have other gains: so the float
    network of these very channels and gains is looked at beside it.
    """
    quantized = subject.quantized
    graph = quantized.graph
    artifact = OnnxTensors(subject.conversion.artifacts["onnx"], quantized)
    names = [site.value for site in sites]
    session = FloatGraph(graph, names)
    channels = {n: graph.shapes[n][1 if len(graph.shapes[n]) == 4 else -1] for n in names}
    real, exact = ({n: Moments(channels[n]) for n in names} for _ in range(2))
    for x in inputs:
        integers, values = artifact.run(x), session.run(x)
        for name in names:
            exact[name].add(positions_of(values[name]))
            rows = quantized.activations[name].dequantize(integers[name])
            real[name].add(positions_of(rows))
    return {
        site.value: _int8_unit(site, real[site.value], exact[site.value].spectrum(), quantized)
        for site in sites
    }


def _int8_unit(
    site: Site, seen: Moments, after_float: Spectrum, quantized: QuantizedGraph
) -> Int8Unit:
    held = quantized.activations[site.value]
    # The range may end below the clamp; either is met to half a step.
    top = min(site.clamp.high, held.high) - held.scale[0] / 2
    is_dead = (seen.low == 0) & (seen.high == 0)
    at_top = seen.low >= top
    return Int8Unit(
        channels=len(seen.low),
        dead=int(np.count_nonzero(is_dead)),
        at_top=int(np.count_nonzero(at_top)) if site.clamps_above else 0,
        after=seen.spectrum(),
        after_float=after_float,
    )


def _unit(site: Site, seen: _Watched, int8: Int8Unit) -> Unit:
    positions = seen.after.positions
    return Unit(
        site=site,
        positions=positions,
        dead=int(np.count_nonzero(seen.after.high <= 0)),
        at_top=int(np.count_nonzero(seen.after.low >= site.clamp.high)),
        before=seen.before.spectrum(),
        after=seen.after.spectrum(),
        active=(seen.least, seen.total / positions, seen.most),
        short=None if site.needed is None else seen.short / positions,
        int8=int8,
    )
