"""Remove channels that are the same for every picture, or that nobody reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from converters.bounds import bounds
from converters.bounds.interval import Bounds, Mask
from converters.bounds.sums import windows
from converters.channels import I64, Channels, is_channelwise, is_dense, trace
from converters.graph import Graph, Node, PassResult
from converters.operators import Affine, Conv, Gemm, Operator, Reshape, Slice
from edge.tensors import F32

# Kernels compute some channels at a time; what is left over costs them as much or more. Measured in
# LiteRT 2.3 with AVX-512, one thread: the first block of MobileNetV2 (3x3 to C channels, depthwise,
# 1x1 to 16, 112x112 pixels) takes, in units of the time with 32 channels,
#   C             31     28     25     24     23
#   float       0.98   0.90   0.91   0.85   0.85
#   int8        1.07   1.02   1.02   1.00   1.02
# and a block of 24 to C to 24 (56x56), of that with 144 channels,
#   C            143    140    136    128
#   float       1.08   1.04   0.96   0.91
#   int8        1.00   1.00   1.00   0.90
MULTIPLE = 8
# All values together; a Swin-T, with whose windows many change places, has some 330 thousand.
MOST = 1 << 22


def remove_constant_channels(graph: Graph, multiple: int = MULTIPLE) -> PassResult:
    """Remove a channel where whoever reads it has no weight for it, or finds a constant there.

    The constant goes into the reader's bias: W x + b = W' x' + (w c + b), where w are the weights
    of the channels that go and c their values. A window that meets the zeros around the picture
    sums less of c there, and takes no channel but one of c = 0.
    Left alone: what is tied to a channel that must stay, and as many as it takes that a layer keeps
    a `multiple` of channels, where it does not have fewer.
    """
    if sum(max(shape, default=1) for shape in graph.shapes.values()) > MOST:
        return PassResult(graph, (), (f"more than {MOST} channels are not looked at",))
    channels = trace(graph)
    survey = _Survey(graph, channels, bounds(graph, channels), multiple)
    kept, reasons = survey.choose()
    nodes = [survey.without(node, kept) for node in graph.nodes]
    changed = [
        f"{old.name}: {len(old.operator.weight)} channels to {len(new.operator.weight)}"
        for old, new in zip(graph.nodes, nodes, strict=True)
        if isinstance(old.operator, Conv | Gemm)
        and isinstance(new.operator, Conv | Gemm)
        and len(new.operator.weight) < len(old.operator.weight)
    ]
    return PassResult(graph.with_nodes(nodes), tuple(changed), tuple(survey.left(kept, reasons)))


@dataclass(frozen=True, slots=True)
class _Survey:
    """What is known of a graph's channels, by which they are chosen."""

    graph: Graph
    channels: Channels
    known: Mapping[str, Bounds]
    multiple: int

    def choose(self) -> tuple[Mask, Mapping[int, str]]:
        """Return which ids are kept, and why those are that are more than it takes."""
        kept = np.ones(self.channels.count, np.bool_)
        fixed = np.zeros_like(kept)
        fixed[list(self.channels.fixed)] = True
        while True:
            needed, reasons = fixed.copy(), dict(self.channels.fixed)
            for node in self.graph.nodes:
                if is_dense(node) and node.name not in self.channels.mixers:
                    for ids, reason in self._demands(node, kept):
                        needed[ids] = True
                        reasons |= {int(one): reason for one in ids if int(one) not in reasons}
            for node in self.graph.nodes:
                more = self._filling(node, kept, needed)
                needed[more] = True
                reasons |= dict.fromkeys(
                    more.tolist(), f"fewer than a multiple of {self.multiple} is no faster"
                )
            if (needed | ~kept).all():
                return kept, reasons
            kept &= needed

    def _demands(self, node: Node, kept: Mask) -> Iterator[tuple[I64, str]]:
        """Yield the ids that a reader cannot do without, with the reason."""
        (source,) = node.inputs
        ids = self.channels.of(source)
        read = _columns(node, kept[self.channels.of(node.output)]).any(axis=(0, 2))
        x = self.known[source]
        yield ids[read & ~x.is_constant], f"{node.name} reads what depends on the picture"
        if self._meets_border(node):
            found = read & x.is_constant & (x.low != 0)
            yield ids[found], f"{node.name} adds zeros around them"

    def _meets_border(self, node: Node) -> bool:
        assert isinstance(node.operator, Conv | Gemm)  # noqa: S101 (a dense node is one)
        return not bool(windows(node.operator, self.graph.shapes[node.inputs[0]]).all())

    def _filling(self, node: Node, kept: Mask, needed: Mask) -> I64:
        """Return what of a node's channels to keep beside those that are needed.

        Those that are constant first: in int8 they widen no range that others share.
        """
        ids = self.channels.of(node.output)
        spare = kept[ids] & ~needed[ids]
        count = int(needed[ids].sum())
        multiple = self.multiple if is_dense(node) else 1
        wanted = math.ceil(max(count, 1) / multiple) * multiple - count
        order = np.argsort(~self.known[node.output].is_constant[spare], kind="stable")
        return np.unique(ids[spare][order[:wanted]])

    def without(self, node: Node, kept: Mask) -> Node:
        """Return a node without the channels that go, itself where nothing of it does."""
        ins = [kept[self.channels.of(name)] for name in node.inputs]
        out = kept[self.channels.of(node.output)]
        if out.all() and all(one.all() for one in ins):
            return node
        operator = self._smaller(node, ins, out)
        return node if operator is node.operator else replace(node, operator=operator)

    def _smaller(self, node: Node, ins: list[Mask], out: Mask) -> Operator:
        operator = node.operator
        axis = self.channels.lanes[node.output].axis
        match operator:
            case Conv() | Gemm() if is_dense(node):
                if node.name in self.channels.mixers:  # it reads along another axis, all of it
                    return replace(operator, weight=operator.weight[out], bias=operator.bias[out])
                x = self.known[node.inputs[0]]
                gone = ~ins[0] & x.is_constant
                moved = _columns(node, np.ones(len(out), np.bool_))[:, gone].sum(
                    axis=2, dtype=np.float64
                )
                with np.errstate(all="ignore"):  # what is not finite was not before
                    bias = (operator.bias + moved @ x.low[gone])[out].astype(np.float32)
                weight = operator.weight[:, ins[0]][out]
                return replace(operator, weight=weight, bias=bias)
            case Conv() if is_channelwise(node):
                weight, bias = operator.weight[out], operator.bias[out]
                return replace(operator, weight=weight, bias=bias, groups=int(out.sum()))
            case Affine() if operator.axis == axis:
                return replace(operator, weight=operator.weight[out], bias=operator.bias[out])
            case Reshape():
                shape = list(operator.shape)
                shape[axis] = int(out.sum())
                return Reshape(tuple(shape))
            case Slice() if axis in operator.axes:
                return _sliced(operator, operator.axes.index(axis), ins[0])
        return operator

    def left(self, kept: Mask, reasons: Mapping[int, str]) -> Iterator[str]:
        """Yield where channels stay that are constant as a convolution makes them, and why."""
        said: set[int] = set()
        for node in self.graph.nodes:
            if not isinstance(node.operator, Conv | Gemm):
                continue
            ids = self.channels.of(node.output)
            found = ids[kept[ids] & self.known[node.output].is_constant]
            new = [one for one in dict.fromkeys(found.tolist()) if one not in said]
            said.update(new)
            for reason, count in Counter(reasons[one] for one in new).items():
                yield f"{node.name}: {count} constant: {reason}"


def _columns(node: Node, rows: Mask) -> F32:
    """Return a dense node's weights [rows, inputs, taps]."""
    assert isinstance(node.operator, Conv | Gemm)  # noqa: S101 (a dense node is one)
    weight = node.operator.weight
    chosen = weight if rows.all() else weight[rows]
    return chosen.reshape(*chosen.shape[:2], -1)


def _sliced(operator: Slice, at: int, kept: Mask) -> Slice:
    """Return the slice of what is left of the channels."""
    before = np.concatenate([[0], np.cumsum(kept)])
    starts, stops = list(operator.starts), list(operator.stops)
    starts[at], stops[at] = int(before[starts[at]]), int(before[stops[at]])
    return replace(operator, starts=tuple(starts), stops=tuple(stops))
