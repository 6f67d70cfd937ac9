"""What was written, for the report: operators before and after, blocks, layers, what is moved."""

from __future__ import annotations

from collections.abc import Mapping

from converters.blocks import Block, blocks
from converters.graph import Graph, Node
from converters.operators import Weighted, multiply_adds
from converters.pipeline import Conversion
from converters.saving import Saving, constant_bytes
from edge.figures import decibels, percent, size
from edge.page import Block as PageBlock
from edge.page import Facts, Note, Table

FORMATS = {"onnx": "ONNX", "tflite": "TFLite"}
HEAVIEST = 10
SHOWN_MOVES = 12


def structure(conversion: Conversion) -> list[PageBlock]:
    """Return the section's blocks."""
    shown: list[PageBlock] = [_facts(conversion), _block_table(conversion)]
    layers = _layers(conversion)
    return [*shown, layers] if layers else shown


def saved(conversion: Conversion) -> list[PageBlock]:
    """Return the section's blocks on what was removed; none where nothing was."""
    found = conversion.saving
    if found is None:
        return []
    rows = [
        (title, before, after, percent(share)) for title, before, after, share in savings(found)
    ]
    rows += [
        (f"channels of {name}", str(change.before), str(change.after), percent(change.share))
        for name, change in found.channels.items()
    ]
    note = (
        "Channels that are the same for every picture, or that nobody reads, are not in the files; "
        "their constants are in the next layer's bias, so that the float network gives the same. "
        f"The times are medians of the {conversion.request.kind} {FORMATS[found.kind]} file with "
        "and without them, in turn, on one thread here; a few percent are noise."
    )
    return [Note(note), Table(("", "with all channels", "as written", "saved"), tuple(rows))]


def savings(found: Saving) -> list[tuple[str, str, str, float]]:
    """Return a title, both figures and the share of 1 that was saved, for each figure."""
    adds, constants, times = found.multiply_adds, found.constant_bytes, found.inference_ms
    rows = [
        ("M multiply-adds", f"{adds.before / 1e6:.2f}", f"{adds.after / 1e6:.2f}", adds.share),
        ("bytes of constants", f"{constants.before:,}", f"{constants.after:,}", constants.share),
    ]
    if times is not None:
        rows.append(("ms here", f"{times.before:.2f}", f"{times.after:.2f}", times.share))
    return rows


def _facts(conversion: Conversion) -> Facts:
    items = [("the source, operators", _listed(conversion.source.operators))]
    for kind, held in conversion.inventories.items():
        name = f"{conversion.request.kind} {FORMATS[kind]}"
        items.append((f"{name}, operators", _listed(held.operators)))
        if conversion.quantized is not None:
            items.append((f"{name}, in float", ", ".join(held.in_float) or "none"))
    tflite = conversion.inventories.get("tflite")
    if tflite is not None:
        items.append(("PAD in TFLite", str(tflite.count("PAD", "PADV2"))))
        items.append(("TRANSPOSE in TFLite", _moved(conversion, tflite.count("TRANSPOSE"))))
    for report in conversion.source.passes:
        if report.changed or report.left:
            text = f"{len(report.changed)} changed"
            name = report.name.replace("_", " ")
            items.append((name, text + "".join(f"; left {reason}" for reason in report.left)))
    return Facts(tuple(items))


def _listed(operators: Mapping[str, int]) -> str:
    ordered = sorted(operators.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name}" for name, count in ordered)


def _moved(conversion: Conversion, count: int) -> str:
    """Return how many values are moved, which, and for whom."""
    shown = conversion.moves[:SHOWN_MOVES]
    rest = len(conversion.moves) - len(shown)
    more = f", and {rest} more" if rest else ""
    return f"{count}: {', '.join(shown)}{more}" if shown else str(count)


def _graph(conversion: Conversion) -> Graph:
    quantized = conversion.quantized
    return conversion.source.graph if quantized is None else quantized.graph


def _block_table(conversion: Conversion) -> Table:
    """Return the network block by block; the noise is that at a block's end."""
    graph = _graph(conversion)
    noise = {c.name: min(c.sqnr_db.values(), default=None) for c in conversion.verification.tensors}
    rows = []
    for block in blocks(graph):
        size_bytes, adds = _weight_of(conversion, block)
        row = [
            block.name,
            block.operators,
            _shape(graph, block.last),
            size(size_bytes) if size_bytes else "",
            f"{adds / 1e6:.2f}" if adds else "",
        ]
        rows.append((*row, decibels(noise.get(block.last.output))) if noise else tuple(row))
    head = ("block", "operators", "output", "constants", "M mult-adds")
    return Table((*head, "SQNR") if noise else head, tuple(rows), minor=frozenset((1, 3)))


def _weight_of(conversion: Conversion, block: Block) -> tuple[int, int]:
    """Return the bytes of a block's weights, and its multiply-adds."""
    shapes = _graph(conversion).shapes
    weighted = [node for node in block.nodes if isinstance(node.operator, Weighted)]
    adds = sum(multiply_adds(node.operator, shapes[node.output]) for node in weighted)
    return sum(_constant_bytes(conversion, node) for node in weighted), adds


def _layers(conversion: Conversion) -> Table | None:
    """Return the layers with the most constants; None where nothing has any."""
    graph = _graph(conversion)
    layers = []
    for node in graph.nodes:
        if isinstance(node.operator, Weighted):
            adds = multiply_adds(node.operator, graph.shapes[node.output])
            layers.append((_constant_bytes(conversion, node), adds, node))
    layers.sort(key=lambda layer: -layer[0])
    all_bytes = sum(layer[0] for layer in layers)
    all_adds = sum(layer[1] for layer in layers)
    rows = tuple(
        (
            node.output,
            _shape(graph, node),
            size(size_bytes),
            percent(size_bytes / all_bytes),
            f"{adds / 1e6:.2f}",
        )
        for size_bytes, adds, node in layers[:HEAVIEST]
    )
    total = ("all layers", "", size(all_bytes), "", f"{all_adds / 1e6:.2f}")
    head = ("largest layers", "output", "constants", "share", "M mult-adds")
    return Table(head, (*rows, total), minor=frozenset((1, 3))) if layers else None


def _shape(graph: Graph, node: Node) -> str:
    return "x".join(map(str, graph.shapes[node.output][1:]))


def _constant_bytes(conversion: Conversion, node: Node) -> int:
    """Return how many bytes a node's weight and bias take in the artifacts."""
    assert isinstance(node.operator, Weighted)  # noqa: S101 (the caller checked it)
    subject = conversion.source.graph if conversion.quantized is None else conversion.quantized
    half = conversion.request.kind == "float16"
    return constant_bytes(subject, node.name, node.operator, half=half)
