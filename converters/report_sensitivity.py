"""Where the error comes from, for the report: which block loses what, and which layers most."""

from __future__ import annotations

from converters.anatomy import PARTS
from converters.noise_plot import Bar, noise_plot
from converters.pipeline import Conversion
from converters.sensitivity import Row, Sensitivity
from edge.figures import decibels
from edge.page import Block, Figure, Figures, Note, Table

WORST = 12
NAMED = 3
TOO_LARGE = (
    "A network of this size is not traced to its single roundings unless --sensitivity asks for it."
)


def traced(conversion: Conversion) -> list[Block]:
    """Return the page's blocks on what each rounding costs, if any was looked at."""
    found = conversion.sensitivity
    if found is None:
        return [] if conversion.calibrated is None else [Note(TOO_LARGE)]
    if not _is_noisy(found):
        return []
    parts = [part for part in PARTS if any(row.part == part for row in found.rows)]
    figure = Figure(
        noise_plot(_bars(found), parts),
        "What each block adds to the noise of the scores",
        _caption(conversion, found),
    )
    worst = sorted(found.rows, key=lambda row: -row.share)[:WORST]
    head = ("most noise", "layer", "weights", "activations", "scores", "alone", "so far")
    note = (
        "Of the noise of the scores, how much is by rounding a layer's weights and how much by "
        "rounding its output. Scores: their SQNR with this layer alone in int8. Alone: its "
        "output's, when it reads rounded values; so far: its output's, where all before "
        "it is int8 too."
    )
    table = Table(head, tuple(map(_cells, worst)), minor=frozenset((1, 5, 6)))
    return [Figures((figure,)), Note(note), table]


def most_noise(found: Sensitivity) -> str:
    """Return in a line which parts make most of the noise; "" where there is none."""
    if not _is_noisy(found):
        return ""
    shares = found.shares(_place).items()
    worst = sorted(shares, key=lambda item: -item[1])[:NAMED]
    named = ", ".join(f"{place} {share:.0%}" for place, share in worst)
    weights = sum(row.weights_share for row in found.rows)
    return f"most noise: {named}; weights make {weights:.0%} of it, activations {1 - weights:.0%}"


def _is_noisy(found: Sensitivity) -> bool:
    return any(row.share for row in found.rows)


def _place(row: Row) -> str:
    return row.block if row.kind == "Input" else f"{row.block} {row.part}"


def _bars(found: Sensitivity) -> list[Bar]:
    """Return a bar for each block, in the order of the network."""
    blocks: dict[str, dict[str, tuple[float, float]]] = {}
    for row in found.rows:
        shares = blocks.setdefault(row.block, {})
        weights, activations = shares.get(row.part, (0.0, 0.0))
        shares[row.part] = (weights + row.weights_share, activations + row.activations_share)
    return [Bar(title, shares) for title, shares in blocks.items()]


def _caption(conversion: Conversion, found: Sensitivity) -> str:
    count = f"{found.pictures} picture{'s' if found.pictures > 1 else ''}"
    caption = (
        f"Every rounding by itself, the rest in float, over {count}; weights in full colour, "
        f"activations pale. The parts add up to {decibels(found.parts_db)} of SQNR; measured with "
        f"all of them: {decibels(found.measured_db)}."
    )
    reached = conversion.calibrated.climb if conversion.calibrated else None
    if reached is not None and reached.steps is not None and reached.steps.biases:
        caption += (
            " Biases were corrected: neither a correction nor the mean error that it undoes counts "
            "as noise of a layer's weights."
        )
    return caption


def _cells(row: Row) -> tuple[str, ...]:
    return (
        _place(row),
        row.name,
        f"{100 * row.weights_share:.1f} %" if row.weights_db is not None else "-",
        f"{100 * row.activations_share:.1f} %",
        decibels(row.scores_db),
        decibels(row.alone_db),
        decibels(row.cumulative_db),
    )
