"""What an experiment is asked, and what it has to say."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.progress import Progress
from converters.mobilenet_v2.explore.flags import DEFAULT_SAMPLES
from converters.mobilenet_v2.explore.subject import Subject, convert_subject
from edge.page import Table
from edge.picture_flags import NO_FLAGS, PreprocessFlags

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The width at which text is as large on a phone as in a figure; heights are each plot's own.
WIDTH_INCHES = 3.3


@dataclass(frozen=True)
class Asked:
    """One call of the command.

    `model`: None for the bundled digits; `images`: as `edge-convert --calibration` takes them, None
    for pictures of the bundled digits, or synthetic ones where there is a model; `samples`: how
    many pictures to calibrate on, and as many others to look at; `seed`: of what is drawn at
    random; `scratch`: a folder for as long as the experiments run; `note`: is told what the user
    should know of the conversion.
    """

    model: Path | None
    images: str | None
    samples: int
    seed: int
    scratch: Path
    progress: Progress
    picture: PreprocessFlags = NO_FLAGS
    note: Callable[[str], None] = lambda _: None

    @cached_property
    def subject(self) -> Subject:
        """The network and its int8 artifact, converted once for all experiments.

        Raises: EdgeError: what cannot be read or converted.
        """
        subject = convert_subject(
            self.model, self.images, self.samples, self.picture, self.scratch, self.progress
        )
        for note in subject.notes():
            self.note(note)
        return subject

    def command(self, only: str, *, needs_model: bool = True) -> str:
        """Return the command that makes the figures of one experiment again."""
        given = {"--seed": str(self.seed) if self.seed else None}
        words = ["edge-mobilenet", "explore"]
        if needs_model:
            words += [str(self.model)] if self.model else []
            samples = None if self.samples == DEFAULT_SAMPLES else str(self.samples)
            given = {"--images": self.images, "--samples": samples, **_picture_words(self.picture)}
        for flag, value in given.items():
            words += [flag, value] if value is not None else []
        return shlex.join([*words, "--only", only])


def _picture_words(flags: PreprocessFlags) -> dict[str, str | None]:
    def joined(numbers: tuple[float, ...] | None) -> str | None:
        return ",".join(f"{number:g}" for number in numbers) if numbers else None

    resize = None if flags.resize is None else str(flags.resize or "none")
    return {
        "--preprocess": flags.preset,
        "--mean": joined(flags.mean),
        "--std": joined(flags.std),
        "--resize": resize,
        "--color": flags.color,
    }


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure: `name` is that of its PNG, `finding` what it shows, in numbers.

    `draw` draws on an empty matplotlib figure of WIDTH_INCHES by `height_inches`.
    """

    name: str
    title: str
    finding: str
    height_inches: float
    draw: Callable[[Figure], None]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """What an experiment found.

    `command`: what makes its figures again; `findings`: sentences, the most important first;
    `remarks`: what the words in it mean and where they come from; `numbers`: all of it, as JSON has
    it.
    """

    title: str
    command: str
    findings: tuple[str, ...]
    plots: tuple[Plot, ...]
    tables: tuple[Table, ...]
    numbers: Mapping[str, Any]
    remarks: tuple[str, ...] = field(default=())
