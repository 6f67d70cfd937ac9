"""One file through the whole conversion: what may come of it, and what is a finding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from calibration.observers import Range, RangeTable
from converters.calibrate import FloatGraph
from converters.graph import Graph
from converters.onnx_qdq.writer import write_qdq
from converters.quantize.assign import assign, observed_values
from converters.quantize.params import from_range
from converters.request import Request
from converters.source import Source, read_source
from converters.tflite.layout import of_input
from converters.tflite.writer import write_float_tflite, write_tflite
from edge.errors import EdgeError
from edge.tensors import F32, Array
from tests.fuzz.models import WEIGHTS, WEIGHTS_FILE

MODEL_FILE = "model.onnx"
# Another picture than the one that `confirm` compares on.
SEED = 1
# As `confirm` allows.
TOLERANCE = 1e-3
# LiteRT takes numbers below 1e-38 for zero, and so their sums.
SMALLEST = 1e-30
MAX_MESSAGE = 250_000
# A message that says why each node is refused has a line for each.
BULLET = "\n  - "


class FindingError(Exception):
    """What must not happen: an artifact that is wrong, or a message that is none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case ended, in a word, and what was said."""

    kind: str
    words: str = ""


@contextmanager
def prepared(folder: Path) -> Iterator[Path]:
    """Put beside a model what external data may point at, and give the model's path."""
    (folder / WEIGHTS_FILE).write_bytes(WEIGHTS)
    link = folder / "link.bin"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/passwd")
    here = Path.cwd()
    os.chdir(folder)  # a relative place in a file must not be looked for where we are
    try:
        yield folder / MODEL_FILE
    finally:
        os.chdir(here)


def run(data: bytes, path: Path) -> Outcome:
    """Convert the file `data`, written to `path`, and hold what comes out against its source.

    Raises: FindingError, or whatever else escapes: all of that is a finding.
    """
    path.write_bytes(data)
    try:
        source = read_source(Request(path, path.parent))
        files = _artifacts(source)
    except EdgeError as error:
        return judged(str(error), path)
    return _compare(source, files)


def judged(message: str, path: Path) -> Outcome:
    """Return in which way it was refused. Raises: FindingError: not in one sentence."""
    if not message.strip() or len(message) > MAX_MESSAGE or "Traceback" in message:
        raise FindingError(f"a message of {len(message)} characters: {message[:500]!r}")
    said = message.replace(BULLET, " ")
    if not said.isprintable():
        raise FindingError(f"a message that is no sentence: {message[:500]!r}")
    words = said.replace(f"{path}: ", "").replace(str(path.parent), "")
    if "was not understood" in message:
        return Outcome("misread, and seen", words)
    if "cannot run it" in message:
        return Outcome("not run by ONNX Runtime", words)
    return Outcome("refused", words)


def _artifacts(source: Source) -> dict[str, bytes]:
    graph = source.graph
    quantized = assign(graph, from_range(-2.0, 2.0), _made_up(graph))
    return {
        "float": write_float_tflite(graph, source.card),
        "half": write_float_tflite(graph, source.card, half=True),
        "int8": write_tflite(quantized, source.card),
        "onnx": write_qdq(quantized, source.card).SerializeToString(),
    }


def _made_up(graph: Graph) -> RangeTable:
    """Return a range for each value that needs one, of many sizes, the same every time."""
    ranges = {}
    for name in observed_values(graph):
        number = crc32(name.encode())
        size = 4.0 ** (number % 5 - 1)
        ranges[name] = Range(-size * (number >> 8 & 1), size)
    return RangeTable(ranges, "minmax", 1)


def _compare(source: Source, files: dict[str, bytes]) -> Outcome:
    """Return whether the files compute what they should.

    A model may give NaN for this picture though it did not for another, and LiteRT gives it for the
    sigmoid of 1e30: `edge-convert`, which compares on many, refuses to write such a file. What the
    larger of NaN and a number is, each runtime decides: calibration refuses NaN within.
    Raises: FindingError: the float file computes something else.
    """
    random = np.random.default_rng(SEED)
    x: F32 = 2 * random.random(source.graph.input_shape, np.float32) - 1
    outputs = _in_onnx(source, x), _in_litert(files["float"], x)
    if not all(np.isfinite(y).all() for given in outputs for y in given):
        return Outcome("of infinite scores")
    for name, expected, found in zip(source.graph.outputs, *outputs, strict=True):
        largest = float(np.abs(expected).max())
        apart = float(np.abs(found.ravel() - expected.ravel()).max())
        if not apart <= TOLERANCE * largest + SMALLEST:
            if not _is_finite_within(source.graph, x):
                return Outcome("of infinite values within")
            raise FindingError(f"{name} is {apart:.3g} off in float TFLite; largest {largest:.3g}")
    _in_litert(files["half"], x)
    _in_litert(files["int8"], np.clip(x * 64, -128, 127).astype(np.int8))
    session = _session(files["onnx"])
    session.run(None, {source.graph.input: np.clip(x * 64 + 128, 0, 255).astype(np.uint8)})
    return Outcome("converted")


def _in_onnx(source: Source, x: F32) -> list[F32]:
    """Return the outputs of the source itself for one picture."""
    given = source.reference or source.onnx_file
    feeds = {source.graph.input: np.repeat(x, source.batch, axis=0)}
    expected: list[F32] = _session(given).run(None, feeds)
    return [y[:1] if source.batch > 1 and y.ndim else y for y in expected]


def _session(model: Path | bytes) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _is_finite_within(graph: Graph, x: F32) -> bool:
    values = tuple(node.output for node in graph.nodes if node.inputs)
    return all(np.isfinite(value).all() for value in FloatGraph(graph, values).run(x).values())


def _in_litert(model: bytes, x: Array) -> list[Array]:
    """Return the outputs of a file in LiteRT."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], of_input(x.shape).from_onnx(x).reshape(given["shape"]))
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
