"""The outputs beside the scores, as a caller of each file gets them, against the source's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from calibration.metrics import decibels, energies
from converters.errors import ConvertError
from converters.graph import Graph
from converters.operators import Shape
from edge.backends.base import OpenedModel
from edge.tensors import F32


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """One output beside the scores: its shape in every file, and how far each is from the source.

    `sqnr_db`: by format, over `pictures` pictures.
    """

    name: str
    shape: Shape
    sqnr_db: Mapping[str, float]
    pictures: int


def check_outputs(
    graph: Graph,
    reference: OpenedModel,
    artifacts: Mapping[str, OpenedModel],
    inputs: Iterable[F32],
) -> tuple[OutputCheck, ...]:
    """Return a check of every output but the scores, in order.

    Of the artifacts nothing is known but what they say: names, order, shapes and scales.

    Args: graph: the outputs that there must be; reference: takes and gives float32; artifacts: by
        "onnx" and "tflite"; inputs: float32 in the reference's layout, a few.
    Raises: ConvertError: an artifact's outputs are not those of the graph, or are not finite.
    """
    if not graph.others:
        return ()
    signal = dict.fromkeys(graph.others, 0.0)
    noise = {kind: dict.fromkeys(graph.others, 0.0) for kind in artifacts}
    pictures = 0
    for x in inputs:
        pictures += 1
        right = _run("source", reference, x)
        for name in graph.others:
            signal[name] += energies(right[name], right[name])[0]
        for kind, backend in artifacts.items():
            found = _run(f"{kind} file", backend, x)
            _check_shapes(graph, kind, found)
            for name in graph.others:
                noise[kind][name] += energies(right[name], found[name])[1]
    return tuple(
        OutputCheck(
            name,
            graph.shapes[name],
            {kind: decibels(signal[name], noise[kind][name]) for kind in artifacts},
            pictures,
        )
        for name in graph.others
    )


def _run(called: str, backend: OpenedModel, x: F32) -> dict[str, F32]:
    spec = backend.spec.input
    turned = x if x.shape == spec.shape else x.transpose(0, 2, 3, 1)
    backend.input_view()[...] = spec.quantize(turned)
    found = backend.run_all()
    for name, y in found.items():
        if not np.isfinite(y).all():
            raise ConvertError(
                f"{called}: output {name!r} is not finite for a picture; check the model and its "
                "preprocessing"
            )
    return found


def _check_shapes(graph: Graph, kind: str, found: Mapping[str, F32]) -> None:
    """See that a file gives the source's outputs, in its order and layout."""
    shapes = {name: y.shape for name, y in found.items()}
    wanted = {name: graph.shapes[name] for name in graph.outputs}
    # A 1x1 image of scores has its classes last in TFLite.
    wanted[graph.output] = shapes.get(graph.output, ())
    if list(shapes.items()) != list(wanted.items()):
        raise ConvertError(
            f"the {kind} file gives {shapes} where the source gives {wanted}. Nothing was written; "
            "please report the model"
        )
