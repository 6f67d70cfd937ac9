"""One small MobileNetV2 and pictures for it, made once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from calibration.progress import silent
from calibration.synthetic import dead_leaves
from converters import pipeline
from converters.mobilenet_v2.architecture import Architecture
from converters.mobilenet_v2.build import build, initial_weights
from converters.pipeline import Conversion
from converters.request import PreprocessFlags, Request

SIDE = 32
CLASSES = 5


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MobileNetV2 0.35 for 32x32 pictures and 5 classes, with random weights and no card."""
    architecture = Architecture(0.35, (SIDE, SIDE), CLASSES)
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(build(architecture, initial_weights(architecture, seed=0), batch="batch"), path)
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures, and labels.csv that names each one's class."""
    folder = tmp_path_factory.mktemp("pictures")
    rows = ["file,class"]
    for index, picture in enumerate(dead_leaves(12, 40, 48, seed=3)):
        name = f"{index:02d}.png"
        assert cv2.imwrite(str(folder / name), np.asarray(picture.pixels))
        rows.append(f"{name},{index % CLASSES}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="session")
def conversion(model_file: Path, pictures: Path) -> Conversion:
    request = Request(
        model=model_file,
        out=model_file.parent,
        calibration=str(pictures),
        samples=8,
        picture=PreprocessFlags(preset="tf", resize=0),
    )
    return pipeline.convert(request, silent)
