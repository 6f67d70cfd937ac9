"""Which of the paper's networks a table is, and what it has or lacks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.mobilenet_v2.architecture import Architecture, ArchitectureError
from converters.structure.block import OTHER, Block
from converters.structure.table import Table

# Of the paper and of the weights that its authors published.
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
PAPER_EXPANSION, PAPER_ACTIVATION = 6, "ReLU6"


@dataclass(frozen=True, slots=True)
class Textbook:
    """MobileNetV2 of a `width`; `differs`: what sets it apart from that of the paper, in words."""

    width: float
    differs: tuple[str, ...]


def textbook(found: Table) -> Textbook | None:
    """Return which MobileNetV2 a table is by its channels and strides, at one t for all stages
    that expand; None where it is none.
    """
    blocks = [b for row in found.rows for b in row.blocks if b.kind != OTHER]
    flows = [(block.channels, block.stride) for block in blocks]
    if not flows:
        return None
    _, height, width_pixels = (*found.rows[0].input, 0, 0)[:3]
    expansion = round(max(block.expansion for block in blocks))
    for width in WIDTHS:
        try:
            network = Architecture(width, (height, width_pixels), expansion=expansion)
        except ArchitectureError:
            return None
        if flows == _flows(network):
            return Textbook(width, _differences(blocks, network, expansion))
    return None


def _flows(network: Architecture) -> list[tuple[tuple[int, ...], int]]:
    """Return the channels on the way through each block, and its stride."""
    flows: dict[str, tuple[tuple[int, ...], int]] = {}
    for layer in network.layers():
        if layer.block:
            channels, stride = flows.get(layer.block, ((layer.in_channels,), 1))
            flows[layer.block] = ((*channels, layer.out_channels), stride * layer.stride)
    return list(flows.values())


def _differences(blocks: Sequence[Block], network: Architecture, expansion: int) -> tuple[str, ...]:
    shortcuts = sum(block.shortcut == "identity" for block in blocks)
    expected = sum(layer.shortcut for layer in network.layers())
    # An integer file leaves a clamp to a range: one that 6 is never reached in looks like a ReLU.
    inner = {layer.activation for block in blocks for layer in block.layers[:-1]}
    bent = [b.layers[-1].activation for b in blocks if b.layers[-1].activation != "linear"]
    differs = []
    if expansion != PAPER_EXPANSION:
        differs.append(f"with expansion {expansion}, not {PAPER_EXPANSION}")
    if PAPER_ACTIVATION not in inner:
        differs.append(f"with {' and '.join(sorted(inner))}, not {PAPER_ACTIVATION}")
    if bent:
        functions = " or ".join(sorted(set(bent)))
        differs.append(f"with {functions} behind {len(bent)} of {len(blocks)} bottlenecks")
    if shortcuts != expected:
        differs.append(f"with {shortcuts} of {expected} shortcuts")
    return tuple(differs)
