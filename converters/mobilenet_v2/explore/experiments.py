"""All experiments, by the names that the command knows them by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from converters.mobilenet_v2.explore import (
    ablations,
    ablations_chapter,
    int8,
    int8_chapter,
    relu,
    relu_chapter,
    units,
    units_chapter,
)
from converters.mobilenet_v2.explore.experiment import Asked, Chapter


@dataclass(frozen=True, slots=True)
class Experiment:
    """`run` gives a frozen result, and `chapter` says what it means."""

    run: Callable[[Asked], Any]
    chapter: Callable[[Any], Chapter]


# In the order of the page; `flags.NAMES` has the same.
EXPERIMENTS: Mapping[str, Experiment] = {
    "relu": Experiment(relu.run, relu_chapter.chapter),
    "units": Experiment(units.run, units_chapter.chapter),
    "ablations": Experiment(ablations.run, ablations_chapter.chapter),
    "int8": Experiment(int8.run, int8_chapter.chapter),
}


def chapters(asked: Asked, names: tuple[str, ...]) -> dict[str, Chapter]:
    """Run experiments in the order of the page. Raises: EdgeError: what one of them refuses."""
    chosen = {name: one for name, one in EXPERIMENTS.items() if name in names}
    return {name: one.chapter(one.run(asked)) for name, one in chosen.items()}
