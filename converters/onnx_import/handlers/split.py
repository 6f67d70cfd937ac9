"""Split: each output is a slice."""

from __future__ import annotations

from itertools import accumulate

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Slice


def convert(node: SourceNode) -> tuple[Activation, ...]:
    x = node.activation(0)
    axis = node.axis(node.attribute("axis", 0), len(x.shape))
    side = x.shape[axis]
    # Opset 13 turned the attribute into an input; opset 18 lets a number of parts stand for it.
    sizes = node.whole_numbers(1) if node.opset >= 13 else node.attribute("split", None)
    if sizes is None:
        if node.opset >= 18 and "num_outputs" not in node.attributes:
            raise RefusedError("neither sizes nor num_outputs; from opset 18 on it has one of them")
        parts = node.attribute("num_outputs", len(node.outputs))
        if node.opset < 18 and side % parts:
            raise RefusedError(f"{parts} parts of {side}; before opset 18 they are equal")
        chunk = -(-side // max(1, parts))
        sizes = [min(chunk, side - at) for at in range(0, side, chunk)]
    if sum(sizes) != side or min(sizes) < 1 or len(sizes) != len(node.outputs):
        raise RefusedError(f"sizes {sizes} for {len(node.outputs)} parts of {side}")
    if len(sizes) == 1:
        return (x,)
    stops = list(accumulate(sizes))
    return tuple(
        node.emit(Slice((axis,), (stop - size,), (stop,), (1,)), x, output=index)
        for index, (size, stop) in enumerate(zip(sizes, stops, strict=True))
    )
