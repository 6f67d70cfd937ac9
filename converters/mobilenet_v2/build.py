"""The architecture's layers as an ONNX model, without a training framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

import edge
from converters.mobilenet_v2.architecture import Activation, Architecture, Layer
from edge.card import CARD_KEY, ModelCard
from edge.errors import EdgeError, MissingExtraError
from edge.tensors import F32

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as cause:
    raise MissingExtraError("onnx", "convert") from cause

INPUT = "input"
OUTPUT = "logits"
OPSET = 17
# Old enough for any ONNX Runtime that knows opset 17.
IR_VERSION = 8
# The operator of each activation, and the constants that it reads.
ACTIVATION_NODES: Mapping[Activation, tuple[str, ...]] = {
    "relu6": ("Clip", "zero", "six"),
    "relu": ("Relu",),
}
LIMITS = {"zero": 0, "six": 6}


class WeightError(EdgeError):
    """The weights are not those of the architecture."""


def initial_weights(architecture: Architecture, seed: int) -> dict[str, F32]:
    """Return untrained weights: He-normal kernels over the fan-out, BatchNorm as the identity.

    Source: He et al., "Delving Deep into Rectifiers", 2015, eq. 14. The classifier's weights have
    a standard deviation of 0.01 and its biases are 0.
    """
    random = np.random.default_rng(seed)
    weights: dict[str, F32] = {}
    for layer in architecture.layers():
        std = 0.01 if layer.kind == "classifier" else np.sqrt(2 / layer.fan_out)
        for name, shape in layer.weight_shapes().items():
            part = name.rpartition(".")[2]
            if part == "weight":
                weights[name] = random.normal(0.0, std, shape).astype(np.float32)
            else:
                weights[name] = np.full(shape, part in ("gamma", "var"), np.float32)
    return weights


def check_weights(architecture: Architecture, weights: Mapping[str, F32]) -> None:
    """Raises: WeightError: with every array that is missing, unknown, misshapen or not float32."""
    shapes = architecture.weight_shapes()
    refusals = [f"{name} is missing" for name in shapes if name not in weights]
    for name, array in weights.items():
        if name not in shapes:
            refusals.append(f"{name} belongs to no layer")
        elif array.shape != shapes[name]:
            refusals.append(f"{name} has shape {list(array.shape)}, not {list(shapes[name])}")
        elif array.dtype != np.float32:
            refusals.append(f"{name} holds {array.dtype}, not float32")
        elif not np.isfinite(array).all():
            refusals.append(f"{name} holds values that are not finite")
    if refusals:
        raise WeightError(
            f"{len(refusals)} of the weights do not fit MobileNetV2 {architecture.width:g} with "
            f"{architecture.classes} classes: " + "; ".join(refusals)
        )


def build(
    architecture: Architecture,
    weights: Mapping[str, F32],
    card: ModelCard | None = None,
    batch: Literal[1, "batch"] = 1,
) -> onnx.ModelProto:
    """Return the network as a float32 ONNX model, `input` [batch, C, H, W] to `logits` [batch, K].

    Args: weights: one array for each name of `architecture.weight_shapes()`; card: goes into
        metadata_props; batch: 1, or the name of a free dimension.
    Raises: WeightError: the weights are not those of the architecture.
    """
    check_weights(architecture, weights)
    nodes: list[onnx.NodeProto] = []
    value = block_input = INPUT
    *convolutions, classifier = architecture.layers()
    block = ""
    for layer in convolutions:
        if layer.block != block:
            block, block_input = layer.block, value
        nodes += _convolution(layer, value, architecture.epsilon)
        value = nodes[-1].output[0]
        if layer.shortcut:
            nodes.append(
                helper.make_node("Add", [block_input, value], [f"{block}.add"], f"{block}.add")
            )
            value = nodes[-1].output[0]
    nodes += [
        helper.make_node("GlobalAveragePool", [value], ["pool"], "pool"),
        helper.make_node("Flatten", ["pool"], ["features"], "features", axis=1),
        helper.make_node(
            "Gemm",
            ["features", f"{classifier.name}.weight", f"{classifier.name}.bias"],
            [OUTPUT],
            classifier.name,
            transB=1,
        ),
    ]
    return _model(nodes, architecture, weights, card, batch)


def _convolution(layer: Layer, value: str, epsilon: float) -> list[onnx.NodeProto]:
    name = layer.name
    nodes = [
        helper.make_node(
            "Conv",
            [value, f"{name}.weight"],
            [f"{name}.conv"],
            f"{name}.conv",
            kernel_shape=[layer.kernel, layer.kernel],
            strides=[layer.stride, layer.stride],
            pads=layer.pads,
            group=layer.groups,
        ),
        helper.make_node(
            "BatchNormalization",
            [f"{name}.conv", *(f"{name}.{part}" for part in ("gamma", "beta", "mean", "var"))],
            [f"{name}.norm"],
            f"{name}.norm",
            epsilon=epsilon,
        ),
    ]
    if layer.activation != "linear":
        operator, *limits = ACTIVATION_NODES[layer.activation]
        output = f"{name}.{layer.activation}"
        nodes.append(helper.make_node(operator, [f"{name}.norm", *limits], [output], output))
    return nodes


def _model(
    nodes: list[onnx.NodeProto],
    architecture: Architecture,
    weights: Mapping[str, F32],
    card: ModelCard | None,
    batch: Literal[1, "batch"],
) -> onnx.ModelProto:
    shape = [batch, architecture.channels, *architecture.image_hw]
    graph = helper.make_graph(
        nodes,
        f"mobilenet_v2_{architecture.width:g}",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, architecture.classes])],
        [
            *(
                numpy_helper.from_array(np.array(LIMITS[name], np.float32), name)
                for name in ACTIVATION_NODES[architecture.activation][1:]
            ),
            *(
                numpy_helper.from_array(np.ascontiguousarray(weights[name]), name)
                for name in architecture.weight_shapes()
            ),
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="edge-deploy",
        producer_version=edge.__version__,
    )
    if card is not None:
        helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model
