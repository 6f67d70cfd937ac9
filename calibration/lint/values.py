"""Whether the values can be what the preprocessing makes of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibration.lint.finding import Finding
from calibration.lint.look import Look
from edge.preprocess import PRESETS, PreprocessSpec
from edge.tensors import Array

# How far from either end, in parts of the range, the values of a set may stay and still be told by
# it: those of a dozen small pictures end within 0.05, and two presets lie 0.25 apart.
HUGS = 0.1
# What lies so far beyond either end, in parts of the range, no byte gives.
BEYOND = 0.02
# No set is as even as to use less than this of the range.
NARROWEST = 0.05
# One pixel in a thousand may be an edge between black and white that was smoothed.
BETWEEN = 1e-3
NEAR_ENDS = 1e-4
ALL = 0.999


def check_bytes(looks: Mapping[str, Look]) -> Finding | None:
    """Find pictures that hold numbers of about 0 to 1, or -2 to 3, as bytes.

    Black and white alone are a picture; some 1, 2 or 254 (-2) and nothing from 8 to 247 are not,
    nor is nothing but 0.
    """
    near = float(np.mean([look.bytes_near_ends for look in looks.values()]))
    between = float(np.mean([look.bytes_between for look in looks.values()]))
    black = float(np.mean([look.bytes_black for look in looks.values()]))
    if between > BETWEEN or (near < NEAR_ENDS and black < ALL):
        return None
    return Finding(
        "values",
        "error",
        f"{100 * (1 - between):.1f} % of the calibration images' bytes are below 8 or above 247: "
        "they were normalized before they were saved, or show nothing",
        "--calibration to the pictures as they were taken (0 to 255)",
    )


def check_tensors(lows: Array, highs: Array, spec: PreprocessSpec) -> Finding | None:
    """Find tensors that `spec` does not make of bytes, and say what did.

    Args: lows, highs: [C], the least and the largest of each channel over all tensors.
    """
    low, high = _ends(spec)
    width = high - low
    if _apart(lows, highs, spec) <= HUGS:
        return None
    found = f"the tensors reach from {_numbers(lows)} to {_numbers(highs)}"
    wanted = f"the preprocessing gives {_numbers(low)} to {_numbers(high)}"
    for name, other in _candidates(spec).items():
        if _apart(lows, highs, other) <= HUGS:
            what = f"{found}, as --preprocess {name} makes them; {wanted}"
            return Finding("values", "error", what, f"--preprocess {name}, or the tensors")
    for name, other in {"it": spec, **_candidates(spec)}.items():
        for again in _twice(other):
            if _apart(lows, highs, again) <= HUGS:
                words = "it" if name == "it" else f"--preprocess {name}"
                what = f"{found}, as if {words} had been applied twice; {wanted} once"
                return Finding("values", "error", what, "--calibration to tensors made once")
    is_outside = ((lows < low - BEYOND * width) | (highs > high + BEYOND * width)).any()
    is_narrow = (highs - lows < NARROWEST * width).all()
    if not is_outside and not is_narrow:
        return None
    what = f"{found}; {wanted}"
    return Finding(
        "values", "error", what, "--preprocess, --mean and --std to what the tensors were made with"
    )


def _candidates(spec: PreprocessSpec) -> dict[str, PreprocessSpec]:
    return {name: preset.with_color(spec.color) for name, preset in PRESETS.items()}


def _twice(spec: PreprocessSpec) -> list[PreprocessSpec]:
    """Return what is normalized again: as it came out, and divided by 255 once more."""
    mean, std = np.array(spec.mean), np.array(spec.std)
    twice = []
    for scale in (1.0, 255.0):
        # ((p - mean) / std / scale - mean) / std = (p - mean - mean * std * scale) / std**2 / scale
        means = np.atleast_1d(mean + mean * std * scale)
        stds = np.atleast_1d(std * std * scale)
        twice.append(replace(spec, mean=tuple(means), std=tuple(stds)))
    return [again for again in twice if again != spec]


def _ends(spec: PreprocessSpec) -> tuple[Array, Array]:
    """Return what 0 and 255 become, [C] each."""
    mean = np.broadcast_to(np.array(spec.mean), spec.channels)
    std = np.broadcast_to(np.array(spec.std), spec.channels)
    return -mean / std, (1 - mean) / std


def _apart(lows: Array, highs: Array, spec: PreprocessSpec) -> float:
    """Return how far the ends are from those of `spec`, in parts of its range."""
    low, high = _ends(spec)
    return float(np.maximum(np.abs(lows - low), np.abs(highs - high)).max() / (high - low).max())


def _numbers(values: Sequence[float] | Array) -> str:
    texts = [f"{value + 0.0:.3g}" for value in values]  # + 0.0: no -0
    return texts[0] if len(set(texts)) == 1 else f"({', '.join(texts)})"
