"""Resize of height and width, in the ways that TFLite computes too."""

from __future__ import annotations

import numpy as np

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import Resize

GRIDS = ("half_pixel", "asymmetric", "align_corners")


def convert(node: SourceNode) -> Activation:
    x = node.activation(0)
    mode = node.attribute("mode", "nearest")
    grid = node.attribute("coordinate_transformation_mode", "half_pixel")
    if grid == "pytorch_half_pixel":
        grid = "half_pixel"  # they differ for an output of one pixel alone
    if node.attribute("antialias", 0) or mode not in ("nearest", "linear"):
        raise RefusedError(f"mode {mode!r} with antialias or cubic weights has no TFLite form")
    if grid not in GRIDS:
        raise RefusedError(f"coordinates {grid!r}; allowed: {', '.join(GRIDS)}")
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    if mode == "nearest" and (grid, rounding) != ("asymmetric", "floor"):
        raise RefusedError(
            f"the nearest pixel by {grid!r} and {rounding!r}; allowed: 'asymmetric' and 'floor'"
        )
    size = _size(node, x)
    if mode == "linear" and grid == "half_pixel" and 1 in size:
        raise RefusedError("an output of one pixel is computed in different ways")
    return x if size == x.shape[2:] else node.emit(Resize(size, mode == "linear", grid), x)


def _size(node: SourceNode, x: Activation) -> tuple[int, int]:
    """Return the output's height and width."""
    if len(x.shape) != 4:
        raise RefusedError(f"its input has shape {x.shape}; only [N, C, H, W] is supported")
    axes = node.attribute("axes", None)
    places = tuple(range(4)) if axes is None else tuple(node.axis(axis, 4) for axis in axes)
    sizes, given = node.whole_numbers(3), node.constant(2)
    scales = None if given is None else node.weights(2)
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise RefusedError("only the policy 'stretch' is supported")
    target = list(x.shape)
    if sizes is not None and len(sizes) == len(places):
        for axis, side in zip(places, sizes, strict=True):
            target[axis] = 1 if axis == 0 and side == node.source_batch else side
    elif scales is not None and scales.shape == (len(places),):
        for axis, scale in zip(places, scales.tolist(), strict=True):
            target[axis] = int(np.floor(x.shape[axis] * scale))
            if target[axis] != x.shape[axis] * scale:
                raise RefusedError(f"a scale of {scale} does not give whole pixels")
    else:
        raise RefusedError("it has neither sizes nor scales for its axes")
    if tuple(target[:2]) != x.shape[:2] or min(target) < 1:
        raise RefusedError(f"{x.shape} to {tuple(target)}; only height and width can change")
    return (target[2], target[3])
