"""A Graph of a quantized file in, QuantizedGraph out: the file's scales, no ranges.

The Requantize nodes that the importer made of the file's QuantizeLinears say which value has which
integers. Where one stands right behind an operator, that operator makes these integers itself; any
other stays. What the file leaves in float stays float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.operators import (
    AveragePool,
    Constant,
    Requantize,
    Resize,
    Weighted,
)
from converters.quantize.given_channels import with_one_scale
from converters.quantize.given_weights import WeightsRefusedError, given_weights
from converters.quantize.integers import GivenConstants
from converters.quantize.limits import smallest_scale
from converters.quantize.params import QuantParams
from converters.quantize.quantized import QuantizedGraph, QuantizedWeights
from converters.quantize.rules import MAX_CLAMP_FACTOR, OpRule, Tie, rule_of


@dataclass(frozen=True, slots=True)
class Given:
    """The quantized network, and what of the file could not stay as it was, in words."""

    quantized: QuantizedGraph
    notes: tuple[str, ...]


def take(graph: Graph, constants: Mapping[str, GivenConstants]) -> Given:
    """Return the network with the very scales, zero points and integers of its file.

    Args: graph: after the passes that leave weights as they are; constants: by node.
    Raises: ConvertError: two scales of one value are too far apart for any kernel.
    """
    one = with_one_scale(graph, constants)
    taker = _Taker(one.graph, one.constants, notes=list(one.notes))
    for node in one.graph.nodes:
        taker.add(node)
    return taker.finish()


@dataclass(slots=True)
class _Taker:
    """Walks the nodes in order; `called`: what a value of the file is in the result."""

    graph: Graph
    constants: Mapping[str, GivenConstants]
    nodes: list[Node] = field(default_factory=list)
    activations: dict[str, QuantParams] = field(default_factory=dict)
    weights: dict[str, QuantizedWeights] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)
    float_biases: int = 0

    def __post_init__(self) -> None:
        for name in self.graph.inputs:
            marker = self._marker_of(name)
            if marker is not None and marker.output not in self.graph.outputs:
                self._absorb(name, name, marker)

    def add(self, node: Node) -> None:
        if node.output in self.called and isinstance(node.operator, Requantize):
            return  # what it reads has these integers already
        inputs = tuple(self.called.get(name, name) for name in node.inputs)
        node = replace(node, inputs=inputs)
        if isinstance(node.operator, Requantize):
            self._requantize(node)
        elif isinstance(node.operator, Constant):
            self._constant(node)
        else:
            self._operator(node)

    def finish(self) -> Given:
        graph = self.graph.with_nodes(self.nodes)
        graph.verify()
        in_float = [
            node.output
            for node in self.nodes
            if node.output not in self.activations and not isinstance(node.operator, Constant)
        ]
        if in_float:
            self.notes.append(
                f"{len(in_float)} values stay float, as what makes them is not quantized in the "
                f"file or has no integers' kernel: {', '.join(in_float)}"
            )
        if self.float_biases:
            self.notes.append(
                f"{self.float_biases} biases are float in the file: rounded to 32-bit integers of "
                "input scale times weight scale"
            )
        return Given(QuantizedGraph(graph, self.activations, self.weights), tuple(self.notes))

    def _requantize(self, node: Node) -> None:
        assert isinstance(node.operator, Requantize)  # noqa: S101 (the caller checked it)
        params, (source,) = node.operator.params, node.inputs
        assert params is not None  # noqa: S101 (the importer made it)
        before = self.activations.get(source)
        if before == params and node.output not in self.graph.outputs:
            self.called[node.output] = source
            return
        if before is not None and before != params and source not in self.explained:
            self.notes.append(f"{node.output}: requantized, as in the file, from {_said(before)}")
        if before is not None and before.scale[0] >= params.scale[0] * MAX_CLAMP_FACTOR:
            raise ConvertError(
                f"{node.name}: {_said(params)} is too fine to be made from {_said(before)}; "
                "quantize the model again"
            )
        self._put(node, params)

    def _constant(self, node: Node) -> None:
        held = self.constants.get(node.name, GivenConstants()).weight
        self._put(node, None if held is None else held.params)

    def _operator(self, node: Node) -> None:
        """Compute in integers where all inputs are some and the file says what the output's are."""
        rule = rule_of(node.operator)
        given = [self.activations.get(name) for name in node.inputs]
        integers = [params for params in given if params is not None]
        marker = self._marker_of(node.output)
        if len(integers) < len(given) or not given:
            self._put(node, None)
        elif rule.output is Tie.TO_INPUT and not (marker is None and _rounds(node)):
            self._tied(node, integers[0], marker)
        elif marker is None:
            self._put(node, integers[0] if _copies(rule, integers) else None)
        elif rule.fixed is not None:
            self._tied(node, rule.fixed, marker)
        elif rule.same_inputs:
            self._put_absorbing(self._with_same_inputs(node, _params(marker)), marker)
        else:
            self._computed(node, integers, marker)

    def _tied(self, node: Node, params: QuantParams, marker: Node | None) -> None:
        """Add a node whose kernel leaves no choice of its output's parameters."""
        if marker is not None and _params(marker) == params:
            self._put_absorbing(node, marker)
            return
        self._put(node, params)
        if marker is not None:
            self.explained.add(node.output)
            self.notes.append(
                f"{marker.output}: TFLite's {node.kind} gives {_said(params)}, requantized to the "
                f"file's {_said(_params(marker))}"
            )

    def _computed(self, node: Node, integers: list[QuantParams], marker: Node) -> None:
        """Add a node that is computed in integers, or, where no kernel can, in float."""
        params = _params(marker)
        if isinstance(node.operator, Weighted):
            try:
                found = given_weights(
                    node, self.constants.get(node.name, GivenConstants()), integers[0]
                )
            except WeightsRefusedError as refused:
                self.notes.append(f"{node.output}: computed in float: {refused}")
                self._put(node, None)
                return
            self.weights[node.name] = found.weights
            self.float_biases += found.is_bias_float
            if found.note:
                self.notes.append(f"{node.output}: {found.note}")
        activations = {**self.activations, node.output: params}
        so_far = QuantizedGraph(self.graph, activations, self.weights)
        if params.scale[0] <= smallest_scale(so_far, node):
            self.weights.pop(node.name, None)
            self.notes.append(
                f"{node.output}: computed in float: {_said(params)} is too fine for the integers' "
                "kernels"
            )
            self._put(node, None)
            return
        self._put_absorbing(node, marker)

    def _with_same_inputs(self, node: Node, params: QuantParams) -> Node:
        """Bring the inputs of a Concat and its like to the parameters of its output."""
        inputs = list(node.inputs)
        for index, name in enumerate(inputs):
            if self.activations[name] == params:
                continue
            inputs[index] = f"{name}/{node.name}/{index}"
            step = Node(
                f"{node.name}/requantize/{index}", Requantize(params), (name,), inputs[index]
            )
            self._put(step, params)
            self.notes.append(
                f"{name}: requantized from {_said(self.activations[name])} to {_said(params)}: "
                f"TFLite's {node.kind} has one scale for all"
            )
        return replace(node, inputs=tuple(inputs))

    def _put(self, node: Node, params: QuantParams | None) -> None:
        self.nodes.append(node)
        if params is not None:
            self.activations[node.output] = params

    def _put_absorbing(self, node: Node, marker: Node) -> None:
        """Add a node that makes the integers of the Requantize behind it, under their name."""
        self._absorb(node.output, marker.output, marker)
        self._put(replace(node, output=marker.output), _params(marker))

    def _absorb(self, value: str, name: str, marker: Node) -> None:
        self.called[value] = name
        self.activations[name] = _params(marker)
        for reader in self.graph.consumers[value]:
            if reader.operator == marker.operator:
                self.called[reader.output] = name

    def _marker_of(self, value: str) -> Node | None:
        """Return the Requantize whose integers a value may be made as; None where it is float.

        Of several that is the one with the widest range: the others are made from it.
        """
        readers = self.graph.consumers[value]
        markers = [reader for reader in readers if isinstance(reader.operator, Requantize)]
        if value in self.graph.outputs or not markers or len(markers) < len(readers):
            return None
        widest = max(markers, key=lambda marker: _params(marker).high - _params(marker).low)
        same = [marker for marker in markers if marker.operator == widest.operator]
        return next((m for m in same if m.output in self.graph.outputs), same[0])


def _params(marker: Node) -> QuantParams:
    assert isinstance(marker.operator, Requantize)  # noqa: S101 (the callers checked it)
    assert marker.operator.params is not None  # noqa: S101 (the importer made it)
    return marker.operator.params


def _copies(rule: OpRule, integers: list[QuantParams]) -> bool:
    """Whether an operator's integers are some of its inputs', without any rounding."""
    return rule.same_inputs and len(set(integers)) == 1


def _rounds(node: Node) -> bool:
    """Whether an operator that keeps its input's parameters computes new values under them."""
    return isinstance(node.operator, AveragePool) or (
        isinstance(node.operator, Resize) and node.operator.linear
    )


def _said(params: QuantParams) -> str:
    return f"scale {params.scale[0]:.6g}, zero point {params.zero_point[0]}"
