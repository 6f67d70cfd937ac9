"""The model as a user has it: read, simplified, and seen to be one that can be converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import onnx

import edge
from converters.confirm import confirm
from converters.errors import ConvertError
from converters.graph import Graph
from converters.memory import give_back
from converters.norm import FirstNorm, first_norm
from converters.onnx_import.border import with_float_border
from converters.onnx_import.importer import import_quantized, import_with_norms
from converters.onnx_import.load import card_of, drop_trailing_names, load
from converters.onnx_import.quantized import is_quantized
from converters.onnx_import.runnable import runnable
from converters.passes import GIVEN_PASSES, SHRINK, SIMPLIFY, PassReport, run_passes
from converters.quantize.given import Given, take
from converters.quantize.given_gains import fold_gains
from converters.request import Request
from converters.scores import choose_scores, classes_of
from converters.tflite import writer as tflite
from edge.card import MAX_LABEL_CHARS, ModelCard, check_label_count, read_labels
from edge.picture_flags import DEFAULT_PRESET, NO_FLAGS, default_preprocess
from edge.preprocess import PreprocessSpec
from edge.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Source:
    """The model, read and simplified. `notes` are for the user to know.

    `given`: its own integers where it is already quantized, else None; `reference`: the model to
    compare with where ONNX Runtime must not be given the file as it is, else None; `norm`: its
    first BatchNormalization, where that tells something about its training; `whole`: the graph
    with the channels that were removed from `graph`, None where none were.
    """

    graph: Graph
    card: ModelCard
    onnx_file: Path
    batch: int  # that the file demands; the artifacts take 1
    passes: tuple[PassReport, ...]
    notes: tuple[str, ...]
    operators: Mapping[str, int]  # of the file, by type
    given: Given | None = None
    reference: bytes | None = None
    norm: FirstNorm | None = None
    whole: Graph | None = None

    @property
    def input_spec(self) -> TensorSpec:
        """The float32 input in the source's layout."""
        return TensorSpec(self.graph.input, self.graph.input_shape, "float32")


def read_source(request: Request) -> Source:
    """Read the model, simplify it, and see that both formats can hold it."""
    model, digest = load(request.model)
    card = card_of(model)
    operators = Counter(node.op_type for node in model.graph.node)
    reference = model.SerializeToString() if drop_trailing_names(model) else None
    where = str(request.model)
    constants, norm, whole = None, None, None
    if is_quantized(model) and request.kind == "int8":
        _check_given(request)
        model = with_float_border(model, where)
        reference = model.SerializeToString()
        read, constants = import_quantized(model, where)
        del model
        graph, constants = fold_gains(read, constants)
        graph, passes = run_passes(graph, GIVEN_PASSES)
        # Gains that the weights take round some values otherwise: no sign of a misread node.
        read, _ = run_passes(read, GIVEN_PASSES)
    else:
        graph, norms = import_with_norms(model, where)
        del model  # the graph has its own weights
        norm = first_norm(graph, norms)
        del norms
        graph, passes = run_passes(graph, SIMPLIFY)
        read, more = run_passes(graph, SHRINK)
        whole = graph if any(report.changed for report in more) else None
        graph, passes = read, passes + more
    give_back()
    if "tflite" in request.formats:
        tflite.check(graph, where)
    notes = []
    preprocess = request.picture.apply(
        card.preprocess if card else default_preprocess(_channels(graph))
    )
    if card is None and request.picture == NO_FLAGS:
        notes.append(
            f"{request.model.name} says nothing about its preprocessing: --preprocess "
            f"{DEFAULT_PRESET} is assumed; give the one that it was trained with"
        )
    labels, giver = card.labels if card else (), f"the card of {request.model}"
    if request.labels is not None:
        labels, giver = read_labels(request.labels), str(request.labels)
    named = request.scores or (card.scores if card else "")
    graph, note = choose_scores(graph, named, len(labels), where)
    notes += [note] if note else []
    check_label_count(labels, classes_of(graph), giver)
    name = card.name if card else _printable(request.name)
    scores = graph.output if graph.others else ""
    card = ModelCard(name, preprocess, labels, {}, digest, writer_versions(), scores)
    _check_channels(graph, preprocess)
    given = None if constants is None else take(graph, constants)
    batch = confirm(read, request.model, reference)
    if given is not None and reference is not None:
        reference = runnable(onnx.load_model_from_string(reference)).SerializeToString()
    return Source(
        graph=graph,
        card=card,
        onnx_file=request.model,
        batch=batch,
        passes=passes,
        notes=tuple(notes),
        operators=dict(operators),
        given=given,
        reference=reference,
        norm=norm,
        whole=whole and replace(whole, scores=graph.scores),
    )


def writer_versions() -> dict[str, str]:
    """Return the versions of what takes part in writing an artifact."""
    return {"edge-deploy": edge.__version__} | {
        name: version(name) for name in ("numpy", "onnx", "onnxruntime", "ai-edge-litert")
    }


def _check_given(request: Request) -> None:
    """Refuse what an already quantized file leaves no room for."""
    if (request.calibration, request.observer, request.optimize) != (None, None, None):
        raise ConvertError(
            f"{request.model}: already quantized: its scales and integers are kept, so that it "
            "takes no --calibration, --observer or --optimize; leave them out, or give the float32 "
            "model"
        )
    if request.sensitivity:
        raise ConvertError(
            f"{request.model}: already quantized: there is no float network whose roundings "
            "--sensitivity could trace; leave it out, or give the float32 model"
        )
    if "tflite" not in request.formats:
        raise ConvertError(
            f"{request.model}: already quantized: only TFLite is written; the int8 ONNX file is "
            "the model itself"
        )


def _printable(name: str) -> str:
    """Return the name of a file, which may hold anything, as a card may hold it."""
    return "".join(c if c.isprintable() else "_" for c in name)[:MAX_LABEL_CHARS]


def _channels(graph: Graph) -> int:
    *_, channels = TensorSpec(graph.input, graph.input_shape, "float32").image_geometry()
    return channels


def _check_channels(graph: Graph, spec: PreprocessSpec) -> None:
    if _channels(graph) != spec.channels:
        raise ConvertError(
            f"the model's input has {_channels(graph)} channel(s), --color {spec.color} has "
            f"{spec.channels}; choose another --color"
        )
