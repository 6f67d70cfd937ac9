"""What a conversion is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calibration.spread import Here, Spread
from converters.quantize.quantized import Io
from edge.picture_flags import NO_FLAGS, PreprocessFlags

Format = Literal["onnx", "tflite"]
FORMATS: tuple[Format, ...] = ("onnx", "tflite")
# How the ONNX file stores activations. ONNX Runtime on x86 leaves part of the convolutions in
# float where activations are int8, so uint8 is what runs everywhere.
TARGETS: dict[str, Literal["uint8", "int8"]] = {"any": "uint8", "arm": "int8"}
# What `--io` calls them: int8 means the integers as they are stored, uint8 ones included.
IOS: dict[str, Io] = {"int8": "integer", "uint8": "uint8", "float32": "float32"}
# What an artifact computes with; float16 is that of its weights alone.
Kind = Literal["int8", "float32", "float16"]
# How much is tried to lose less than rounding to nearest does, from nothing on.
Level = Literal["none", "fast", "best"]
LEVELS: tuple[Level, ...] = ("none", "fast", "best")
DEFAULT_SAMPLES = 128


@dataclass(frozen=True, slots=True)
class Request:
    """One conversion. Paths and folders are as the user wrote them.

    `labels` and `scores` (the output that holds the classes' scores) are None where the model's own
    card or its shapes decide, `observer` where the kind of pictures does, `optimize` where the gate
    does. `max_drop`: the percentage points of top-1 that the artifacts may lose, None for any;
    `min_sqnr`: the least SQNR of their scores in dB, None for any; `strict`: whether a fault of the
    calibration set fails the conversion; `sensitivity`: whether the error is traced through the
    network however long it takes; `spread`: who calibrates;
    `per_tensor`: whether all weights of a layer have one scale.
    """

    model: Path
    out: Path
    calibration: str | None = None
    samples: int = DEFAULT_SAMPLES
    observer: str | None = None
    optimize: Level | None = None
    evaluate: str | None = None
    max_drop: float | None = None
    min_sqnr: float | None = None
    formats: tuple[Format, ...] = FORMATS
    target: str = "any"
    io: Io = "integer"
    picture: PreprocessFlags = NO_FLAGS
    labels: Path | None = None
    scores: str | None = None
    kind: Kind = "int8"
    strict: bool = False
    sensitivity: bool = False
    spread: Spread = Here()  # noqa: RUF009 (frozen)
    per_tensor: bool = False

    @property
    def name(self) -> str:
        return self.model.stem

    @property
    def levels(self) -> tuple[Level, ...]:
        """What to try one after another, until the gate is met."""
        if self.optimize is not None:
            return (self.optimize,)
        return ("fast", "best") if self.climbs else ("fast",)

    @property
    def climbs(self) -> bool:
        """Whether to try whatever there is, layers in float at last, until the gate is met."""
        has_gate = self.max_drop is not None or self.min_sqnr is not None
        return self.optimize is None and has_gate

    def path(self, output: str) -> Path:
        """Return where the output ("onnx", "tflite", "json", "html") goes."""
        return self.out / f"{self.name}.{self.kind}.{output}"
