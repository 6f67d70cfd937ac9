"""Each operator of a Graph as the ONNX nodes that it is: one function an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converters.onnx_qdq.nodes import Applied, OnnxNodes
from converters.operators import (
    Abs,
    Add,
    Affine,
    AveragePool,
    Clamp,
    Concat,
    Constant,
    Conv,
    DepthToSpace,
    Div,
    Elu,
    Erf,
    Exp,
    Expand,
    Gather,
    Gelu,
    Gemm,
    GlobalAveragePool,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    MatMul,
    Maximum,
    MaxPool,
    Minimum,
    Mul,
    Operator,
    Pad,
    Pow,
    PRelu,
    Reduce,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Requantize,
    Reshape,
    Resize,
    Rsqrt,
    Sigmoid,
    Slice,
    Softmax,
    SpaceToDepth,
    Sqrt,
    Sub,
    Tanh,
    Tile,
    Transpose,
)
from edge.tensors import Array

Writer = Callable[[OnnxNodes, Any, Applied], None]


def _named(op_type: str) -> Writer:
    """Return the writer of an operator that has no attributes."""

    def write(nodes: OnnxNodes, _: Operator, at: Applied) -> None:
        nodes.add(op_type, at.inputs, at.output)

    return write


def _conv(nodes: OnnxNodes, conv: Conv, at: Applied) -> None:
    nodes.add(
        "Conv",
        [*at.inputs, *at.weights],
        at.output,
        kernel_shape=list(conv.kernel),
        strides=list(conv.strides),
        pads=list(conv.pads),
        dilations=list(conv.dilations),
        group=conv.groups,
    )


def _gemm(nodes: OnnxNodes, _: Gemm, at: Applied) -> None:
    if at.rank == 2:
        nodes.add("Gemm", [*at.inputs, *at.weights], at.output, transB=1)
        return
    weight, bias = at.weights
    turned = nodes.add("Transpose", [weight], f"{at.output}/transposed", perm=[1, 0])
    product = nodes.add("MatMul", [*at.inputs, turned], f"{at.output}/product")
    nodes.add("Add", [product, bias], at.output)


def _affine(nodes: OnnxNodes, _: Affine, at: Applied) -> None:
    gain, offset = at.weights
    product = nodes.add("Mul", [*at.inputs, gain], f"{at.output}/product")
    nodes.add("Add", [product, offset], at.output)


def _clamp(nodes: OnnxNodes, clamp: Clamp, at: Applied) -> None:
    nodes.clamp(clamp, at.inputs[0], at.output)


def _average_pool(nodes: OnnxNodes, pool: AveragePool, at: Applied) -> None:
    nodes.add(
        "AveragePool",
        at.inputs,
        at.output,
        kernel_shape=list(pool.kernel),
        strides=list(pool.strides),
        pads=list(pool.pads),
        count_include_pad=int(pool.count_padding),
    )


def _max_pool(nodes: OnnxNodes, pool: MaxPool, at: Applied) -> None:
    nodes.add(
        "MaxPool",
        at.inputs,
        at.output,
        kernel_shape=list(pool.kernel),
        strides=list(pool.strides),
        pads=list(pool.pads),
    )


def _resize(nodes: OnnxNodes, resize: Resize, at: Applied) -> None:
    # Sides that stay are named as 0 nowhere in ONNX: the scales of N and C are 1 by their sizes.
    sizes = nodes.numbers(f"{at.output}/sizes", resize.size)
    start, stop = nodes.numbers("zero", [0]), nodes.numbers("two", [2])
    shape = nodes.add("Shape", at.inputs, f"{at.output}/shape")
    kept = nodes.add("Slice", [shape, start, stop], f"{at.output}/kept")
    target = nodes.add("Concat", [kept, sizes], f"{at.output}/target", axis=0)
    nodes.add(
        "Resize",
        [*at.inputs, "", "", target],
        at.output,
        mode="linear" if resize.linear else "nearest",
        coordinate_transformation_mode=resize.grid,
        nearest_mode="floor",
    )


def _reshape(nodes: OnnxNodes, reshape: Reshape, at: Applied) -> None:
    nodes.add(
        "Reshape", [*at.inputs, nodes.numbers(f"{at.output}/shape", reshape.shape)], at.output
    )


def _transpose(nodes: OnnxNodes, transpose: Transpose, at: Applied) -> None:
    nodes.add("Transpose", at.inputs, at.output, perm=list(transpose.order))


def _concat(nodes: OnnxNodes, concat: Concat, at: Applied) -> None:
    nodes.add("Concat", at.inputs, at.output, axis=concat.axis)


def _slice(nodes: OnnxNodes, part: Slice, at: Applied) -> None:
    bounds = {"starts": part.starts, "stops": part.stops, "axes": part.axes, "steps": part.steps}
    names = [nodes.numbers(f"{at.output}/{name}", value) for name, value in bounds.items()]
    nodes.add("Slice", [*at.inputs, *names], at.output)


def _pad(nodes: OnnxNodes, pad: Pad, at: Applied) -> None:
    amounts = nodes.numbers(f"{at.output}/pads", (*pad.before, *pad.after))
    value = nodes.constant(f"{at.output}/pad value", np.asarray(pad.value, np.float32))
    nodes.add("Pad", [*at.inputs, amounts, value], at.output, mode=pad.mode)


def _gather(nodes: OnnxNodes, gather: Gather, at: Applied) -> None:
    indices = nodes.constant(f"{at.output}/indices", gather.indices)
    nodes.add("Gather", [*at.inputs, indices], at.output, axis=gather.axis)


def _expand(nodes: OnnxNodes, expand: Expand, at: Applied) -> None:
    nodes.add("Expand", [*at.inputs, nodes.numbers(f"{at.output}/shape", expand.shape)], at.output)


def _tile(nodes: OnnxNodes, tile: Tile, at: Applied) -> None:
    nodes.add("Tile", [*at.inputs, nodes.numbers(f"{at.output}/repeats", tile.repeats)], at.output)


def _depth_to_space(nodes: OnnxNodes, operator: DepthToSpace, at: Applied) -> None:
    nodes.add("DepthToSpace", at.inputs, at.output, blocksize=operator.block, mode="DCR")


def _space_to_depth(nodes: OnnxNodes, operator: SpaceToDepth, at: Applied) -> None:
    nodes.add("SpaceToDepth", at.inputs, at.output, blocksize=operator.block)


def _softmax(nodes: OnnxNodes, operator: Softmax | LogSoftmax, at: Applied) -> None:
    nodes.add(type(operator).__name__, at.inputs, at.output, axis=operator.axis)


def _reduce(nodes: OnnxNodes, reduce: Reduce, at: Applied) -> None:
    kind, keep = type(reduce).__name__, int(reduce.keep)
    if isinstance(reduce, ReduceSum):  # opset 13 turned its axes into an input, 18 the others'
        axes = nodes.numbers(f"{at.output}/axes", reduce.axes)
        nodes.add(kind, [*at.inputs, axes], at.output, keepdims=keep)
    else:
        nodes.add(kind, at.inputs, at.output, axes=list(reduce.axes), keepdims=keep)


def _leaky_relu(nodes: OnnxNodes, operator: LeakyRelu, at: Applied) -> None:
    nodes.add("LeakyRelu", at.inputs, at.output, alpha=operator.slope)


def _rsqrt(nodes: OnnxNodes, _: Rsqrt, at: Applied) -> None:
    nodes.add("Reciprocal", [nodes.add("Sqrt", at.inputs, f"{at.output}/root")], at.output)


def _gelu(nodes: OnnxNodes, gelu: Gelu, at: Applied) -> None:
    """Write 0.5 x (1 + erf(x / sqrt(2))), or 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    (Hendrycks, Gimpel: Gaussian error linear units, 2016.) ONNX has it as an operator from opset
    20 on, which is later than what many runtimes read.
    """
    (x,) = at.inputs

    def step(op_type: str, name: str, *inputs: str) -> str:
        return nodes.add(op_type, inputs, f"{at.output}/{name}")

    def number(value: float) -> str:
        return nodes.constant(f"gelu/{value!r}", np.asarray(value, np.float32))

    if gelu.tanh:
        cube = step("Mul", "cube", step("Mul", "square", x, x), x)
        bent = step("Add", "bent", x, step("Mul", "small", cube, number(0.044715)))
        share = step("Tanh", "share", step("Mul", "inner", bent, number(float(np.sqrt(2 / np.pi)))))
    else:
        share = step("Erf", "share", step("Mul", "inner", x, number(float(np.sqrt(0.5)))))
    twice = step("Mul", "twice", x, step("Add", "above zero", share, number(1.0)))
    nodes.add("Mul", [twice, number(0.5)], at.output)


def _requantize(nodes: OnnxNodes, operator: Requantize, at: Applied) -> None:
    """Write the rounding to the parameters of a file; where there are none, nothing happens."""
    if operator.params is None:
        nodes.add("Identity", at.inputs, at.output)
        return
    axis = operator.params.axis
    shape, along = ((), {}) if axis is None else (-1, {"axis": axis})
    means = [
        nodes.constant(f"{at.output}/{name}", np.asarray(values, dtype).reshape(shape))
        for name, values, dtype in (
            ("scale", operator.params.scale, np.float32),
            ("zero_point", operator.params.zero_point, np.int8),
        )
    ]
    integers = nodes.add("QuantizeLinear", [*at.inputs, *means], f"{at.output}/integers", **along)
    nodes.add("DequantizeLinear", [integers, *means], at.output, **along)


def _constant(nodes: OnnxNodes, constant: Constant, at: Applied) -> None:
    nodes.constant(at.output, constant.value)


WRITERS: Mapping[type[Operator], Writer] = {
    Abs: _named("Abs"),
    Add: _named("Add"),
    Affine: _affine,
    AveragePool: _average_pool,
    Clamp: _clamp,
    Concat: _concat,
    Constant: _constant,
    Conv: _conv,
    DepthToSpace: _depth_to_space,
    Div: _named("Div"),
    Elu: _named("Elu"),
    Erf: _named("Erf"),
    Exp: _named("Exp"),
    Expand: _expand,
    Gather: _gather,
    Gelu: _gelu,
    Gemm: _gemm,
    GlobalAveragePool: _named("GlobalAveragePool"),
    HardSwish: _named("HardSwish"),
    LeakyRelu: _leaky_relu,
    Log: _named("Log"),
    LogSoftmax: _softmax,
    MatMul: _named("MatMul"),
    MaxPool: _max_pool,
    Maximum: _named("Max"),
    Minimum: _named("Min"),
    Mul: _named("Mul"),
    PRelu: _named("PRelu"),
    Pad: _pad,
    Pow: _named("Pow"),
    ReduceMax: _reduce,
    ReduceMean: _reduce,
    ReduceMin: _reduce,
    ReduceSum: _reduce,
    Requantize: _requantize,
    Reshape: _reshape,
    Resize: _resize,
    Rsqrt: _rsqrt,
    Sigmoid: _named("Sigmoid"),
    Slice: _slice,
    Softmax: _softmax,
    SpaceToDepth: _space_to_depth,
    Sqrt: _named("Sqrt"),
    Sub: _named("Sub"),
    Tanh: _named("Tanh"),
    Tile: _tile,
    Transpose: _transpose,
}


def beside(operator: Operator, rank: int, constant: Array) -> Array:
    """Return a weight or bias in the shape that ONNX wants beside an input of `rank` axes."""
    if isinstance(operator, Affine):
        return constant.reshape(-1, *[1] * (rank - 1 - operator.axis))
    return constant


def write_operator(nodes: OnnxNodes, operator: Operator, at: Applied) -> None:
    """Add the nodes of `operator`, without the clamp it may carry."""
    WRITERS[type(operator)](nodes, operator, at)
