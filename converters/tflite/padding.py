"""ONNX pads by numbers, TFLite by SAME or VALID."""

from __future__ import annotations

from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from converters.operators import Pads, Pair, Shape


@dataclass(frozen=True, slots=True)
class Padding:
    """`scheme`: the schema's Padding; `explicit`: rows and columns for a PAD operator before."""

    scheme: int
    explicit: Pads | None = None


def same_pads(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    """Return what SAME adds before and after one axis (TensorFlow's definition, odd one after)."""
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return (total // 2, total - total // 2)


def choose(x: Shape, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair = (1, 1)) -> Padding:
    """Return SAME or VALID where it computes the same windows over [N, C, H, W], else a PAD.

    Padding after the last window is never read (ONNX rounds down), so it need not be equal:
    what counts is where the first window starts and how many there are.
    """
    if _equals(x, kernel, strides, pads, dilations, same=True):
        return Padding(schema.Padding.SAME)
    if _equals(x, kernel, strides, pads, dilations, same=False):
        return Padding(schema.Padding.VALID)
    return Padding(schema.Padding.VALID, pads)


def _equals(
    x: Shape, kernel: Pair, strides: Pair, pads: Pads, dilations: Pair, *, same: bool
) -> bool:
    for axis in (0, 1):
        size, stride = x[2 + axis], strides[axis]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        before = same_pads(size, kernel[axis], stride, dilations[axis])[0] if same else 0
        theirs = -(-size // stride) if same else (size - reach) // stride + 1
        ours = (size + pads[axis] + pads[axis + 2] - reach) // stride + 1
        if before != pads[axis] or ours != theirs:
            return False
    return True
