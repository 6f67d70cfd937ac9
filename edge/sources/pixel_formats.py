"""What a camera's buffer holds, by libcamera's name of its format, and how it becomes a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from edge.preprocess import Color
from edge.sources.base import SourceError
from edge.tensors import U8


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How a picture lies in memory, and which one call of OpenCV makes three bytes a pixel of it.

    `color` is the order of the result. `row_bytes` a pixel are in a row of the first plane. With
    `is_planar`, half as many rows again hold the chroma of every second row and column. Without a
    `conversion` the bytes are the picture already.
    """

    color: Color
    row_bytes: int
    conversion: int | None = None
    is_planar: bool = False

    @property
    def is_yuv(self) -> bool:
        """Whether the colours are what some standard makes of RGB."""
        return self.row_bytes < 3


# libcamera names formats by the bits of a little-endian word: "BGR888" lies in memory as R, G, B
# (https://libcamera.org/api-html/formats_8h.html, and DRM's fourcc codes that it takes over).
# OpenCV's conversions are those of BT.601 with a limited range: ask the camera for these.
FORMATS = {
    "BGR888": PixelFormat("rgb", 3),
    "RGB888": PixelFormat("bgr", 3),
    "XBGR8888": PixelFormat("rgb", 4, cv2.COLOR_RGBA2RGB),
    "XRGB8888": PixelFormat("bgr", 4, cv2.COLOR_BGRA2BGR),
    "YUV420": PixelFormat("rgb", 1, cv2.COLOR_YUV2RGB_I420, is_planar=True),
    "YVU420": PixelFormat("rgb", 1, cv2.COLOR_YUV2RGB_YV12, is_planar=True),
    "NV12": PixelFormat("rgb", 1, cv2.COLOR_YUV2RGB_NV12, is_planar=True),
    "NV21": PixelFormat("rgb", 1, cv2.COLOR_YUV2RGB_NV21, is_planar=True),
    "YUYV": PixelFormat("rgb", 2, cv2.COLOR_YUV2RGB_YUYV),
    "YVYU": PixelFormat("rgb", 2, cv2.COLOR_YUV2RGB_YVYU),
    "UYVY": PixelFormat("rgb", 2, cv2.COLOR_YUV2RGB_UYVY),
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as the camera was configured, not as it was asked: it may have adjusted it.

    `stride` is the length of a row of the first plane in bytes, with its padding; a second and a
    third plane of one byte have half of it. Raises: SourceError: frames of it cannot be read.
    """

    name: Literal["main", "lores"]
    format: str
    width: int
    height: int
    stride: int

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise SourceError(
                f"the camera gives {self.format}; allowed: {', '.join(FORMATS)}. "
                "A USB camera is read by --source v4l2:N"
            )
        row = self.width * self.layout.row_bytes
        if self.width < 2 or self.height < 2 or self.stride < row:
            raise SourceError(f"the camera gives rows of {self.stride} bytes: {self}")

    @property
    def layout(self) -> PixelFormat:
        return FORMATS[self.format]

    @property
    def size_bytes(self) -> int:
        """How much of a buffer the picture takes; what follows is not looked at."""
        rows = self.height * 3 // 2 if self.layout.is_planar else self.height
        return rows * self.stride

    def picture(self, buffer: U8) -> U8:
        """Return a picture of its own memory, uint8 [H, W, 3] in the order of `layout.color`.

        Rows may be longer in memory than the picture is wide.

        Args: buffer: uint8 [at least `size_bytes`], unchanged. Raises: SourceError: it is shorter.
        """
        layout = self.layout
        if buffer.size < self.size_bytes:
            raise SourceError(f"a frame of {buffer.size} bytes; {self} has {self.size_bytes}")
        rows = buffer[: self.size_bytes].reshape(-1, self.stride)
        if layout.is_planar and layout.conversion is not None:
            # The padding is converted too: chroma rows lie two in one, and cannot be cut off.
            whole: U8 = cv2.cvtColor(rows, layout.conversion)  # type: ignore[assignment]
            return whole[:, : self.width]
        row = self.width * layout.row_bytes
        view = rows[:, :row].reshape(self.height, self.width, layout.row_bytes)
        if layout.conversion is None:
            return np.array(view, order="C")
        converted: U8 = cv2.cvtColor(view, layout.conversion)  # type: ignore[assignment]
        return converted

    def __str__(self) -> str:
        return f"{self.name} {self.format} {self.width}x{self.height}, rows of {self.stride} bytes"
