"""The stages of a conversion in order, each a function from one value to the next."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.dataset import open_images, tensors
from calibration.images import ImageSet, Tensors, held_apart
from calibration.labelled import LabelledSet, open_labelled
from calibration.observers import RangeTable
from calibration.progress import Progress
from calibration.synthetic import dead_leaves
from converters.calibrate import calibrate
from converters.errors import ConvertError
from converters.graph import Graph
from converters.inventory import Inventory, inventory
from converters.memory import give_back
from converters.onnx_qdq.writer import write_float, write_qdq
from converters.quantize.assign import assign
from converters.quantize.params import QuantParams, from_range, from_table
from converters.quantize.quantized import QuantizedGraph
from converters.request import TARGETS, Request
from converters.scores import classes_of
from converters.source import Source, read_source
from converters.tflite import writer as tflite
from converters.verify import FLOAT, Verification, verify
from edge.card import ModelCard
from edge.errors import GateError
from edge.files import write_bytes
from edge.preprocess import lookup_table

VERIFY_IMAGES = 64
# Another order of sums leaves 80 dB and more of forty architectures.
MIN_FLOAT32_DB = 40.0
SYNTHETIC_IMAGES = 64
SYNTHETIC_SEED = 0
# Synthetic pictures to verify on are others than those to calibrate on.
SYNTHETIC_VERIFY_SEED = 1


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to calibrate on, what to verify on, and what the latter is in words."""

    calibration: ImageSet | Tensors
    verification: ImageSet | LabelledSet | Tensors
    words: str


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What calibration saw: `ranges` by value, and the pictures that could not be read."""

    ranges: RangeTable
    input_params: QuantParams
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conversion:
    """All that a conversion made; nothing of it is on the disk yet."""

    request: Request
    source: Source
    calibrated: Calibrated | None  # None where nothing was quantized, or the source already was
    quantized: QuantizedGraph | None
    card: ModelCard
    artifacts: Mapping[str, bytes]  # by format
    inventories: Mapping[str, Inventory]  # by format
    moves: tuple[str, ...]  # what TFLite transposes, and for whom
    verification: Verification

    def check_gate(self) -> None:
        """Raise GateError where an artifact loses more top-1 than the request allows."""
        limit = self.request.max_drop
        if limit is None:
            return
        for kind in self.artifacts:
            drop = self.verification.drop_pp(kind)
            if drop is not None and drop > limit:
                raise GateError(
                    f"{self.request.model}: the {self.request.kind} {kind} file is {drop:.2f} "
                    f"points of top-1 below float on {self.verification.pictures}; "
                    f"--max-drop allows {limit:g}. "
                    "Nothing was written; calibrate on more, or more fitting, pictures"
                )


def convert(request: Request, progress: Progress) -> Conversion:
    """Run every stage. Raises: EdgeError: what cannot be read, converted or verified."""
    source = read_source(request)
    pictures = choose_pictures(request, source)
    calibrated, quantized = None, None
    if source.given is not None:
        quantized = source.given.quantized
        request = replace(request, formats=("tflite",))
    elif request.kind == "int8":
        calibrated = measure(request, source, pictures, progress)
        give_back()
        quantized = assign(source.graph, calibrated.input_params, calibrated.ranges)
    card = final_card(source, calibrated, request)
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        # In files alone while the runtimes, which hold them once or twice, have them open.
        made = write_artifacts(request, quantized or source.graph, card)
        paths = _place_files(Path(folder), made, request.kind)
        del made
        verification = verify(
            card,
            {FLOAT: _reference(source, Path(folder)), **paths},
            quantized or source.graph,
            pictures.verification,
            pictures.words,
            progress,
            is_given=source.given is not None,
        )
        artifacts = {kind: path.read_bytes() for kind, path in paths.items()}
    _check_float(request, verification)
    held = {kind: inventory(kind, data) for kind, data in artifacts.items()}
    moves = tflite.moves(quantized or source.graph) if "tflite" in artifacts else ()
    return Conversion(
        request, source, calibrated, quantized, card, artifacts, held, moves, verification
    )


def _check_float(request: Request, verification: Verification) -> None:
    """See that a float32 file computes what its source does. Raises: ConvertError: it does not."""
    if request.kind != "float32":
        return
    found = {"the float32 file": verification.scores["tflite"].sqnr_db}
    for output in verification.outputs:
        found[f"output {output.name!r} of the float32 file"] = output.sqnr_db["tflite"]
    for what, sqnr_db in found.items():
        # Where all classes score the same, or all values are zero, there is nothing to compare:
        # -inf. Written so that NaN fails.
        if sqnr_db is not None and sqnr_db != -math.inf and not sqnr_db >= MIN_FLOAT32_DB:
            raise ConvertError(
                f"{request.model}: in LiteRT {what} comes no nearer to the source than "
                f"{sqnr_db:.1f} dB, where {MIN_FLOAT32_DB:.0f} is the least: a kernel computes "
                "something else, as with values within that are NaN or too large. Nothing was "
                "written; please report the model"
            )


def choose_pictures(request: Request, source: Source) -> Pictures:
    """Open the folders, or make pictures, and keep some apart to verify on."""
    calibration: ImageSet | Tensors
    verification: ImageSet | LabelledSet | Tensors
    if request.calibration is None:
        _, height, width, _ = source.input_spec.image_geometry()
        # Square, and no smaller than what the preprocessing cuts out of a photograph.
        side = max(height, width, source.card.preprocess.resize or 0)
        count = min(request.samples, SYNTHETIC_IMAGES)
        calibration = dead_leaves(count, side, side, SYNTHETIC_SEED)
        verification = dead_leaves(VERIFY_IMAGES, side, side, SYNTHETIC_VERIFY_SEED)
        words = "synthetic images" if source.given else "other synthetic images"
    else:
        everything = open_images(request.calibration)
        first, others = held_apart(len(everything), request.samples, VERIFY_IMAGES)
        calibration, verification = everything.subset(first), everything.subset(others)
        same = set(first) & set(others)
        words = "of the calibration images themselves" if same else "images held out of calibration"
    if request.evaluate is not None:
        classes = classes_of(source.graph)
        verification = open_labelled(request.evaluate, classes, source.card.labels)
        words = f"labelled images of {request.evaluate}"
    return Pictures(calibration, verification, words)


def measure(request: Request, source: Source, pictures: Pictures, progress: Progress) -> Calibrated:
    """Observe every activation over the calibration pictures."""
    images = pictures.calibration
    inputs = tensors(images, source.card.preprocess, source.input_spec)
    observations = calibrate(source.graph, progress(inputs, len(images), "calibrating"))
    synthetic = isinstance(images, ImageSet) and images.synthetic
    ranges = observations.ranges(request.observer, synthetic=synthetic)
    broken = tuple(images.broken) if isinstance(images, ImageSet) else ()
    return Calibrated(ranges, input_params(source, images), broken)


def input_params(source: Source, images: ImageSet | Tensors) -> QuantParams:
    """Return the input's parameters: the best for all bytes, or for the tensors that were given."""
    if isinstance(images, Tensors):
        lows, highs = zip(*((float(row.min()), float(row.max())) for row in images), strict=True)
        return from_range(min(lows), max(highs))
    return from_table(lookup_table(source.card.preprocess, source.input_spec).astype(float))


def final_card(source: Source, calibrated: Calibrated | None, request: Request) -> ModelCard:
    """Return the card that goes into the artifacts."""
    if source.given is not None:
        words = "int8, with the scales and integers of the source, which was already quantized"
        return replace(source.card, quantization={"scheme": words})
    if calibrated is None:
        scheme = {"scheme": "float16 weights"} if request.kind == "float16" else {}
        return replace(source.card, quantization=scheme)
    ranges = calibrated.ranges
    return replace(
        source.card,
        quantization={
            "scheme": "int8, weights per channel and symmetric, activations per tensor",
            "observer": ranges.observer,
            "images": ranges.samples,
            "synthetic": ranges.synthetic,
            "skipped_images": len(calibrated.broken),
            "target": request.target,
        },
    )


def write_artifacts(
    request: Request, subject: QuantizedGraph | Graph, card: ModelCard
) -> dict[str, bytes]:
    """Return the files' contents by format; of a float Graph only TFLite."""
    if isinstance(subject, Graph):
        half = request.kind == "float16"
        return {"tflite": tflite.write_float_tflite(subject, card, half=half)}
    quantized, artifacts = subject, dict[str, bytes]()
    if "onnx" in request.formats:
        model = write_qdq(quantized, card, activation=TARGETS[request.target], io=request.io)
        artifacts["onnx"] = model.SerializeToString(deterministic=True)
    if "tflite" in request.formats:
        artifacts["tflite"] = tflite.write_tflite(quantized, card, io=request.io)
    return artifacts


def _reference(source: Source, folder: Path) -> Path:
    """Return the model to compare with: the source, if it can be run as it is on one picture."""
    if source.batch == 1 and source.reference is None:
        return source.onnx_file
    path = folder / "float.onnx"
    content = source.reference
    if content is None or source.batch > 1:
        content = write_float(source.graph).SerializeToString()
    write_bytes(path, content)
    return path


def _place_files(folder: Path, artifacts: Mapping[str, bytes], kind: str) -> dict[str, Path]:
    paths = {}
    for output, data in artifacts.items():
        paths[output] = folder / f"model.{kind}.{output}"
        write_bytes(paths[output], data)
    return paths
