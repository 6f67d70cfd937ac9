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
from converters.request import Request
from edge.picture_flags import PreprocessFlags
from tests.converters import models

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


@pytest.fixture(scope="session")
def two_heads_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of 32x32 pictures that gives logits, and the features that they are made of."""
    body = "c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) features = Relu(c) "
    body += "d = Conv<strides=[2,2]>(features, k) r = Relu(d) p = GlobalAveragePool(r) "
    body += "pooled = Flatten(p) logits = Gemm(pooled, g)"
    model = models.build(
        body,
        "float[N,3,32,32]",
        outputs=("logits", "features"),
        w=models.normal(8, 3, 3, 3),
        k=models.normal(8, 8, 3, 3, seed=1),
        g=models.normal(8, CLASSES, seed=2),
    )
    path = tmp_path_factory.mktemp("two") / "net.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def two_heads(two_heads_file: Path, pictures: Path) -> Conversion:
    flags = PreprocessFlags(preset="tf", resize=0)
    request = Request(
        two_heads_file, two_heads_file.parent, str(pictures), samples=8, picture=flags
    )
    return pipeline.convert(request, silent)
