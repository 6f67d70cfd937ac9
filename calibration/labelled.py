"""Pictures of which the class is known: a folder with labels.csv, or one folder a class."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from calibration.dataset import expanded, find_images, image_files
from calibration.images import DatasetError, ImageSet, Picture, even_steps

LABELS_CSV = "labels.csv"
HEADER = ["file", "class"]
MAX_CSV_BYTES = 64 << 20
SHOWN = 3


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Pictures and the index of each one's class, by the picture's name."""

    images: ImageSet
    classes: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[tuple[Picture, int]]:
        """Yield (picture, class index). Raises: DatasetError: not one picture can be read."""
        for picture in self.images:
            yield picture, self.classes[picture.name]


def open_labelled(
    folder: str, class_count: int, labels: Sequence[str] = (), *, limit: int | None = None
) -> LabelledSet:
    """Open a folder that holds `labels.csv` (header file,class), or one folder a class.

    A class is one of the model's `labels`, or else an index below `class_count`. With `limit`,
    that many pictures are taken at even steps, so that all classes are among them.
    Raises: DatasetError: there is no such folder, a class is not the model's, a file is missing,
        or there is no picture; the message shows the first few that are wrong.
    """
    root = expanded(folder)
    if not root.is_dir():
        raise DatasetError(
            f"{folder}: no such folder; give one with {LABELS_CSV}, or with one folder a class"
        )
    has_csv = (root / LABELS_CSV).is_file()
    named = _read_csv(root) if has_csv else _folders(root)
    if not named:
        raise DatasetError(
            f"{folder}: no labelled image in it; allowed: {LABELS_CSV} with the header "
            f"{','.join(HEADER)}, or one folder of images a class"
        )
    kept = [named[i] for i in even_steps(len(named), limit)]
    index = _indices(folder, [name for _, name in kept], class_count, labels)
    paths = [root / file for file, _ in kept]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{root / LABELS_CSV}: {len(missing)} of its {len(paths)} files are missing "
            f"({_few(missing)}); paths are relative to {folder}"
        )
    classes = {file: index[name] for file, name in kept}
    return LabelledSet(image_files(folder, root, paths), classes)


def listed_classes(folder: str) -> dict[str, str]:
    """Return the class that `labels.csv` gives each file of `folder`; none without a good one."""
    root = expanded(folder)
    try:
        return dict(_read_csv(root)) if (root / LABELS_CSV).is_file() else {}
    except DatasetError:
        return {}


def _folders(root: Path) -> list[tuple[str, str]]:
    """Return (file, folder) of every image that lies in a folder of `root`."""
    files = [path.relative_to(root) for path in find_images(root)]
    return [(file.as_posix(), file.parts[0]) for file in files if len(file.parts) > 1]


def _read_csv(root: Path) -> list[tuple[str, str]]:
    """Return (file, class) of every row, in the order of files."""
    path = root / LABELS_CSV
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise DatasetError(f"{path}: more than {MAX_CSV_BYTES >> 20} MiB; is it a label file?")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DatasetError(f"{path}: cannot be read ({cause}); save it as UTF-8 CSV") from cause
    if not rows or [cell.strip() for cell in rows[0]] != HEADER:
        found = ",".join(rows[0])[:80] if rows else "nothing"
        raise DatasetError(
            f"{path}: its first line is {found!r}; it must be {','.join(HEADER)!r}, and each other "
            "line a file and its class"
        )
    wrong = [",".join(row)[:80] for row in rows[1:] if len(row) != 2 or not _is_inside(row[0])]
    if wrong:
        raise DatasetError(
            f"{path}: {len(wrong)} lines are not a file in this folder and its class "
            f"({_few(wrong)})"
        )
    named = [(PurePosixPath(file).as_posix(), name.strip()) for file, name in rows[1:]]
    twice = [file for file, count in Counter(file for file, _ in named).items() if count > 1]
    if twice:
        raise DatasetError(f"{path}: {len(twice)} files are named more than once ({_few(twice)})")
    return sorted(named)


def _is_inside(file: str) -> bool:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\0" in file:
        return False
    return bool(path.name)


def _indices(
    folder: str, names: Sequence[str], class_count: int, labels: Sequence[str]
) -> dict[str, int]:
    """Return the class index of each name: a label of the model, or else a number."""
    count = Counter(labels)
    by_label = {label: index for index, label in enumerate(labels) if count[label] == 1}
    index, unknown = {}, []
    for name in dict.fromkeys(names):
        if name in by_label:
            index[name] = by_label[name]
        elif name.isascii() and name.isdigit() and len(name) < 10 and int(name) < class_count:
            index[name] = int(name)
        else:
            unknown.append(name + (" (of several classes)" if count[name] > 1 else ""))
    if unknown:
        allowed = f"an index of 0 to {class_count - 1}"
        if labels:
            allowed += f", or a label such as {_few(list(labels))}"
        raise DatasetError(
            f"{folder}: {len(unknown)} of its {len(index) + len(unknown)} classes are not the "
            f"model's ({_few(unknown)}); allowed: {allowed}"
        )
    return index


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
