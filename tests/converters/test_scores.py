from __future__ import annotations

import pytest

from converters.errors import ConvertError
from converters.graph import Graph, Node
from converters.operators import Clamp, Shape
from converters.scores import choose_scores, classes_of
from edge.scores import ScoresError

IMAGE: Shape = (1, 8, 4, 4)
FLAGS = "--scores NAME takes another"


def graph(**shapes: Shape) -> Graph:
    """Return a graph that gives each of the inputs `shapes` through a ReLU."""
    nodes = [Node(name, Clamp(0.0, 1.0), (f"{name}/in",), name) for name in shapes]
    inputs = {f"{name}/in": shape for name, shape in shapes.items()}
    return Graph("g", inputs, tuple(shapes), tuple(nodes))


def chosen(made: Graph, named: str = "", labels: int = 0) -> tuple[str, int, str]:
    """Return which output holds the scores, how many classes there are, and the note."""
    taken, note = choose_scores(made, named, labels, "m.onnx")
    assert taken.outputs == made.outputs
    return taken.output, classes_of(taken), note


def test_an_only_output_is_the_scores() -> None:
    assert chosen(graph(y=(1, 5))) == ("y", 5, "")
    assert chosen(graph(y=(1, 5, 1, 1))) == ("y", 5, "")


def test_the_only_output_that_fits_is_the_scores() -> None:
    assert chosen(graph(a=IMAGE, y=(1, 5), t=(1, 7, 8))) == ("y", 5, "")
    assert chosen(graph(a=IMAGE, y=(1, 5, 1, 1))) == ("y", 5, "")


def test_as_many_classes_as_labels() -> None:
    two = graph(embedding=(1, 64), y=(1, 5))
    assert chosen(two, labels=5) == ("y", 5, "")
    assert chosen(two, labels=64) == ("embedding", 64, "")


def test_the_first_is_taken_and_said() -> None:
    both = graph(a=IMAGE, embedding=(1, 64), y=(1, 5), z=(1, 5))
    name, _, note = chosen(both)
    assert name == "embedding"
    assert note.startswith("output 'embedding' [1, 64] is taken for the classes' scores; 'y' [1, 5")
    assert note.endswith(FLAGS)
    name, _, note = chosen(both, labels=5)
    assert name == "y"
    assert "'z' [1, 5] would do as well" in note
    assert "embedding" not in note


def test_a_name_needs_no_note() -> None:
    assert chosen(graph(y=(1, 5), z=(1, 5)), named="z") == ("z", 5, "")
    # That its labels are others is said where they are read.
    assert chosen(graph(y=(1, 5), z=(1, 7)), named="z", labels=5) == ("z", 7, "")


@pytest.mark.parametrize(
    ("shapes", "named", "labels", "reason"),
    [
        ({"y": IMAGE}, "", 0, r"output 'y' has shape \[1, 8, 4, 4\]; a classifier's is \[batch, c"),
        ({"y": (5,)}, "", 0, r"output 'y' has shape \[5\]"),
        ({"y": (2, 5)}, "", 0, r"output 'y' has shape \[2, 5\]"),
        ({"a": IMAGE, "t": (1, 7, 8)}, "", 0, r"no output is one number a class.*'t' \[1, 7, 8\]"),
        ({"y": (1, 5)}, "logits", 0, r"has no output 'logits'; its outputs: 'y' \[1, 5\]"),
        ({"a": IMAGE, "y": (1, 5)}, "a", 0, r"output 'a' is not one number a class"),
        (
            {"y": (1, 5), "z": (1, 7)},
            "",
            6,
            r"as there are labels \(6\); .*'y' \[1, 5\], 'z' \[1, 7",
        ),
    ],
)
def test_refusals(shapes: dict[str, Shape], named: str, labels: int, reason: str) -> None:
    with pytest.raises((ConvertError, ScoresError), match=rf"^m\.onnx: .*{reason}"):
        choose_scores(graph(**shapes), named, labels, "m.onnx")
