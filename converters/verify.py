"""Both artifacts against the float model and against each other, on pictures."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from calibration.dataset import tensors
from calibration.evaluate import Evaluation, evaluate
from calibration.images import ImageSet, Tensors
from calibration.labelled import LabelledSet
from calibration.progress import Progress
from converters.graph import Graph
from converters.memory import give_back
from converters.output_check import OutputCheck, check_outputs
from converters.quantize.quantized import QuantizedGraph
from converters.tensor_check import SOURCE, TensorCheck, check_tensors
from edge.backends import open_model
from edge.backends.base import OpenedModel
from edge.card import ModelCard
from edge.tensors import F32, TensorSpec

FLOAT = "float"
DEFAULT_KERNELS = "onnx, default kernels"
X86 = ("x86_64", "AMD64")
# Every tensor, and every output beside the scores, is looked at on these few pictures; the scores
# on all.
TENSOR_IMAGES = 4


@dataclass(frozen=True, slots=True)
class Verification:
    """What the models make of the pictures, and how far every tensor is from float.

    `scores` is by "float", "onnx" and "tflite"; the ONNX artifact is run with exact kernels, as
    an Arm board computes it. On x86 `default_kernels` is the same file as ONNX Runtime runs it
    there by default. `pictures` says what was looked at; `size_bytes` is by the names of `scores`;
    `tensors` is empty where nothing was quantized, `outputs` where the scores are all there is.
    """

    pictures: str
    scores: Mapping[str, Evaluation]
    size_bytes: Mapping[str, int]
    default_kernels: Evaluation | None
    tensors: tuple[TensorCheck, ...]
    outputs: tuple[OutputCheck, ...] = ()

    def drop_pp(self, kind: str) -> float | None:
        """Return by how many percentage points of top-1 an artifact is below float."""
        return drop_pp(self.scores, kind)


def drop_pp(scores: Mapping[str, Evaluation], kind: str) -> float | None:
    """Return by how many points of top-1 an artifact is below float; None without classes."""
    reference, top1 = scores[FLOAT].top1, scores[kind].top1
    return None if reference is None or top1 is None else 100 * (reference - top1)


def compare(
    card: ModelCard,
    models: Mapping[str, Path],
    graph: Graph,
    images: ImageSet | LabelledSet | Tensors,
    progress: Progress,
) -> dict[str, Evaluation]:
    """Return the scores of the models alone, as `verify` has them, and nothing else of it."""
    with ExitStack() as stack:
        return _evaluate(card, _opened(models, graph, stack), graph, images, progress)


def verify(
    card: ModelCard,
    models: Mapping[str, Path],
    subject: QuantizedGraph | Graph,
    images: ImageSet | LabelledSet | Tensors,
    pictures: str,
    progress: Progress,
    *,
    is_given: bool = False,
) -> Verification:
    """Run the float model and the artifacts over `images`.

    Args: models: files by "float", "onnx" and "tflite"; subject: what the artifacts hold, a Graph
        where they are float; pictures: what `images` are, in words; is_given: the model that is
        called "float" was already quantized.
    Raises: EdgeError: a model cannot be run, or there is no picture to run it on.
    """
    graph = subject if isinstance(subject, Graph) else subject.graph
    tensor = TensorSpec(graph.input, graph.input_shape, "float32")
    with ExitStack() as stack:
        backends = _opened(models, graph, stack)
        others = check_outputs(
            graph,
            backends[FLOAT],
            {kind: backend for kind, backend in backends.items() if kind != FLOAT},
            islice(inputs_of(images, card, tensor), TENSOR_IMAGES),
        )
        if "onnx" in models and platform.machine() in X86:
            backends[DEFAULT_KERNELS] = _open(models["onnx"], stack, exact_kernels=False)
        everything = _evaluate(card, backends, graph, images, progress)
    give_back()
    default_kernels = everything.pop(DEFAULT_KERNELS, None)
    checks: tuple[TensorCheck, ...] = ()
    if isinstance(subject, QuantizedGraph):
        artifacts = {kind: path.read_bytes() for kind, path in models.items() if kind != FLOAT}
        if is_given:
            artifacts[SOURCE] = models[FLOAT].read_bytes()
        few = islice(inputs_of(images, card, tensor), TENSOR_IMAGES)
        checks = check_tensors(subject, artifacts, few)
    return Verification(
        f"{everything[FLOAT].images} {pictures}",
        everything,
        {kind: path.stat().st_size for kind, path in models.items()},
        default_kernels,
        checks,
        others,
    )


def _opened(models: Mapping[str, Path], graph: Graph, stack: ExitStack) -> dict[str, OpenedModel]:
    # The artifacts say themselves which output holds the scores.
    return {
        kind: _open(path, stack, graph.output if kind == FLOAT else "", exact_kernels=True)
        for kind, path in models.items()
    }


def _evaluate(
    card: ModelCard,
    backends: Mapping[str, OpenedModel],
    graph: Graph,
    images: ImageSet | LabelledSet | Tensors,
    progress: Progress,
) -> dict[str, Evaluation]:
    tensor = TensorSpec(graph.input, graph.input_shape, "float32")
    return evaluate(
        backends,
        tensors(images, card.preprocess, tensor) if isinstance(images, Tensors) else images,
        card.preprocess,
        reference=FLOAT,
        watch=partial(progress, total=len(images), what="comparing"),
    )


def _open(path: Path, stack: ExitStack, scores: str = "", *, exact_kernels: bool) -> OpenedModel:
    # One thread: the pools of several runtimes would wait on each other's cores.
    backend = open_model(path, threads=1, exact_kernels=exact_kernels, scores=scores)
    stack.callback(backend.close)
    give_back()  # of what it took to open the model, before the next one is
    return backend


def inputs_of(
    images: ImageSet | LabelledSet | Tensors, card: ModelCard, tensor: TensorSpec
) -> Iterable[F32]:
    """Yield float32 [1, C, H, W], or [1, H, W, C], for each picture, as the card says."""
    source = images.images if isinstance(images, LabelledSet) else images
    return tensors(source, card.preprocess, tensor)
