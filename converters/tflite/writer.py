"""The TFLite artifact, written as a flatbuffer from the schema."""

from __future__ import annotations

from converters.errors import Refusal, UnsupportedModelError
from converters.graph import Graph
from converters.operators import AveragePool, MaxPool
from converters.quantize.quantized import QuantizedGraph
from converters.tflite import metadata
from converters.tflite.builder import TfliteBuilder
from converters.tflite.context import Context
from converters.tflite.handlers import WRITERS, pool
from converters.tflite.layout import Placed, flattened_outputs, place
from edge.card import ModelCard


def check(graph: Graph) -> dict[str, Placed]:
    """Return where each value lies, if the whole graph has a TFLite form.

    Raises: UnsupportedModelError: it has not; all reasons.
    """
    placed = place(graph)
    refusals = []
    for node in graph.nodes:
        if isinstance(node.operator, AveragePool | MaxPool):
            reason = pool.why_not(graph.shapes[node.inputs[0]], node.operator)
            if reason is not None:
                refusals.append(Refusal(node.name, node.kind, reason))
    for name in flattened_outputs(graph, placed):
        node = graph.producers[name]
        reason = "an output that is a flattened image needs a transpose"
        refusals.append(Refusal(node.name, node.kind, reason))
    if refusals:
        raise UnsupportedModelError(graph.name, refusals)
    return dict(placed)


def write_tflite(quantized: QuantizedGraph, card: ModelCard) -> bytes:
    """Return the int8 model with int8 input and outputs, the card and the labels inside.

    Raises: UnsupportedModelError, ConvertError: a node has no TFLite form.
    """
    graph = quantized.graph
    context = Context(TfliteBuilder(graph.name), quantized, check(graph))
    builder = context.builder
    shape = context.placed[graph.input].shape
    context.tensors[graph.input] = builder.tensor(
        graph.input, shape, "int8", context.params(graph.input)
    )
    for node in graph.nodes:
        WRITERS[type(node.operator)](context, node, node.operator)
    metadata.add_card(builder, card)
    model = builder.finish(
        [(graph.input, context.tensors[graph.input])],
        [(name, context.tensors[name]) for name in graph.outputs],
    )
    return metadata.append_labels(model, card.labels)
