"""Whether ONNX Runtime's default integer kernels are exact on this machine.

They are on Arm, and on x86 with VNNI; without it, they add products of uint8 and int8 in 16 bits
and saturate. The kernels that never do so are exact everywhere, and with VNNI take twice as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edge.tensors import Array

# Products of the largest numbers; a sum of two of them leaves 16 bits.
GIVEN, WEIGHT, INPUTS = 255, 127, 64
# The sums of all, and their negatives, come out so many steps above and below the zero point.
STEPS, ZERO_POINT = 100, 128


@cache
def defaults_are_exact() -> bool:
    """Whether sums of the largest products come out right in a session without any settings."""
    session = onnxruntime.InferenceSession(
        _probe().SerializeToString(), _options(), providers=["CPUExecutionProvider"]
    )
    return are_exact(session.run(None, {}))


def are_exact(results: list[Array]) -> bool:
    """Whether each of the probe's results, uint8, is what exact sums make: half up, half down."""
    return all(
        np.array_equal(np.unique(result), [ZERO_POINT - STEPS, ZERO_POINT + STEPS])
        for result in results
    )


def _options() -> Any:  # noqa: ANN401 (onnxruntime has no types)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # What depends on constants alone would be computed by whoever folds them.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _probe() -> onnx.ModelProto:
    """Return dense, grouped and depthwise convolutions and products of matrices, on constants."""
    nodes, constants = list[onnx.NodeProto](), list[onnx.TensorProto]()

    def add(kind: str, given: tuple[int, ...], weight: Array, inputs: int, groups: int = 0) -> None:
        name = f"{kind}{len(nodes)}"
        values = {
            "x": np.full(given, GIVEN, np.uint8),
            "x_scale": np.float32(1),
            "x_zero": np.uint8(0),
            "w": weight,
            "w_scale": np.float32(1),
            "w_zero": np.int8(0),
            "y_scale": np.float32(GIVEN * WEIGHT * inputs / STEPS),
            "y_zero": np.uint8(ZERO_POINT),
        }
        names = [f"{name}/{part}" for part in values]
        constants.extend(
            numpy_helper.from_array(np.asarray(value), part)
            for part, value in zip(names, values.values(), strict=True)
        )
        node = helper.make_node(kind, names, [name], name)
        if groups:
            node.attribute.append(helper.make_attribute("group", groups))
        nodes.append(node)

    for shape, groups in _kernels():
        given = (1, shape[1] * groups, 6, 6)
        add("QLinearConv", given, _signed(shape, 0), int(np.prod(shape[1:])), groups)
    for rows in (1, 8):
        add("QLinearMatMul", (rows, INPUTS), _signed((INPUTS, 32), 1), INPUTS)
    outputs = [helper.make_tensor_value_info(n.name, TensorProto.UINT8, None) for n in nodes]
    graph = helper.make_graph(nodes, "probe", [], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _kernels() -> Iterator[tuple[tuple[int, int, int, int], int]]:
    """Yield shapes [O, I/groups, h, w] and numbers of groups."""
    for size in (1, 3):
        yield (32, INPUTS, size, size), 1
        yield (32, INPUTS // 2, size, size), 2
    yield (INPUTS, 1, 3, 3), INPUTS


def _signed(shape: tuple[int, ...], axis: int) -> Array:
    """Return int8 weights, of every other output with the other sign."""
    signs = np.where(np.arange(shape[axis]) % 2, -1, 1)
    along = [-1 if index == axis else 1 for index in range(len(shape))]
    return np.broadcast_to(WEIGHT * signs.reshape(along), shape).astype(np.int8)
