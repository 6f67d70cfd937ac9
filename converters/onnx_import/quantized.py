"""Which files are already quantized, in which form they are read, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx

from converters.errors import ConvertError
from converters.onnx_import.constants import VIEWS, Constants
from converters.onnx_import.load import STANDARD_DOMAINS
from converters.onnx_import.source import Integers, RefusedError, Resolved
from converters.operators import Constant, Conv, Gemm, Operator
from converters.quantize.integers import Dequantized, GivenConstants
from edge.tensors import Array

QDQ_OPS = frozenset(("QuantizeLinear", "DequantizeLinear"))
RUNTIME_DOMAIN = "com.microsoft"
# These compute with integers themselves, their scales among their inputs.
INTEGER_PREFIXES = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")
# What leaves a constant's integers as they are.
SAME_INTEGERS = VIEWS | {"Flatten", "Identity"}
# The clamp that PyTorch writes for fewer than 8 bits is the one operator between both.
READERS = ("Clip", "DequantizeLinear")
READS_INTEGERS = (
    "is computed from integers; only a DequantizeLinear may read what a QuantizeLinear makes: "
    "export it with floats between both"
)


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether the file holds integers and what they mean."""
    return any(node.op_type in QDQ_OPS for node in model.graph.node)


def refuse_quantized(model: onnx.ModelProto, where: str) -> None:
    """Raise ConvertError where a float32 model is needed and this is none."""
    for node in model.graph.node:
        if node.op_type in QDQ_OPS or node.op_type.startswith(INTEGER_PREFIXES):
            raise ConvertError(
                f"{where}: already quantized (node {node.name!r} is a {node.op_type}); "
                "give the float32 model that it was made from"
            )


def check_form(node: onnx.NodeProto) -> None:
    """Raise RefusedError for an operator that computes with integers itself."""
    if node.op_type.startswith(INTEGER_PREFIXES):
        raise RefusedError(
            "computes with integers itself; only float operators between QuantizeLinear and "
            "DequantizeLinear are read: quantize in the QDQ form (QuantFormat.QDQ in onnxruntime, "
            "and static, not dynamic)"
        )


def check_reader(node: onnx.NodeProto, inputs: Sequence[Resolved]) -> None:
    """Raise RefusedError for an operator that reads integers and may not."""
    if node.op_type not in READERS and any(isinstance(v, Integers) for v in inputs):
        raise RefusedError(READS_INTEGERS)


class ConstantIntegers:
    """The constants of one file that are held as integers, and the nodes that they are given to.

    `given`: by node of the Graph; `current`: the inputs of the source's node that is converted.
    """

    def __init__(self, constants: Constants) -> None:
        self.given: dict[str, GivenConstants] = {}
        self.current: tuple[str, ...] = ()
        self._constants = constants
        self._held: dict[str, Dequantized] = {}

    def add(self, node: onnx.NodeProto, made: Dequantized) -> Array:
        """Remember what a DequantizeLinear reads, and return what it means."""
        self._held[node.output[0]] = made
        return made.real

    def follow(
        self, node: onnx.NodeProto, inputs: Sequence[Resolved], made: tuple[Array, ...]
    ) -> None:
        """Remember what is still the same integers, in another shape or order."""
        before = self._held.get(node.input[0]) if node.input else None
        if before is None or node.op_type not in SAME_INTEGERS or len(made) != 1:
            return
        moved = self._constants.fold(node, (before.integers, *inputs[1:]))
        if moved is not None:
            self._held[node.output[0]] = replace(before, real=made[0], integers=moved[0])

    def note(self, name: str, operator: Operator) -> None:
        """Remember the integers of the constants of a node of the Graph."""
        found = [self._held.get(key) for key in self.current]
        if isinstance(operator, Conv | Gemm):
            self.given[name] = GivenConstants(*found[1:3])
        elif isinstance(operator, Constant):
            same = (d for d in found if d is not None and d.real is operator.value)
            self.given[name] = GivenConstants(next(same, None))


def in_standard_domain(proto: onnx.NodeProto) -> onnx.NodeProto:
    """Return the node, its domain spelled as onnx's own tools know it."""
    # onnxruntime's own QuantizeLinear is ONNX's, in types that came to ONNX later.
    is_qdq = proto.domain == RUNTIME_DOMAIN and proto.op_type in QDQ_OPS
    if proto.domain not in STANDARD_DOMAINS and not is_qdq:
        raise RefusedError(f"operators of the domain {proto.domain!r} are not supported")
    if not proto.domain:
        return proto
    plain = onnx.NodeProto()
    plain.CopyFrom(proto)
    plain.domain = ""
    return plain
