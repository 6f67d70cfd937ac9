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
from converters.artifacts import final_card, place_files, reference_file, write_artifacts
from converters.error_trace import PICTURES, affordable
from converters.errors import ConvertError
from converters.gate import shortfall
from converters.graph import Graph
from converters.inventory import Inventory, inventory
from converters.ladder import Ground, climb
from converters.measure import Calibrated, ground, measure
from converters.memory import give_back
from converters.mixed import Tried, mix
from converters.pictures import Pictures, choose_pictures
from converters.quantize.assign import assign
from converters.quantize.keep_float import keep_float
from converters.quantize.quantized import QuantizedGraph
from converters.request import Format, Request
from converters.saving import Saving, compare_times, saving
from converters.sensitivity import Sensitivity, measure_sensitivity
from converters.source import Source, read_source
from converters.tflite import writer as tflite
from converters.verify import FLOAT, Verification, compare, inputs_of, verify
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
        an artifact misses what the request demands.
        """
        found = self.lint.findings if self.lint else ()
        if self.request.strict and found:
            raise GateError(
                f"{self.request.calibration or 'synthetic images'}: the calibration set has faults "
                f"({', '.join(finding.code for finding in found)}); --strict allows none. Nothing "
                "was written; change what the warnings name, or leave out --strict"
            )
        mixing = self.calibrated.mixing if self.calibrated else None
        if self.missed is not None:
            raise GateError(
                f"{self.request.model}: {f'with {mixing} ' if mixing else ''}{self.missed} "
                f"(on {self.verification.pictures}). Nothing was written; {self._advice}"
            )

    @property
    def _advice(self) -> str:
        if self.calibrated is not None and self.calibrated.mixing is not None:
            return "what is left of int8 saves next to nothing: take --float32 or --float16"
        if self.request.kind == "int8" and self.request.optimize is not None:
            return "without --optimize more is tried, layers in float at last"
        return "calibrate on more, or more fitting, pictures"

    @property
    def missed(self) -> str | None:
        """What the artifacts miss of what the request demands, in words; None for nothing."""
        return shortfall(self.request, self.verification.scores)


def convert(request: Request, progress: Progress) -> Conversion:
    """Run every stage. Raises: EdgeError: what cannot be read, converted or verified."""
    source = read_source(request)
    pictures = choose_pictures(request, source)
    if source.given is not None:
        if request.per_tensor:
            raise ConvertError(
                f"{request.model}: it is already quantized, and its weights keep the scales that "
                "the file gives them. Leave out --per-tensor, or give the float model"
            )
        request = replace(request, formats=("tflite",))
        return _built(request, source, pictures, source.given.quantized, None, progress)
    if request.kind != "int8":
        return _built(request, source, pictures, source.graph, None, progress)
    calibrated = measure(request, source, pictures, progress)
    give_back()
    for level in request.levels:
        stand = ground(request, source, pictures, calibrated, level, progress)
        reached = climb(stand, level)
        give_back()
        found = replace(calibrated, ranges=reached.ranges, climb=reached)
        conversion = _built(request, source, pictures, reached.quantized, found, progress)
        if conversion.missed is None:
            break
    else:
        if request.climbs:
            conversion = _mixed(conversion, stand, pictures, progress)
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


def _mixed(
    in_int8: Conversion, stand: Ground, pictures: Pictures, progress: Progress
) -> Conversion:
    """Return the conversion with as few layers in float as meet the gate, or as many as there can.

    Args: in_int8: the best without any, which does not meet it.
    """
    request, source, calibrated = in_int8.request, in_int8.source, in_int8.calibrated
    if calibrated is None or calibrated.climb is None:
        return in_int8
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as folder:
        reference = reference_file(source, Path(folder))

        def attempt(network: QuantizedGraph) -> Tried:
            made = write_artifacts(request, network, in_int8.card)
            models = {FLOAT: reference, **place_files(Path(folder), made, request.kind)}
            scores = compare(in_int8.card, models, network.graph, pictures.verification, progress)
            give_back()
            return scores, shortfall(request, scores)

        known = in_int8.verification.scores, in_int8.missed
        mixed = mix(stand, calibrated.climb, known, attempt, progress)
        if mixed is None:
            return in_int8
        quantized, mixing = mixed
        files = write_artifacts(request, quantized, in_int8.card)
        before = place_files(Path(folder), in_int8.artifacts, request.kind)
        after = place_files(Path(folder), files, "mixed")
        times = {kind: compare_times(before[kind], after[kind]) for kind in files}
    found = replace(calibrated, mixing=replace(mixing, inference_ms=times))
    return _built(request, source, pictures, quantized, found, progress)


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
        paths = place_files(Path(folder), made, request.kind)
        del made
        verification = verify(
            card,
            {FLOAT: reference_file(source, Path(folder)), **paths},
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
            whole = assign(
                source.whole,
                calibrated.input_params,
                calibrated.ranges,
                per_tensor=request.per_tensor,
            )
            if calibrated.mixing is not None:
                whole = keep_float(whole, frozenset(x.name for x in calibrated.mixing.layers))
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
