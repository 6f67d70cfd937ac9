"""DepthToSpace and SpaceToDepth: pixels to channels and back."""

from __future__ import annotations

from converters.onnx_import.source import Activation, RefusedError, SourceNode
from converters.operators import DepthToSpace, Reshape, SpaceToDepth, Transpose


def depth_to_space(node: SourceNode) -> Activation:
    """With the mode CRD channel (c * b + i) * b + j goes to pixel (i, j); DCR has c last."""
    x = node.activation(0)
    mode, block = node.attribute("mode", "DCR"), node.attribute("blocksize", 0)
    if mode not in ("DCR", "CRD"):
        raise RefusedError(f"mode {mode!r} is not one of ONNX's")
    if block < 1 or len(x.shape) != 4 or x.shape[1] % block**2:
        raise RefusedError(f"blocks of {block} do not fit an input of shape {x.shape}")
    if mode == "DCR":
        return node.emit(DepthToSpace(block), x)
    n, channels, height, width = x.shape
    kept = channels // block**2
    apart = node.emit(Reshape((n, kept, block, block, height, width)), x, step="apart")
    turned = node.emit(Transpose((0, 1, 4, 2, 5, 3)), apart, step="turned")
    return node.emit(Reshape((n, kept, height * block, width * block)), turned)


def space_to_depth(node: SourceNode) -> Activation:
    mode, block = node.attribute("mode", "DCR"), node.attribute("blocksize", 0)
    if block < 1 or mode != "DCR":
        raise RefusedError(f"blocks of {block} in mode {mode!r}; allowed: 1 or more in mode 'DCR'")
    return node.emit(SpaceToDepth(block), node.activation(0))
