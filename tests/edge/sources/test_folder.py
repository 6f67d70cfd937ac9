from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.sources.base import Frame, SourceError
from edge.sources.folder import FolderSource, read_image
from tests.edge.sources.pictures import encode, png_that_claims, smooth


def read_all(source: FolderSource) -> list[Frame]:
    return list(iter(source.read, None))


def test_gives_every_picture_once_in_order_of_names(tmp_path: Path) -> None:
    pictures = {name: smooth(20, 30, seed) for seed, name in enumerate(["b.png", "a.bmp", "C.PNG"])}
    for name, pixels in pictures.items():
        (tmp_path / name).write_bytes(encode(Path(name).suffix.lower(), pixels))
    (tmp_path / "notes.txt").write_text("no picture")
    source = FolderSource(tmp_path)
    frames = read_all(source)
    assert [frame.name for frame in frames] == ["C.PNG", "a.bmp", "b.png"]
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    for frame in frames:
        np.testing.assert_array_equal(frame.pixels, pictures[frame.name])
        assert frame.color == "bgr"
        assert frame.captured_ns == frame.arrived_ns > 0
    assert source.broken_count == 0
    assert not source.is_live
    assert source.name == str(tmp_path)


def test_broken_pictures_are_passed_over_and_counted(tmp_path: Path) -> None:
    whole = encode(".jpg", smooth(60, 80))
    (tmp_path / "0.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "2.webp").write_bytes(b"hello")
    (tmp_path / "3.png").mkdir()
    (tmp_path / "4.png").write_bytes(png_that_claims(30_000, 30_000))
    (tmp_path / "5.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "6.jpg").write_bytes(whole)
    source = FolderSource(tmp_path)
    assert [frame.name for frame in read_all(source)] == ["6.jpg"]
    assert source.broken_count == 6


def test_a_folder_of_broken_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"hello")
    with pytest.raises(SourceError, match="none of the 1 pictures can be read"):
        FolderSource(tmp_path).read()


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures; allowed: files ending in"):
        FolderSource(tmp_path)


def test_one_picture_is_a_source(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(encode(".png", smooth(5, 6)))
    assert [frame.name for frame in read_all(FolderSource(path))] == ["one.png"]


def test_closed_is_ended(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(encode(".png", smooth(5, 6)))
    source = FolderSource(tmp_path)
    source.close()
    assert source.read() is None


def test_a_jpeg_cut_anywhere_is_broken(tmp_path: Path) -> None:
    whole = encode(".jpg", smooth(40, 40))
    path = tmp_path / "a.jpg"
    for size in range(1, len(whole), 7):
        path.write_bytes(whole[:size])
        assert read_image(path) is None, f"{size} of {len(whole)} bytes"
    path.write_bytes(whole + b"trailing bytes of some camera")
    assert read_image(path) is not None


JPEG_KINDS = {
    "one scan": [],
    "several scans": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restart marks": [cv2.IMWRITE_JPEG_RST_INTERVAL, 1],
}


@pytest.mark.parametrize("kind", JPEG_KINDS)
def test_each_kind_of_jpeg_ends_where_its_end_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    whole = encode(".jpg", smooth(40, 40), JPEG_KINDS[kind])
    for size in range(3, len(whole), 5):
        path.write_bytes(whole[:size])
        assert read_image(path) is None, f"{size} of {len(whole)} bytes"
    # Behind the end lie the film of a phone, another picture, or anything.
    for trailer in (b"", b"\xff\xda\xff", whole[:-2], b"\xff\xd8\xff\xd9"):
        path.write_bytes(whole + trailer)
        assert read_image(path) is not None


def test_a_picture_inside_a_jpeg_does_not_end_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    whole, small = encode(".jpg", smooth(40, 40)), encode(".jpg", smooth(8, 8))
    preview = b"\xff\xe1" + (2 + len(small)).to_bytes(2) + small
    with_preview = whole[:2] + preview + b"\xff\xff" + whole[2:]  # and two fill bytes
    path.write_bytes(with_preview)
    assert read_image(path) is not None
    path.write_bytes(with_preview[:-2])
    assert read_image(path) is None
    path.write_bytes(with_preview[: 2 + len(preview)])
    assert read_image(path) is None


def test_grey_and_16_bit_pictures_become_bgr(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(".png", np.full((3, 4), 77, np.uint8)))
    np.testing.assert_array_equal(read_image(path), np.full((3, 4, 3), 77))
    path.write_bytes(encode(".png", np.full((3, 4, 3), 0xABCD, np.uint16)))
    np.testing.assert_array_equal(read_image(path), np.full((3, 4, 3), 0xAB))
