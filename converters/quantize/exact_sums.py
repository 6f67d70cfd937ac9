"""Ranges with which residual sums are exact in integers.

What an Add makes is rounded once more than its summands were. Where both have its very scale, the
sum of their integers is the integer of the sum, and nothing is rounded. That asks for one scale for
all three, the widest, which costs the narrower ones some of their precision. So values are tied
where the noise of all that is still rounded, scale^2 / 12 each, becomes less.
"""

from __future__ import annotations

from dataclasses import replace

from calibration.observers import Range, RangeTable
from converters.graph import Graph, Node
from converters.operators import INFINITY, Add, clamp_of
from converters.quantize.params import QMAX, QMIN, from_range

# A summand that is much finer than the sum wins nothing by being as coarse: to tie them must save
# so large a part of one rounding.
LEAST_SAVING = 0.03


def exact_sums(graph: Graph, ranges: RangeTable) -> tuple[RangeTable, tuple[str, ...]]:
    """Return `ranges` with those of summands and sums widened to one scale, where that helps.

    Args: ranges: of every value that is not tied to another by the rules of its operator.
    Returns: also the sums that are exact now.
    """
    groups = {name: {name} for name in ranges}  # values that are tied share the set
    sums = {node.output: node for node in graph.nodes if _may_be_exact(graph, node, ranges)}
    exact: set[str] = set()
    scales = {name: from_range(r.low, r.high).scale[0] for name, r in ranges.items()}

    def widest(members: set[str]) -> float:
        return max(scales[name] for name in members)

    def saving(node: Node) -> float:
        """Return by how many roundings less noise there is with one more exact sum, 1 at most."""
        apart = {id(groups[value]): groups[value] for value in _values(node)}.values()
        tied = set().union(*apart)
        before = sum(len(members - exact) * widest(members) ** 2 for members in apart)
        after = len(tied - exact - {node.output}) * widest(tied) ** 2
        return (before - after) / widest(tied) ** 2

    savings = {name: saving(node) for name, node in sums.items()}
    while savings:
        best = max(savings, key=savings.__getitem__)
        if savings.pop(best) < LEAST_SAVING:
            break
        exact.add(best)
        tied = set().union(*(groups[value] for value in _values(sums[best])))
        groups |= dict.fromkeys(tied, tied)
        savings |= {name: saving(sums[name]) for name in savings if tied & {*_values(sums[name])}}
    widened = {
        name: _widened(ranges[name], widest(members))
        for name, members in groups.items()
        if len(members) > 1
    }
    return replace(ranges, ranges={**ranges.ranges, **widened}), tuple(sorted(exact))


def _values(node: Node) -> tuple[str, ...]:
    return (*node.inputs, node.output)


def _may_be_exact(graph: Graph, node: Node, ranges: RangeTable) -> bool:
    """Whether a node adds two values, and the ranges of all three are free to be wider.

    That of a ReLU6 is not: its end is the clamp.
    """
    if not isinstance(node.operator, Add) or not all(name in ranges for name in _values(node)):
        return False
    clamps = [clamp_of(graph.producers[name].operator) for name in _values(node)]
    return all(clamp is None or (clamp.low, clamp.high) == (0, INFINITY) for clamp in clamps)


def _widened(one: Range, scale: float) -> Range:
    """Return the range of int8 with this scale, its middle as near to that of `one` as may be.

    What is never below zero, or never above, stays so.
    """
    if one.low == 0:
        zero_point = QMIN
    elif one.high == 0:
        zero_point = QMAX
    else:
        middle = (one.low + one.high) / 2
        zero_point = min(max(round((QMIN + QMAX) / 2 - middle / scale), QMIN), QMAX)
    return Range(scale * (QMIN - zero_point), scale * (QMAX - zero_point))
