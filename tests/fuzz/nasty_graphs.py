"""Graphs made to do harm, in ONNX's text form: what they ask for, and what must be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edge.tensors import Array
from tests.converters.models import IMAGE, Constants, build, f32, int64, normal

CONVERTED = "converted"
END = "p = GlobalAveragePool({}) y = Flatten(p)"
HUGE = 1 << 40


@dataclass(frozen=True, slots=True)
class BadGraph:
    """`expected`: part of the refusal, or `CONVERTED`; `held`: the initializers."""

    name: str
    expected: str
    body: str
    held: Mapping[str, Array] = field(default_factory=dict)
    x: str = IMAGE
    opset: int = 17

    def make(self) -> bytes:
        held: Constants = dict(self.held)
        model = build(self.body, self.x, opset=self.opset, **held)
        return bytes(model.SerializeToString())


def _chain(count: int, step: str) -> str:
    return " ".join(step.format(i=i, j=i - 1) for i in range(1, count + 1))


# Forty large values, each made before the first is read.
_WIDE = " ".join(
    (
        _chain(40, "a{i} = Exp(x)"),
        "s1 = Add(a1, a2)",
        *(f"s{i} = Add(s{i - 1}, a{i + 1})" for i in range(2, 40)),
        END.format("s39"),
    )
)
_KERNEL = "k = ConstantOfShape(s) c = Conv<pads=[31,31,32,32]>(x, k) " + END.format("c")
_POOL = "m = MaxPool<kernel_shape=[2048,2048], pads=[1024,1024,1023,1023]>(x) " + END.format("m")
_FOLDED = "a = ConstantOfShape(s) k = ConstantOfShape(t) c = Conv(a, k) y = Add(x, c)"
_GAINS = "c = Conv(x, w) a = Mul(c, g) b = Mul(a, h) d = Mul(b, h) e = Mul(d, g) t = Tanh(e) "
_NONE = "nothing before it makes its input"

BAD_GRAPHS = (
    BadGraph("a cycle", _NONE, "b = Relu(y) y = Relu(b)"),
    BadGraph("a node that reads itself", _NONE, "y = Add(x, y)"),
    BadGraph("a dangling input", _NONE, "y = Add(x, gone)"),
    BadGraph("one name twice", "a second time", "y = Relu(x) y = Exp(x)"),
    BadGraph("the input made again", "a second time", "x = Relu(x) y = Flatten(x)"),
    # Shapes
    BadGraph("a reshape to 2^40", "does not fit", "y = Reshape(x, s)", {"s": int64(1, HUGE)}),
    BadGraph(
        "a shape whose product overflows to the right one",
        "does not fit",
        "y = Reshape(x, s)",
        {"s": int64(1, 192, 1 << 32, 1 << 32)},
    ),
    BadGraph("a rank of 1000", "", "y = Reshape(x, s)", {"s": int64(*[1] * 999, 192)}),
    BadGraph(
        "an expand to 2^60",
        "do not fit together",
        "y = Expand(x, s)",
        {"s": int64(1 << 60, 1, 1, 1)},
    ),
    BadGraph(
        "a tile of 2^63 - 1", "too large", "y = Tile(x, s)", {"s": int64(1, 1, 1, (1 << 63) - 1)}
    ),
    BadGraph(
        "pads of 2^40",
        "too large",
        "p = Pad(x, s) y = Flatten(p)",
        {"s": int64(0, 0, 0, 0, 0, 0, 0, HUGE)},
    ),
    BadGraph(
        "a split into 2^40",
        "cannot be converted",
        f"a, b = Split<axis=3, num_outputs={HUGE}>(x) y = Flatten(a)",
        opset=18,
    ),
    BadGraph(
        "strides of 0",
        "two numbers from 1",
        "y = MaxPool<kernel_shape=[1,1], strides=[0,0]>(x)",
    ),
    BadGraph("groups of 0", "0 groups", "y = Conv<group=0>(x, w)", {"w": normal(4, 3, 1, 1)}),
    BadGraph("an axis of -2^63", "axis", f"y = Softmax<axis={-(1 << 63)}>(x)"),
    # What would take all of the memory, or days
    BadGraph("an image of 3 GiB", "values at once", END.format("x"), x="float[1,3,16384,16384]"),
    BadGraph(
        "one number for 2^27 places",
        "values at once",
        "f = Flatten(x) a = Add(f, c) y = ReduceMax<axes=[1]>(a)",
        {"c": f32(1)},
        "float[1,1,8192,16384]",
    ),
    BadGraph("forty large values at once", "values at once", _WIDE, x="float[1,3,1024,2048]"),
    BadGraph(
        "a batch that is large together",
        "values at once",
        f"c = Conv<pads=[1,1,1,1]>(x, w) {END.format('c')}",
        {"w": normal(64, 3, 3, 3)},
        "float[4096,3,64,64]",
    ),
    BadGraph(
        "10^12 products",
        "products",
        _KERNEL,
        {"s": int64(32, 3, 64, 64)},
        "float[1,3,1024,1024]",
    ),
    BadGraph("a pool as large as a large image", "products", _POOL, x="float[1,3,2048,2048]"),
    BadGraph(
        "operators that nobody knows",
        "and 9900 more",
        _chain(10_000, "a{i} = Sin(x)") + " y = Flatten(x)",
    ),
    BadGraph(
        "five hundred operators that are known",
        CONVERTED,
        "a0 = Relu(x) " + _chain(500, "a{i} = Abs(a{j})") + END.format("a500"),
    ),
    # Constants
    BadGraph(
        "a constant of 2^60", "bytes", "c = ConstantOfShape(s) y = Add(x, c)", {"s": int64(1 << 60)}
    ),
    BadGraph(
        "a constant convolution whose windows take 16 GiB",
        "bytes",
        _FOLDED,
        {"s": int64(1, 1, 1024, 1024), "t": int64(1, 1, 64, 64)},
    ),
    BadGraph(
        "a constant convolution padded by 2^30",
        "bytes",
        "c = Conv<pads=[1073741824,0,0,0]>(k, k) y = Add(x, c)",
        {"k": normal(1, 1, 1, 1)},
    ),
    BadGraph(
        "a constant convolution dilated by 2^30",
        "bytes",
        "c = Conv<dilations=[1073741824,1]>(k, k) y = Add(x, c)",
        {"k": normal(1, 1, 2, 2)},
    ),
    BadGraph(
        "constants split into 2^40",
        "cannot be converted",
        f"a, b = Split<num_outputs={HUGE}>(s) y = Reshape(x, a)",
        {"s": int64(1, 192)},
        opset=18,
    ),
    BadGraph(
        "a range without end",
        "do not fit together",
        "r = Range(a, b, a) y = Add(x, r)",
        {"a": f32(0), "b": f32(1)},
    ),
    BadGraph(
        "weights of NaN",
        "NaN",
        "c = Conv(x, w) " + END.format("c"),
        {"w": np.full((4, 3, 1, 1), np.nan, np.float32)},
    ),
    BadGraph(
        "gains whose product is infinite for a while",
        CONVERTED,
        _GAINS + END.format("t"),
        {"w": normal(4, 3, 1, 1), "g": f32(1e30), "h": f32(1e-30)},
    ),
    BadGraph("a division by zero", "divides by zero", "y = Div(x, z)", {"z": f32(0)}),
    # What ONNX Runtime dies of
    BadGraph(
        "a name left empty at the end",
        CONVERTED,
        'n = LayerNormalization(x, g, "") ' + END.format("n"),
        {"g": normal(8)},
    ),
    BadGraph(
        "a side divided by zero",
        "divides by zero",
        "s = Shape(x) d = Div(s, z) r = Reshape(x, d) y = Flatten(r)",
        {"z": int64(0)},
    ),
    BadGraph(
        "a remainder of zero",
        "divides by zero",
        "s = Shape(x) d = Mod(s, z) r = Reshape(x, d) y = Flatten(r)",
        {"z": int64(0)},
    ),
    BadGraph(
        "the smallest number by -1",
        "the smallest number there is by -1",
        "d = Div(s, m) y = Flatten(x)",
        {"s": int64(-(1 << 63)), "m": int64(-1)},
    ),
    BadGraph(
        "zero where the batch is four",
        "cannot run it",
        "s = Shape(x) d = Sub(s, b) q = Div(s, d) y = Flatten(x)",
        {"b": int64(4, 0, 0, 0)},
        "float[4,3,8,8]",
    ),
)
