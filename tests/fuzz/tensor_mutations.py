"""Damage to tensors and to what a graph says of its values."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz.choices import NAMES, NUMBERS, PLACES, REALS, any_tensor, changed_numbers, names_of
from tests.fuzz.models import move_out


def values(random: Random, model: onnx.ModelProto) -> None:
    """Put other numbers into a tensor, of which the shape stays."""
    tensor = any_tensor(random, model)
    is_float = tensor.data_type == TensorProto.FLOAT
    dtype: type[Any] = np.float32 if is_float else np.int64
    if not tensor.raw_data or len(tensor.raw_data) % np.dtype(dtype).itemsize:
        return
    held = np.frombuffer(tensor.raw_data, dtype).copy()
    count = random.choice((1, 1, min(held.size, 32)))
    with np.errstate(all="ignore"):
        for at in random.sample(range(held.size), count):
            held[at] = random.choice(REALS if is_float else NUMBERS)
        if random.random() < 0.3 and is_float:
            held *= np.float32(random.choice(REALS))
    tensor.raw_data = held.tobytes()


def dims(random: Random, model: onnx.ModelProto) -> None:
    tensor = any_tensor(random, model)
    tensor.dims[:] = changed_numbers(random, tensor.dims)


def reshaped(random: Random, model: onnx.ModelProto) -> None:
    """Give a tensor another shape that its data fits, mostly."""
    tensor = any_tensor(random, model)
    shape = list(tensor.dims)
    random.choice((shape.reverse, lambda: shape.append(1), lambda: shape.insert(0, 1)))()
    tensor.dims[:] = shape


def kept_as(random: Random, model: onnx.ModelProto) -> None:
    """Keep a tensor's data in another way: another type, less of it, as text, in a file, twice."""
    tensor = any_tensor(random, model)
    how = random.randrange(6)
    if how == 0:
        tensor.data_type = random.choice((*TensorProto.DataType.values(), 999, -1))
    elif how == 1:
        tensor.raw_data = tensor.raw_data[: random.choice((0, 1, 4, len(tensor.raw_data) // 2))]
    elif how == 2:
        tensor.float_data.extend((1.0, 2.0))
    elif how == 3:
        tensor.string_data.append(b"text")
        tensor.data_type = TensorProto.STRING
    elif how == 4:
        model.graph.initializer.add().CopyFrom(tensor)
    else:
        entries: dict[str, int | str] = {"location": random.choice(PLACES)}
        for key in random.sample(("offset", "length", "checksum"), random.randint(0, 2)):
            entries[key] = random.choice((*NUMBERS, 64, 432, "many"))
        move_out(tensor, **entries)


def sparse(random: Random, model: onnx.ModelProto) -> None:
    tensor = model.graph.sparse_initializer.add()
    tensor.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), random.choice(NAMES)))
    tensor.indices.CopyFrom(numpy_helper.from_array(np.asarray([random.choice(NUMBERS)])))
    tensor.dims.extend(changed_numbers(random, (4, 4)))


def infos(random: Random, model: onnx.ModelProto) -> None:
    """Let the graph say something else of its inputs, its outputs or a value within."""
    graph = model.graph
    where = random.choice((graph.input, graph.output, graph.value_info))
    if not where or random.random() < 0.1:
        shape = changed_numbers(random, (1, 3))
        where.add().CopyFrom(
            helper.make_tensor_value_info(random.choice(names_of(model)), TensorProto.FLOAT, shape)
        )
        return
    info = random.choice(where)
    tensor = info.type.tensor_type
    how = random.randrange(6)
    if how == 0:
        tensor.elem_type = random.choice((*TensorProto.DataType.values(), 999))
    elif how == 1:
        tensor.ClearField("shape")
    elif how == 2:
        where.remove(info)
    elif how == 3 and tensor.shape.dim:
        random.choice(tensor.shape.dim).dim_param = random.choice(("N", "batch", ""))
    elif how == 4:
        info.name = random.choice(names_of(model))
    elif tensor.shape.dim:
        random.choice(tensor.shape.dim).dim_value = random.choice(NUMBERS)
