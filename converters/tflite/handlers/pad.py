"""Pad as PAD, PADV2 or MIRROR_PAD."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.graph import Node
from converters.operators import Pad
from converters.tflite.context import Context, in_order
from converters.tflite.opcodes import MIRROR_PAD, PAD, PADV2


def write(context: Context, node: Node, pad: Pad) -> None:
    (source,) = node.inputs
    order = context.order(source)
    amounts = [(pad.before[axis], pad.after[axis]) for axis in order]
    inputs = [context.in_order(source, order), context.numbers_of(f"{node.name}/pads", amounts)]
    placed = in_order(context.shape(node.output), order)
    if pad.mode == "reflect":
        options = schema.MirrorPadOptionsT()
        options.mode = schema.MirrorPadMode.REFLECT
        context.emit(node, MIRROR_PAD, inputs, placed, options)
    elif pad.value == 0.0:
        context.emit(node, PAD, inputs, placed, schema.PadOptionsT())
    else:
        filling = context.numbers.constant(source, np.asarray([pad.value], np.float32))
        params = context.numbers.params(source)
        inputs.append(context.builder.constant(f"{node.name}/padding", filling, params))
        context.emit(node, PADV2, inputs, placed, schema.PadV2OptionsT())
