"""The real models and images that are measured on. Whoever has none can skip the benchmarks."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.dataset import open_images
from calibration.images import ImageSet, even_steps
from edge.preprocess import PRESETS
from edge.tensors import TensorSpec

CLASSIFIER = "mobilenet_v2_1.0_224"
FEATURES = "mobilenet_v2_0.35_features"
GOOGLE = "google_mobilenet_v2_1.0_224_ptq.tflite"
SAMPLES = 128
# Both models want RGB in [-1, 1]; the images are small enough to cut the input out unresized.
PREPROCESS = replace(PRESETS["tf"], resize=None)
FLAGS = ("--preprocess", "tf", "--resize", "none", "--samples", str(SAMPLES))
INPUT = TensorSpec("input", (1, 3, 224, 224), "float32")


@dataclass(frozen=True, slots=True)
class Shared:
    """Where everything lies below the folder of real models and images."""

    root: Path

    def model(self, name: str) -> Path:
        return self.root / "models" / f"{name}.onnx"

    @property
    def google(self) -> Path:
        return self.root / "models" / GOOGLE

    @property
    def labels(self) -> Path:
        return self.root / "imagenet" / "labels.txt"

    @property
    def calibration(self) -> Path:
        return self.root / "imagenet" / "calibration"

    @property
    def validation(self) -> Path:
        return self.root / "imagenet" / "val"


def find(root: Path) -> Shared:
    """Return the folder, or end the program (status 0) with one line that says what is missing."""
    shared = Shared(root)
    needed = (shared.model(CLASSIFIER), shared.model(FEATURES), shared.google, shared.calibration)
    missing = [str(path) for path in (*needed, shared.validation) if not path.exists()]
    if missing:
        print(
            f"skipped: {', '.join(missing)} not found; this benchmark needs the real models and "
            "images: --shared DIR",
            file=sys.stderr,
        )
        sys.exit(0)
    return shared


def calibration_images(folder: Path) -> ImageSet:
    """Return the images that edge-convert calibrates on: the same number at the same steps."""
    images = open_images(str(folder))
    if not isinstance(images, ImageSet):
        raise TypeError(f"{folder} is not a folder of images")
    return images.subset(even_steps(len(images), SAMPLES))
