"""Pictures of one colour each, of three classes, and the models for them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.calibration.evaluation.models import SIDE, model

COUNT = 100
# Scores near each other, so that a change of the weights changes some classes.
WEIGHT = np.array([[6.0, 0, 0], [0, 6, 0], [0, 0, 6]])
OTHER = np.array([[6.0, 1, 0], [0, 5, 0], [1, 0, 6]])
COLOURS = np.random.default_rng(5).integers(60, 200, (COUNT, 3))
# One in five is called something else than it looks like.
CLASSES = np.where(np.arange(COUNT) % 5, COLOURS.argmax(axis=1), np.arange(COUNT) % 3)
NAMES = [f"{index:03d}.png" for index in range(COUNT)]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for name, (red, green, blue) in zip(NAMES, COLOURS, strict=True):
        pixels = np.empty((SIDE, SIDE, 3), np.uint8)
        pixels[:] = (blue, green, red)
        assert cv2.imwrite(str(folder / name), pixels)
    rows = [f"{name},{k}" for name, k in zip(NAMES, CLASSES, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["file,class", *rows]))
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models of the scores WEIGHT, but for other.onnx."""
    folder = tmp_path_factory.mktemp("models")
    background = np.hstack([np.full((3, 1), 9.0), WEIGHT])
    for name, data in {
        "float": model(WEIGHT),
        "other": model(OTHER),
        "qdq": model(WEIGHT, step=0.25),
        "soft": model(WEIGHT, softmax=True),
        "soft8": model(WEIGHT, softmax=True, step=1 / 256),
        "background": model(background, softmax=True),
    }.items():
        (folder / f"{name}.onnx").write_bytes(data)
    return folder
