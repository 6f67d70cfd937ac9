"""The stages of a conversion in order, each a function from one value to the next."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from calibration.lint import Lint, check_overlap
from calibration.progress import Progress
from converters.errors import ConvertError
from converters.graph import Graph
from converters.inventory import Inventory, inventory
from converters.ladder import PLAIN, climb
from converters.measure import Calibrated, ground, measure
from converters.memory import give_back
from converters.onnx_qdq.writer import write_float, write_qdq
from converters.pictures import Pictures, choose_pictures
from converters.quantize.assign import assign
from converters.quantize.quantized import QuantizedGraph
from converters.request import TARGETS, Format, Request
from converters.saving import Saving, compare_times, saving
from converters.sensitivity import PICTURES, Sensitivity, affordable, measure_sensitivity
from converters.source import Source, read_source
from converters.tflite import writer as tflite
from converters.verify import FLOAT, Verification, inputs_of, verify
from edge.card import ModelCard
from edge.errors import EdgeError, GateError
from edge.files import write_bytes

# Another order of sums leaves 80 dB and more of forty architectures.
MIN_FLOAT32_DB = 40.0


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
    lint: Lint | None = None  # None where nothing was calibrated
    saving: Saving | None = None  # by channels that were removed, where some were
    sensitivity: Sensitivity | None = None  # None where it was not asked for, and would take long

    def check_gate(self) -> None:
        """Raise GateError for a fault of the calibration set where the request is strict, or where
        an artifact loses more top-1 than it allows.
        """
        found = self.lint.findings if self.lint else ()
        if self.request.strict and found:
            raise GateError(
                f"{self.request.calibration or 'synthetic images'}: the calibration set has faults "
                f"({', '.join(finding.code for finding in found)}); --strict allows none. Nothing "
                "was written; change what the warnings name, or leave out --strict"
            )
        self.check_drop()

    def check_drop(self) -> None:
        """Raise GateError where an artifact loses more top-1 than the request allows."""
        for kind in self.artifacts:
            drop = self.verification.drop_pp(kind)
            limit = self.request.max_drop
            if limit is not None and drop is not None and drop > limit:
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
    if source.given is not None:
        request = replace(request, formats=("tflite",))
        return _built(request, source, pictures, source.given.quantized, None, progress)
    if request.kind != "int8":
        return _built(request, source, pictures, source.graph, None, progress)
    calibrated = measure(request, source, pictures, progress)
    give_back()
    for level in request.levels:
        reached = climb(ground(request, source, pictures, calibrated, level, progress), level)
        give_back()
        found = replace(calibrated, ranges=reached.ranges, climb=reached)
        conversion = _built(request, source, pictures, reached.quantized, found, progress)
        try:
            conversion.check_drop()
        except GateError:
            continue  # the next level may meet it; whoever asks is told of the last one
        break
    return _traced(conversion, pictures, progress)


def _traced(conversion: Conversion, pictures: Pictures, progress: Progress) -> Conversion:
    """Add where the error comes from, if the request or the size of the network allows it."""
    quantized = conversion.quantized
    assert quantized is not None  # noqa: S101 (the caller quantized it)
    count = PICTURES if conversion.request.sensitivity else affordable(quantized)
    source = conversion.source
    several = islice(inputs_of(pictures.verification, source.card, source.input_spec), count)
    inputs = list(several)
    if not inputs:
        return conversion
    found = measure_sensitivity(quantized, inputs, progress)
    give_back()
    return replace(conversion, sensitivity=found)


def _built(
    request: Request,
    source: Source,
    pictures: Pictures,
    subject: QuantizedGraph | Graph,
    calibrated: Calibrated | None,
    progress: Progress,
) -> Conversion:
    """Write the artifacts of `subject`, and look at what they make of the pictures."""
    card = final_card(source, calibrated, request)
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        # In files alone while the runtimes, which hold them once or twice, have them open.
        made = write_artifacts(request, subject, card)
        paths = _place_files(Path(folder), made, request.kind)
        del made
        verification = verify(
            card,
            {FLOAT: _reference(source, Path(folder)), **paths},
            subject,
            pictures.verification,
            pictures.words,
            progress,
            is_given=source.given is not None,
        )
        saved = _saving(request, source, calibrated, subject, paths)
        artifacts = {kind: path.read_bytes() for kind, path in paths.items()}
    _check_float(request, verification)
    watch = pictures.watch
    found = calibrated.lint if calibrated else None
    if found is not None and watch.looks and watch.evaluated:
        found = found.after("overlap", check_overlap(watch.looks, watch.evaluated))
    return Conversion(
        request=request,
        source=source,
        calibrated=calibrated,
        quantized=subject if isinstance(subject, QuantizedGraph) else None,
        card=card,
        artifacts=artifacts,
        inventories={kind: inventory(kind, data) for kind, data in artifacts.items()},
        moves=tflite.moves(subject) if "tflite" in artifacts else (),
        verification=verification,
        lint=found,
        saving=saved,
    )


def _saving(
    request: Request,
    source: Source,
    calibrated: Calibrated | None,
    subject: QuantizedGraph | Graph,
    paths: Mapping[str, Path],
) -> Saving | None:
    """Return what the artifacts save beside what they would be with all channels."""
    if source.whole is None:
        return None
    kind: Format = "tflite" if "tflite" in paths else "onnx"
    whole: QuantizedGraph | Graph = source.whole
    times_ms = None
    try:
        if calibrated is not None:
            # The values have the same names, and ranges that take as long to compute with.
            whole = assign(source.whole, calibrated.input_params, calibrated.ranges)
        alone = replace(request, formats=(kind,))
        path = paths[kind].with_name(f"whole.{kind}")
        write_bytes(path, write_artifacts(alone, whole, source.card)[kind])
        times_ms = compare_times(path, paths[kind], source.graph.output)
        give_back()
    except EdgeError:
        # What was removed may be what cannot be quantized.
        whole = source.whole
    left = source.graph if isinstance(whole, Graph) else subject
    return saving(whole, left, kind, times_ms, half=request.kind == "float16")


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


def final_card(source: Source, calibrated: Calibrated | None, request: Request) -> ModelCard:
    """Return the card that goes into the artifacts."""
    if source.given is not None:
        words = "int8, with the scales and integers of the source, which was already quantized"
        return replace(source.card, quantization={"scheme": words})
    if calibrated is None:
        scheme = {"scheme": "float16 weights"} if request.kind == "float16" else {}
        return replace(source.card, quantization=scheme)
    ranges, reached = calibrated.ranges, calibrated.climb
    return replace(
        source.card,
        quantization={
            "scheme": "int8, weights per channel and symmetric, activations per tensor",
            "observer": ranges.observer,
            "images": ranges.samples,
            "synthetic": ranges.synthetic,
            "skipped_images": len(calibrated.broken),
            "target": request.target,
            "optimized": reached.kept if reached else PLAIN,
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
