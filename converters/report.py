"""The conversion report: one HTML file that shows what int8 costs, and where."""

from __future__ import annotations

import math

from calibration.lint import Lint
from converters.ladder import PLAIN, WIDEST, Climb
from converters.output_check import OutputCheck
from converters.pipeline import Conversion
from converters.report_mixed import mixed
from converters.report_sensitivity import traced
from converters.report_structure import FORMATS, saved, structure
from converters.sqnr_plot import sqnr_plot
from converters.tensor_check import TensorCheck
from converters.verify import FLOAT
from edge.figures import decibels, percent, size
from edge.page import (
    Block,
    Facts,
    Figure,
    Figures,
    Note,
    Section,
    Table,
    Tile,
    Tiles,
    render_page,
)

WORST = 10


def render(conversion: Conversion) -> str:
    """Return the report as a self-contained document."""
    sections = [
        Section("", [_headline(conversion), *_cautions(conversion)]),
        Section(f"Against {_reference(conversion)}", [_scores(conversion)]),
    ]
    if conversion.verification.outputs:
        sections.append(Section("The other outputs", _other_outputs(conversion)))
    if conversion.lint is not None and conversion.lint.findings:
        sections.append(Section("What is wrong with the calibration set", [_lint(conversion.lint)]))
    given = conversion.source.given
    if given is not None:
        kept = "Scales, zero points and integers are those of the source, bit for bit"
        kept += ", but for these:" if given.notes else "."
        notes = [Note(note) for note in (kept, *given.notes)]
        sections.append(Section("What became of the source's integers", [*notes]))
    reached = conversion.calibrated.climb if conversion.calibrated else None
    if reached is not None and reached.rungs:
        sections.append(Section("What was tried to lose less", _rungs(reached)))
    mixing = conversion.calibrated.mixing if conversion.calibrated else None
    if mixing is not None:
        sections.append(Section("Which layers are float", mixed(mixing)))
    if conversion.verification.tensors:
        blocks = [*traced(conversion), *_tensors(conversion)]
        sections.append(Section("Where the error comes from", blocks))
    if conversion.saving is not None:
        sections.append(Section("What was saved", saved(conversion)))
    sections += [
        Section("What was written", structure(conversion)),
        Section("The card", [_card(conversion)]),
    ]
    said = f"{how_calibrated(conversion)}compared on {conversion.verification.pictures}"
    name = f"{conversion.source.card.name} in {conversion.request.kind}"
    return render_page(name, sections, subtitle=f"{said[0].upper()}{said[1:]}")


def _reference(conversion: Conversion) -> str:
    return "the float model" if conversion.source.given is None else "the source"


def called(conversion: Conversion, kind: str) -> str:
    """Return what a model of the verification is called: "float32", "int8 ONNX"."""
    if kind == FLOAT and conversion.source.given is not None:
        return "source (QDQ)"
    return "float32" if kind == FLOAT else f"{conversion.request.kind} {FORMATS[kind]}"


def how_calibrated(conversion: Conversion) -> str:
    """Return the beginning of a sentence that says what was quantized by what, if anything was."""
    if conversion.source.given is not None:
        return "with the source's own scales, "
    if conversion.calibrated is None:
        return ""
    ranges = conversion.calibrated.ranges
    kind = "synthetic images" if ranges.synthetic else "images"
    weights = "weights per tensor, " if conversion.request.per_tensor else ""
    return f"{weights}calibrated on {ranges.samples} {kind}, "


def how_optimized(reached: Climb) -> str:
    """Return in a sentence what was kept of what was tried."""
    found = {rung.name: rung.sqnr_db for rung in reached.rungs}
    on = f"on {reached.pictures} calibration images kept apart for this"
    if reached.kept in (PLAIN, WIDEST):
        return f"{reached.kept} kept: nothing that was tried did better {on}"
    return f"{reached.kept}: {decibels(found[PLAIN])} became {decibels(found[reached.kept])} {on}"


def _rungs(reached: Climb) -> list[Block]:
    rows = [(r.name, decibels(r.sqnr_db), "kept" if r.kept else "") for r in reached.rungs]
    said = how_optimized(reached)
    blocks: list[Block] = [
        Note(f"{said[0].upper()}{said[1:]}."),
        Table(("how it was quantized", "SQNR", ""), tuple(rows)),
    ]
    return blocks


def _headline(conversion: Conversion) -> Tiles:
    verification = conversion.verification
    scores = conversion.source.graph.output
    of_what = "of the classes' scores" if verification.outputs else "of the outputs"
    tiles = []
    for kind in conversion.artifacts:
        score = verification.scores[kind]
        drop = verification.drop_pp(kind)
        if score.top1 is not None and drop is not None:
            against = _reference(conversion).removeprefix("the ").removesuffix(" model")
            note = f"{-drop:+.2f} points against {against}" if drop else f"as {against}"
            tiles.append(Tile(f"top-1, {called(conversion, kind)}", percent(score.top1), note=note))
        else:
            note = f"same first class as {_reference(conversion)}"
            tiles.append(
                Tile(f"agrees, {called(conversion, kind)}", percent(score.agreement), note=note)
            )
        tiles.append(
            Tile(f"SQNR, {called(conversion, kind)}", decibels(score.sqnr_db), note=of_what)
        )
    for output in verification.tensors:
        if output.name == scores and output.steps is not None:
            note = f"largest difference {output.steps} steps"
            first = "ONNX" if conversion.source.given is None else "source"
            tiles.append(Tile(f"{first} and TFLite equal", percent(output.equal), note=note))
    return Tiles(tuple(tiles))


def _cautions(conversion: Conversion) -> list[Block]:
    notes = list(conversion.source.notes)
    calibrated = conversion.calibrated
    if calibrated is not None and calibrated.ranges.synthetic:
        notes.append(
            "No pictures were given, so ranges come from synthetic ones. Pictures of your own "
            "camera (--calibration) are better."
        )
    if calibrated is not None and calibrated.broken:
        names = ", ".join(calibrated.broken[:5])
        notes.append(f"{len(calibrated.broken)} broken images passed over: {names}")
    default = conversion.verification.default_kernels
    exact = conversion.verification.scores.get("onnx")
    if default is not None and exact is not None and default.sqnr_db is not None:
        loss = (exact.sqnr_db or 0.0) - default.sqnr_db
        if loss > 1:
            notes.append(
                f"On this PC, ONNX Runtime's default kernels lose {loss:.1f} dB by saturating "
                "16-bit sums. An Arm board does not; figures here are from exact kernels "
                "(session.x64quantprecision=1)."
            )
    return [Note(note, warning=True) for note in notes]


def _lint(lint: Lint) -> Table:
    return Table(
        ("found", "", "change"),
        tuple((f.code, f.sentence, f.change) for f in lint.findings),
    )


def _scores(conversion: Conversion) -> Table:
    verification = conversion.verification
    scores = {
        called(conversion, kind): (kind, score) for kind, score in verification.scores.items()
    }
    if verification.default_kernels is not None:
        scores["int8 ONNX, default x86 kernels"] = ("onnx", verification.default_kernels)
    labelled = verification.scores[FLOAT].top1 is not None
    rows = []
    for title, (kind, score) in scores.items():
        top = (percent(score.top1), percent(score.top5)) if labelled else ()
        against = ("", "") if kind == FLOAT else (percent(score.agreement), decibels(score.sqnr_db))
        time = f"{score.inference_ms:.2f}"
        rows.append((title, *top, *against, size(verification.size_bytes[kind]), time))
    top_heads = ("top-1", "top-5") if labelled else ()
    head = ("model", *top_heads, "agrees", "SQNR", "size", "ms here")
    return Table(head, tuple(rows), minor=frozenset((2, 5) if labelled else (3,)))


def _other_outputs(conversion: Conversion) -> list[Block]:
    checks = conversion.verification.outputs
    kinds = tuple(conversion.artifacts)
    note = (
        f"The figures above are of the classes' scores, output {conversion.card.scores!r}. Every "
        "file gives these outputs too, under their names, in the source's order and layout. SQNR "
        f"over {checks[0].pictures} pictures."
    )
    head = ("output", "shape", *(called(conversion, kind) for kind in kinds))
    rows = tuple(output_row(check, kinds) for check in checks)
    return [Note(note), Table(head, rows)]


def output_row(check: OutputCheck, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return the name, the shape and each format's SQNR of an output beside the scores."""
    shape = "x".join(map(str, check.shape)) or "one number"
    return (check.name, shape, *(decibels(check.sqnr_db[kind]) for kind in kinds))


def _tensors(conversion: Conversion) -> list[Block]:
    checks = conversion.verification.tensors
    lines = {
        called(conversion, kind): [_plotted(check.sqnr_db.get(kind)) for check in checks]
        for kind in conversion.artifacts
    }
    worst = sorted(checks, key=lambda check: min(check.sqnr_db.values(), default=math.inf))[:WORST]
    kinds = tuple(conversion.artifacts)
    figure = Figure(
        sqnr_plot([check.name for check in checks], lines),
        "Signal over quantization noise, tensor by tensor (dB)",
        f"Each tensor of the artifacts against {_reference(conversion)}'s. Noise adds up on the "
        "way; a sudden fall is a layer that int8 does not suit.",
    )
    is_exact = not any(db is not None for line in lines.values() for db in line)
    return [
        Note(f"No tensor differs from {_reference(conversion)}'s.")
        if is_exact
        else Figures((figure,)),
        Table(
            (
                "worst tensors",
                "operator",
                *(FORMATS[kind] for kind in kinds),
                "apart",
            ),
            tuple(_tensor_row(check, kinds) for check in worst),
            minor=frozenset((1,)),
        ),
    ]


def _plotted(sqnr_db: float | None) -> float | None:
    return sqnr_db if sqnr_db is not None and math.isfinite(sqnr_db) else None


def _tensor_row(check: TensorCheck, kinds: tuple[str, ...]) -> tuple[str, ...]:
    steps = "-" if check.steps is None else str(check.steps)
    ratios = (decibels(check.sqnr_db.get(kind)) for kind in kinds)
    return (check.name, check.kind, *ratios, steps)


def _card(conversion: Conversion) -> Facts:
    card = conversion.card
    spec = card.preprocess
    resize = f"short side to {spec.resize}, then " if spec.resize else ""
    labels = f"{len(card.labels)}: {', '.join(card.labels[:5])}, ..." if card.labels else "none"
    return Facts(
        (
            ("preprocessing", f"{resize}centre crop, {spec.interpolation}, {spec.color}"),
            ("mean, std", f"{_vector(spec.mean)}, {_vector(spec.std)} of pixels in 0..1"),
            ("labels", labels),
            *([("classes' scores", f"output {card.scores}")] if card.scores else []),
            ("ranges", conversion.calibrated.ranges.observer if conversion.calibrated else "none"),
            ("source model, SHA-256", card.source_sha256),
            ("written by", ", ".join(f"{k} {v}" for k, v in card.versions.items())),
        )
    )


def _vector(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
