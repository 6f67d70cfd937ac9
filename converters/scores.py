"""Which output of the source holds the classes' scores, and how many classes there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converters.errors import ConvertError
from converters.graph import Graph
from edge.scores import find_scores, listed


def choose_scores(graph: Graph, named: str, labels: int, where: str) -> tuple[Graph, str]:
    """Return the graph that knows its scores, and a note for the user, "" where nothing is open.

    That is the output that is `named`, or the only one of shape [1, classes] or [1, classes, 1, 1],
    or of several the only one with as many classes as there are labels, or else the first.

    Args: named: by the user or the source's card, "" where nobody says; labels: how many there are,
        0 where none were given.
    Raises: ConvertError: the only output is no vector of classes, or none has as many as there are
        labels; ScoresError: there is no such output.
    """
    outputs = [(name, graph.shapes[name]) for name in graph.outputs]
    if len(outputs) == 1 and not named and not _is_scores(outputs[0][1]):
        name, shape = outputs[0]
        raise ConvertError(
            f"{where}: output {name!r} has shape {list(shape)}; a classifier's is [batch, classes]"
        )
    found = find_scores(outputs, named, where, _is_scores)
    if labels and len(found) > 1:
        found = [place for place in found if outputs[place][1][1] == labels]
        if not found:
            raise ConvertError(
                f"{where}: no output has as many classes as there are labels ({labels}); its "
                f"outputs: {listed(outputs)}"
            )
    note = ""
    if len(found) > 1:
        first, *rest = (outputs[place] for place in found)
        note = (
            f"output {listed([first])} is taken for the classes' scores; {listed(rest)} would do "
            "as well: --scores NAME takes another"
        )
    return replace(graph, scores=found[0]), note


def classes_of(graph: Graph) -> int:
    """Return how many classes there are."""
    return graph.shapes[graph.output][1]


def _is_scores(shape: Sequence[int]) -> bool:
    return tuple(shape[:1]) == (1,) and (len(shape) == 2 or tuple(shape[2:]) == (1, 1))
