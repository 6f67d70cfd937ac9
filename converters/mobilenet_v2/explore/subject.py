"""The network that is looked at, as float and as its int8 artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration.images import ImageSet, Tensors
from calibration.labelled import LabelledSet
from calibration.progress import Progress
from converters.errors import ConvertError
from converters.graph import Graph
from converters.memory import give_back
from converters.mobilenet_v2.digits.samples import write_pictures
from converters.mobilenet_v2.digits.spec import MODEL
from converters.onnx_import.load import load
from converters.onnx_import.quantized import is_quantized
from converters.pictures import choose_pictures
from converters.pipeline import Conversion, convert
from converters.quantize.quantized import QuantizedGraph
from converters.request import Request
from converters.verify import inputs_of
from edge.picture_flags import PreprocessFlags
from edge.tensors import F32


@dataclass(frozen=True, slots=True)
class Subject:
    """`graph`: the float network with all its channels; `conversion`: to int8 ONNX.

    `pictures`: what to look at, where there are enough others than were calibrated on; `words`:
    what they are.
    """

    graph: Graph
    conversion: Conversion
    pictures: ImageSet | LabelledSet | Tensors
    words: str

    @property
    def quantized(self) -> QuantizedGraph:
        quantized = self.conversion.quantized
        assert quantized is not None  # noqa: S101 (it was converted to int8)
        return quantized

    def notes(self) -> Iterator[str]:
        """Yield what was assumed, and what is wrong with the pictures, in words."""
        conversion = self.conversion
        yield from conversion.source.notes
        yield from map(str, conversion.lint.findings if conversion.lint else ())
        if conversion.request.calibration is None:
            yield "no pictures were given, and synthetic ones say little: --images DIR is better"

    def inputs(self) -> Iterable[F32]:
        """Yield float32 [1, C, H, W] of each picture."""
        source = self.conversion.source
        return inputs_of(self.pictures, source.card, source.input_spec)


def convert_subject(
    model: Path | None,
    images: str | None,
    samples: int,
    picture: PreprocessFlags,
    scratch: Path,
    progress: Progress,
) -> Subject:
    """Convert a network to int8, as edge-convert does, and trace its error.

    Args: as Asked has them. Raises: EdgeError: what cannot be read or converted.
    """
    if model is not None and is_quantized(load(model)[0]):
        raise ConvertError(
            f"{model}: it is already quantized, and what int8 does shows beside float alone: give "
            "the float32 model"
        )
    if model is None and images is None:
        folder = scratch / "pictures"
        # Twice as many: half of them to calibrate on, the others to look at.
        write_pictures(folder, "training", 2 * samples)
        images = str(folder)
    request = Request(
        model=model or MODEL,
        out=scratch,
        calibration=images,
        samples=samples,
        formats=("onnx",),
        picture=picture,
        sensitivity=True,
    )
    conversion = convert(request, progress)
    give_back()
    source = conversion.source
    pictures = choose_pictures(request, source)
    graph = source.whole or source.graph
    return Subject(graph, conversion, pictures.verification, pictures.words)
