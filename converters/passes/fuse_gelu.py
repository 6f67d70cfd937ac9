"""Recognise a GELU in the products and sums that exporters write for it."""

from __future__ import annotations

import math

from converters.graph import Graph, Node, PassResult
from converters.operators import Add, Erf, Gelu, Mul, Tanh
from converters.passes.match import Match, close, replaced, scaled_source, uniform, unscaled


def fuse_gelu(graph: Graph) -> PassResult:
    """Make x * (erf(x / sqrt(2)) + 1) / 2, and its form by tanh, one operator each.

    The halves may stand anywhere, and be one with what comes after: a * x * (b * erf(...) + b), of
    which an Affine that alone reads it takes the factor 2ab.
    Left alone: an Erf or a Tanh of something else.
    """
    matches, left = [], []
    for node in graph.nodes:
        if isinstance(node.operator, Erf):
            match = _match(graph, node, *_of_erf(graph, node), Gelu())
            if match is None:
                left.append(f"{node.name}: is no part of a GELU")
            else:
                matches.append(match)
        elif isinstance(node.operator, Tanh):
            match = _match(graph, node, *_of_tanh(graph, node), Gelu(tanh=True))
            if match is not None:
                matches.append(match)
    changed = tuple(f"{match.last.name} as Gelu" for match in matches)
    return PassResult(replaced(graph, matches), changed, tuple(left))


def _of_erf(graph: Graph, erf: Node) -> tuple[str | None, tuple[Node, ...]]:
    """Return the x of erf(x / sqrt(2)), and the node that divides; None where it is another."""
    source, factor, parts = scaled_source(graph, erf.inputs[0])
    return (source if close(factor, math.sqrt(0.5)) else None), parts


def _of_tanh(graph: Graph, tanh: Node) -> tuple[str | None, tuple[Node, ...]]:
    """Return the x of tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)), and the nodes of its argument."""
    inner, factor, parts = scaled_source(graph, tanh.inputs[0])
    bent = graph.producers.get(inner)
    if bent is None or not isinstance(bent.operator, Add) or bent.operator.clamp is not None:
        return None, ()
    for x, other in (bent.inputs, bent.inputs[::-1]):
        cube, small, scaling = scaled_source(graph, other)
        third = graph.producers.get(cube)
        if third is None or third.operator != Mul():
            continue
        for once, twice in (third.inputs, third.inputs[::-1]):
            square = graph.producers.get(twice)
            is_cube = (
                once == x
                and square is not None
                and square.operator == Mul()
                and square.inputs == (x, x)
            )
            if is_cube and close(factor, math.sqrt(2 / math.pi)) and close(small, 0.044715):
                assert square is not None  # noqa: S101 (is_cube says so)
                return x, (*parts, bent, *scaling, third, square)
    return None, ()


def _match(
    graph: Graph, share: Node, x: str | None, parts: tuple[Node, ...], operator: Gelu
) -> Match | None:
    """Return the GELU whose erf or tanh of `x` is `share`, None where there is none."""
    readers = graph.consumers[share.output]
    found = uniform(readers[0]) if len(readers) == 1 else None
    if x is None or found is None or share.output in graph.outputs:
        return None
    above = readers[0]
    products = graph.consumers[above.output]
    product = products[0] if len(products) == 1 else None
    if product is None or not isinstance(product.operator, Mul) or product.operator.clamp:
        return None
    others = [name for name in product.inputs if name != above.output]
    if len(others) != 1 or above.output in graph.outputs:
        return None
    other, before, first = scaled_source(graph, others[0])
    if others[0] == x:
        other, before, first = x, 1.0, ()
    gain, offset = found
    if other != x or not close(gain, offset):
        return None
    end = unscaled(graph, product, 2 * before * gain)
    if end is None:
        return None
    last, after = end
    return Match(operator, x, last, (share, above, product, *parts, *first, last), after)
