"""Which layers are float, why, and what they cost: for the report and the terminal."""

from __future__ import annotations

from converters.mixed import Attempt, Mixing
from converters.report_structure import FORMATS
from converters.verify import drop_pp
from edge.figures import decibels, percent
from edge.page import Block, Note, Table

SHOWN = 8


def how_mixed(mixing: Mixing) -> str:
    """Return in a sentence which layers are float, why, and what that wins and costs."""
    names = [layer.output for layer in mixing.layers]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    adds = sum(layer.multiply_adds for layer in mixing.layers)
    before, after = mixing.in_int8.scores, mixing.reached.scores
    gains = [
        f"{FORMATS[kind]} {decibels(before[kind].sqnr_db)} became {decibels(after[kind].sqnr_db)}, "
        f"{change.before:.2f} ms became {change.after:.2f}"
        for kind, change in mixing.inference_ms.items()
    ]
    return (
        f"{mixing} ({', '.join(names[:SHOWN])}{more}), with {percent(adds)} of the multiply-adds, "
        f"as with none {mixing.in_int8.missed}; {'; '.join(gains)}"
    )


def mixed(mixing: Mixing) -> list[Block]:
    """Return the section's blocks."""
    layers = sorted(mixing.layers, key=lambda layer: -layer.noise)
    rows = [
        (layer.output, layer.kind, percent(layer.noise), percent(layer.multiply_adds))
        for layer in layers
    ]
    kinds = [kind for kind in FORMATS if kind in mixing.in_int8.scores]
    said = how_mixed(mixing)
    note = (
        "The noise is what rounding the layer's weights and its output does to the scores alone, "
        "as a share of what all roundings do; a value stays rounded where a layer of integers "
        "makes or reads it. A layer that has little of it joins two that have more."
    )
    return [
        Note(f"{said[0].upper()}{said[1:]}."),
        Table(("in float", "operator", "noise in int8", "multiply-adds"), tuple(rows)),
        Note(note),
        Table(
            (
                "layers in float",
                *(f"SQNR, {FORMATS[kind]}" for kind in kinds),
                "top-1",
                "met",
            ),
            tuple(_attempt_row(one, kinds) for one in mixing.tried),
        ),
    ]


def _attempt_row(one: Attempt, kinds: list[str]) -> tuple[str, ...]:
    drops = [drop for kind in kinds if (drop := drop_pp(one.scores, kind)) is not None]
    return (
        str(one.layers),
        *(decibels(one.scores[kind].sqnr_db) for kind in kinds),
        f"{-max(drops):+.2f}" if drops else "",
        "no" if one.missed else "yes",
    )
