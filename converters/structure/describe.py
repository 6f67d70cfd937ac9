"""What there is to say of a network's structure, as JSON and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converters.graph import Graph
from converters.operators import Shape
from converters.structure.block import OTHER, Block
from converters.structure.cost import Cost, four_ways, peak_values
from converters.structure.table import Row, Table, table
from converters.structure.textbook import Textbook, textbook
from edge.text import aligned, printable

HEADER = (
    "input",
    "operator",
    "t",
    "c",
    "n",
    "s",
    "parameters",
    "multiply-adds",
    "per number moved",
)


@dataclass(frozen=True, slots=True)
class Description:
    """`textbook`: which MobileNetV2 of the paper a network is, None where it is none;
    `peak_values`: numbers of activations that are alive at once; `compared`: what four ways to do
    the work of `example`, the row with the most of it, would cost.
    """

    name: str
    table: Table
    textbook: Textbook | None
    peak_values: int
    example: Row | None
    compared: Mapping[str, Cost]


def describe(graph: Graph, name: str) -> Description:
    """Return what there is to say of a network as `read_network` gives it."""
    found = table(graph)
    rows = [row for row in found.rows if row.blocks[0].kind != OTHER and len(row.input) == 3]
    example = max(rows, key=lambda row: row.cost.multiply_adds, default=None)
    compared: Mapping[str, Cost] = {}
    if example is not None:
        last = example.blocks[-1]
        kernel = max(layer.kernel for layer in last.layers)[0]
        height, width = last.input[1:]
        compared = four_ways(
            (height, width), last.input[0], last.output[0], kernel, max(last.expansion, 1)
        )
    return Description(name, found, textbook(found), peak_values(graph), example, compared)


def to_json(description: Description) -> dict[str, Any]:
    """Return a description for machines. Sizes are numbers of values; in int8 each is a byte."""
    found = description.table
    return {
        "name": description.name,
        "family": found.family or None,
        "textbook_width": description.textbook and description.textbook.width,
        "differs": list(description.textbook.differs) if description.textbook else [],
        **_cost_json(found.cost),
        "peak_activations": description.peak_values,
        "rows": [
            {
                "input": list(row.input),
                "operator": row.operator,
                "t": row.expansion,
                "c": row.channels,
                "n": row.repeats,
                "s": row.stride,
                **_cost_json(row.cost),
                "blocks": [_block_json(block) for block in row.blocks],
            }
            for row in found.rows
        ],
        "four_ways": {name: _cost_json(cost) for name, cost in description.compared.items()},
    }


def _cost_json(cost: Cost) -> dict[str, float]:
    return {
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "moved": cost.moved,
        "intensity": cost.intensity,
    }


def _block_json(block: Block) -> dict[str, Any]:
    return {
        "name": block.name,
        "kind": block.kind,
        "channels": list(block.channels),
        "flow": list(block.flow),
        "activations": [layer.activation for layer in block.layers],
        "stride": block.stride,
        "shortcut": block.shortcut or None,
        "squeeze_excite": block.has_excitation,
    }


def to_text(description: Description) -> str:
    """Return a description for a terminal."""
    return "\n".join(_lines(description)) + "\n"


def _lines(description: Description) -> Iterator[str]:
    found = description.table
    yield f"{printable(description.name)}: {_family(description)}"
    yield ""
    yield from aligned([HEADER, *map(_cells, found.rows), _total(found.cost)])
    yield ""
    peak = description.peak_values
    yield (
        f"activations alive at once: {peak:,} numbers at most, {peak / 1e6:.2f} MB in int8, "
        f"{4 * peak / 1e6:.2f} MB in float32"
    )
    kinds = dict.fromkeys(b.kind for row in found.rows for b in row.blocks if b.kind != OTHER)
    for kind in kinds:
        yield ""
        yield from _kind_lines(kind, found.rows)
    if description.example is not None:
        yield ""
        yield from _compared_lines(description.example, description.compared)


def _family(description: Description) -> str:
    if description.textbook is not None:
        width, differs = description.textbook.width, description.textbook.differs
        but = f", but {'; '.join(differs)}" if differs else ""
        return f"MobileNetV2 {width:g}, as in the paper's table 2{but}"
    family = description.table.family
    return f"blocks as in {family}" if family else "blocks of no known family do most of its work"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        _by(row.input),
        row.operator,
        "-" if row.expansion is None else f"{row.expansion:.3g}",
        str(row.channels),
        str(row.repeats),
        "-" if row.stride is None else str(row.stride),
        *_costs(row.cost),
    )


def _total(cost: Cost) -> tuple[str, ...]:
    return ("all", "", "", "", "", "", *_costs(cost))


def _costs(cost: Cost) -> tuple[str, str, str]:
    return (f"{cost.parameters:,}", f"{cost.multiply_adds / 1e6:.2f} M", f"{cost.intensity:.1f}")


def _kind_lines(kind: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield how the channels flow through blocks of one kind, by an example."""
    of_kind = [block for row in rows for block in row.blocks if block.kind == kind]
    # One with an identity around it shows the shape best.
    block = next((one for one in of_kind if one.shortcut == "identity"), of_kind[0])
    shortcuts = sum(bool(one.shortcut) for one in of_kind)
    yield f"{kind}: {len(of_kind)}, {shortcuts} with a shortcut; for example {block.name}"
    steps = zip(block.layers, block.flow, strict=True)
    rows_of = [
        (f"  {layer.called}", f"{channels} channels", flow, layer.activation)
        for channels, (layer, flow) in zip(block.channels[1:], steps, strict=True)
    ]
    yield from aligned(
        [(f"  {_by(block.input)}", f"{block.channels[0]} channels", "", ""), *rows_of]
    )


def _compared_lines(row: Row, compared: Mapping[str, Cost]) -> Iterator[str]:
    last = row.blocks[-1]
    yield (
        f"four ways from {_by(last.input)} to {last.output[0]} channels (stride 1), where this "
        "network does most of its work"
    )
    yield from aligned(
        [
            ("", "parameters", "multiply-adds", "per number moved"),
            *((f"  {name}", *_costs(cost)) for name, cost in compared.items()),
        ]
    )


def _by(shape: Shape) -> str:
    """Return a shape as the papers write it: height, width, channels."""
    return "x".join(map(str, (*shape[1:], shape[0]) if len(shape) == 3 else shape))
