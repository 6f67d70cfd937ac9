"""The TFLite artifact, written as a flatbuffer from the schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from converters.errors import Refusal, UnsupportedModelError
from converters.graph import Graph
from converters.operators import AveragePool
from converters.quantize.params import QuantParams
from converters.quantize.quantized import Io, QuantizedGraph
from converters.tflite import metadata
from converters.tflite.builder import TfliteBuilder
from converters.tflite.context import Context, Held, Placed, in_order, usual
from converters.tflite.handlers import WRITERS, pool
from converters.tflite.layout import Layout, of_input, order_of_axes
from converters.tflite.numbers import FloatNumbers, Int8Numbers, Numbers
from converters.tflite.opcodes import DEQUANTIZE, QUANTIZE, REQUANTIZE
from edge.card import ModelCard


def check(graph: Graph, where: str) -> None:
    """See that every node has a TFLite form. Raises: UnsupportedModelError: all that have none."""
    refusals = []
    for node in graph.nodes:
        reason = None
        if isinstance(node.operator, AveragePool):
            reason = pool.why_not(graph.shapes[node.inputs[0]], node.operator)
        elif type(node.operator) not in WRITERS:
            reason = "has no TFLite form by itself; only as part of a GELU"
        if reason is not None:
            refusals.append(Refusal(node.name, node.kind, reason))
    if refusals:
        raise UnsupportedModelError(where, refusals)


def write_tflite(quantized: QuantizedGraph, card: ModelCard, *, io: Io = "integer") -> bytes:
    """Return the int8 model, the card and the labels inside.

    Args: io: whether input and outputs are int8, or uint8 or float32 behind a QUANTIZE and before
        another or a DEQUANTIZE.
    """
    return _write(Int8Numbers(quantized, io), card, io)[0]


def write_float_tflite(graph: Graph, card: ModelCard, *, half: bool = False) -> bytes:
    """Return the float32 model, the card and the labels inside.

    Args: half: keep the weights as float16, which computes the same as float32 but rounds them.
    """
    return _write(FloatNumbers(graph, half), card, "float32")[0]


def layouts(quantized: QuantizedGraph, io: Io) -> Mapping[str, Layout]:
    """Return how each value that has a tensor of its own lies in the file `write_tflite` gives."""
    context = _write(Int8Numbers(quantized, io), None, io)[1]
    return {
        value: held.placed.layout
        for value, held in context.held.items()
        if context.builder.tensors[held.tensor].name == context.numbers.name(value)
    }


def moves(subject: QuantizedGraph | Graph) -> tuple[str, ...]:
    """Return the values that a TRANSPOSE moves in the file, each with the node that wants it so."""
    numbers: Numbers = FloatNumbers(subject) if isinstance(subject, Graph) else Int8Numbers(subject)
    return tuple(_write(numbers, None, "integer")[1].moves)


def _write(numbers: Numbers, card: ModelCard | None, io: Io) -> tuple[bytes, Context]:
    graph = numbers.graph
    context = Context(TfliteBuilder(graph.name), numbers)
    given = [(name, _add_input(context, name, io)) for name in graph.inputs]
    for node in graph.nodes:
        context.reader = node.name
        WRITERS[type(node.operator)](context, node, node.operator)
    taken = []
    for name in graph.outputs:
        context.reader = "the output" if name == graph.output else "the output, as in the source"
        taken.append((name, _add_output(context, name, io)))
    if card is None:
        return b"", context
    metadata.add_card(context.builder, card)
    behind = partial(metadata.labels_behind, labels=card.labels)
    return context.builder.finish(given, taken, behind), context


def _add_input(context: Context, name: str, io: Io) -> int:
    """Add what the caller gives, and return its tensor."""
    shape = context.shape(name)
    layout = of_input(shape)
    placed = in_order(shape, order_of_axes(layout) or ())
    tensor = context.add_value(name, placed)
    if io == "integer" or context.numbers.params(name) is None:
        return tensor
    given = _seen(context, name, placed, io)
    context.builder.operator(QUANTIZE if io == "float32" else REQUANTIZE, [given], tensor)
    return given


def _seen(context: Context, name: str, placed: Placed, io: Io) -> int:
    """Add the tensor that a caller sees where it is not the integers themselves."""
    params = context.numbers.params(name)
    if io == "float32" or params is None:
        return context.builder.tensor(name, placed.dims, "float32")
    # As uint8 every value, and the zero point, is larger by 128: the same numbers.
    shifted = QuantParams(params.scale, (params.zero_point[0] + 128,))
    return context.builder.tensor(name, placed.dims, "uint8", shifted)


def _add_output(context: Context, name: str, io: Io) -> int:
    """Add what the caller gets: scores with their classes last, anything else as in ONNX."""
    builder = context.builder
    held = context.held[name]
    shape = context.shape(name)
    is_scores = name == context.graph.output
    placed = usual(shape) if is_scores else in_order(shape, range(len(shape)))
    tensor = held.tensor
    called = context.numbers.name(name)
    if builder.tensors[tensor].name != called or held.placed != placed:
        # The name belongs to what the caller gets.
        if builder.tensors[tensor].name == called:
            builder.tensors[tensor].name = f"{called}/inside"
        tensor = _given_out(context, name, placed)
        builder.tensors[tensor].name = called
    if io == "integer" or context.numbers.params(name) is None:
        return tensor
    taken = _seen(context, name, placed, io)
    builder.operator(DEQUANTIZE if io == "float32" else REQUANTIZE, [tensor], taken)
    return taken


def _given_out(context: Context, name: str, placed: Placed) -> int:
    """Return a tensor of its own that holds a value as `placed`."""
    tensor = context.brought(name, placed)
    taken = {held.tensor for held in context.held.values()}
    if tensor not in taken:
        context.held[name] = Held(tensor, placed)
        return tensor
    output = context.builder.like(tensor, name, placed.dims)
    context.reshape(tensor, output)
    context.held[name] = Held(output, placed)
    return output
