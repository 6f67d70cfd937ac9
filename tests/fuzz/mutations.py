"""Damage to models: to their parts, and to their bytes. All choices come from one `Random`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import onnx
from hypothesis import strategies as st
from onnx import helper

from edge.card import CARD_KEY
from tests.fuzz import node_mutations as nodes
from tests.fuzz import tensor_mutations as tensors
from tests.fuzz.choices import NUMBERS, WORDS, any_node, names_of
from tests.fuzz.models import loose, seeds

Mutation = Callable[[Random, onnx.ModelProto], None]


def versions(random: Random, model: onnx.ModelProto) -> None:
    how = random.randrange(3)
    if how == 0:
        model.ir_version = random.choice((*range(3, 14), *NUMBERS))
    elif how == 1 and model.opset_import:
        random.choice(model.opset_import).version = random.choice((*range(9, 27), *NUMBERS))
    else:
        domain = random.choice(("", "ai.onnx", "own", "com.microsoft"))
        model.opset_import.append(helper.make_opsetid(domain, random.choice((1, 11, 17, 22))))


def function(random: Random, model: onnx.ModelProto) -> None:
    """Make a function of a node, which it or another node then calls, or which calls itself."""
    node = any_node(random, model)
    made = model.functions.add(name=random.choice(("F", "Relu", "Block")), domain="own")
    made.input.extend(random.choice((node.input, ["x"])))
    made.output.extend(random.choice((node.output, ["z"])))
    made.node.add().CopyFrom(node)
    made.opset_import.append(helper.make_opsetid("", random.choice((11, 17, 18))))
    model.opset_import.append(helper.make_opsetid("own", 1))
    caller = random.choice((node, node, made.node[0], any_node(random, model)))
    caller.domain, caller.op_type = "own", made.name
    if random.random() < 0.7:
        del caller.attribute[:]


def subgraph(random: Random, model: onnx.ModelProto) -> None:
    """Put a node into the branches of an If, some levels deep."""
    node = random.choice(model.graph.node)
    inner = onnx.NodeProto()
    inner.CopyFrom(node)
    result = helper.make_empty_tensor_value_info(node.output[0] if node.output else "z")
    for _ in range(random.choice((1, 2, 8))):
        branch = helper.make_graph([inner], "branch", [], [result])
        condition = random.choice(names_of(model))
        inner = (
            helper.make_node(
                "If", [condition], [result.name], then_branch=branch, else_branch=branch
            )
            if random.random() < 0.8
            else helper.make_node("Loop", ["", ""], [result.name], body=branch)
        )
    node.CopyFrom(inner)


def metadata(random: Random, model: onnx.ModelProto) -> None:
    text = random.choice((
        "", "{", "[]", '{"name": 1}', "\x00", '{"labels": ["a"]}', "9" * 5000, "[" * 5000
    ))  # fmt: skip
    model.metadata_props.add(key=random.choice((CARD_KEY, "other")), value=text)
    model.doc_string = random.choice(WORDS)
    if random.random() < 0.2:
        model.training_info.add().algorithm.CopyFrom(model.graph)


# Those that mostly leave a valid model, which then goes further, stand here more than once.
MUTATIONS: tuple[Mutation, ...] = (
    *(nodes.inputs, nodes.outputs, nodes.order, nodes.bypass, nodes.kind, nodes.name),
    *(nodes.new_attribute, nodes.no_attribute),
    *([nodes.attribute] * 3),
    *([nodes.insert, nodes.given_out] * 2),
    *(tensors.dims, tensors.reshaped, tensors.kept_as, tensors.sparse),
    *([tensors.values] * 2),
    *([tensors.infos] * 2),
    *(versions, function, subgraph, metadata),
)


def damaged(random: Random, data: bytes) -> bytes:
    """Change, drop, insert or repeat some bytes."""
    for _ in range(random.randint(1, 3)):
        at, count = random.randrange(len(data) + 1), random.choice((1, 1, 2, 8, 200))
        new = bytes(random.randrange(256) for _ in range(min(count, 8)))
        data = random.choice((
            data[:at] + new + data[at + len(new) :],
            data[:at] + data[at + count :],
            data[:at] + new + data[at:],
            data[: at + count] + data[at:],
            data[:at],
        ))  # fmt: skip
    return data


def mutant(random: Random) -> bytes:
    """Return one of the seeds, damaged."""
    data = seeds()[random.choice(sorted(seeds()))]
    in_bytes = random.random() < 0.15
    if not in_bytes or random.random() < 0.3:
        model = loose(data)
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
            if model.graph.node:
                random.choice(MUTATIONS)(random, model)
        data = model.SerializeToString()
    return damaged(random, data) if in_bytes else data


def mutants() -> st.SearchStrategy[bytes]:
    return st.randoms(use_true_random=False).map(mutant)
