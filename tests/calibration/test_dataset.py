import pickle
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.dataset import open_images, tensors
from calibration.images import (
    AHEAD,
    WORKERS,
    DatasetError,
    ImageSet,
    Job,
    Picture,
    Tensors,
    even_steps,
)
from edge.preprocess import PRESETS, Preprocessor, PreprocessSpec
from edge.tensors import TensorSpec

INPUT = TensorSpec("input", (1, 3, 8, 8), "float32")


def save(path: Path, value: int = 0, side: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((side, side, 3), value, np.uint8))
    return path


def opened(text: str | Path, limit: int | None = None) -> ImageSet:
    images = open_images(str(text), limit=limit)
    assert isinstance(images, ImageSet)
    return images


def names(images: ImageSet) -> list[str]:
    return [picture.name for picture in images]


def test_folders_are_searched_through_and_sorted(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a.webp", "c.ppm", ".hidden.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    images = opened(tmp_path)
    assert names(images) == ["a.webp", "b/1.JPG", "b/2.png", "c.ppm"]
    assert names(images) == ["a.webp", "b/1.JPG", "b/2.png", "c.ppm"]  # again, the same
    assert (len(images), images.synthetic, images.broken) == (4, False, {})


def test_a_home_folder_is_found_and_nobodys_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "photos" / "a.png")
    assert names(opened("~/photos")) == ["a.png"]
    with pytest.raises(DatasetError, match="~nobody here/photos: there is no such user's folder"):
        open_images("~nobody here/photos")


def test_a_limit_takes_images_of_every_class(tmp_path: Path) -> None:
    for kind in "abcd":
        for number in range(3):
            save(tmp_path / kind / f"{number}.png")
    assert names(opened(tmp_path, limit=4)) == ["a/0.png", "b/0.png", "c/0.png", "d/0.png"]
    assert len(opened(tmp_path, limit=100)) == 12


@given(st.integers(1, 500), st.integers(1, 500))
def test_even_steps_are_even(count: int, limit: int) -> None:
    steps = even_steps(count, limit)
    assert len(steps) == min(count, limit)
    assert steps[0] == 0
    assert steps[-1] < count
    gaps = np.diff([*steps, count])
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_globs_and_single_images(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png"):
        save(tmp_path / name)
    (tmp_path / "a3.txt").write_text("no image")
    found = names(opened(tmp_path / "a*"))
    assert [Path(name).name for name in found] == ["a1.png", "a2.png"]
    assert names(opened(tmp_path / "b1.png")) == ["b1.png"]


def test_a_folder_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    save(tmp_path / "set[1]" / "a.png")
    assert names(opened(tmp_path / "set[1]")) == ["a.png"]


def test_broken_images_among_good_ones_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.bmp")
    (tmp_path / "b.bmp").write_bytes((tmp_path / "a.bmp").read_bytes()[:100])
    (tmp_path / "c.jpg").write_text("nothing")
    save(tmp_path / "d.bmp")
    images = opened(tmp_path)
    assert names(images) == ["a.bmp", "d.bmp"]
    assert list(images.broken) == ["b.bmp", "c.jpg"]
    assert names(images) == ["a.bmp", "d.bmp"]
    assert list(images.broken) == ["b.bmp", "c.jpg"]  # counted once, not once an iteration
    assert capfd.readouterr().err == ""


def test_a_folder_of_nothing_but_broken_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("nothing")
    (tmp_path / "b.jpg").write_text("nothing")
    with pytest.raises(DatasetError, match=r"not one of its 2 images can be read \(a\.jpg: not"):
        names(opened(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no image in it; looked for files that end in"),
        ("missing", "no such file or folder"),
        ("*.png", "no such file or folder"),
        ("notes.txt", "no image in it"),
        ("*.txt", "no image in it"),
    ],
)
def test_what_holds_no_image_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DatasetError, match=message):
        open_images(str(tmp_path / text))


def test_a_limit_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="0 samples"):
        open_images(str(tmp_path), limit=0)


def test_order_is_kept_and_few_pictures_wait() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def load(number: int) -> Picture:
        with lock:
            begun.append(number)
        time.sleep(0.003 * (number % 3))  # so that workers finish out of order
        return Picture(str(number), np.zeros((1, 1, 3), np.uint8))

    def jobs() -> Iterator[Job]:
        for number in range(30):
            yield Job(str(number), partial(load, number))

    taken = 0
    for picture in ImageSet("numbers", 30, jobs):
        assert picture.name == str(taken)
        taken += 1
        with lock:
            assert len(begun) <= taken + AHEAD
    assert taken == 30


def test_leaving_early_ends_the_workers() -> None:
    images = ImageSet(
        "grey",
        100,
        lambda: (
            Job(str(i), lambda: Picture("grey", np.zeros((1, 1, 3), np.uint8))) for i in range(100)
        ),
    )
    walk = iter(images)
    next(walk)
    assert 1 <= sum(t.name.startswith("decode") for t in threading.enumerate()) <= WORKERS
    walk.close()  # type: ignore[attr-defined]
    assert not any(t.name.startswith("decode") for t in threading.enumerate())


def test_tensors_are_what_the_device_computes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 30, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    expected = np.empty((1, 3, 8, 8), np.float32)
    Preprocessor(PRESETS["imagenet"], INPUT).run(pixels, "bgr", expected)
    quantized = TensorSpec("input", (1, 3, 8, 8), "int8", 0.1, 3)
    for spec in (INPUT, quantized):  # always the real values
        [found] = tensors(opened(tmp_path), PRESETS["imagenet"], spec)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float32


def test_each_tensor_is_an_array_of_its_own(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 0)
    save(tmp_path / "b.png", 255)
    black, white = tensors(opened(tmp_path), PRESETS["unit"], INPUT)
    assert (black.max(), white.min()) == (0.0, 1.0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8, 3)])
def test_ready_tensors_are_turned_to_the_models_layout(shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    ready = Tensors("x.npz", 2, shape, lambda: iter(rows))
    found = np.concatenate(list(tensors(ready, PreprocessSpec(), INPUT)))
    np.testing.assert_array_equal(found, rows if shape[0] == 3 else np.moveaxis(rows, 3, 1))
    assert found.dtype == np.float32


@pytest.mark.parametrize("shape", [(3, 9, 8), (1, 8, 8), (8, 8), (8, 3, 8)])
def test_ready_tensors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    ready = Tensors("x.npz", 1, shape, lambda: iter(np.zeros((1, *shape), np.float32)))
    with pytest.raises(DatasetError, match=r"x\.npz: its tensors have shape .* 'input'"):
        list(tensors(ready, PreprocessSpec(), INPUT))


def test_ready_tensors_with_nan_are_refused() -> None:
    rows = np.zeros((3, 3, 8, 8), np.float32)
    rows[2, 1, 4, 4] = np.nan
    ready = Tensors("x.npz", 3, (3, 8, 8), lambda: iter(rows))
    with pytest.raises(DatasetError, match="tensor 2 holds NaN"):
        list(tensors(ready, PreprocessSpec(), INPUT))


def test_a_watched_set_shows_each_picture_that_is_read(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        assert cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), ord(name[0]), np.uint8))
    (tmp_path / "b.png").write_bytes(b"no picture")
    images = open_images(str(tmp_path))
    assert isinstance(images, ImageSet)
    seen: dict[str, int] = {}

    def note(picture: Picture) -> None:
        seen[picture.name] = int(picture.pixels[0, 0, 0])

    watched = images.watched(note)
    assert [picture.name for picture in watched.subset([0, 1])] == ["a.png"]
    assert seen == {"a.png": 97}
    assert [picture.name for picture in watched] == ["a.png", "c.png"]
    assert seen == {"a.png": 97, "c.png": 99}
    assert list(watched.broken) == ["b.png"]
    assert (watched.name, len(watched)) == (images.name, 3)


def test_pieces_are_the_set_and_can_be_sent(tmp_path: Path) -> None:
    for index in range(7):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((4, 4, 3), index, np.uint8))
    images = open_images(str(tmp_path))
    assert isinstance(images, ImageSet)
    pieces = [pickle.loads(pickle.dumps(piece)) for piece in images.pieces(3)]  # noqa: S301
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert [piece.name for piece in pieces] == [images.name] * 3
    names = [f"{index}.png" for index in range(7)]
    assert [picture.name for piece in pieces for picture in piece] == names
    assert [path for piece in pieces for path in piece.files()] == [tmp_path / n for n in names]


def test_pieces_of_tensors_hold_them(tmp_path: Path) -> None:
    rows = np.arange(5 * 48, dtype=np.float32).reshape(5, 3, 4, 4)
    np.savez(tmp_path / "x.npz", x=rows)
    tensors_ = open_images(str(tmp_path / "x.npz"))
    assert isinstance(tensors_, Tensors)
    pieces = [pickle.loads(pickle.dumps(piece)) for piece in tensors_.pieces(2)]  # noqa: S301
    (tmp_path / "x.npz").unlink()
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([row for p in pieces for row in p]), rows)
    assert [piece.files() for piece in pieces] == [[]] * 3
