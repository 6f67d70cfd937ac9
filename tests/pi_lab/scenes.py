"""What the lab's cameras see: digits on cards, and a card of colours."""

from __future__ import annotations

import csv
import io
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import numpy as np

from converters.mobilenet_v2.digits import samples
from edge.tensors import U8
from tests.pi_lab.roots import LabError

# libcamera shows each picture of a folder for so many frames (image_frame_generator.h).
FRAMES_A_PICTURE = 4
# Two rows of three squares. Each channel is none or all: what lies between depends on the range
# that the YUV of a JPEG has, which the virtual camera does not say.
COLOURS = (
    ((255, 0, 0), (0, 255, 0), (0, 0, 255)),
    ((255, 255, 0), (0, 255, 255), (255, 0, 255)),
)
SQUARE = (240, 213)  # height and width: the card is 480x639 and one more column
# The last of the names is the first of picamera2's cameras.
CAMERAS = """\
%YAML 1.1
---
"2 Digits":
  supported_formats:
  - width: 320
    height: 240
    frame_rates: [30]
  frames:
    path: "/lab/digits/"
  model: "Digits"
"1 Colours":
  supported_formats:
  - width: 640
    height: 480
    frame_rates: [30]
  frames:
    path: "/lab/colours.jpg"
  model: "Colours"
"""
DIGITS_CAMERA, COLOURS_CAMERA = "picamera2:0", "picamera2:1"


def write(lab: Path, pictures: Path, names: list[str]) -> None:
    """Put into `lab` what its cameras play: `names` of `pictures`, in their order, and the card."""
    folder = lab / "digits"
    folder.mkdir()
    for number, name in enumerate(names):
        picture = cv2.imread(str(pictures / name))
        if picture is None:
            raise LabError(f"{pictures / name} cannot be read")
        _write_jpeg(folder / f"{number}.jpg", np.asarray(picture, np.uint8))
    _write_jpeg(lab / "colours.jpg", colour_card())
    (lab / "cameras.yaml").write_text(CAMERAS)


def colour_card() -> U8:
    """Return the card, uint8 [480, 640, 3] RGB turned into OpenCV's BGR."""
    rows = np.array(COLOURS, np.uint8)[:, :, ::-1]
    card = np.repeat(np.repeat(rows, SQUARE[0], axis=0), SQUARE[1], axis=1)
    return np.ascontiguousarray(np.pad(card, ((0, 0), (0, 1), (0, 0)), mode="edge"))


def make_pictures(folder: Path, count: int) -> dict[str, str]:
    """Write cards with held-out digits, and return what is on each: "0" to "9", by file name."""
    arguments = ["--out", str(folder), "--calibration", "64", "--evaluation", str(count)]
    with redirect_stdout(io.StringIO()):
        samples.write_samples(arguments)
    with (folder / "evaluation" / "labels.csv").open(newline="") as file:
        return {row["file"]: row["class"] for row in csv.DictReader(file)}


def _write_jpeg(path: Path, picture: U8) -> None:
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise LabError(f"{path} cannot be written")
