"""From a camera's frame to a model's input tensor: the same code on the PC and on the board.

Pixels are cropped, resized and put in the model's colour order as bytes; then one table of 256
entries a channel turns each byte into what the tensor holds. For an int8 model this has no float
arithmetic, and the table is exact: it is the normalization and the quantization, tabulated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np

from edge.errors import EdgeError
from edge.tensors import MAX_SIDE, U8, Array, TensorSpec

Color = Literal["rgb", "bgr", "gray"]

# Each is the name that the card carries. "linear_exact" gives the same bytes on x86 and on Arm;
# plain bilinear differs by 1 on a fifth of them.
INTERPOLATIONS = {"linear_exact": cv2.INTER_LINEAR_EXACT, "nearest": cv2.INTER_NEAREST_EXACT}
COLORS: tuple[Color, ...] = ("rgb", "bgr", "gray")


class PreprocessError(EdgeError):
    """A preprocessing description, or a frame, cannot be used."""


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """How a picture becomes a tensor: tensor = (pixel / 255 - mean) / std, a value each channel.

    `color` is the channel order that the model was trained on. `resize` is the length that the
    short side is brought to before the centre is cropped to the input's size; None crops without
    resizing (and enlarges only a picture that is smaller than the input).
    """

    color: Color = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | None = None
    interpolation: str = "linear_exact"

    def __post_init__(self) -> None:
        if self.color not in COLORS:
            raise PreprocessError(f"color {self.color!r}; allowed: {', '.join(COLORS)}")
        if self.interpolation not in INTERPOLATIONS:
            raise PreprocessError(
                f"interpolation {self.interpolation!r}; allowed: {', '.join(INTERPOLATIONS)}"
            )
        if self.resize is not None and not 1 <= self.resize <= MAX_SIDE:
            raise PreprocessError(f"resize {self.resize}; allowed: 1 to {MAX_SIDE} pixels")
        for name, values, lowest in (("mean", self.mean, -np.inf), ("std", self.std, 0.0)):
            good = len(values) in (1, self.channels)
            if not good or not all(np.isfinite(v) and v > lowest for v in values):
                raise PreprocessError(
                    f"{name} {list(values)}; allowed: one finite number, or one a channel "
                    f"({self.channels})" + (", above 0" if name == "std" else "")
                )

    @property
    def channels(self) -> int:
        return 1 if self.color == "gray" else 3

    def with_color(self, color: Color) -> PreprocessSpec:
        """Return the same for pictures in another colour; gray takes the mean over the channels."""
        gray = color == "gray"
        mean, std = ((sum(v) / len(v),) if gray else v for v in (self.mean, self.std))
        return replace(self, color=color, mean=mean, std=std)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> PreprocessSpec:
        """Check and read what `to_json` wrote. Raises: PreprocessError: it is something else."""
        try:
            if not isinstance(data, dict):
                raise TypeError("not an object")
            resize = data["resize"]
            return cls(
                color=data["color"],
                mean=tuple(float(v) for v in data["mean"]),
                std=tuple(float(v) for v in data["std"]),
                resize=None if resize is None else int(resize),
                interpolation=str(data["interpolation"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as cause:
            raise PreprocessError(
                f"the preprocessing in a card cannot be read ({cause!r}); "
                "convert the model again with edge-convert"
            ) from cause


_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PRESETS: dict[str, PreprocessSpec] = {
    "imagenet": PreprocessSpec("rgb", _IMAGENET_MEAN, _IMAGENET_STD, resize=256),
    "tf": PreprocessSpec("rgb", (0.5,), (0.5,), resize=256),
    "unit": PreprocessSpec("rgb", (0.0,), (1.0,), resize=256),
    "none": PreprocessSpec("rgb", (0.0,), (1 / 255,), resize=256),
}


def lookup_table(spec: PreprocessSpec, tensor: TensorSpec) -> Array:
    """Return what each byte becomes: [channels, 256] of the tensor's element type."""
    pixel = np.arange(256, dtype=np.float64) / 255
    mean = np.broadcast_to(np.asarray(spec.mean, np.float64), spec.channels)[:, None]
    std = np.broadcast_to(np.asarray(spec.std, np.float64), spec.channels)[:, None]
    return tensor.quantize(((pixel - mean) / std).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a frame that the model sees, in the frame's pixels."""

    top: int
    left: int
    height: int
    width: int


def centre_window(
    frame_hw: tuple[int, int], input_hw: tuple[int, int], resize: int | None
) -> Window:
    """Return the window that, brought to `input_hw`, equals resizing first and cropping then.

    `resize` is the short side's length after the resize (None: no resize). Cropping before the
    resize reads only the pixels that are used. The window never leaves the frame.
    """
    frame_h, frame_w = frame_hw
    scale = 1.0 if resize is None else min(frame_h, frame_w) / resize
    # An input larger than the resized picture takes the largest window of its shape.
    scale = min(scale, frame_h / input_hw[0], frame_w / input_hw[1])
    height = min(frame_h, max(1, round(input_hw[0] * scale)))
    width = min(frame_w, max(1, round(input_hw[1] * scale)))
    return Window((frame_h - height) // 2, (frame_w - width) // 2, height, width)


def ideal_short_side(spec: PreprocessSpec, tensor: TensorSpec) -> int | None:
    """Return the short side of a frame of which nothing has to be resized, only cropped.

    A camera that scales by itself does best to give that. None where the card resizes nothing: then
    what the model sees is a matter of the frame's size, which must stay what it was.
    """
    _, height, width, _ = tensor.image_geometry()
    return None if spec.resize is None else max(spec.resize, height, width)


class Preprocessor:
    """Fills a model's input tensor from frames, in buffers made once.

    Single-threaded: one instance belongs to one loop.
    """

    def __init__(self, spec: PreprocessSpec, tensor: TensorSpec) -> None:
        self.layout, self.height, self.width, channels = tensor.image_geometry()
        if channels != spec.channels:
            raise PreprocessError(
                f"input {tensor.name!r} has {channels} channel(s), but the card's color "
                f"{spec.color!r} has {spec.channels}; choose another --color"
            )
        self.spec = spec
        self.tensor = tensor
        self._tables = [np.ascontiguousarray(row) for row in lookup_table(spec, tensor)]
        # Where the channels share one table, interleaved pixels go through it as they are.
        self._is_shared = len(spec.mean) == len(spec.std) == 1
        self._small: U8 = np.empty((self.height, self.width, 3), np.uint8)
        self._colored: U8 = (
            np.empty((self.height, self.width), np.uint8)
            if spec.color == "gray"
            else np.empty((self.height, self.width, 3), np.uint8)
        )
        hw = self.height, self.width
        self._planes: list[U8] = [np.empty(hw, np.uint8) for _ in range(channels)]
        self._looked_up: list[Array] = [np.empty(hw, tensor.dtype) for _ in range(channels)]
        self._interpolation = INTERPOLATIONS[spec.interpolation]
        self._frame_shape: tuple[int, ...] = ()
        self._window = Window(0, 0, 0, 0)

    def run(self, pixels: U8, color: Color, out: Array) -> None:
        """Write one frame into `out`, the model's input [1, H, W, C] or [1, C, H, W].

        Args: pixels: uint8 [H, W, 3] (or [H, W] with color "gray"), any strides, unchanged;
            color: the channel order in memory of `pixels`.
        Raises: PreprocessError: `pixels` is no such picture.
        """
        shape = pixels.shape
        if pixels.dtype != np.uint8 or len(shape) != (2 if color == "gray" else 3):
            raise PreprocessError(f"a frame of {pixels.dtype} {list(shape)} is not {color} pixels")
        if shape != self._frame_shape:
            if min(shape[:2]) < 1 or (len(shape) == 3 and shape[2] != 3):
                raise PreprocessError(f"a frame of shape {list(shape)} is not a picture")
            self._frame_shape = shape
            input_hw = (self.height, self.width)
            self._window = centre_window(shape[:2], input_hw, self.spec.resize)
        w = self._window
        view = pixels[w.top : w.top + w.height, w.left : w.left + w.width]
        if color == "gray":
            view = cv2.cvtColor(view, cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
        if (w.height, w.width) == (self.height, self.width):
            small = view
        else:
            size = (self.width, self.height)
            small = cv2.resize(view, size, dst=self._small, interpolation=self._interpolation)  # type: ignore[assignment]
        self._write(self._recolor(small, color), out)

    def _recolor(self, small: U8, color: Color) -> U8:
        if self.spec.color == "gray":
            code = cv2.COLOR_RGB2GRAY if color == "rgb" else cv2.COLOR_BGR2GRAY
            cv2.cvtColor(small, code, dst=self._colored)
            return self._colored
        if color not in ("gray", self.spec.color):
            cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=self._colored)
            return self._colored
        return small

    def _write(self, small: U8, out: Array) -> None:
        if self.layout == "NHWC" and self._is_shared:
            target = out[0, :, :, 0] if self.spec.channels == 1 else out[0]
            cv2.LUT(small, self._tables[0], dst=target)
            return
        # Plane by plane, also where they are put together again: cv2.LUT takes twice as long for
        # pixels with a table a channel as split, three tables and merge do.
        planes = [small] if self.spec.channels == 1 else cv2.split(small, self._planes)
        targets = out[0] if self.layout == "NCHW" else self._looked_up
        for plane, table, target in zip(planes, self._tables, targets, strict=True):
            cv2.LUT(plane, table, dst=target)
        if self.layout == "NHWC":
            cv2.merge(self._looked_up, dst=out[0])
