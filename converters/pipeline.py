"""The stages of a conversion in order, each a function from one value to the next."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import edge
from calibration.dataset import open_images, tensors
from calibration.images import ImageSet, Tensors, held_apart
from calibration.labelled import LabelledSet, open_labelled
from calibration.observers import RangeTable
from calibration.progress import Progress
from calibration.synthetic import dead_leaves
from converters.calibrate import calibrate
from converters.confirm import confirm
from converters.errors import ConvertError
from converters.graph import Graph
from converters.inventory import Inventory, inventory
from converters.onnx_import.importer import import_onnx
from converters.onnx_import.load import card_of, load
from converters.onnx_qdq.writer import write_float, write_qdq
from converters.passes import PassReport, run_passes
from converters.quantize.assign import assign
from converters.quantize.params import QuantParams, from_range, from_table
from converters.quantize.quantized import QuantizedGraph
from converters.request import DEFAULT_PRESET, TARGETS, PreprocessFlags, Request
from converters.tflite import writer as tflite
from converters.verify import FLOAT, Verification, verify
from edge.card import MAX_LABEL_CHARS, ModelCard, check_label_count, read_labels
from edge.errors import GateError
from edge.files import write_bytes
from edge.preprocess import PRESETS, PreprocessSpec, lookup_table
from edge.tensors import TensorSpec

VERIFY_IMAGES = 64
SYNTHETIC_IMAGES = 64
SYNTHETIC_SEED = 0
# Synthetic pictures to verify on are others than those to calibrate on.
SYNTHETIC_VERIFY_SEED = 1


@dataclass(frozen=True, slots=True)
class Source:
    """The float model, read and simplified. `notes` are for the user to know."""

    graph: Graph
    card: ModelCard
    onnx_file: Path
    batch: int  # that the file demands; the artifacts take 1
    passes: tuple[PassReport, ...]
    notes: tuple[str, ...]

    @property
    def input_spec(self) -> TensorSpec:
        """The float32 input in ONNX's layout."""
        return TensorSpec(self.graph.input, self.graph.input_shape, "float32")


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
    calibrated: Calibrated
    quantized: QuantizedGraph
    card: ModelCard
    artifacts: Mapping[str, bytes]  # by format
    inventories: Mapping[str, Inventory]  # by format
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
                    f"{self.request.model}: the int8 {kind} file is {drop:.2f} points of top-1 "
                    f"below float on {self.verification.pictures}; --max-drop allows {limit:g}. "
                    "Nothing was written; calibrate on more, or more fitting, pictures"
                )


def convert(request: Request, progress: Progress) -> Conversion:
    """Run every stage. Raises: EdgeError: what cannot be read, converted or verified."""
    source = read_source(request)
    pictures = choose_pictures(request, source)
    calibrated = measure(request, source, pictures, progress)
    quantized = assign(source.graph, calibrated.input_params, calibrated.ranges)
    card = final_card(source, calibrated, request)
    artifacts = write_artifacts(request, quantized, card)
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        models = {
            FLOAT: _reference(source, Path(folder)),
            **_place_files(Path(folder), artifacts),
        }
        verification = verify(
            card, models, quantized, pictures.verification, pictures.words, progress
        )
    held = {kind: inventory(kind, data) for kind, data in artifacts.items()}
    return Conversion(request, source, calibrated, quantized, card, artifacts, held, verification)


def read_source(request: Request) -> Source:
    """Read the model, simplify it, and see that both formats can hold it."""
    model, digest = load(request.model)
    graph, passes = run_passes(import_onnx(model, str(request.model)))
    if "tflite" in request.formats:
        tflite.check(graph)
    notes = []
    card = card_of(model)
    preprocess = request.picture.apply(card.preprocess if card else _default_preprocess(graph))
    if card is None and request.picture == PreprocessFlags():
        notes.append(
            f"{request.model.name} says nothing about its preprocessing: --preprocess "
            f"{DEFAULT_PRESET} is assumed; give the one that it was trained with"
        )
    classes = classes_of(graph, str(request.model))
    labels = card.labels if card else ()
    if request.labels is not None:
        labels = read_labels(request.labels, classes)
    check_label_count(labels, classes, f"the card of {request.model}")
    name = card.name if card else _printable(request.name)
    card = ModelCard(name, preprocess, labels, {}, digest, writer_versions())
    _check_channels(graph, preprocess)
    batch = confirm(graph, request.model)
    return Source(graph, card, request.model, batch, passes, tuple(notes))


def classes_of(graph: Graph, where: str) -> int:
    """Return how many classes there are. Raises: ConvertError: no single vector of them."""
    if len(graph.outputs) != 1:
        raise ConvertError(
            f"{where}: has {len(graph.outputs)} outputs ({', '.join(graph.outputs)}); a classifier "
            "has one: export it without the others"
        )
    shape = graph.shapes[graph.outputs[0]]
    if len(shape) != 2 and shape[2:] != (1, 1):
        raise ConvertError(
            f"{where}: output {graph.outputs[0]!r} has shape {list(shape)}; a classifier's is "
            "[batch, classes]"
        )
    return shape[1]


def writer_versions() -> dict[str, str]:
    """Return the versions of what takes part in writing an artifact."""
    return {"edge-deploy": edge.__version__} | {
        name: version(name) for name in ("numpy", "onnx", "onnxruntime", "ai-edge-litert")
    }


def _printable(name: str) -> str:
    """Return the name of a file, which may hold anything, as a card may hold it."""
    return "".join(c if c.isprintable() else "_" for c in name)[:MAX_LABEL_CHARS]


def _default_preprocess(graph: Graph) -> PreprocessSpec:
    spec = PRESETS[DEFAULT_PRESET]
    return spec.with_color("gray") if graph.input_shape[1] == 1 else spec


def _check_channels(graph: Graph, spec: PreprocessSpec) -> None:
    if graph.input_shape[1] != spec.channels:
        raise ConvertError(
            f"the model's input has {graph.input_shape[1]} channel(s), --color {spec.color} has "
            f"{spec.channels}; choose another --color"
        )


def choose_pictures(request: Request, source: Source) -> Pictures:
    """Open the folders, or make pictures, and keep some apart to verify on."""
    calibration: ImageSet | Tensors
    verification: ImageSet | LabelledSet | Tensors
    if request.calibration is None:
        _, _, height, width = source.graph.input_shape
        # Square, and no smaller than what the preprocessing cuts out of a photograph.
        side = max(height, width, source.card.preprocess.resize or 0)
        count = min(request.samples, SYNTHETIC_IMAGES)
        calibration = dead_leaves(count, side, side, SYNTHETIC_SEED)
        verification = dead_leaves(VERIFY_IMAGES, side, side, SYNTHETIC_VERIFY_SEED)
        words = "other synthetic images"
    else:
        everything = open_images(request.calibration)
        first, others = held_apart(len(everything), request.samples, VERIFY_IMAGES)
        calibration, verification = everything.subset(first), everything.subset(others)
        same = set(first) & set(others)
        words = "of the calibration images themselves" if same else "images held out of calibration"
    if request.evaluate is not None:
        classes = classes_of(source.graph, str(request.model))
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


def final_card(source: Source, calibrated: Calibrated, request: Request) -> ModelCard:
    """Return the card that goes into the artifacts."""
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
    request: Request, quantized: QuantizedGraph, card: ModelCard
) -> dict[str, bytes]:
    """Return the files' contents by format."""
    artifacts: dict[str, bytes] = {}
    if "onnx" in request.formats:
        model = write_qdq(quantized, card, activation=TARGETS[request.target], io=request.io)
        artifacts["onnx"] = model.SerializeToString(deterministic=True)
    if "tflite" in request.formats:
        artifacts["tflite"] = tflite.write_tflite(quantized, card, io=request.io)
    return artifacts


def _reference(source: Source, folder: Path) -> Path:
    """Return the float model to compare with: the source, unless it takes several pictures."""
    if source.batch == 1:
        return source.onnx_file
    path = folder / "float.onnx"
    write_bytes(path, write_float(source.graph).SerializeToString())
    return path


def _place_files(folder: Path, artifacts: Mapping[str, bytes]) -> dict[str, Path]:
    paths = {}
    for kind, data in artifacts.items():
        paths[kind] = folder / f"model.int8.{kind}"
        write_bytes(paths[kind], data)
    return paths
