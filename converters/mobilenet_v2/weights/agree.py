"""Where the user, the weights, and the description in their file disagree."""

from __future__ import annotations

from collections.abc import Iterator

from converters.mobilenet_v2.architecture import PAPER_STAGES, Architecture
from converters.mobilenet_v2.weights.contents import Topology
from converters.mobilenet_v2.weights.families import Family
from converters.mobilenet_v2.weights.infer import Shapes, Wishes


def contradictions(
    architecture: Architecture, shapes: Shapes, family: Family, topology: Topology, wishes: Wishes
) -> list[str]:
    """Return every contradiction to `architecture`, which is what the weights are of."""
    return [
        *_with_shapes(architecture, shapes, wishes),
        *_with_habits(architecture, family, topology, wishes),
        *_with_topology(architecture, topology, wishes),
    ]


def _with_shapes(architecture: Architecture, shapes: Shapes, wishes: Wishes) -> Iterator[str]:
    """What the user names, against what the shapes of the weights say."""
    expansion = architecture.expansion or architecture.stages[-1].expansion
    found = {
        "--width": (wishes.width, architecture.width),
        "--expansion": (wishes.expansion, expansion),
        "--classes": (wishes.classes, shapes.classes),
        "--labels": (wishes.labels, architecture.classes),
        "--color: channels": (wishes.channels, shapes.channels),
    }
    for flag, (named, has) in found.items():
        if None not in (named, has) and named != has:
            yield f"{flag} {named:g}, but the weights have {has:g}"
    if wishes.width is not None and architecture.stages != PAPER_STAGES:
        channels = ", ".join(str(stage.channels) for stage in architecture.stages)
        yield f"--width {wishes.width:g}, but the weights have stages of their own ({channels})"


def _with_habits(
    architecture: Architecture, family: Family, topology: Topology, wishes: Wishes
) -> Iterator[str]:
    """What the user names, against what the file or else its framework always does."""
    paddings = family.paddings if topology.padding is None else (topology.padding,)
    if architecture.padding not in paddings:
        yield f"--padding {wishes.padding}, but {family.name}'s is {' or '.join(paddings)}"
    first = next(layer for layer in architecture.layers() if layer.kind == "project")
    if first.shortcut and not family.first_has_shortcut:
        yield f"{family.name} leaves out the shortcut of the first block, which is built here"
    epsilons = family.epsilons if topology.epsilon is None else (topology.epsilon,)
    if architecture.epsilon not in epsilons:
        usual = " or ".join(f"{epsilon:g}" for epsilon in epsilons)
        yield f"--epsilon {wishes.epsilon:g}, but {family.name}'s is {usual}"


def _with_topology(architecture: Architecture, topology: Topology, wishes: Wishes) -> Iterator[str]:
    """What the user names and what is built, against the file's own description."""
    if topology.activation not in (None, architecture.activation):
        yield f"--activation {wishes.activation}, but the file says {topology.activation}"
    if topology.has_shortcut not in (None, architecture.shortcut):
        yield "--no-shortcut, but the file says that its blocks have them"
    layers = architecture.layers()
    strides = tuple(layer.stride for layer in layers if layer.kind in ("stem", "depthwise"))
    if topology.strides not in (None, strides):
        yield "the file's own description has other strides than MobileNetV2"
