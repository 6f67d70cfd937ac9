"""Operators that compute nothing: the integers arrive where they belong, as they were."""

import numpy as np
import pytest

from tests.converters.artifacts import (
    EXACT,
    REQUANTIZED,
    ROUNDING,
    Artifacts,
    assert_within,
    make,
    opcodes,
)
from tests.converters.models import Constants, f32, int64, normal

CONSTANTS: Constants = {
    "k": normal(6, 3, 1, 1, spread=0.5),
    "k2": normal(2, 3, 1, 1, spread=0.1),
    "k12": normal(12, 3, 1, 1),
    "full": normal(1, 3, 8, 8, seed=2),
    "zero": f32(0),
    "p3": f32(3),
    "edges": int64(0, 0, 1, 2, 0, 0, 0, 3),
    "channels": int64(0, 1, 0, 0, 0, 2, 0, 0),
    "inside": f32(1.5),
    "outside": f32(-50),
    "starts": int64(0, 1),
    "stops": int64(2, 7),
    "axes": int64(1, 2),
    "steps": int64(1, 2),
    "parts": int64(1, 2),
    "places": int64(2, 0, -1, 2),
    "pairs": np.asarray([[0, 7], [3, 3]]),
    "larger": int64(1, 3, 8, 8),
    "repeats": int64(1, 2, 1, 3),
    "tokens": int64(1, 3, 64),
    "groups": int64(1, 3, 2, 8, 8),
    "image": int64(1, 6, 8, 8),
    "windows": int64(1, 3, 2, 4, 2, 4),
    "in_windows": int64(4, 16, 3),
}
X = "float[1,3,8,8]"


def artifacts(body: str, x: str = X, outputs: tuple[str, ...] = ("y",)) -> Artifacts:
    return make(body, x, outputs=outputs, **CONSTANTS)


MOVES = {
    "slice": ("y = Slice(x, starts, stops, axes, steps)", ["STRIDED_SLICE"]),
    "pad": ("y = Pad(x, edges)", ["PAD"]),
    "pad channels": ("y = Pad(x, channels)", ["PAD"]),
    "pad by mirroring": ('y = Pad<mode="reflect">(x, edges)', ["MIRROR_PAD"]),
    "mirror channels": ('y = Pad<mode="reflect">(x, channels)', ["MIRROR_PAD"]),
    "gather channels": ("y = Gather<axis=1>(x, places)", ["GATHER"]),
    "gather rows": ("y = Gather<axis=2>(x, places)", ["GATHER"]),
    "gather pairs": ("y = Gather<axis=3>(x, pairs)", ["TRANSPOSE", "GATHER"]),
    "expand channels": ("m = ReduceMax<axes=[1]>(x) y = Expand(m, larger)", ["BROADCAST_TO"]),
    "expand pixels": ("m = ReduceMin<axes=[2,3]>(x) y = Expand(m, larger)", ["BROADCAST_TO"]),
    "tile": ("y = Tile(x, repeats)", ["TILE"]),
    "space to depth": ("y = SpaceToDepth<blocksize=2>(x)", ["SPACE_TO_DEPTH"]),
    "and back": (
        "s = SpaceToDepth<blocksize=4>(x) y = DepthToSpace<blocksize=4>(s)",
        ["SPACE_TO_DEPTH", "DEPTH_TO_SPACE"],
    ),
    "other order of axes": ("y = Transpose<perm=[0,2,3,1]>(x)", ["TRANSPOSE"]),
    "window partition": (
        "r = Reshape(x, windows) t = Transpose<perm=[0,2,4,3,5,1]>(r) y = Reshape(t, in_windows)",
        ["RESHAPE", "TRANSPOSE", "RESHAPE"],
    ),
    "flatten and permute": (
        "r = Reshape(x, tokens) y = Transpose<perm=[0,2,1]>(r)",
        ["RESHAPE"],
    ),
    "there and back": (
        "t = Transpose<perm=[0,3,1,2]>(x) y = Transpose<perm=[0,2,3,1]>(t)",
        ["RESHAPE"],  # an output is no input
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_integers_are_moved_as_they_are(name: str) -> None:
    body, codes = MOVES[name]
    made = artifacts(body)
    assert_within(made, EXACT, apart=0)
    assert [code for code in opcodes(made.tflite) if "REDUCE" not in code] == codes
    assert len(set(made.quantized.activations.values())) == 1


@pytest.mark.parametrize(
    ("last", "codes"),
    [
        ("DepthToSpace<blocksize=2>(c)", ["DEPTH_TO_SPACE"]),
        # Its blocks are in another order than TFLite's.
        ('DepthToSpace<blocksize=2, mode="CRD">(c)', ["RESHAPE", "TRANSPOSE", "RESHAPE"]),
    ],
)
def test_depth_to_space(last: str, codes: list[str]) -> None:
    made = artifacts(f"c = Conv(x, k12) y = {last}")
    assert_within(made)
    assert opcodes(made.tflite)[1:] == codes


def test_a_channel_shuffle_is_one_transposition() -> None:
    made = artifacts(
        "c = Conv(x, k) g = Reshape(c, groups) t = Transpose<perm=[0,2,1,3,4]>(g) "
        "s = Reshape(t, image) y = MaxPool<kernel_shape=[2,2]>(s)"
    )
    assert_within(made)
    assert opcodes(made.tflite)[1:] == ["RESHAPE", "TRANSPOSE", "RESHAPE", "MAX_POOL_2D"]


def test_parts_of_a_split() -> None:
    made = artifacts("y, z = Split<axis=1>(x, parts)", outputs=("y", "z"))
    assert_within(made, EXACT, apart=0)
    # z, which is beside the scores, lies as in the source.
    assert opcodes(made.tflite) == ["STRIDED_SLICE", "STRIDED_SLICE", "TRANSPOSE"]


# What each needs before its CONCATENATION.
JOINS = {
    "sole reader": ("c = Conv(x, k) d = Conv(x, k2) y = Concat<axis=1>(c, d)", ["CONV_2D"] * 2),
    "the input too": ("c = Conv(x, k) y = Concat<axis=1>(x, c)", ["CONV_2D", "QUANTIZE"]),
    "a clamp": ("c = Conv(x, k) r = Relu(c) y = Concat<axis=1>(r, x)", ["CONV_2D", "QUANTIZE"]),
    "a constant": ("r = Relu(x) y = Concat<axis=1>(r, full)", ["RELU"]),
    "a fixed scale": ("s = Sigmoid(x) y = Concat<axis=3>(s, x)", ["LOGISTIC"] + ["QUANTIZE"] * 2),
    "parts the other way round": (
        "a, b = Split<axis=1>(x, parts) c = Conv(x, k) y = Concat<axis=1>(b, a, c)",
        ["STRIDED_SLICE", "STRIDED_SLICE", "CONV_2D", "QUANTIZE", "QUANTIZE"],
    ),
    "one twice": ("c = Conv(x, k) y = Concat<axis=2>(c, c)", ["CONV_2D"]),
}


@pytest.mark.parametrize("name", JOINS)
def test_joins_are_rounded_once(name: str) -> None:
    body, before = JOINS[name]
    made = artifacts(body)
    fixed = [0.5 * made.step(v) / made.step("y") for v in ("s",) if v in made.graph.shapes]
    assert_within(made, ROUNDING + sum(fixed), litert=REQUANTIZED if "QUANTIZE" in before else 0)
    assert opcodes(made.tflite) == [*before, "CONCATENATION"]


def test_a_join_of_joins() -> None:
    body = "c = Conv(x, k) a = Concat<axis=1>(c, x) d = Conv(x, k12) y = Concat<axis=1>(a, d)"
    made = artifacts(body)
    chain = 0.5 * made.step("a") / made.step("y")
    assert_within(made, ROUNDING + chain, litert=2 * REQUANTIZED, apart=2)


def test_a_join_of_tokens() -> None:
    made = artifacts(
        "r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) c = Relu(t) y = Concat<axis=1>(t, c)"
    )
    assert_within(made, litert=REQUANTIZED)
    assert "TRANSPOSE" not in opcodes(made.tflite)


@pytest.mark.parametrize("value", ["inside", "outside"])
@pytest.mark.parametrize("amounts", ["edges", "channels"])
def test_pad_with_a_value(amounts: str, value: str) -> None:
    made = artifacts(f"c = Conv(x, k) y = Pad(c, {amounts}, {value})")
    assert_within(made)
    assert opcodes(made.tflite) == ["CONV_2D", "PADV2"]
    shared = artifacts(f"y = Pad(x, {amounts}, {value})")
    assert_within(shared, litert=REQUANTIZED)
    assert opcodes(shared.tflite) == ["QUANTIZE", "PADV2"]


@pytest.mark.parametrize("size", ["16,16", "5,11", "3,3"])
def test_resize_to_the_nearest(size: str) -> None:
    made = resized('mode="nearest", nearest_mode="floor"', "asymmetric", size)
    assert_within(made, EXACT, apart=0)


@pytest.mark.parametrize("size", ["16,16", "5,11", "3,3"])
@pytest.mark.parametrize("grid", ["half_pixel", "asymmetric", "align_corners"])
def test_resize_linearly(grid: str, size: str) -> None:
    # TFLite and XNNPACK keep places between pixels with 10 and 11 fraction bits: up to 2^-11 of
    # the difference of two pixels, times the place's number. In noise that is up to 1/16 of a step.
    assert_within(resized('mode="linear"', grid, size), litert=2**-4)


def resized(how: str, grid: str, size: str) -> Artifacts:
    sides = int64(1, 3, *map(int, size.split(",")))
    body = f'y = Resize<{how}, coordinate_transformation_mode="{grid}">(x, , , sizes)'
    return make(body, X, sizes=sides)
