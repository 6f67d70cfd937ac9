"""Multiply the channels of weights that are given as integers: the scales change, they do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from converters.graph import Graph, Node
from converters.operators import Affine, Conv, Gemm
from converters.quantize.given_weights import WeightsRefusedError, weight_steps
from converters.quantize.integers import Dequantized, GivenConstants
from converters.quantize.params import QMAX, SMALLEST_NORMAL
from edge.tensors import F32


@dataclass(frozen=True, slots=True)
class Scaled:
    """A node with other weights and biases, and their integers."""

    node: Node
    constants: GivenConstants


def scale_weights(
    node: Node, constants: GivenConstants, gain: NDArray[np.float64]
) -> Scaled | None:
    """Multiply each output channel of a convolution's or Gemm's weights, not its biases.

    The integers are the file's own, negated where a gain is below zero, and 0 where it is 0.
    Returns: None where they have no such form.
    """
    operator = node.operator
    if not isinstance(operator, Conv | Gemm) or constants.weight is None:
        return None
    try:
        steps, scale = weight_steps(operator, constants.weight)
    except WeightsRefusedError:
        return None
    along = (-1, *[1] * (steps.ndim - 1))
    turned = steps.astype(np.int16) * np.sign(gain).astype(np.int16).reshape(along)
    scales = _times(scale, gain)
    if turned.max() > QMAX or not (np.isfinite(scales) & (scales >= SMALLEST_NORMAL)).all():
        return None
    weight: F32 = turned.astype(np.float32) * scales.reshape(along)
    held = Dequantized(weight, turned.astype(np.int8), scales, None)
    return Scaled(
        replace(node, operator=replace(operator, weight=weight)), replace(constants, weight=held)
    )


def scale_outputs(
    node: Node, constants: GivenConstants, gain: NDArray[np.float64], offset: F32
) -> Scaled | None:
    """Multiply each output channel, and add to it: `scale_weights`, and the biases likewise.

    Biases that an offset is added to, or that are held as anything but int32, are floats then.
    """
    made = scale_weights(node, constants, gain)
    if made is None:
        return None
    operator, held = made.node.operator, constants.bias
    assert isinstance(operator, Conv | Gemm)  # noqa: S101 (scale_weights checked it)
    bias = (operator.bias * gain + offset).astype(np.float32)
    is_held = held is not None and held.integers.dtype == np.int32 and not offset.any()
    if held is not None and is_held and (gain > 0).all():
        integers = held.integers.reshape(-1)
        scales = _times(np.broadcast_to(held.scales, gain.shape), gain)
        bias = integers.astype(np.float32) * scales
        held = Dequantized(bias, integers, scales, None)
    else:
        held = None
    if not np.isfinite(bias).all():
        return None
    node = replace(made.node, operator=replace(operator, bias=bias))
    return Scaled(node, replace(made.constants, bias=held))


def _times(scale: NDArray[np.float32], gain: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):  # the callers see to what comes of it
        return (scale * np.where(gain == 0, 1, np.abs(gain))).astype(np.float32)


def fold_gains(
    graph: Graph, constants: Mapping[str, GivenConstants]
) -> tuple[Graph, Mapping[str, GivenConstants]]:
    """Let a convolution or Gemm of given integers take the BatchNormalization behind it.

    As tools leave it that quantize, or train with, what is not folded yet.
    """
    nodes: dict[str, Node] = {}  # by output, in order
    given = dict(constants)
    for node in graph.nodes:
        before = nodes.get(node.inputs[0]) if node.inputs else None
        made = None
        if isinstance(node.operator, Affine) and before is not None:
            made = _joined(graph, before, node, node.operator, given)
        if made is not None:
            del nodes[made.node.output]
            given[made.node.name] = made.constants
        nodes[node.output] = node if made is None else replace(made.node, output=node.output)
    return graph.with_nodes(nodes.values()), given


def _joined(
    graph: Graph, before: Node, node: Node, affine: Affine, given: Mapping[str, GivenConstants]
) -> Scaled | None:
    operator = before.operator
    if not isinstance(operator, Conv | Gemm) or operator.clamp is not None:
        return None
    along_outputs = affine.axis == 1 and len(affine.weight) == len(operator.bias)
    if not along_outputs or len(graph.consumers[before.output]) != 1:
        return None
    if before.output in graph.outputs or len(graph.shapes[node.output]) not in (2, 4):
        return None
    held = given.get(before.name, GivenConstants())
    return scale_outputs(before, held, affine.weight.astype(np.float64), affine.bias)
