"""The table of a network, as papers print it: input, operator, t, c, n, s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from converters.anatomy import anatomy
from converters.graph import Graph
from converters.operators import Shape
from converters.structure.block import (
    BASIC,
    BENT,
    BOTTLENECK,
    INVERTED,
    LINEAR_SEPARABLE,
    OTHER,
    SEPARABLE,
    Block,
    blocks,
)
from converters.structure.cost import Cost, cost_of

INVERTED_KINDS = {INVERTED, LINEAR_SEPARABLE}
# Those that t is said of.
EXPANDING = INVERTED_KINDS | {BENT}
# A network is of a family whose blocks do so much of its multiply-adds: stem and head are its own.
MOST = 0.6
POOLS = {
    "AveragePool": "average pool",
    "GlobalAveragePool": "average pool",
    "MaxPool": "max pool",
    "ReduceMean": "average pool",
}


@dataclass(frozen=True, slots=True)
class Row:
    """`repeats` (n) blocks of one kind and width that follow each other.

    `input`: [C, H, W] or [C] of the first; `expansion` (t): None of what has no inside;
    `channels` (c): that each makes; `stride` (s): of the first, the others have 1; None where one
    pixel is left; `blocks`: what they are; `cost`: of all.
    """

    input: Shape
    operator: str
    expansion: float | None
    channels: int
    repeats: int
    stride: int | None
    blocks: tuple[Block, ...]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Table:
    """A network's rows; `family`: whose blocks they are, "" where they are nobody's."""

    rows: tuple[Row, ...]
    family: str
    cost: Cost


def table(graph: Graph) -> Table:
    """Return the table of a network whose activations are fused and whose norms are folded."""
    found = blocks(graph, anatomy(graph))
    groups: list[list[Block]] = []
    for block in found:
        if groups and _continues(groups[-1], block):
            groups[-1].append(block)
        else:
            groups.append([block])
    rows = tuple(_row(graph, group) for group in groups)
    whole = cost_of(graph, graph.nodes)
    return Table(rows, _family(rows, whole), whole)


def _continues(group: Sequence[Block], block: Block) -> bool:
    """Whether a block is one more of those before it: the same, but that only the first strides."""
    last = group[-1]
    alike = (
        block.kind == last.kind != OTHER
        and block.output == last.output
        and block.stride == 1
        and block.has_excitation == last.has_excitation
        and [x.kernel for x in block.layers] == [x.kernel for x in last.layers]
    )
    # The first may read fewer channels, but is as much wider inside.
    return alike and _t(block) == _t(last)


def _t(block: Block) -> float | None:
    """Return t: of a bottleneck, which is narrower inside, in parts of what it makes."""
    if block.kind == BOTTLENECK:
        return min(block.channels[1:]) / block.channels[-1]
    return block.expansion if block.kind in EXPANDING else None


def _row(graph: Graph, group: Sequence[Block]) -> Row:
    first = group[0]
    return Row(
        input=first.input,
        operator=_operator(first),
        expansion=_t(first),
        channels=first.output[0],
        repeats=len(group),
        stride=first.stride if first.layers or len(first.output) > 1 else None,
        blocks=tuple(group),
        cost=sum((cost_of(graph, block.nodes) for block in group), Cost()),
    )


def _operator(block: Block) -> str:
    """Return what a row is called: its kind, or its layers and pools."""
    excited = ", squeeze-excite" if block.has_excitation else ""
    if block.kind != OTHER:
        window = max(layer.kernel for layer in block.layers)
        return f"{block.kind} {window[0]}x{window[1]}{excited}"
    parts = [layer.called for layer in block.layers]
    if not block.has_excitation:
        parts += [POOLS[node.kind] for node in block.nodes if node.kind in POOLS]
    return ", ".join(parts) + excited if parts else block.nodes[0].kind


def _family(rows: Sequence[Row], whole: Cost) -> str:
    """Return whose blocks do most of a network's work; "" where they are nobody's."""
    of_kind: Counter[str] = Counter()
    for row in rows:
        of_kind[row.blocks[0].kind] += row.cost.multiply_adds
    found = [block for row in rows for block in row.blocks if block.kind != OTHER]
    functions = {layer.activation for block in found for layer in block.layers}
    weighs = any(block.has_excitation for block in found)
    inverted = "MobileNetV3" if weighs or "HardSwish" in functions else "MobileNetV2"
    families = {
        "EfficientNet" if weighs and "SiLU" in functions else inverted: INVERTED_KINDS,
        "MobileNetV1": {SEPARABLE},
        "ResNet": {BOTTLENECK, BASIC},
    }
    for name, kinds in families.items():
        if sum(of_kind[kind] for kind in kinds) > MOST * whole.multiply_adds:
            return name
    return ""
