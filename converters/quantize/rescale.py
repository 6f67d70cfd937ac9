"""Gains and moves of the channels that a convolution reads and makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from converters.graph import Node
from converters.operators import Conv
from converters.quantize.second_order import F64

MOST_GAIN = 16.0
# What a clamp, or the end of a range, cuts off is lost. Where fewer positions were seen, as in
# layers of 7 x 7, no room below it is taken: rare values twice as large as all that calibration met
# are there, and they are what tells the classes apart.
LEAST_POSITIONS = 1 << 14


def rescaled(node: Node, gains: Mapping[str, F64], moves: Mapping[str, F64]) -> Node:
    """Return a convolution that reads and makes channels with their gains and moves."""
    operator, source = node.operator, node.inputs[0] if node.inputs else ""
    if not isinstance(operator, Conv) or not {source, node.output} & gains.keys():
        return node
    weight, bias = operator.weight.astype(np.float64), operator.bias.astype(np.float64)
    if source in gains:
        # [O, I, h, w] of each input channel; a depthwise one reads one channel, O / C of them each.
        each = len(weight) // operator.groups if operator.groups > 1 else 1
        along = (-1, 1, 1, 1) if operator.groups > 1 else (1, -1, 1, 1)
        bias += (weight * np.repeat(moves[source], each).reshape(along)).sum(axis=(1, 2, 3))
        weight /= np.repeat(gains[source], each).reshape(along)
    if node.output in gains:
        bias = (bias - moves[node.output]) * gains[node.output]
        weight *= gains[node.output].reshape(-1, 1, 1, 1)
    changed = replace(operator, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
    return replace(node, operator=changed)
