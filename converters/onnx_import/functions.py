"""Functions inside an ONNX file: each call is replaced by what it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias

import onnx
from onnx import inliner

from converters.errors import ConvertError
from edge.backends.base import brief

Key: TypeAlias = tuple[str, str, str]  # overloads of a name are functions of their own
Size: TypeAlias = tuple[int, int]  # nodes, bytes

# A file of a few hundred bytes can call functions that call functions, each twice, for ever.
MAX_NODES = 1 << 17
MAX_DEPTH = 50
# A call copies the function's constants: as many bytes as the file has, and these, may come of it.
MAX_COPIED_BYTES = 64 << 20


def inline(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """Return `model` without functions.

    Raises: ConvertError: they call one another in a circle, or make too many nodes or bytes.
    """
    if not model.functions:
        return model
    bodies = {(f.domain, f.name, f.overload): f.node for f in model.functions}
    sizes: dict[Key, Size] = {}

    def size(nodes: Iterable[onnx.NodeProto], depth: int) -> Size:
        if depth > MAX_DEPTH:
            raise ConvertError(
                f"{where}: its functions call one another more than {MAX_DEPTH} deep; "
                "export it without functions"
            )
        count, size_bytes = 0, 0
        for node in _with_inner(nodes):
            key = (node.domain, node.op_type, node.overload)
            if key in bodies and key not in sizes:
                sizes[key] = size(bodies[key], depth + 1)
            more, more_bytes = sizes.get(key, (1, 0))
            count += more
            # What a call gives may stand in each node of the body.
            size_bytes += more_bytes + node.ByteSize() * more
        return count, size_bytes

    count, size_bytes = size(model.graph.node, 0)
    if count > MAX_NODES:
        raise ConvertError(
            f"{where}: its functions stand for {count} nodes; at most {MAX_NODES} are read"
        )
    if size_bytes > model.ByteSize() + MAX_COPIED_BYTES:
        raise ConvertError(
            f"{where}: its functions stand for {size_bytes} bytes, most of them copies; at most "
            f"{MAX_COPIED_BYTES >> 20} MiB are copied: export it without functions"
        )
    try:
        return inliner.inline_local_functions(model)
    except Exception as cause:  # its C++ core raises several unrelated types
        raise ConvertError(f"{where}: its functions cannot be inlined ({brief(cause)})") from cause


def _with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield the nodes, and those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in chain((attribute.g,), attribute.graphs):
                yield from _with_inner(graph.node)
