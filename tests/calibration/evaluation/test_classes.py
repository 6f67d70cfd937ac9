import pytest

from calibration.evaluation.classes import Classes, Scored, choose_classes, columns_of
from calibration.scores import EvaluationError

NAMES = ("cat", "dog", "owl")
PLAIN = Scored("plain.tflite", 3)
NAMED = Scored("named.onnx", 3, NAMES)
ONE_MORE = Scored("more.tflite", 4)
BACKGROUND = Scored("tf.tflite", 4, ("Background", *NAMES))


@pytest.mark.parametrize(
    ("models", "labels", "offset", "expected"),
    [
        ([PLAIN], (), None, Classes(3)),
        ([PLAIN, NAMED], (), None, Classes(3, NAMES)),
        ([ONE_MORE, PLAIN], (), 1, Classes(3)),
        ([BACKGROUND, PLAIN], (), None, Classes(3, NAMES)),
        ([ONE_MORE], (), 1, Classes(3)),
        ([BACKGROUND], (), None, Classes(3, NAMES)),
        ([BACKGROUND], (), 0, Classes(4, BACKGROUND.labels)),
        ([ONE_MORE], NAMES, 1, Classes(3, NAMES)),
        ([ONE_MORE], BACKGROUND.labels, None, Classes(3, NAMES)),
        ([ONE_MORE], BACKGROUND.labels, 0, Classes(4, BACKGROUND.labels)),
    ],
)
def test_the_classes_of_the_images(
    models: list[Scored], labels: tuple[str, ...], offset: int | None, expected: Classes
) -> None:
    assert choose_classes(models, labels, offset) == expected


def test_a_possible_background_is_asked_for() -> None:
    silent = Scored("tf.tflite", 1001)
    with pytest.raises(EvaluationError, match=r"tf.tflite has 1001 .* pass --class-offset 1 if"):
        choose_classes([silent], (), None)
    assert choose_classes([silent], (), 1).count == 1000
    assert choose_classes([silent], (), 0).count == 1001
    assert choose_classes([silent, Scored("x", 1000)], (), None).count == 1000
    assert choose_classes([Scored("x", 1000)], (), None).count == 1000


def test_an_offset_must_leave_a_class() -> None:
    with pytest.raises(EvaluationError, match=r"--class-offset 3; plain.tflite has only 3 classes"):
        choose_classes([PLAIN], (), 3)


@pytest.mark.parametrize(
    ("model", "classes", "offset", "columns", "note"),
    [
        (PLAIN, Classes(3), None, (0, 1, 2), ""),
        (PLAIN, Classes(3), 1, (0, 1, 2), ""),  # the offset is another model's
        (NAMED, Classes(3, NAMES), None, (0, 1, 2), ""),
        (ONE_MORE, Classes(3), 1, (1, 2, 3), "class 0 of the images is its score 1"),
        (BACKGROUND, Classes(3, NAMES), None, (1, 2, 3), "is its score 1, behind 'Background'"),
        (BACKGROUND, Classes(3), None, (1, 2, 3), "is its score 1, behind 'Background'"),
        (
            Scored("m", 3, ("owl", "cat", "dog")),
            Classes(3, NAMES),
            None,
            (1, 2, 0),
            "in another order, and are found by their labels",
        ),
        (
            Scored("m", 3, ("cat", "hound", "owl")),
            Classes(3, NAMES),
            None,
            (0, 1, 2),
            r"class 1 is 'hound', not 'dog'\); its classes are taken to be in the same order",
        ),
        # A label twice, as ImageNet has two cranes, names nothing.
        (Scored("m", 3, ("a", "a", "b")), Classes(3, ("a", "a", "b")), None, (0, 1, 2), ""),
    ],
)
def test_where_a_models_scores_are(
    model: Scored, classes: Classes, offset: int | None, columns: tuple[int, ...], note: str
) -> None:
    found, said = columns_of(model, classes, offset)
    assert found == columns
    if note:
        with pytest.raises(EvaluationError, match=note):
            raise EvaluationError(said)
    else:
        assert said == ""


@pytest.mark.parametrize(
    ("model", "offset", "message"),
    [
        (ONE_MORE, None, r"has 4 classes where the images are of 3; .* pass --class-offset 1,"),
        (ONE_MORE, 0, r"pass --class-offset 1,"),
        (ONE_MORE, 2, r"pass --class-offset 1,"),
        (BACKGROUND, 0, r"pass --class-offset 1,"),
        (Scored("m", 2), None, "m has 2 classes where the images are of 3; give models of the"),
        (Scored("m", 2), 1, "m has 2 classes where the images are of 3; give models of the"),
    ],
)
def test_other_classes_are_refused(model: Scored, offset: int | None, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        columns_of(model, Classes(3, NAMES), offset)


def test_a_class_without_a_name_has_its_number() -> None:
    assert (Classes(3).name(2), Classes(3, NAMES).name(2)) == ("class 2", "owl")
