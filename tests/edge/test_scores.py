from __future__ import annotations

import pytest

from edge.card import MAX_LABELS
from edge.scores import MAX_LISTED_CHARS, Output, ScoresError, find_scores, is_vector, the_scores

IMAGE: Output = ("features", (1, 8, 4, 4))
LOGITS: Output = ("logits", (1, 10))
PROBABILITIES: Output = ("probabilities", (1, 10))


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((1, 10), True),
        ((10,), True),
        ((1, 1, 1, 10), True),
        ((1, MAX_LABELS), True),
        ((1, MAX_LABELS + 1), False),
        ((2, 10), False),
        ((1, 0), False),
        ((1, -1), False),
        ((), False),
    ],
)
def test_one_number_a_class(shape: tuple[int, ...], fits: bool) -> None:
    assert is_vector(shape) is fits


def test_every_output_that_fits_is_found_in_order() -> None:
    assert find_scores([IMAGE, LOGITS, PROBABILITIES], "", "m.onnx") == [1, 2]
    assert the_scores([IMAGE, LOGITS], "", "m.onnx") == 1


def test_a_name_decides() -> None:
    assert the_scores([LOGITS, PROBABILITIES], "probabilities", "m.onnx") == 1
    # Two tensors of a file may have one name.
    with pytest.raises(ScoresError, match="any of several"):
        the_scores([LOGITS, LOGITS], "logits", "m.onnx")


@pytest.mark.parametrize(
    ("outputs", "named", "reason"),
    [
        (
            [IMAGE, LOGITS],
            "logit",
            r"has no output 'logit'; its outputs: 'features' \[1, 8, 4, 4\]",
        ),
        ([IMAGE, LOGITS], "features", r"output 'features' is not one number a class.*'logits' \["),
        ([IMAGE], "", r"no output is one number a class, \[1, classes\]; its outputs: 'features'"),
        ([LOGITS, PROBABILITIES], "", r"'logits' \[1, 10\], 'probabilities' \[1, 10\]; name one"),
    ],
)
def test_a_refusal_says_what_outputs_there_are(
    outputs: list[Output], named: str, reason: str
) -> None:
    with pytest.raises(ScoresError, match=rf"^m\.onnx: .*{reason}"):
        the_scores(outputs, named, "m.onnx")


def test_names_of_a_file_are_fit_to_be_printed_and_few() -> None:
    outputs: list[Output] = [(f"\x1b[31m{index}", (1, 2)) for index in range(10_000)]
    with pytest.raises(ScoresError) as caught:
        the_scores(outputs, "", "m\x1b.onnx")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2 * MAX_LISTED_CHARS
