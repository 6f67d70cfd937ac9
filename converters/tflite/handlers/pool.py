"""AveragePool and MaxPool as AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import INFINITY, AveragePool, MaxPool, Shape
from converters.tflite import padding
from converters.tflite.context import Context, usual
from converters.tflite.opcodes import AVERAGE_POOL_2D, MAX_POOL_2D


def why_not(x: Shape, pool: AveragePool) -> str | None:
    """Return why TFLite has no form of a pool over [N, C, H, W], None when it has one."""
    pads = padding.choose(x, pool.kernel, pool.strides, pool.pads)
    if pads.explicit is None or pool.count_padding:
        return None
    return (
        f"pads {pool.pads} are neither TFLite's SAME nor VALID, and padding by zeros would be "
        "pooled with the pixels"
    )


def write(context: Context, node: Node, pool: AveragePool | MaxPool) -> None:
    """Padding that TFLite cannot say is padded before: with what never wins, or with zeros."""
    x = context.shape(node.inputs[0])
    if isinstance(pool, AveragePool):
        # SAME never counts its padding.
        pads = (
            padding.Padding(schema.Padding.VALID, pool.pads)
            if pool.count_padding
            else padding.choose(x, pool.kernel, pool.strides, pool.pads)
        )
        opcode, filling = AVERAGE_POOL_2D, 0.0
    else:
        pads = padding.choose(x, pool.kernel, pool.strides, pool.pads)
        opcode, filling = MAX_POOL_2D, -INFINITY
    options = schema.Pool2DOptionsT()
    options.padding = pads.scheme
    options.filterHeight, options.filterWidth = pool.kernel
    options.strideH, options.strideW = pool.strides
    source = context.padded(node, pads.explicit, filling)
    context.emit(node, opcode, [source], usual(context.shape(node.output)), options)
