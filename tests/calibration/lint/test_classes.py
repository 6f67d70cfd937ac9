from __future__ import annotations

from collections import Counter

from calibration.lint.classes import check_classes

NAMES = [f"{i}.jpg" for i in range(20)]


def test_what_the_model_says_of_several_classes_is_fine() -> None:
    assert check_classes(NAMES, (), {}, Counter([0] * 18 + [1, 2])) is None


def test_one_class_to_the_model_is_found() -> None:
    found = check_classes(NAMES, ("cat", "dog", "owl"), {}, Counter([2] * 19 + [1]))
    assert found is not None
    assert (found.code, found.severity) == ("one-class", "warning")
    assert "19 of 20 calibration images are, to the float model, 'owl'" in found.sentence


def test_classes_of_one_name_are_one() -> None:
    found = check_classes(NAMES, ("crane", "crane", "owl"), {}, Counter([0] * 10 + [1] * 10))
    assert found is not None
    assert "20 of 20 calibration images are, to the float model, 'crane'" in found.sentence


def test_few_pictures_say_nothing() -> None:
    assert check_classes(NAMES[:7], (), {}, Counter([0] * 7)) is None
    assert check_classes(NAMES[:8], (), {}, Counter([0] * 8)) is not None


def test_folders_that_are_classes_decide_before_the_model() -> None:
    labels = ("cat", "dog")
    mixed = [f"{labels[i % 2]}/{name}" for i, name in enumerate(NAMES)]
    assert check_classes(mixed, labels, {}, Counter([0] * 20)) is None
    alone = [f"dog/{name}" for name in NAMES]
    found = check_classes(alone, labels, {}, Counter(list(range(20))))
    assert found is not None
    assert "are labelled 'dog'" in found.sentence


def test_a_folder_that_is_no_class_says_nothing() -> None:
    names = [f"holiday/{name}" for name in NAMES]
    assert check_classes(names, ("cat", "dog"), {}, Counter([0, 1] * 10)) is None


def test_a_list_of_labels_decides_first() -> None:
    labels = ("cat", "dog")
    names = [f"{labels[i % 2]}/{name}" for i, name in enumerate(NAMES)]
    found = check_classes(names, labels, dict.fromkeys(names, "cat"), Counter([0, 1] * 10))
    assert found is not None
    assert "'cat'" in found.sentence
