"""The report as one HTML file."""

from __future__ import annotations

from calibration.evaluation import words
from calibration.evaluation.comparison import Against, Report, Result
from calibration.evaluation.plots import class_bars, interval_dots
from calibration.evaluation.subjects import described
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

TILED = 4
SHOWN_CLASSES = 12


def render_html(report: Report) -> str:
    """Return the report as a self-contained document.

    Raises: MissingExtraError: jinja2 is not installed.
    """
    others = list(words.compared(report))
    sections = [
        Section("", [_headline(report), *_notes(report)]),
        Section("How often each is right", _accuracy(report)),
    ]
    if others:
        sections.append(Section(f"Against {report.reference.subject.name}", _differences(report)))
        rows = tuple(words.change_row(*pair) for pair in others)
        sections.append(Section("What changed", [Table(words.CHANGES, rows)]))
        sections += [_changes(report, *pair) for pair in others]
    sections.append(Section("The models: kernels, picture, SHA-256", [_models(report)]))
    return render_page("Evaluation", sections, subtitle=words.headline(report))


def _headline(report: Report) -> Tiles:
    tiles = []
    for result in report.results[:TILED]:
        note = "what the others are held against" if len(report.results) > 1 else ""
        if result.against is not None:
            change = result.against.top1
            note = (
                f"{100 * change.value:+.2f} points "
                f"[{100 * change.low:+.2f}, {100 * change.high:+.2f}]"
            )
        name = f"top-1, {result.subject.name}"
        tiles.append(Tile(name, f"{100 * result.top1.value:.2f}", "%", note))
    return Tiles(tuple(tiles))


def _notes(report: Report) -> list[Block]:
    # As they are: most begin with the name of a file.
    return [Note(f"{note}.", warning=True) for note in report.notes]


def _accuracy(report: Report) -> list[Block]:
    dots = [(one.subject.name, one.top1) for one in report.results]
    figure = Figure(
        interval_dots(dots),
        "Top-1 (%)",
        "The dot is what these images give; the line is where 95 % of the resamples lie.",
    )
    rows = tuple(words.accuracy_row(result) for result in report.results)
    table = Table(words.ACCURACY, rows, minor=frozenset({4, 5, 6}))
    read = [Note(line) for line in words.explanations(report)]
    return [Figures((figure, *_difference_figure(report))), table, *read]


def _difference_figure(report: Report) -> list[Figure]:
    dots = [(result.subject.name, against.top1) for result, against in words.compared(report)]
    if not dots:
        return []
    caption = "Paired: the same images in both. A line that holds 0 shows no sure difference."
    name = f"Change of top-1 against {report.reference.subject.name} (points)"
    return [Figure(interval_dots(dots, zero=True), name, caption)]


def _differences(report: Report) -> list[Block]:
    _, *head = words.DIFFERENCE
    rows = tuple(words.difference_row(*pair) for pair in words.compared(report))
    # Phones have room for the change with its interval, and how much is alike.
    return [Table(("model", *head), rows, minor=frozenset({4, 5, 6, 8, 9}))]


def _changes(report: Report, result: Result, against: Against) -> Section:
    name = report.classes.name
    blocks: list[Block] = []
    bars = [(name(k), lost, gained) for k, lost, gained in against.by_class(SHOWN_CLASSES)]
    if bars:
        caption = "Images that are wrong now (left) and right now (right), by their true class."
        title = "Classes that flipped most"
        blocks.append(Figures((Figure(class_bars(bars), title, caption),)))
    pairs = against.pairs(words.SHOWN_PAIRS)
    if pairs:
        rows = tuple((f"{name(a)} → {name(b)}", str(count)) for (a, b), count in pairs)
        blocks.append(Table(("class before → now", "images"), rows))
    lost = [words.change_line(report, one) for one in against.lost[: words.SHOWN_IMAGES]]
    if lost:
        more = f", and {len(against.lost) - len(lost)} more" if len(against.lost) > 5 else ""
        blocks.append(Note(f"Right before, wrong now: {'; '.join(lost)}{more}."))
    return Section(result.subject.name, blocks or [Note("No image changed.")])


def _picture(result: Result) -> str:
    return described(result.subject.preprocess, result.subject.input)


def _models(report: Report) -> Facts:
    return Facts(
        tuple(
            (one.subject.name, f"{words.kernel_line(one)}; {_picture(one)}; {one.subject.sha256}")
            for one in report.results
        )
    )
