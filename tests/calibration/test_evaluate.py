import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from calibration.decode import BrokenImageError
from calibration.evaluate import evaluate
from calibration.images import ImageSet, Job, Picture
from calibration.labelled import LabelledSet
from calibration.metrics import centred_sqnr_db
from calibration.scores import EvaluationError
from edge.backends.base import ModelSpec
from edge.preprocess import PreprocessSpec
from edge.tensors import F32, Array, TensorSpec

GRAY = PreprocessSpec("gray")


class FakeBackend:
    """Scores a picture of one gray level by `function` of that level, 0 to 255."""

    def __init__(
        self, function: Callable[[float], list[float]], output: TensorSpec | None = None
    ) -> None:
        output = output or TensorSpec("scores", (1, len(function(0.0))), "float32")
        self.spec = ModelSpec(
            path="fake.onnx",
            runtime="fake 1.0",
            input=TensorSpec("input", (1, 4, 4, 1), "float32"),
            output=output,
            card=None,
            sha256="",
            threads=1,
        )
        self._function = function
        self._input = np.zeros((1, 4, 4, 1), np.float32)
        self._scores = np.zeros(output.shape, output.dtype).reshape(-1)

    def input_view(self) -> Array:
        return self._input

    def run(self) -> Array:
        real = np.array(self._function(float(self._input.mean()) * 255), np.float32)
        self._scores[:] = self.spec.output.quantize(real)
        return self._scores

    def close(self) -> None:
        raise AssertionError("an evaluated model stays open")


def levels(*values: int) -> ImageSet:
    def load(value: int) -> Picture:
        if value < 0:
            raise BrokenImageError("broken")
        return Picture(str(value), np.full((4, 4), value, np.uint8), "gray")

    def jobs() -> Iterator[Job]:
        for value in values:
            yield Job(str(value), partial(load, value))

    return ImageSet("levels", len(values), jobs)


def nearest(level: float) -> list[float]:
    """Score ten classes, the one at level / 10 best."""
    return [-abs(level / 10 - k) for k in range(10)]


def test_accuracy_of_known_classes() -> None:
    images = LabelledSet(levels(0, 10, 20, 30), {"0": 0, "10": 2, "20": 9, "30": 3})
    found = evaluate({"m": FakeBackend(nearest)}, images, GRAY)["m"]
    assert (found.images, found.broken, found.runtime) == (4, 0, "fake 1.0")
    assert (found.top1, found.top5) == (0.5, 0.75)  # 10 is near 2; 20 is not near 9
    assert (found.agreement, found.sqnr_db) == (None, None)
    assert found.inference_ms > 0


def test_distance_from_the_float_model() -> None:
    values = range(0, 100, 7)
    coarse = TensorSpec("scores", (1, 10), "int8", 0.5, 3)

    def shifted(level: float) -> list[float]:
        first, *others = nearest(level)
        return [first + (9 if level > 50 else 0), *others]

    backends = {
        "float": FakeBackend(nearest),
        "int8": FakeBackend(nearest, coarse),
        "wrong": FakeBackend(shifted),
    }
    found = evaluate(backends, levels(*values), GRAY, reference="float")
    reference = np.array([nearest(v) for v in values], np.float32)
    int8: F32 = coarse.dequantize(coarse.quantize(reference))
    assert found["int8"].sqnr_db == pytest.approx(centred_sqnr_db(reference, int8), abs=1e-3)
    assert (found["float"].agreement, found["float"].sqnr_db) == (1.0, math.inf)
    right = np.mean([np.argmax(nearest(v)) == np.argmax(shifted(v)) for v in values])
    assert found["wrong"].agreement == pytest.approx(right)
    assert right < 1
    assert found["wrong"].top1 is None


def test_broken_images_are_counted_and_left_out() -> None:
    images = LabelledSet(levels(0, -1, 10), {"0": 0, "-1": 1, "10": 1})
    found = evaluate({"m": FakeBackend(nearest)}, images, GRAY)["m"]
    assert (found.images, found.broken, found.top1) == (2, 1, 1.0)


def test_another_number_of_classes_is_refused() -> None:
    backends = {"float": FakeBackend(nearest), "int8": FakeBackend(lambda _: [1.0, 2.0])}
    with pytest.raises(EvaluationError, match=r"has 2 classes, but the float model .* has 10"):
        evaluate(backends, levels(1), GRAY, reference="float")


def test_classes_beyond_the_models_are_refused() -> None:
    images = LabelledSet(levels(1), {"1": 10})
    with pytest.raises(EvaluationError, match="has 10 classes, but the images go up to class 10"):
        evaluate({"m": FakeBackend(nearest)}, images, GRAY)


def test_scores_that_are_not_finite_are_refused() -> None:
    model = FakeBackend(lambda level: [level, math.nan if level > 5 else 0.0])
    with pytest.raises(EvaluationError, match="the scores of 9 are not finite"):
        evaluate({"m": model}, levels(1, 9), GRAY)


def test_tensors_score_like_the_pictures_they_were_made_of() -> None:
    values = (3, 40, 80)
    planes = [np.full((1, 1, 4, 4), value / 255, np.float32) for value in values]
    backends = {"float": FakeBackend(nearest), "wrong": FakeBackend(lambda level: [level] * 10)}
    of_tensors = evaluate(backends, planes, GRAY, reference="float")
    of_pictures = evaluate(backends, levels(*values), GRAY, reference="float")
    assert of_tensors["wrong"].images == 3
    assert of_tensors["wrong"].agreement == of_pictures["wrong"].agreement == pytest.approx(1 / 3)
    assert of_tensors["wrong"].sqnr_db == pytest.approx(of_pictures["wrong"].sqnr_db)
