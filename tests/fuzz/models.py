"""Small models with what real ones are made of, to be damaged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import onnx
from onnx import helper, parser

from converters.mobilenet_v2.architecture import Architecture, Stage
from converters.mobilenet_v2.build import build as build_mobilenet
from converters.mobilenet_v2.build import initial_weights
from tests.converters.models import build, f32, int64, normal

WEIGHTS_FILE = "w.bin"
# Lies beside every model that is tried: 4096 float32 numbers around 0.
WEIGHTS: bytes = normal(4096, seed=9, spread=0.3).tobytes()
OWN = helper.make_opsetid("own", 1)


def mobilenet() -> onnx.ModelProto:
    stages = (Stage(1, 8, 1, 1), Stage(6, 8, 2, 2))
    architecture = Architecture(0.35, (16, 16), 5, stages=stages)
    return build_mobilenet(architecture, initial_weights(architecture, seed=0), batch="batch")


def stem() -> onnx.ModelProto:
    """What a ResNet begins with, one block of it, and its end."""
    return build(
        "c = Conv<pads=[3,3,3,3], strides=[2,2]>(x, w, b) n = BatchNormalization(c, g, b, b, v) "
        "r = Relu(n) m = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(r) "
        "d = Conv<pads=[1,1,1,1]>(m, k, b) e = Relu(d) h = Conv<pads=[1,1,1,1]>(e, k, b) "
        "a = Add(h, m) o = Relu(a) p = GlobalAveragePool(o) f = Flatten(p) "
        "y = Gemm<transB=1>(f, l)",
        "float[1,3,16,16]",
        w=normal(4, 3, 7, 7, spread=0.2),
        b=normal(4),
        g=normal(4, seed=1),
        v=np.abs(normal(4)) + f32(0.5),
        k=normal(4, 4, 3, 3, spread=0.3),
        l=normal(5, 4),
    )


def squeeze_excite() -> onnx.ModelProto:
    """With a hard-swish in its parts, and the axes of a mean as an input."""
    return build(
        'c = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w, b) t = Add(c, three) '
        "u = Clip(t, zero, six) v = Mul(c, u) h = Div(v, six) q = ReduceMean<keepdims=1>(h, axes) "
        "s = Conv(q, s1) r = Relu(s) e = Conv(r, s2) g = HardSigmoid<alpha=0.16666667>(e) "
        "m = Mul(h, g) z = Sigmoid(m) a = Mul(z, m) p = AveragePool<kernel_shape=[2,2]>(a) "
        "o = ReduceMean<keepdims=0>(p, axes) k = Dropout(o) l = MatMul(k, f) y = Softmax(l)",
        opset=18,
        w=normal(6, 3, 3, 3),
        b=normal(6),
        three=f32(3),
        zero=f32(0),
        six=f32(6),
        axes=int64(2, 3),
        s1=normal(2, 6, 1, 1),
        s2=normal(6, 2, 1, 1),
        f=normal(6, 5),
    )


def attention() -> onnx.ModelProto:
    """Patches, LayerNormalization, one head of two, a GELU in its parts."""
    return build(
        "c = Conv<strides=[4,4]>(x, w, b) r = Reshape(c, tokens) t = Transpose<perm=[0,2,1]>(r) "
        "j = Add(t, place) n = LayerNormalization<axis=-1>(j, g, b) "
        "q3 = MatMul(n, qkv) s3 = Add(q3, qb) r3 = Reshape(s3, split) "
        "t3 = Transpose<perm=[2,0,3,1,4]>(r3) q = Gather<axis=0>(t3, i0) "
        "k = Gather<axis=0>(t3, i1) v = Gather<axis=0>(t3, i2) "
        "kt = Transpose<perm=[0,1,3,2]>(k) d = MatMul(q, kt) e = Mul(d, half) "
        "p = Softmax<axis=-1>(e) o = MatMul(p, v) ot = Transpose<perm=[0,2,1,3]>(o) "
        "oj = Reshape(ot, joined) a = Add(oj, j) "
        "m = MatMul(a, up) root = Constant<value_float=1.4142135>() z = Div(m, root) er = Erf(z) "
        "one = Constant<value_float=1.0>() e1 = Add(er, one) mm = Mul(m, e1) ge = Mul(mm, half) "
        "cls = ReduceMean<axes=[1], keepdims=0>(ge) y = Gemm(cls, l, lb)",
        "float[N,3,8,8]",
        w=normal(8, 3, 4, 4, spread=0.2),
        b=normal(8),
        g=normal(8),
        tokens=int64(0, 8, -1),
        place=normal(1, 4, 8),
        qkv=normal(8, 24, spread=0.4),
        qb=normal(24),
        split=int64(-1, 4, 3, 2, 4),
        i0=np.asarray(0),
        i1=np.asarray(1),
        i2=np.asarray(2),
        half=f32(0.5),
        joined=int64(-1, 4, 8),
        up=normal(8, 8, spread=0.4),
        l=normal(8, 5),
        lb=normal(5),
    )


def shuffle() -> onnx.ModelProto:
    """A ShuffleNet's unit: split, a branch, join, shuffle; shapes computed as exporters do."""
    return build(
        "c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) a, b = Split<axis=1>(c, halves) "
        "d = Conv<group=4, pads=[1,1,1,1]>(b, dw) r = LeakyRelu<alpha=0.1>(d) "
        "j = Concat<axis=1>(a, r) s = Shape(j) n = Gather(s, i0) u = Unsqueeze(n, zero) "
        "t = Concat<axis=0>(u, five) v = Reshape(j, t) k = Transpose<perm=[0,2,1,3,4]>(v) "
        "f = Reshape(k, back) pd = Pad(f, pads) mp = MaxPool<kernel_shape=[2,2], ceil_mode=1>(pd) "
        'sl = Slice(mp, zero, four, one) rs = Resize<mode="linear">(sl, "", scales) '
        "pr = PRelu(rs, slope) mx = Max(pr, low) h = ReduceMax<axes=[2,3], keepdims=0>(mx) "
        "y = Gemm<alpha=0.5, beta=2.0, transB=1>(h, l, lb)",
        w=normal(8, 3, 3, 3),
        halves=int64(4, 4),
        dw=normal(4, 1, 3, 3),
        i0=np.asarray(0),
        zero=int64(0),
        one=int64(1),
        four=int64(4),
        five=int64(2, 4, 4, 4),
        back=int64(0, 8, 4, 4),
        pads=int64(0, 0, 1, 0, 0, 0, 0, 1),
        scales=f32([1, 1, 2, 2]),
        slope=normal(4, 1, 1),
        low=f32(-2),
        l=normal(5, 4),
        lb=normal(5),
    )


def functions() -> onnx.ModelProto:
    """Blocks as functions, one of which calls the other, as PyTorch writes them."""
    model = build(
        "a = own.Block<gain=0.5>(x, w) b = own.Block<gain=-0.25>(a, k) p = GlobalAveragePool(b) "
        "y = Flatten(p)",
        w=normal(4, 3, 3, 3),
        k=normal(4, 4, 3, 3),
    )
    model.opset_import.append(OWN)
    heading = '<domain: "own", opset_import: ["" : 17, "own" : 1]>'
    block = "Block <gain> (x, w) => (z) { c = Conv<pads=[1,1,1,1]>(x, w) "
    block += "k = Constant<value_float: float = @gain>() m = Mul(c, k) z = own.Act(m) }"
    for text in (block, "Act (x) => (z) { s = Sigmoid(x) z = Mul(x, s) }"):
        model.functions.append(parser.parse_function(f"{heading} {text}"))
    return model


def external() -> onnx.ModelProto:
    """Weights in a file beside the model, the oldest opset, channels last."""
    model = build(
        "t = Transpose<perm=[0,3,1,2]>(x) c = Conv(t, w) e = Elu(c) m = Tanh(e) "
        "k = Clip(m, low, high) s = Squeeze<axes=[0]>(k) u = Unsqueeze<axes=[0]>(s) "
        "r = ReduceSum<axes=[2,3], keepdims=0>(u) y = LogSoftmax(r)",
        "float[1,6,6,1]",
        opset=11,
        w=normal(4, 1, 3, 3),
        low=f32(-0.5),
        high=f32(0.5),
    )
    move_out(model.graph.initializer[0], offset=64)
    return model


def move_out(tensor: onnx.TensorProto, **entries: int | str) -> None:
    """Let a tensor's data lie in a file beside the model."""
    for name in ("raw_data", "float_data", "int64_data"):
        tensor.ClearField(name)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": WEIGHTS_FILE, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))


@cache
def seeds() -> Mapping[str, bytes]:
    """Return the models as files, by name. Each of them converts."""
    makers = (mobilenet, stem, squeeze_excite, attention, shuffle, functions, external)
    return {maker.__name__: maker().SerializeToString(deterministic=True) for maker in makers}


def loose(data: bytes) -> onnx.ModelProto:
    """Return a file as a message of its own."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    return model
