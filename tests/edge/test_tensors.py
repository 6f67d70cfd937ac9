from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tensors import TensorError, TensorSpec

INT8 = TensorSpec("x", (1,), "int8", 0.5, 3)


@pytest.mark.parametrize(
    ("real", "q"),
    # Halves go to the even integer before the zero point is added: 0.25 / 0.5 = 0.5 -> 0.
    [(0.0, 3), (0.25, 3), (0.75, 5), (-0.25, 3), (1.0, 5), (1e9, 127), (-1e9, -128)],
)
def test_quantize_rounds_halves_to_even_and_saturates(real: float, q: int) -> None:
    assert INT8.quantize(np.array([real], np.float32)).tolist() == [q]


@settings(deadline=None)
@given(
    dtype=st.sampled_from(["int8", "uint8"]),
    exponent=st.integers(-12, 3),
    zero_point=st.integers(0, 127),
    real=st.floats(-1e4, 1e4, width=32),
)
def test_quantize_is_the_nearest_step(
    dtype: str, exponent: int, zero_point: int, real: float
) -> None:
    """With a scale that is a power of two the division is exact, and so is Python's rounding."""
    spec = TensorSpec("x", (1,), dtype, 2.0**exponent, zero_point)
    limits = np.iinfo(dtype)
    steps = round(Fraction(real) / Fraction(2) ** exponent) + zero_point
    q = spec.quantize(np.array([real], np.float32))
    assert q.dtype == dtype
    assert q.tolist() == [min(limits.max, max(limits.min, steps))]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_dequantize_then_quantize_gives_every_integer_back(dtype: str) -> None:
    spec = TensorSpec("x", (256,), dtype, 0.0371, 17)
    limits = np.iinfo(dtype)
    every = np.arange(limits.min, limits.max + 1).astype(dtype)
    real = spec.dequantize(every)
    assert real.dtype == np.float32
    np.testing.assert_allclose(real, 0.0371 * (every.astype(int) - 17), rtol=1e-6)
    np.testing.assert_array_equal(spec.quantize(real), every)


def test_float_passes_through() -> None:
    spec = TensorSpec("x", (2,), "float32")
    values = np.array([1.5, -2.5], np.float32)
    np.testing.assert_array_equal(spec.quantize(values), values)
    np.testing.assert_array_equal(spec.dequantize(values), values)
    assert not spec.is_quantized
    assert INT8.is_quantized


@pytest.mark.parametrize(
    ("shape", "geometry"),
    [
        ((1, 224, 200, 3), ("NHWC", 224, 200, 3)),
        ((1, 28, 28, 1), ("NHWC", 28, 28, 1)),
        ((1, 3, 224, 200), ("NCHW", 224, 200, 3)),
        ((1, 1, 28, 28), ("NCHW", 28, 28, 1)),
        ((1, 16384, 8, 3), ("NHWC", 16384, 8, 3)),
    ],
)
def test_geometry(shape: tuple[int, ...], geometry: tuple[object, ...]) -> None:
    assert TensorSpec("x", shape, "float32").image_geometry() == geometry


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (10,),
        (2, 8, 8, 3),
        (1, 8, 8, 4),
        (8, 8, 3),
        (1, 3, -1, 8),
        (1, 0, 8, 3),
        (1, 16385, 8, 3),
    ],
)
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TensorError, match="not one image"):
        TensorSpec("x", shape, "float32").image_geometry()


@pytest.mark.parametrize("dtype", ["float16", "int16", "int32", "bool"])
def test_other_element_types_are_refused(dtype: str) -> None:
    with pytest.raises(TensorError, match=f"holds {dtype}"):
        TensorSpec("x", (1,), dtype)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_are_positive(scale: float) -> None:
    with pytest.raises(TensorError, match="must be positive"):
        TensorSpec("x", (1,), "int8", scale)


@pytest.mark.parametrize(
    ("dtype", "zero_point"), [("int8", -129), ("int8", 128), ("uint8", -1), ("uint8", 256)]
)
def test_zero_points_lie_among_the_integers(dtype: str, zero_point: int) -> None:
    with pytest.raises(TensorError, match=rf"zero point {zero_point}; allowed for {dtype}"):
        TensorSpec("x", (1,), dtype, 0.5, zero_point)
    limits = np.iinfo(dtype)
    for good in (limits.min, limits.max):
        assert TensorSpec("x", (1,), dtype, 0.5, int(good)).zero_point == good
