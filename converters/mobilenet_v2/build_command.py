"""Runs `edge-mobilenet build`: network, weights, card, one ONNX file."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import edge
from converters.mobilenet_v2.architecture import PAPER_STAGES, Architecture, ArchitectureError
from converters.mobilenet_v2.build import build, initial_weights
from converters.mobilenet_v2.weights import hub
from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.infer import Wishes, wished
from converters.mobilenet_v2.weights.load import Loaded, load_weights
from edge.card import ModelCard, check_label_count, read_labels
from edge.files import write_bytes
from edge.picture_flags import PreprocessFlags, default_preprocess, picture_flags
from edge.preprocess import PreprocessSpec
from edge.tensors import F32
from edge.text import printable, warn

# protobuf's limit of a message, less what is not weights.
MAX_MODEL_BYTES = (2 << 30) - (1 << 20)
# The presets are for 224 pixels cut from a short side of 256; other inputs see the same part.
CROP_OF_RESIZE = 224 / 256
UNTRAINED = "untrained: the network guesses until it has been trained"
NEW_CLASSIFIER = (
    "the weights have no classifier: a new one was made, untrained; the network guesses until it "
    "has been trained"
)


def build_file(args: argparse.Namespace) -> int:
    """Build what was asked for, write it whole or not at all, and say what it is.

    Raises: EdgeError: what is asked for cannot be, or the weights do not fit; OSError.
    """
    picture = picture_flags(args)
    labels = read_labels(args.labels) if args.labels else ()
    wishes = _wishes(args, picture, len(labels))
    loaded: Loaded | None = None
    if args.weights is None:
        architecture = wished(wishes)
        _check_size(architecture)
        weights = initial_weights(architecture, args.seed)
        base = default_preprocess(architecture.channels)
    else:
        loaded = load_weights(_file(args.weights), wishes, args.seed)
        architecture, weights, base = loaded.architecture, loaded.weights, loaded.preprocess
        _check_size(architecture)
    check_label_count(labels, architecture.classes, str(args.labels))
    out = args.out or Path(_default_name(architecture))
    card = ModelCard(
        name=printable(out.stem),
        preprocess=_preprocess(architecture, base, picture),
        labels=labels,
        versions={"edge-deploy": edge.__version__},
    )
    _write(args, out, architecture, weights, card)
    if loaded is None:
        warn(f"the weights are {UNTRAINED}")
    elif loaded.is_new_classifier:
        warn(NEW_CLASSIFIER)
    found = _to_json(args, out, architecture, card, loaded)
    print(json.dumps(found, indent=2) if args.json else _to_text(found))
    return 0


def _wishes(args: argparse.Namespace, picture: PreprocessFlags, labels: int) -> Wishes:
    return Wishes(
        width=args.width,
        image_hw=args.resolution,
        classes=args.classes,
        labels=labels or None,
        channels=None if picture.color is None else 1 if picture.color == "gray" else 3,
        expansion=args.expansion,
        activation=args.activation,
        shortcut=args.shortcut,
        bottleneck=args.bottleneck,
        padding=args.padding,
        epsilon=args.epsilon,
    )


def _file(weights: str) -> Path:
    return hub.fetch(weights) if weights.startswith(hub.SCHEME) else Path(weights)


def _check_size(architecture: Architecture) -> None:
    size = 4 * architecture.parameters()
    if size > MAX_MODEL_BYTES:
        raise ArchitectureError(
            f"MobileNetV2 {architecture.width:g} with {architecture.classes:,} classes takes "
            f"{size:,} bytes; an ONNX file holds {MAX_MODEL_BYTES:,}. Name a smaller --width, or "
            "fewer --classes"
        )


def _default_name(architecture: Architecture) -> str:
    height, width = architecture.image_hw
    side = f"{height}" if height == width else f"{height}x{width}"
    return f"mobilenet_v2_{architecture.width:g}_{side}.onnx"


def _preprocess(
    architecture: Architecture, base: PreprocessSpec, picture: PreprocessFlags
) -> PreprocessSpec:
    """Return the flags' preprocessing, or else the base's, for the network's input."""
    if architecture.channels == 1:
        base = base.with_color("gray")
    spec = picture.apply(base)
    if picture.resize is not None or spec.resize is None:
        return spec
    return replace(spec, resize=round(min(architecture.image_hw) / CROP_OF_RESIZE))


def _write(
    args: argparse.Namespace,
    out: Path,
    architecture: Architecture,
    weights: dict[str, F32],
    card: ModelCard,
) -> None:
    if args.weights and out.exists() and Path(args.weights).exists() and out.samefile(args.weights):
        raise WeightFileError(f"{out}: holds the weights, and is not written over; name another -o")
    model = build(architecture, weights, card, 1 if args.batch == "1" else "batch")
    write_bytes(out, model.SerializeToString())


def _to_json(
    args: argparse.Namespace,
    out: Path,
    architecture: Architecture,
    card: ModelCard,
    loaded: Loaded | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": str(out),
        "architecture": asdict(architecture),
        "parameters": architecture.parameters(),
        "multiply_adds": architecture.multiply_adds(),
        "preprocess": card.preprocess.to_json(),
        "labels": len(card.labels),
    }
    if loaded is None:
        return found | {"weights": {"trained": False, "classifier": "untrained", "seed": args.seed}}
    weights = {
        "trained": True,
        "classifier": "untrained" if loaded.is_new_classifier else "trained",
        "file": args.weights,
        "format": loaded.format,
        "names": loaded.family,
        "arrays": loaded.read,
        "converted": dict(loaded.converted),
        "not_read": dict(loaded.not_read),
        "notes": list(loaded.notes),
    }
    return found | {"weights": weights}


def _to_text(found: dict[str, Any]) -> str:
    net, picture = found["architecture"], found["preprocess"]
    stages = net["stages"]
    is_paper = stages == tuple(asdict(stage) for stage in PAPER_STAGES)
    own = "" if is_paper else f" with {sum(s['repeats'] for s in stages)} blocks of its own"
    size = "x".join(str(side) for side in (*net["image_hw"], net["channels"]))
    resize = "no resize" if picture["resize"] is None else f"short side to {picture['resize']}"
    network = (
        f"MobileNetV2 {net['width']:g}{own}, {size}, {net['classes']:,} classes: "
        f"{found['parameters']:,} parameters, {found['multiply_adds'] / 1e6:,.2f} M multiply-adds"
    )
    details = (
        f"  expansion {net['expansion'] or stages[-1]['expansion']}, {net['activation']}, "
        f"{net['bottleneck']} bottlenecks, {'shortcuts' if net['shortcut'] else 'no shortcuts'}, "
        f"padding as {net['padding']}'s, BatchNorm's epsilon {net['epsilon']:g}"
    )
    card = (
        f"card: {picture['color']}, mean {_numbers(picture['mean'])}, std "
        f"{_numbers(picture['std'])}, {resize}; {found['labels'] or 'no'} labels"
    )
    wrote = f"wrote {printable(found['model'])}"
    return "\n".join([network, details, *_weights_text(found["weights"]), card, wrote])


def _weights_text(weights: dict[str, Any]) -> list[str]:
    if not weights["trained"]:
        return [f"weights: {UNTRAINED} (He, seed {weights['seed']})"]
    source = f"({weights['format']}, names of {weights['names']})"
    lines = [f"weights: {weights['arrays']} arrays of {printable(weights['file'])} {source}"]
    for words, counts in (("made float32", "converted"), ("not read", "not_read")):
        if weights[counts]:
            lines.append(f"  {words}: {_counts(Counter(weights[counts]))}")
    lines += [f"  {printable(note)}" for note in weights["notes"]]
    if weights["classifier"] != "trained":
        lines.append(f"  {NEW_CLASSIFIER}")
    return lines


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))


def _numbers(values: list[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
