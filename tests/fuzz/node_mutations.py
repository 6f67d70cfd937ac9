"""Damage to nodes: their order, names, kinds, inputs, outputs and attributes."""

from __future__ import annotations

from itertools import chain
from random import Random

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from tests.fuzz.choices import (
    ATTRIBUTES,
    KINDS,
    NAMES,
    NUMBERS,
    ODD_KINDS,
    REALS,
    WORDS,
    any_node,
    changed_list,
    changed_numbers,
    names_of,
    nodes_of,
)


def inputs(random: Random, model: onnx.ModelProto) -> None:
    node = any_node(random, model)
    node.input[:] = changed_list(random, list(node.input), names_of(model))


def outputs(random: Random, model: onnx.ModelProto) -> None:
    node = any_node(random, model)
    node.output[:] = changed_list(random, list(node.output), names_of(model))


def given_out(random: Random, model: onnx.ModelProto) -> None:
    """Let the graph give what a node makes as well, as another of its outputs."""
    made = [name for name in any_node(random, model).output if name]
    if made:
        info = helper.make_tensor_value_info(random.choice(made), TensorProto.FLOAT, None)
        model.graph.output.insert(random.randint(0, len(model.graph.output)), info)


def order(random: Random, model: onnx.ModelProto) -> None:
    """Two nodes change places, one goes, or one comes twice."""
    nodes = list(model.graph.node)
    a, b = random.randrange(len(nodes)), random.randrange(len(nodes))
    how = random.randrange(3)
    if how == 0:
        nodes[a], nodes[b] = nodes[b], nodes[a]
    elif how == 1:
        del nodes[a]
    else:
        nodes.insert(b, nodes[a])
    kept = [node.SerializeToString() for node in nodes]
    del model.graph.node[:]
    for data in kept:
        model.graph.node.add().ParseFromString(data)


def bypass(random: Random, model: onnx.ModelProto) -> None:
    """Take a node out, and let those that read it read its input: mostly a valid model."""
    node = random.choice(model.graph.node)
    if not node.input or not node.output:
        return
    for other in model.graph.node:
        other.input[:] = [node.input[0] if n in node.output else n for n in other.input]
    model.graph.node.remove(node)


def insert(random: Random, model: onnx.ModelProto) -> None:
    """Put an operator between a node and those that read it: mostly a valid model."""
    at = random.randrange(len(model.graph.node))
    before = model.graph.node[at]
    if not before.output:
        return
    name, new = before.output[0], f"new{random.randrange(100)}"
    count = random.choice((1, 1, 1, 2, 3))
    values = names_of(model)
    made = helper.make_node(
        random.choice(KINDS), [new, *(random.choice(values) for _ in range(count - 1))], [name]
    )
    before.output[0] = new
    model.graph.node.insert(at + 1, made)


def kind(random: Random, model: onnx.ModelProto) -> None:
    node = any_node(random, model)
    if random.random() < 0.2:
        node.domain = random.choice(("", "ai.onnx", "own", "com.microsoft", "ai.onnx.ml"))
    else:
        node.op_type = random.choice(random.choice((KINDS, KINDS, KINDS, ODD_KINDS)))


def name(random: Random, model: onnx.ModelProto) -> None:
    """Rename a value everywhere, or a node, or the graph."""
    new = random.choice(NAMES)
    how = random.randrange(3)
    if how == 0:
        any_node(random, model).name = new
    elif how == 1:
        model.graph.name = new
    else:
        old = random.choice(names_of(model))
        for node in model.graph.node:
            node.input[:] = [new if n == old else n for n in node.input]
            node.output[:] = [new if n == old else n for n in node.output]
        for part in chain(model.graph.initializer, model.graph.input, model.graph.output):
            part.name = new if part.name == old else part.name


def attribute(random: Random, model: onnx.ModelProto) -> None:
    """Change an attribute that is there as its type has it."""
    held = [a for node in nodes_of(model) for a in node.attribute]
    if not held:
        return
    one = random.choice(held)
    if one.type == AttributeProto.INT:
        one.i = random.choice(NUMBERS)
    elif one.type == AttributeProto.INTS:
        one.ints[:] = changed_numbers(random, one.ints)
    elif one.type == AttributeProto.FLOAT:
        one.f = random.choice(REALS)
    else:
        one.s = random.choice(WORDS).encode()


def new_attribute(random: Random, model: onnx.ModelProto) -> None:
    node = any_node(random, model)
    value = random.choice((
        random.choice(NUMBERS),
        random.choice(REALS),
        random.choice(WORDS),
        changed_numbers(random, (1, 1)),
        [random.choice(REALS)] * 3,
        numpy_helper.from_array(np.zeros((2, 2), np.float32)),
        model.graph,
        bytes(random.choice((10, 100_000))),
    ))  # fmt: skip
    made = helper.make_attribute(random.choice(ATTRIBUTES), value)
    if random.random() < 0.1:
        made.ref_attr_name = "gain"
    if random.random() < 0.1:
        made.type = random.choice(list(AttributeProto.AttributeType.values()))
    node.attribute.append(made)


def no_attribute(random: Random, model: onnx.ModelProto) -> None:
    node = any_node(random, model)
    if node.attribute:
        del node.attribute[random.randrange(len(node.attribute))]
