"""Graph and ranges in, QuantizedGraph out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from calibration.observers import RangeTable
from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.operators import Clamp, Constant, Requantize, Weighted, clamp_of
from converters.quantize.limits import smallest_scale
from converters.quantize.params import QuantParams, from_range
from converters.quantize.quantized import QuantizedGraph, QuantizedWeights
from converters.quantize.rules import Tie, rule_of
from converters.quantize.weights import quantize_weights, reachable_bias


def observed_values(graph: Graph) -> tuple[str, ...]:
    """Return the values whose ranges calibration must measure, in the order of the graph."""
    return tuple(node.output for node in graph.nodes if _is_observed(node))


def _is_observed(node: Node) -> bool:
    rule = rule_of(node.operator)
    is_known = rule.fixed is not None or isinstance(node.operator, Constant)
    return rule.output is Tie.OBSERVED and not is_known


def assign(
    graph: Graph,
    input_params: QuantParams | Mapping[str, QuantParams],
    ranges: RangeTable,
    *,
    per_tensor: bool = False,
) -> QuantizedGraph:
    """Give every value its parameters by the rules, and round every constant.

    Args: graph: after the passes; input_params: of the graph's one input, or of each by name;
        ranges: of every value that `observed_values` names; per_tensor: whether all weights of a
        node have one scale.
    Raises: ConvertError: a constant cannot be quantized; the node is named.
    """
    if isinstance(input_params, QuantParams):
        input_params = {graph.input: input_params}
    activations = {name: input_params[name] for name in graph.inputs}
    weights: dict[str, QuantizedWeights] = {}
    for node in graph.nodes:
        rule = rule_of(node.operator)
        inputs = [activations[name] for name in node.inputs]
        if rule.fixed is not None:
            params = rule.fixed
        elif isinstance(node.operator, Constant):
            params = from_range(float(node.operator.value.min()), float(node.operator.value.max()))
        elif rule.output is Tie.TO_INPUT:
            params = inputs[0]
        else:
            measured = ranges[node.output]
            alone = node.operator if isinstance(node.operator, Clamp) else None
            params = _within(alone or clamp_of(node.operator), measured.low, measured.high)
        if isinstance(node.operator, Weighted):
            weights[node.name] = _weights(node, inputs[0], params, per_tensor=per_tensor)
        activations[node.output] = params
        smallest = smallest_scale(QuantizedGraph(graph, activations, weights), node)
        activations[node.output] = _widened(params, smallest / params.scale[0])
    return _with_same_inputs(QuantizedGraph(graph, activations, weights), per_tensor=per_tensor)


def _weights(
    node: Node, given: QuantParams, taken: QuantParams, *, per_tensor: bool
) -> QuantizedWeights:
    """Return a node's integers between these parameters. Raises: ConvertError: naming the node."""
    operator = node.operator
    assert isinstance(operator, Weighted)  # noqa: S101 (the caller checked it)
    axis = rule_of(operator).weight_axis or 0
    try:
        nearer = replace(operator, bias=reachable_bias(operator, axis, given, taken))
        return quantize_weights(nearer, axis, given.scale[0], per_tensor=per_tensor)
    except ConvertError as cause:
        raise ConvertError(f"{node.name} ({node.kind}): {cause}") from cause


def _with_same_inputs(quantized: QuantizedGraph, *, per_tensor: bool) -> QuantizedGraph:
    """Bring the inputs of a Concat and its like to the parameters of its output.

    Where nobody else reads such an input, what makes it writes it with those parameters: the
    values are rounded once, and no operator is needed. Any other is requantized.
    """
    graph = quantized.graph
    activations, weights = dict(quantized.activations), dict(quantized.weights)
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = list(node.inputs)
        if rule_of(node.operator).same_inputs:
            params = activations[node.output]
            for index, name in enumerate(inputs):
                if activations[name] == params:
                    continue
                chain = _retied(quantized, name, node, params)
                if chain:
                    activations |= dict.fromkeys(chain, params)
                    maker = graph.producers[chain[-1]]
                    if maker.name in weights:
                        given = activations[maker.inputs[0]]
                        made = _weights(maker, given, params, per_tensor=per_tensor)
                        weights[maker.name] = made
                    continue
                inputs[index] = f"{name}/{node.name}/{index}"
                activations[inputs[index]] = params
                step = Node(f"{node.name}/requantize/{index}", Requantize(), (name,), inputs[index])
                nodes.append(step)
        nodes.append(replace(node, inputs=tuple(inputs)))
    if len(nodes) > len(graph.nodes):
        graph = graph.with_nodes(nodes)
    return QuantizedGraph(graph, activations, weights)


def _retied(
    quantized: QuantizedGraph, value: str, reader: Node, params: QuantParams
) -> tuple[str, ...]:
    """Return the values that take `params` if `value`, which `reader` alone reads, does.

    None where it, or what it is a copy of, has another reader, or may not have these parameters.
    """
    maker = quantized.graph.producers.get(value)
    if maker is None or not quantized.graph.is_only_read_by(value, reader):
        return ()
    rule = rule_of(maker.operator)
    if rule.fixed is not None or rule.same_inputs:
        return ()
    if rule.output is Tie.TO_INPUT:
        rest = _retied(quantized, maker.inputs[0], maker, params)
        return (value, *rest) if rest else ()
    return (value,) if params.scale[0] > smallest_scale(quantized, maker) else ()


def _within(clamp: Clamp | None, low: float, high: float) -> QuantParams:
    """Return parameters whose saturation is the clamp.

    The range was measured after the clamp, so it lies inside; an int8 value cannot leave its
    range, which then does what the clamp does, and no operator is needed for it.
    """
    if clamp is not None:
        low, high = max(low, clamp.low), min(high, clamp.high)
    return from_range(low, high)


def _widened(params: QuantParams, factor: float) -> QuantParams:
    """Return `params` with the scale multiplied by `factor` where that is above 1."""
    if factor < 1:
        return params
    with np.errstate(over="ignore"):  # an infinite scale is refused
        scale = float(np.float32(params.scale[0] * factor * 1.01))
    return QuantParams((scale,), params.zero_point)
