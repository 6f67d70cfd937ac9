"""The flags that say what picture a model was trained on, the same in every command."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

from edge.preprocess import COLORS, PRESETS, Color, PreprocessSpec

DEFAULT_PRESET = "imagenet"


@dataclass(frozen=True, slots=True)
class PreprocessFlags:
    """The flags that describe the picture, None where not given; `resize` 0 means none."""

    preset: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: int | None = None
    color: Color | None = None

    def apply(self, base: PreprocessSpec) -> PreprocessSpec:
        """Return the preset, or else `base`, changed by every flag that was given.

        A preset is in colour: where `base`, which knows the model, is gray, it is turned gray.
        Raises: PreprocessError: the flags do not go together.
        """
        spec = PRESETS[self.preset] if self.preset else base
        color = self.color or ("gray" if base.color == "gray" else None)
        if color is not None:
            spec = spec.with_color(color)
        if self.mean is not None:
            spec = replace(spec, mean=self.mean)
        if self.std is not None:
            spec = replace(spec, std=self.std)
        if self.resize is not None:
            spec = replace(spec, resize=self.resize or None)
        return spec


NO_FLAGS = PreprocessFlags()


def default_preprocess(channels: int) -> PreprocessSpec:
    """Return what is assumed of a model that says nothing; `channels`: of its input, 1 or 3."""
    spec = PRESETS[DEFAULT_PRESET]
    return spec.with_color("gray") if channels == 1 else spec


def add_picture_flags(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the flags, as a group of their own; `default` is where else preprocessing comes from."""
    group = parser.add_argument_group(f"preprocessing (default: {default}, else {DEFAULT_PRESET})")
    group.add_argument("--preprocess", choices=tuple(PRESETS))
    group.add_argument("--mean", type=_numbers, metavar="M[,M,M]", help="of pixels in 0..1")
    group.add_argument("--std", type=_numbers, metavar="S[,S,S]", help="of pixels in 0..1")
    group.add_argument(
        "--resize",
        type=_resize,
        metavar="N|none",
        help="short side before the centre is cropped to the input's size",
    )
    group.add_argument("--color", choices=COLORS, help="channel order the model was trained on")


def picture_flags(args: argparse.Namespace) -> PreprocessFlags:
    """Return those of `add_picture_flags` that were given."""
    return PreprocessFlags(args.preprocess, args.mean, args.std, args.resize, args.color)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: numbers, as 0.5,0.5,0.5") from None


def _resize(text: str) -> int:
    """Return the side in pixels, 0 for none."""
    if text == "none":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a number of pixels, or none")
    return int(text)
