"""What a mutation chooses from: odd values, and the parts of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random

import onnx
from onnx import AttributeProto, TensorProto

from converters.onnx_import.constants import FOLDABLE
from converters.onnx_import.handlers import HANDLERS

# fmt: off
NUMBERS = (
    0, 1, -1, 2, 3, 4, 5, 7, 8, 16, -2, 127, 255, 4096, 4097, 16384, 1 << 20, (1 << 31) - 1,
    -(1 << 31), 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63),
)
REALS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 6.0, 1e-8, 1e-38, 1e-45, 1e30, -1e30, 3.4e38, float("inf"),
    float("-inf"), float("nan"),
)
WORDS = (
    "", "SAME_LOWER", "VALID", "cubic", "linear", "tanh", "reflect", "CRD", "\x1b[2J", "a\nb",
    "é" * 300,
)
NAMES = (
    "", "x", "y", "w", "nowhere", "a b", "\x1b[31m", "two\nlines", "n" * 3000, "y/exact", "x/real",
    "y/scale", "clamp/6.0", "../w.bin", "constant0",
)
KINDS = (*HANDLERS, *FOLDABLE)
ODD_KINDS = (
    "Shape", "If", "Loop", "Scan", "QuantizeLinear", "LSTM", "RandomNormal", "NonZero", "Block", "",
    "Sequence", "SequenceConstruct", "Optional", "EyeLike", "TopK", "Einsum", "ConvTranspose",
)
PLACES = (
    "w.bin", "none.bin", "/etc/passwd", "../../etc/passwd", "link.bin", "model.onnx", ".", "",
    "/dev/zero",
)
ATTRIBUTES = (
    "axis", "axes", "perm", "pads", "strides", "dilations", "kernel_shape", "group", "auto_pad",
    "ceil_mode", "count_include_pad", "alpha", "beta", "epsilon", "keepdims", "mode", "to", "value",
    "blocksize", "transA", "transB", "allowzero", "split", "num_outputs", "training_mode", "start",
    "end", "coordinate_transformation_mode", "noop_with_empty_axes", "storage_order", "body",
)
# fmt: on


def nodes_of(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [*model.graph.node, *chain.from_iterable(f.node for f in model.functions)]


def any_node(random: Random, model: onnx.ModelProto) -> onnx.NodeProto:
    nodes = nodes_of(model)
    return random.choice(nodes) if nodes else model.graph.node.add()


def names_of(model: onnx.ModelProto) -> list[str]:
    made = chain.from_iterable(node.output for node in model.graph.node)
    return [*made, *(t.name for t in model.graph.initializer), *NAMES]


def tensors_of(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in nodes_of(model):
        yield from (a.t for a in node.attribute if a.type == AttributeProto.TENSOR)


def any_tensor(random: Random, model: onnx.ModelProto) -> TensorProto:
    tensors = list(tensors_of(model))
    return random.choice(tensors) if tensors else model.graph.initializer.add()


def changed_list(random: Random, items: list[str], choices: Sequence[str]) -> list[str]:
    """Return a list of names with one of them changed, gone, new or twice."""
    at = random.randrange(len(items) + 1)
    other = random.choice(choices)
    return random.choice((
        [*items[:at], other, *items[at + 1 :]],
        [*items[:at], *items[at + 1 :]],
        [*items[:at], other, *items[at:]],
        [*items, ""],
        [*items, *items],
    ))  # fmt: skip


def changed_numbers(random: Random, given: Sequence[int]) -> list[int]:
    """Return a list of numbers like the one that is given."""
    numbers = list(given)
    for _ in range(random.randint(1, 2)):
        at = random.randrange(len(numbers) + 1)
        numbers[at : at + random.randint(0, 1)] = [random.choice(NUMBERS)]
    return numbers[: random.choice((len(numbers), len(given)))]
