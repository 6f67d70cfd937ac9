"""Nodes in the order in which they can be computed."""

from __future__ import annotations

from heapq import heappop, heappush

import onnx


def put_in_order(graph: onnx.GraphProto) -> None:
    """Put each node behind those that make its inputs.

    ONNX demands it, but ONNX Runtime does not, and so some tools append what they add. Nodes that
    wait for one another, or for what nobody makes, stay last, for the importer to refuse.
    """
    nodes = list(graph.node)
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    waits = [{makers[name] for name in node.input if name in makers} for node in nodes]
    if all(index > max(before, default=-1) for index, before in enumerate(waits)):
        return
    readers: dict[int, list[int]] = {}
    for index, before in enumerate(waits):
        for maker in before:
            readers.setdefault(maker, []).append(index)
    ready = [index for index, before in enumerate(waits) if not before]  # a heap: it is sorted
    order = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waits[reader].discard(index)
            if not waits[reader]:
                heappush(ready, reader)
    order += sorted(set(range(len(nodes))) - set(order))
    del graph.node[:]
    graph.node.extend(nodes[index] for index in order)
