"""Tiny classifiers whose scores are known in closed form: the mean colour times a matrix."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.card import CARD_KEY, ModelCard
from edge.tensors import Array

SIDE = 8


def model(
    weight: Array,
    *,
    softmax: bool = False,
    step: float | None = None,
    card: ModelCard | None = None,
) -> bytes:
    """Return an ONNX file: scores = (mean red, green, blue) @ weight.

    Args: weight: [3, classes]; softmax: over the classes at the end; step: of a QuantizeLinear and
        DequantizeLinear there, in uint8 from 0.
    """
    constants = {"w": np.asarray(weight, np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["product"]),
    ]
    last = "product"
    if softmax:
        nodes.append(helper.make_node("Softmax", [last], ["soft"], axis=1))
        last = "soft"
    if step is not None:
        constants |= {"step": np.array(step, np.float32), "zero": np.array(0, np.uint8)}
        nodes.append(helper.make_node("QuantizeLinear", [last, "step", "zero"], ["q"]))
        nodes.append(helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["dq"]))
        last = "dq"
    nodes.append(helper.make_node("Identity", [last], ["scores"]))
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kind, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", kind, [1, weight.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if card is not None:
        helper.set_model_props(made, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())
