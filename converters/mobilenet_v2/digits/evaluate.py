"""How often the exported model is right, computed as the device computes it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from converters.mobilenet_v2.digits.spec import PREPROCESS, SIDE
from edge.errors import MissingExtraError
from edge.preprocess import Preprocessor
from edge.tensors import F32, U8, TensorSpec

SHAPE = (1, 3, SIDE, SIDE)


def preprocessor(input_name: str) -> Preprocessor:
    """Return what fills the float model's input, [1, 3, 96, 96]."""
    return Preprocessor(PREPROCESS, TensorSpec(input_name, SHAPE, "float32"))


def accuracy(model: bytes, labelled: Iterable[tuple[U8, int]]) -> float:
    """Return the share of frames whose top-1 class is right.

    Args: model: a float ONNX file's content; labelled: frames, uint8 [H, W, 3] BGR, with classes.
    Raises: MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as cause:
        raise MissingExtraError("onnxruntime", "onnx") from cause
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    tensor: F32 = np.empty(SHAPE, np.float32)
    prepare = preprocessor(name)
    right = []
    for frame, label in labelled:
        prepare.run(frame, "bgr", tensor)
        right.append(int(session.run(None, {name: tensor})[0].argmax()) == label)
    return float(np.mean(right))
