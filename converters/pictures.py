"""What to calibrate on, and what to verify on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calibration.dataset import open_images
from calibration.images import ImageSet, Tensors, held_apart
from calibration.labelled import LabelledSet, open_labelled
from calibration.lint import Watch
from calibration.synthetic import dead_leaves
from converters.request import Request
from converters.scores import classes_of
from converters.source import Source

VERIFY_IMAGES = 64
SYNTHETIC_IMAGES = 64
SYNTHETIC_SEED = 0
# Synthetic pictures to verify on are others than those to calibrate on.
SYNTHETIC_VERIFY_SEED = 1


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to calibrate on, what to verify on, and what the latter is in words.

    `available`: how many pictures there are to calibrate on, of which `calibration` is the part
    that was asked for; `watch`: looks at the evaluation set as it is read, and is told what was
    seen of the other.
    """

    calibration: ImageSet | Tensors
    verification: ImageSet | LabelledSet | Tensors
    words: str
    available: int
    watch: Watch


def choose_pictures(request: Request, source: Source) -> Pictures:
    """Open the folders, or make pictures, and keep some apart to verify on."""
    calibration: ImageSet | Tensors
    verification: ImageSet | LabelledSet | Tensors
    watch = Watch(source.card.preprocess, source.input_spec)
    if request.calibration is None:
        _, height, width, _ = source.input_spec.image_geometry()
        # Square, and no smaller than what the preprocessing cuts out of a photograph.
        side = max(height, width, source.card.preprocess.resize or 0)
        count = min(request.samples, SYNTHETIC_IMAGES)
        calibration = dead_leaves(count, side, side, SYNTHETIC_SEED)
        available = count
        verification = dead_leaves(VERIFY_IMAGES, side, side, SYNTHETIC_VERIFY_SEED)
        words = "synthetic images" if source.given else "other synthetic images"
    else:
        everything = open_images(request.calibration)
        first, others = held_apart(len(everything), request.samples, VERIFY_IMAGES)
        calibration, verification = everything.subset(first), everything.subset(others)
        available = len(everything)
        same = set(first) & set(others)
        words = "of the calibration images themselves" if same else "images held out of calibration"
    if request.evaluate is not None:
        classes = classes_of(source.graph)
        labelled = open_labelled(request.evaluate, classes, source.card.labels)
        watched = labelled.images.watched(watch.evaluation_picture)
        verification = (
            labelled if request.calibration is None else replace(labelled, images=watched)
        )
        words = f"labelled images of {request.evaluate}"
    return Pictures(calibration, verification, words, available, watch)
