from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from edge import sources
from edge.sources import open_source
from edge.sources.base import SourceError
from edge.sources.folder import FolderSource
from tests.edge.sources.pictures import encode, smooth


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Note which camera would be opened instead of opening it."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(sources, "_open_picamera2", lambda *args: calls.append(("pi", *args)))
    monkeypatch.setattr(sources, "_open_v4l2", lambda *args: calls.append(("v4l2", *args)))
    return calls


def test_names_of_cameras(opened: list[tuple[Any, ...]]) -> None:
    for text in ("picamera2", "picamera2:1", "v4l2:3", "/dev/video5"):
        open_source(text, fps=10, size=(320, 240), pixel_format="MJPG")
    assert opened == [
        ("pi", 0, 10, 240),
        ("pi", 1, 10, 240),
        ("v4l2", Path("/dev/video3"), 10, (320, 240), "MJPG"),
        ("v4l2", Path("/dev/video5"), 10, (320, 240), "MJPG"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "picamera2:x",
        "picamera2:\N{SUPERSCRIPT TWO}",
        "picamera2:\N{ARABIC-INDIC DIGIT TWO}",
        "picamera2:00000",
        "v4l2:",
        "v4l2:\N{SUPERSCRIPT TWO}",
        "v4l2:00000",
        "nowhere",
        "camera:0",
    ],
)
def test_what_names_nothing_lists_what_is_allowed(text: str) -> None:
    with pytest.raises(SourceError, match=r"no source.*allowed: auto, picamera2"):
        open_source(text)


def test_folder_and_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(".png", smooth(4, 4)))
    assert isinstance(open_source(str(tmp_path)), FolderSource)
    assert isinstance(open_source(str(tmp_path / "a.png")), FolderSource)


def fake_picamera2(monkeypatch: pytest.MonkeyPatch, cameras: list[dict[str, str]]) -> None:
    module = types.ModuleType("picamera2")
    module.Picamera2 = types.SimpleNamespace(global_camera_info=lambda: cameras)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)


def test_auto_prefers_the_pis_camera(
    opened: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_picamera2(monkeypatch, [{"Model": "imx708"}])
    open_source("auto")
    open_source("auto", short_side=256)
    assert opened == [("pi", 0, None, 480), ("pi", 0, None, 256)]


# As libcamera names it behind the PCIe of a Pi 5.
USB = {"Model": "UVC Camera", "Id": "/base/axi/pcie@120000/rp1/usb@200000-1:1.0-046d:0825"}


@pytest.mark.parametrize("seen", [[], [USB], None])
def test_auto_then_takes_the_first_video_device(
    seen: list[dict[str, str]] | None,
    opened: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if seen is not None:
        fake_picamera2(monkeypatch, seen)
    else:
        monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/dev/video0")
    open_source("auto")
    assert opened == [("v4l2", Path("/dev/video0"), None, (640, 480), None)]


def test_auto_without_any_camera_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(SourceError, match=r"no camera: .*python3-picamera2.* name a source: auto"):
        open_source("auto")


def test_auto_says_why_the_pis_camera_was_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SourceError("/dev/video0 gives no picture")

    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(sources, "_open_v4l2", refuse)
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/dev/video0")
    with pytest.raises(SourceError, match=r"gives no picture.*apt install python3-picamera2"):
        open_source("auto")
