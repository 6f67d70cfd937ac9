from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.images import DatasetError
from calibration.labelled import listed_classes, open_labelled

LABELS = ("cat", "dog", "crane", "crane")


def save(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name), np.zeros((4, 4, 3), np.uint8))


def with_csv(root: Path, *lines: str, header: str = "file,class") -> str:
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n")
    return str(root)


def pairs(root: Path, **options: int) -> list[tuple[str, int]]:
    labelled = open_labelled(str(root), len(LABELS), LABELS, **options)
    found = [(picture.name, index) for picture, index in labelled]
    assert len(labelled) == len(found)
    return found


def test_a_csv_names_files_and_classes(tmp_path: Path) -> None:
    save(tmp_path, "b.png", "a.png", "sub/c.png", "not listed.png")
    with_csv(tmp_path, "b.png,1", "a.png, cat", "./sub/c.png,3", "")
    assert pairs(tmp_path) == [("a.png", 0), ("b.png", 1), ("sub/c.png", 3)]


def test_nobodys_home_folder_is_refused() -> None:
    with pytest.raises(DatasetError, match="~nobody here/x: there is no such user's folder"):
        open_labelled("~nobody here/x", len(LABELS))


def test_one_folder_a_class(tmp_path: Path) -> None:
    save(tmp_path, "dog/2.png", "dog/1.png", "cat/deep/1.png", "3/1.png", "stray.png")
    assert pairs(tmp_path) == [
        ("3/1.png", 3),
        ("cat/deep/1.png", 0),
        ("dog/1.png", 1),
        ("dog/2.png", 1),
    ]


def test_a_limit_takes_every_class(tmp_path: Path) -> None:
    save(tmp_path, *(f"{name}/{n}.png" for name in ("0", "1", "2") for n in range(5)))
    assert [index for _, index in pairs(tmp_path, limit=3)] == [0, 1, 2]


def test_a_label_goes_before_a_number(tmp_path: Path) -> None:
    save(tmp_path, "1/a.png")
    [(_, index)] = open_labelled(str(tmp_path), 2, ("1", "0"))
    assert index == 0


def test_without_labels_only_numbers_are_classes(tmp_path: Path) -> None:
    save(tmp_path, "cat/a.png", "1/a.png")
    with pytest.raises(DatasetError, match=r"1 of its 2 .* \(cat\); allowed: an index of 0 to 9$"):
        open_labelled(str(tmp_path), 10)


def test_classes_that_are_not_the_models_are_listed(tmp_path: Path) -> None:
    save(tmp_path, *(f"{name}/a.png" for name in ("cat", "cow", "4", "crane", "-1", "²")))
    with pytest.raises(
        DatasetError,
        match=r"5 of its 6 classes .* \(-1, 4, cow, \.\.\.\); allowed: an index of 0 to 3, or a la",
    ):
        pairs(tmp_path)


def test_a_label_of_two_classes_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "crane/a.png")
    with pytest.raises(DatasetError, match=r"crane \(of several classes\)"):
        pairs(tmp_path)


def test_missing_files_are_listed(tmp_path: Path) -> None:
    save(tmp_path, "a.png")
    with_csv(tmp_path, "a.png,0", "b.png,1", "c.png,1")
    with pytest.raises(DatasetError, match=r"2 of its 3 files are missing .*b\.png"):
        pairs(tmp_path)


def test_broken_images_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "cat/a.png", "dog/b.png")
    (tmp_path / "cat" / "b.png").write_text("nothing")
    labelled = open_labelled(str(tmp_path), 4, LABELS)
    assert [index for _, index in labelled] == [0, 1]
    assert list(labelled.images.broken) == ["cat/b.png"]


@pytest.mark.parametrize(
    "line", ["../a.png,1", "/etc/passwd,1", "a.png", "a.png,1,2", ",1", "sub/../../a.png,1", "\0,1"]
)
def test_lines_that_are_no_file_in_the_folder_are_refused(tmp_path: Path, line: str) -> None:
    save(tmp_path, "a.png")
    with_csv(tmp_path, "a.png,0", line)
    with pytest.raises(DatasetError, match=r"labels\.csv: (1 lines are not a file|cannot be read)"):
        pairs(tmp_path)


def test_a_file_named_twice_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "a.png")
    with_csv(tmp_path, "a.png,0", "./a.png,1")
    with pytest.raises(DatasetError, match=r"1 files are named more than once \(a\.png\)"):
        pairs(tmp_path)


@pytest.mark.parametrize("header", ["a.png,0", "", "class,file", "file;class"])
def test_another_header_is_refused(tmp_path: Path, header: str) -> None:
    save(tmp_path, "a.png")
    with_csv(tmp_path, "a.png,0", header=header)
    with pytest.raises(DatasetError, match="it must be 'file,class'"):
        pairs(tmp_path)


def test_a_csv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(DatasetError, match="save it as UTF-8"):
        pairs(tmp_path)


def test_folders_without_labelled_images_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "stray.png")
    with pytest.raises(DatasetError, match="no labelled image in it"):
        pairs(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        pairs(tmp_path / "missing")


def test_the_classes_of_a_set_that_need_not_have_any(tmp_path: Path) -> None:
    assert listed_classes(str(tmp_path)) == {}
    (tmp_path / "labels.csv").write_text("file,class\nb.png,dog\na.png,7\n")
    assert listed_classes(str(tmp_path)) == {"a.png": "7", "b.png": "dog"}
    (tmp_path / "labels.csv").write_text("name;label\n")
    assert listed_classes(str(tmp_path)) == {}
