from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.preprocess import (
    PRESETS,
    Color,
    PreprocessError,
    Preprocessor,
    PreprocessSpec,
    centre_window,
    ideal_short_side,
    lookup_table,
)
from edge.tensors import F32, U8, Array, TensorSpec

HEIGHT, WIDTH = 12, 16
SHAPES = {"NHWC": (1, HEIGHT, WIDTH, 3), "NCHW": (1, 3, HEIGHT, WIDTH)}
TENSORS = {
    "float32": ("float32", 1.0, 0),
    "int8": ("int8", 0.018658, -14),
    "uint8": ("uint8", 2 / 255, 127),
}


def tensor(dtype: str, layout: str) -> TensorSpec:
    kind, scale, zero_point = TENSORS[dtype]
    return TensorSpec("input", SHAPES[layout], kind, scale, zero_point)


def picture(height: int, width: int, seed: int = 0) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def run(spec: PreprocessSpec, target: TensorSpec, pixels: U8, color: Color) -> Array:
    out = np.empty(target.shape, target.dtype)
    Preprocessor(spec, target).run(pixels, color, out)
    return out


def expected(spec: PreprocessSpec, rgb: U8) -> F32:
    """Return the definition in float64, real values, NHWC."""
    pixels = rgb[..., ::-1] if spec.color == "bgr" else rgb
    real = (pixels / 255 - np.array(spec.mean)) / np.array(spec.std)
    return np.asarray(real[None], np.float32)


def real_nhwc(target: TensorSpec, out: Array) -> F32:
    real = target.dequantize(out)
    return real if out.shape == SHAPES["NHWC"] else real.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", sorted(TENSORS))
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("frame_color", ["rgb", "bgr"])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_agrees_with_the_definition(
    preset: str, frame_color: Color, color: Color, dtype: str, layout: str
) -> None:
    base = PRESETS[preset]
    spec = PreprocessSpec(color, base.mean, base.std)
    target = tensor(dtype, layout)
    rgb = picture(HEIGHT, WIDTH)
    out = run(spec, target, rgb if frame_color == "rgb" else rgb[..., ::-1], frame_color)
    want = expected(spec, rgb)
    if dtype == "float32":
        np.testing.assert_allclose(real_nhwc(target, out), want, rtol=1e-6, atol=1e-6)
        return
    # Half a step, and a float32 rounding error of it; outside the tensor's range, its end.
    low, high = target.dequantize(np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype))
    error = np.abs(real_nhwc(target, out) - np.clip(want, low, high))
    assert error.max() <= target.scale * 0.5001


@pytest.mark.parametrize("spec", list(PRESETS.values()))
def test_layouts_and_shared_tables_give_the_same_bytes(spec: PreprocessSpec) -> None:
    """A mean and std for all channels takes another path than the same ones for each."""
    pixels = picture(100, 140)
    target = tensor("int8", "NHWC")
    each = PreprocessSpec(
        spec.color,
        tuple(np.broadcast_to(spec.mean, 3).tolist()),
        tuple(np.broadcast_to(spec.std, 3).tolist()),
        spec.resize,
    )
    out = run(spec, target, pixels, "bgr")
    np.testing.assert_array_equal(out, run(each, target, pixels, "bgr"))
    planes = run(spec, tensor("int8", "NCHW"), pixels, "bgr")
    np.testing.assert_array_equal(out, planes.transpose(0, 2, 3, 1))


def test_the_table_is_the_normalization_and_the_quantization() -> None:
    spec, target = PRESETS["imagenet"], tensor("int8", "NHWC")
    table = lookup_table(spec, target)
    assert table.shape == (3, 256)
    for channel in range(3):
        for byte in range(256):
            real = (byte / 255 - spec.mean[channel]) / spec.std[channel]
            # Python rounds halves to even too; nothing here lies within 1e-5 of a half.
            q = min(127, max(-128, round(real / target.scale) + target.zero_point))
            assert table[channel, byte] == q


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (256, 300), (227, 227)])
@pytest.mark.parametrize("interpolation", ["linear_exact", "nearest"])
def test_crop_then_resize_equals_resize_then_crop(
    height: int, width: int, interpolation: str
) -> None:
    """Bit for bit, where the frame is exactly twice the resized picture."""
    height, width = height - height % 4, width - width % 4
    half_hw = (height // 2, width // 2)
    side = min(half_hw)
    inner = side - side % 2 - 20
    spec = PreprocessSpec("bgr", (0.0,), (1 / 255,), resize=side, interpolation=interpolation)
    pixels = picture(height, width)
    code = {"linear_exact": cv2.INTER_LINEAR_EXACT, "nearest": cv2.INTER_NEAREST_EXACT}
    whole = cv2.resize(pixels, half_hw[::-1], interpolation=code[interpolation])
    top, left = (half_hw[0] - inner) // 2, (half_hw[1] - inner) // 2
    target = TensorSpec("input", (1, inner, inner, 3), "uint8")
    out = run(spec, target, pixels, "bgr")[0]
    np.testing.assert_array_equal(out, whole[top : top + inner, left : left + inner])


def test_resize_to_the_short_side_keeps_the_centre() -> None:
    """A frame that is black but for its middle square comes out white: nothing else is seen."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[30:450, 110:530] = 255  # 480 * 224 / 256 = 420
    target = TensorSpec("input", (1, 224, 224, 3), "float32")
    assert (run(PRESETS["unit"], target, pixels, "bgr") == 1).all()
    pixels[:31] = 0
    assert run(PRESETS["unit"], target, pixels, "bgr").min() < 1


@settings(deadline=None)
@given(
    frame=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    resize=st.none() | st.integers(1, 500),
)
def test_the_window_is_centred_and_inside(
    frame: tuple[int, int], size: tuple[int, int], resize: int | None
) -> None:
    window = centre_window(frame, size, resize)
    for start, length, whole in (
        (window.top, window.height, frame[0]),
        (window.left, window.width, frame[1]),
    ):
        assert length >= 1
        assert 0 <= start <= start + length <= whole
        assert 0 <= (whole - length - start) - start <= 1


@given(
    side=st.integers(1, 400),
    resize=st.integers(1, 400),
    long_side=st.integers(0, 300),
    is_wide=st.booleans(),
)
def test_a_frame_of_the_ideal_short_side_is_only_cropped(
    side: int, resize: int, long_side: int, is_wide: bool
) -> None:
    target = TensorSpec("input", (1, side, side, 3), "float32")
    short = ideal_short_side(PreprocessSpec(resize=resize), target)
    assert short is not None
    frame = (short, short + long_side) if is_wide else (short + long_side, short)
    window = centre_window(frame, (side, side), resize)
    if side <= resize:
        assert (window.height, window.width) == (side, side)
    else:
        # The card's picture is smaller than the input: all of the short side is seen.
        assert (window.height, window.width, short) == (side, side, side)


def test_a_card_that_resizes_nothing_has_no_ideal_size() -> None:
    assert ideal_short_side(PreprocessSpec(), tensor("int8", "NHWC")) is None


@settings(deadline=None, max_examples=50)
@given(height=st.integers(1, 80), width=st.integers(1, 80), seed=st.integers(0, 9))
def test_any_frame_fills_the_whole_tensor(height: int, width: int, seed: int) -> None:
    target = TensorSpec("input", SHAPES["NHWC"], "float32")
    out = np.full(target.shape, np.nan, np.float32)
    Preprocessor(PRESETS["unit"], target).run(picture(height, width, seed), "rgb", out)
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1


def test_one_instance_takes_frames_of_changing_size() -> None:
    target = tensor("int8", "NHWC")
    reused = Preprocessor(PRESETS["imagenet"], target)
    out = np.empty(target.shape, np.int8)
    for seed, (height, width) in enumerate([(480, 640), (12, 16), (100, 50), (480, 640)]):
        pixels = picture(height, width, seed)
        reused.run(pixels, "rgb", out)
        np.testing.assert_array_equal(out, run(PRESETS["imagenet"], target, pixels, "rgb"))


def test_the_frame_stays_as_it_was_whatever_its_strides() -> None:
    wide = picture(60, 200)
    view = wide[:, 20:120]
    before = wide.copy()
    target = tensor("int8", "NCHW")
    out = run(PRESETS["imagenet"], target, view, "bgr")
    np.testing.assert_array_equal(wide, before)
    np.testing.assert_array_equal(out, run(PRESETS["imagenet"], target, view.copy(), "bgr"))


def test_grey_model_and_grey_frame() -> None:
    target = TensorSpec("input", (1, HEIGHT, WIDTH, 1), "float32")
    spec = PreprocessSpec("gray", (0.0,), (1.0,))
    rgb = picture(HEIGHT, WIDTH)
    luma = rgb @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    out = run(spec, target, rgb, "rgb")[0, :, :, 0] * 255
    assert np.abs(out - luma).max() <= 0.51
    np.testing.assert_array_equal(
        run(spec, target, rgb, "rgb"), run(spec, target, rgb[..., ::-1], "bgr")
    )
    grey = rgb[..., 0]
    np.testing.assert_allclose(run(spec, target, grey, "gray")[0, :, :, 0] * 255, grey, atol=1e-4)
    three = run(PRESETS["unit"], tensor("float32", "NHWC"), grey, "gray")
    assert (three[..., 0] == three[..., 2]).all()


@pytest.mark.parametrize(
    ("pixels", "color"),
    [
        (np.zeros((4, 4), np.uint8), "rgb"),
        (np.zeros((4, 4, 3), np.float32), "rgb"),
        (np.zeros((4, 4, 4), np.uint8), "rgb"),
        (np.zeros((0, 4, 3), np.uint8), "rgb"),
        (np.zeros((4, 4, 3), np.uint8), "gray"),
    ],
)
def test_what_is_no_picture_is_refused(pixels: Any, color: Color) -> None:  # noqa: ANN401
    with pytest.raises(PreprocessError):
        run(PRESETS["unit"], tensor("float32", "NHWC"), pixels, color)


def test_refuses_another_number_of_channels_after_a_good_frame() -> None:
    target = tensor("float32", "NHWC")
    out = np.empty(target.shape, np.float32)
    preprocessor = Preprocessor(PRESETS["unit"], target)
    preprocessor.run(picture(20, 20), "rgb", out)
    with pytest.raises(PreprocessError):
        preprocessor.run(np.zeros((20, 20, 4), np.uint8), "rgb", out)


def test_channels_of_model_and_spec_must_agree() -> None:
    with pytest.raises(PreprocessError, match="1 channel"):
        Preprocessor(PRESETS["unit"], TensorSpec("input", (1, 4, 4, 1), "float32"))


@pytest.mark.parametrize(
    "change",
    [
        {"color": "rgba"},
        {"interpolation": "cubic"},
        {"resize": 0},
        {"resize": 16385},
        {"mean": (0.0, 0.0)},
        {"mean": (float("nan"),)},
        {"std": (0.0,)},
        {"std": (float("inf"), 1.0, 1.0)},
    ],
)
def test_a_spec_checks_itself(change: dict[str, Any]) -> None:
    with pytest.raises(PreprocessError, match="allowed"):
        PreprocessSpec(**change)


@pytest.mark.parametrize("spec", list(PRESETS.values()))
def test_json_round_trip(spec: PreprocessSpec) -> None:
    assert PreprocessSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    "damage",
    [
        {"mean": None},
        {"mean": "abc"},
        {"std": [[1]]},
        {"resize": "x"},
        {"resize": float("inf")},
        {"color": []},
        {"interpolation": 3},
    ],
)
def test_damaged_json_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(PreprocessError):
        PreprocessSpec.from_json(PRESETS["unit"].to_json() | damage)


@pytest.mark.parametrize("data", [None, [], "x", {}, {"color": "rgb"}])
def test_json_of_something_else_is_refused(data: object) -> None:
    with pytest.raises(PreprocessError):
        PreprocessSpec.from_json(data)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_gray_takes_the_mean_over_the_channels(preset: str) -> None:
    spec = PRESETS[preset]
    gray = spec.with_color("gray")
    assert (gray.color, gray.resize) == ("gray", spec.resize)
    np.testing.assert_allclose(gray.mean, [np.mean(spec.mean)])
    np.testing.assert_allclose(gray.std, [np.mean(spec.std)])
    assert spec.with_color("bgr").mean == spec.mean
