"""One model's scores of one picture, as real values."""

from __future__ import annotations

import numpy as np

from calibration.errors import CalibrationError
from calibration.images import Picture
from edge.backends.base import Backend
from edge.preprocess import Preprocessor, PreprocessSpec
from edge.tensors import F32


class EvaluationError(CalibrationError):
    """A model cannot be evaluated on these pictures, or against this float model."""


class ScoringModel:
    """An opened model, which stays open, and the preprocessing that it expects."""

    def __init__(self, backend: Backend, preprocess: PreprocessSpec) -> None:
        """Raises: PreprocessError: the preprocessing is not for such an input."""
        self.backend = backend
        self._preprocessor = Preprocessor(preprocess, backend.spec.input)

    def scores(self, image: Picture | F32) -> F32:
        """Return the model's scores as real values, float32 [1, classes], a new array.

        `image`: a picture, or the float32 tensor that it was made into already, in the layout
        of this model or [1, C, H, W].
        Raises: EvaluationError: a score is not finite; BackendError: the inference failed.
        """
        spec = self.backend.spec
        if isinstance(image, Picture):
            self._preprocessor.run(image.pixels, image.color, self.backend.input_view())
        else:
            turned = image if image.shape == spec.input.shape else image.transpose(0, 2, 3, 1)
            self.backend.input_view()[...] = spec.input.quantize(turned)
        scores = spec.output.dequantize(self.backend.run())[None].copy()
        if not np.isfinite(scores).all():
            raise EvaluationError(
                f"{spec.path}: the scores of {getattr(image, 'name', 'a tensor')} are not finite; "
                "check the model and its preprocessing"
            )
        return scores
