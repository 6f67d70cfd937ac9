"""The sliding window that convolution and pooling share: kernel, strides, padding."""

from __future__ import annotations

from dataclasses import dataclass, replace

from converters.onnx_import.source import RefusedError, SourceNode
from converters.operators import Pads, Pair, Shape

MAX_REACH = 4096


@dataclass(frozen=True, slots=True)
class Window:
    kernel: Pair
    strides: Pair
    pads: Pads
    dilations: Pair


def read_window(node: SourceNode, x: Shape, kernel: Pair | None = None) -> Window:
    """Return the window of a Conv or pooling node over an input [N, C, H, W].

    `auto_pad` is resolved to numbers by ONNX's formula: SAME keeps ceil(size / stride) outputs.
    Raises: RefusedError: not 2-D, or numbers that no window has.
    """
    if len(x) != 4:
        raise RefusedError(f"its input has shape {x}; only 2-D windows over [N, C, H, W] are read")
    size = _pair(node, "kernel_shape", kernel)
    strides = _pair(node, "strides", (1, 1))
    dilations = _pair(node, "dilations", (1, 1))
    if kernel is not None and size != kernel:
        raise RefusedError(f"kernel_shape {size} contradicts its weight {kernel}")
    auto = node.attribute("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = node.attribute("pads", [0, 0, 0, 0])
        if len(pads) != 4 or not all(isinstance(p, int) and 0 <= p <= MAX_REACH for p in pads):
            raise RefusedError(f"pads {pads}; allowed: four numbers from 0 to {MAX_REACH}")
    elif auto == "VALID":
        pads = [0, 0, 0, 0]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same(x, size, strides, dilations, upper=auto == "SAME_UPPER")
    else:
        raise RefusedError(f"auto_pad {auto!r} is not one of ONNX's")
    return Window(size, strides, (pads[0], pads[1], pads[2], pads[3]), dilations)


def read_pool(node: SourceNode, x: Shape) -> tuple[Window, int]:
    """Return the window of a pooling node, and how much padding rounding up has added to it.

    `ceil_mode` rounds the number of windows up: as many rows and columns more at the end, but a
    window must begin within the input or its padding at the front.
    Raises: RefusedError: as `read_window`, and where it is dilated.
    """
    window = read_window(node, x)
    if window.dilations != (1, 1):
        raise RefusedError("dilation has no TFLite form")
    if not node.attribute("ceil_mode", 0):
        return window, 0
    top, left, *ends = window.pads
    added = []
    for axis, (begin, end) in enumerate(zip((top, left), ends, strict=True)):
        kernel, stride, side = window.kernel[axis], window.strides[axis], x[2 + axis]
        count = -(-(side + begin + end - kernel) // stride) + 1
        if (count - 1) * stride >= side + begin:
            count -= 1
        added.append(max(0, (count - 1) * stride + kernel - (side + begin + end)))
    pads = (top, left, ends[0] + added[0], ends[1] + added[1])
    return replace(window, pads=pads), max(added)


def _same(x: Shape, kernel: Pair, strides: Pair, dilations: Pair, *, upper: bool) -> list[int]:
    begin, end = [], []
    for axis in (0, 1):
        outputs = -(-x[2 + axis] // strides[axis])
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        total = max(0, (outputs - 1) * strides[axis] + reach - x[2 + axis])
        small, large = total // 2, total - total // 2
        begin.append(small if upper else large)
        end.append(large if upper else small)
    return begin + end


def _pair(node: SourceNode, name: str, default: Pair | None) -> Pair:
    value = node.attribute(name, list(default) if default else None)
    if value is None:
        raise RefusedError(f"attribute {name} is missing")
    good = isinstance(value, list) and len(value) == 2
    if not good or not all(isinstance(v, int) and 1 <= v <= MAX_REACH for v in value):
        raise RefusedError(f"{name} {value}; allowed: two numbers from 1 to {MAX_REACH}")
    return (value[0], value[1])
