"""Where pictures come from: folders, globs and .npz files, in an order that never varies."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from calibration.arrays import open_npz
from calibration.decode import read_image
from calibration.images import DatasetError, ImageSet, Job, Picture, Tensors, even_steps
from edge.preprocess import Preprocessor, PreprocessSpec
from edge.sources.folder import SUFFIXES
from edge.tensors import F32, TensorSpec


def open_images(text: str, *, limit: int | None = None) -> ImageSet | Tensors:
    """Open a folder (searched through), a glob, an image or an .npz file.

    Files are sorted by path. With `limit`, that many are taken at even steps over the sorted
    list, so that a few of many folders still come from all of them. Hidden files do not count.
    Raises: DatasetError: there is no such thing, or no image in it.
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"{limit} samples; at least 1 is needed")
    path = expanded(text)
    if path.is_file() and path.suffix.lower() == ".npz":
        return open_npz(path, limit)
    if path.is_dir():
        root: Path | None = path
        found = find_images(path)
    elif path.is_file():
        root, found = path.parent, [path] * (path.suffix.lower() in SUFFIXES)
    else:
        # Path.glob refuses absolute patterns.
        matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
        if not matches:
            raise DatasetError(
                f"{text}: no such file or folder, and no file matches it; give a folder of "
                "images, a glob in quotes, or an .npz file"
            )
        root, found = None, [m for m in matches if m.is_file() and m.suffix.lower() in SUFFIXES]
    if not found:
        raise DatasetError(
            f"{text}: no image in it; looked for files that end in {', '.join(sorted(SUFFIXES))}"
        )
    return image_files(text, root, [found[i] for i in even_steps(len(found), limit)])


def expanded(text: str) -> Path:
    """Return a path as a shell reads it. Raises: DatasetError: a user in it is not known."""
    try:
        return Path(text).expanduser()
    except RuntimeError as cause:
        raise DatasetError(
            f"{text}: there is no such user's folder; write the path out, or ./~ for such a name"
        ) from cause


def find_images(folder: Path) -> list[Path]:
    """Return the image files in and below `folder`, sorted by path, hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def image_files(name: str, root: Path | None, paths: list[Path]) -> ImageSet:
    """Return the set of these files; each picture's name is its path, below `root` if given."""
    names = [(path.relative_to(root) if root else path).as_posix() for path in paths]
    files = [path.absolute() for path in paths]
    jobs = [Job(n, partial(_load, path, n), path) for n, path in zip(names, files, strict=True)]
    return ImageSet(name, len(jobs), lambda: jobs)


def _load(path: Path, name: str) -> Picture:
    return Picture(name, read_image(path))


def tensors(
    images: Iterable[Picture] | Tensors, preprocess: PreprocessSpec, tensor: TensorSpec
) -> Iterator[F32]:
    """Yield what the float model takes, float32 of `tensor.shape`, a new array each.

    Pictures go through the device's own `Preprocessor`. Tensors are taken as they are, turned to
    the model's layout where they lie in the other.
    Raises: DatasetError: the tensors' shape is not the model's.
    """
    if isinstance(images, Tensors):
        yield from _turned(images, tensor)
        return
    real = replace(tensor, dtype="float32", scale=1.0, zero_point=0)
    preprocessor = Preprocessor(preprocess, real)
    for picture in images:
        out = np.empty(real.shape, np.float32)
        preprocessor.run(picture.pixels, picture.color, out)
        yield out


def _turned(rows: Tensors, tensor: TensorSpec) -> Iterator[F32]:
    layout, *_ = tensor.image_geometry()
    axes = (0, 3, 1, 2) if layout == "NCHW" else (0, 2, 3, 1)
    there = tuple((1, *rows.shape)[axis] for axis in axes) if len(rows.shape) == 3 else ()
    if tensor.shape not in ((1, *rows.shape), there):
        raise DatasetError(
            f"{rows.name}: its tensors have shape {list(rows.shape)}, but the model's input "
            f"{tensor.name!r} is {list(tensor.shape)}; preprocess them to that, or give uint8 "
            "pictures [N, H, W, 3]"
        )
    for row in rows:
        same = row.shape == tensor.shape
        yield row if same else np.ascontiguousarray(row.transpose(axes))
