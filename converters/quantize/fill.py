"""Let the channels between a convolution and a depthwise one fill the range of their tensor.

Both convolutions have a scale for each of these channels' weights, so that a gain between them
changes no rounded weight, and the smaller channels are rounded in finer steps. The range stays,
and no channel that was seen leaves it. (`equalize.py` is for channels whose gains cost something.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from calibration.channels import ChannelEnds
from calibration.observers import Range
from converters.graph import Graph, PassResult
from converters.operators import Conv, clamp_of
from converters.quantize.rescale import LEAST_POSITIONS, MOST_GAIN, rescaled
from converters.quantize.second_order import F64

# Of a channel's room, in dB, half is taken: on pictures that calibration has not seen some channels
# reach further.
EXPONENT = 0.5


def fillable(graph: Graph) -> tuple[str, ...]:
    """Return the values whose channels may have gains at no cost."""
    return tuple(
        node.output
        for node in graph.nodes
        if isinstance(node.operator, Conv)
        and ((clamp := clamp_of(node.operator)) is None or clamp.low == 0)
        and _only_depthwise_reads(graph, node.output)
    )


def _only_depthwise_reads(graph: Graph, value: str) -> bool:
    readers = [reader.operator for reader in graph.consumers[value]]
    return (
        bool(readers)
        and value not in graph.outputs
        and all(isinstance(reader, Conv) and reader.is_depthwise for reader in readers)
    )


def fill(graph: Graph, ranges: Mapping[str, Range], ends: Mapping[str, ChannelEnds]) -> PassResult:
    """Return a Graph that computes the same, with channels that fill more of their ranges.

    Args: ranges: of the values of `fillable`, which also hold afterwards; ends: of their channels.
    """
    gains = {
        name: _gain(ranges[name], ends[name])
        for name in fillable(graph)
        if ends[name].positions >= LEAST_POSITIONS
    }
    still = {name: np.zeros_like(gain) for name, gain in gains.items()}
    nodes = [rescaled(node, gains, still) for node in graph.nodes]
    changed = tuple(f"{name}: gains up to {gain.max():.2f}" for name, gain in gains.items())
    return PassResult(graph.with_nodes(nodes), changed)


def _gain(whole: Range, ends: ChannelEnds) -> F64:
    """Return gains of 1 and more, float64 [C], within which each channel stays in the range."""
    low, high = ends.low.astype(np.float64), ends.high.astype(np.float64)
    used = np.maximum(
        np.divide(low, whole.low, out=np.zeros_like(low), where=low < 0),
        np.divide(high, whole.high, out=np.zeros_like(high), where=high > 0),
    )
    # What is cut off already gets no gain, and what was never more than zero needs none.
    room = np.where(used > 0, 1 / np.clip(used, MOST_GAIN ** (-1 / EXPONENT), 1), 1.0)
    gain: F64 = room**EXPONENT
    return gain
