"""A quantized file as ONNX Runtime can run it in its exact kernels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper


def with_own_zero_points(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which each DequantizeLinear of a constant has a zero point of its own.

    It computes the same. Where its exact kernels turn int8 weights into uint8 ones, ONNX Runtime
    (seen with 1.32) fails on zero points that are left out beside several scales, or that two
    weights share.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    held = {tensor.name: tensor for tensor in made.graph.initializer}
    for node in made.graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            held[node.output[0]] = node.attribute[0].t
    # Integers that stand in the file, or that a QuantizeLinear makes of a float that does.
    types = {name: tensor.data_type for name, tensor in held.items()}
    for index, node in enumerate(made.graph.node):
        means = [held[name] for name in node.input[1:] if name in held]
        is_held = len(means) == len(node.input) - 1
        if node.op_type == "QuantizeLinear" and node.input[0] in held and is_held:
            types[node.output[0]] = means[1].data_type if means[1:] else onnx.TensorProto.UINT8
        if node.op_type != "DequantizeLinear" or node.input[0] not in types or not is_held:
            continue
        shape, dtype = tuple(means[0].dims), types[node.input[0]]
        zeros = np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(dtype))
        own = numpy_helper.from_array(zeros) if len(means) < 2 else means[1]
        name = f"{node.output[0]}/zero_point/{index}"
        made.graph.initializer.add().CopyFrom(own)
        made.graph.initializer[-1].name = name
        del node.input[2:]
        node.input.append(name)
    return made
