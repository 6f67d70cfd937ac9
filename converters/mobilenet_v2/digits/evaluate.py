"""How often the exported model is right, computed as the device computes it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from converters.mobilenet_v2.digits.spec import PREPROCESS, SIDE
from edge.errors import MissingExtraError
from edge.preprocess import Preprocessor
from edge.tensors import U8, TensorSpec


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
    tensor = np.empty((1, 3, SIDE, SIDE), np.float32)
    preprocessor = Preprocessor(PREPROCESS, TensorSpec(name, tensor.shape, "float32"))
    right = []
    for frame, label in labelled:
        preprocessor.run(frame, "bgr", tensor)
        right.append(int(session.run(None, {name: tensor})[0].argmax()) == label)
    return float(np.mean(right))
