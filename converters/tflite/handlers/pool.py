"""AveragePool and MaxPool as AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import AveragePool, MaxPool
from converters.tflite import padding
from converters.tflite.builder import Opcode
from converters.tflite.context import Context

AVERAGE_POOL_2D = Opcode(schema.BuiltinOperator.AVERAGE_POOL_2D, 2)
MAX_POOL_2D = Opcode(schema.BuiltinOperator.MAX_POOL_2D, 2)


def why_not(x: tuple[int, ...], pool: AveragePool | MaxPool) -> str | None:
    """Return why TFLite has no form of a pool over [N, C, H, W], None when it has one."""
    pads = padding.choose(x, pool.kernel, pool.strides, pool.pads)
    if pads.explicit is None:
        return None
    return (
        f"pads {pool.pads} are neither TFLite's SAME nor VALID, and padding by zeros would be "
        "pooled with the pixels"
    )


def write(context: Context, node: Node, pool: AveragePool | MaxPool) -> None:
    x = context.graph.shapes[node.inputs[0]]
    options = schema.Pool2DOptionsT()
    options.padding = padding.choose(x, pool.kernel, pool.strides, pool.pads).scheme
    options.filterHeight, options.filterWidth = pool.kernel
    options.strideH, options.strideW = pool.strides
    opcode = AVERAGE_POOL_2D if isinstance(pool, AveragePool) else MAX_POOL_2D
    context.builder.operator(opcode, context.inputs(node), context.output(node), options)
