"""Functions inside an ONNX file: each call is replaced by what it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias

import onnx
from onnx import inliner

from converters.errors import ConvertError

# A file of a few hundred bytes can call functions that call functions, each twice, for ever.
MAX_NODES = 1 << 17
MAX_DEPTH = 50

Key: TypeAlias = tuple[str, str, str]  # overloads of a name are functions of their own


def inline(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """Return `model` without functions.

    Raises: ConvertError: they call one another in a circle, or make too many nodes.
    """
    if not model.functions:
        return model
    bodies = {(f.domain, f.name, f.overload): f.node for f in model.functions}
    sizes: dict[Key, int] = {}

    def size(nodes: Iterable[onnx.NodeProto], depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ConvertError(
                f"{where}: its functions call one another more than {MAX_DEPTH} deep; "
                "export it without functions"
            )
        total = 0
        for node in _with_inner(nodes):
            key = (node.domain, node.op_type, node.overload)
            if key in bodies and key not in sizes:
                sizes[key] = size(bodies[key], depth + 1)
            total += sizes.get(key, 1)
        return total

    count = size(model.graph.node, 0)
    if count > MAX_NODES:
        raise ConvertError(
            f"{where}: its functions stand for {count} nodes; at most {MAX_NODES} are read"
        )
    try:
        return inliner.inline_local_functions(model)
    except Exception as cause:  # its C++ core raises several unrelated types
        raise ConvertError(f"{where}: its functions cannot be inlined ({cause})") from cause


def _with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield the nodes, and those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in chain((attribute.g,), attribute.graphs):
                yield from _with_inner(graph.node)
