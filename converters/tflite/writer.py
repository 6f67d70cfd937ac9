"""The TFLite artifact, written as a flatbuffer from the schema."""

from __future__ import annotations

from ai_edge_litert import schema_py_generated as schema

from converters.errors import Refusal, UnsupportedModelError
from converters.graph import Graph
from converters.operators import AveragePool, MaxPool
from converters.quantize.quantized import Io, QuantizedGraph
from converters.tflite import metadata
from converters.tflite.builder import Opcode, TfliteBuilder
from converters.tflite.context import Context
from converters.tflite.handlers import WRITERS, pool
from converters.tflite.layout import Placed, flattened_outputs, place
from edge.card import ModelCard

QUANTIZE = Opcode(schema.BuiltinOperator.QUANTIZE, 1)
DEQUANTIZE = Opcode(schema.BuiltinOperator.DEQUANTIZE, 2)


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


def write_tflite(quantized: QuantizedGraph, card: ModelCard, *, io: Io = "integer") -> bytes:
    """Return the int8 model, the card and the labels inside.

    Args: io: whether input and outputs are int8, or float32 behind a QUANTIZE and a DEQUANTIZE.
    Raises: UnsupportedModelError, ConvertError: a node has no TFLite form.
    """
    graph = quantized.graph
    context = Context(TfliteBuilder(graph.name), quantized, check(graph), io)
    builder = context.builder
    given = _add_input(context, graph.input)
    for node in graph.nodes:
        WRITERS[type(node.operator)](context, node, node.operator)
    taken = [(name, _add_output(context, name)) for name in graph.outputs]
    metadata.add_card(builder, card)
    model = builder.finish([(graph.input, given)], taken)
    return metadata.append_labels(model, card.labels)


def _add_input(context: Context, name: str) -> int:
    """Add what the caller gives, and return its tensor."""
    if context.io == "integer":
        return context.add_value(name)
    given = context.builder.tensor(name, context.placed[name].shape, "float32")
    context.builder.operator(QUANTIZE, [given], context.add_value(name))
    return given


def _add_output(context: Context, name: str) -> int:
    """Add what the caller gets, in ONNX's rank, and return its tensor."""
    builder, integers = context.builder, context.tensors[name]
    shape = context.placed[name].shape
    if context.is_output_vector(name):
        shape = context.graph.shapes[name]
        vector = context.quantized.integer_name(name, context.io)
        integers = builder.tensor(vector, shape, "int8", context.params(name))
        context.reshape(context.tensors[name], integers)
    if context.io == "integer":
        return integers
    taken = builder.tensor(name, shape, "float32")
    builder.operator(DEQUANTIZE, [integers], taken)
    return taken
