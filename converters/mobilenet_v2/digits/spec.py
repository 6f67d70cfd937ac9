"""What the bundled model is, and what a batch of its pictures is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.mobilenet_v2.architecture import Architecture
from edge.preprocess import Preprocessor, PreprocessSpec
from edge.tensors import U8, TensorSpec

NAME = "digits"
LABELS = tuple("0123456789")
SIDE = 96
ARCHITECTURE = Architecture(width=0.35, image_hw=(SIDE, SIDE), classes=len(LABELS))
# The whole short side is seen: of a frame of 640x480 the central square.
PREPROCESS = PreprocessSpec("rgb", mean=(0.5,), std=(0.5,), resize=SIDE)

MODEL = Path(__file__).with_name("digits.onnx")
FIGURES = Path(__file__).with_name("digits.json")


class Cropper:
    """Crops and resizes as the device does, but keeps bytes, which take a quarter of the memory."""

    def __init__(self) -> None:
        raw = PreprocessSpec("rgb", (0.0,), (1 / 255,), SIDE, PREPROCESS.interpolation)
        self._preprocessor = Preprocessor(raw, TensorSpec("input", (1, 3, SIDE, SIDE), "uint8"))

    def crop(self, frame: U8) -> U8:
        """Return what the model sees of `frame` (uint8 [H, W, 3] BGR): uint8 [3, 96, 96] RGB."""
        out = np.empty((1, 3, SIDE, SIDE), np.uint8)
        self._preprocessor.run(frame, "bgr", out)
        crop: U8 = out[0]
        return crop
