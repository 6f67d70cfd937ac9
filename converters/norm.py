"""The model's first BatchNormalization, and what computes the value that it normalizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnxruntime

from calibration.lint import Norm
from calibration.lint.norm import COLOR_IMAGES, LEAST_IMAGES
from converters.cost import products
from converters.graph import Graph
from converters.onnx_import.source import SourceNorm
from converters.onnx_qdq.session import FloatSession
from edge.tensors import F32, TensorSpec

# What it may take in all to run the layers before it on a few pictures: some tenths of a second.
MAX_PRODUCTS = 1 << 33


@dataclass(frozen=True, slots=True)
class FirstNorm:
    """`graph` ends in the value that `source`, a BatchNormalization, reads; `images`: on how many
    pictures it may be run.
    """

    source: SourceNorm
    graph: Graph
    images: int

    def opened(self) -> Norm:
        """Return it as calibration takes it, with the layers before it in ONNX Runtime."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session, name = FloatSession(self.graph, options), self.graph.input
        layout, *_ = TensorSpec(name, self.graph.input_shape, "float32").image_geometry()

        def before(x: F32) -> F32:
            value: F32 = session.run(None, {name: x})[0]
            return value

        found = self.source
        axis = 1 if layout == "NCHW" else 3
        return Norm(found.name, found.mean, found.variance, before, axis, self.images)


def first_norm(graph: Graph, norms: Sequence[SourceNorm]) -> FirstNorm | None:
    """Return the first of `norms`, None where there is none that tells something at small cost.

    Args: graph: as it was read, before any pass.
    """
    # What was never trained has mean 0 and variance 1 throughout.
    trained = [n for n in norms if n.mean.any() or (n.variance != 1).any()]
    if not trained or trained[0].value == graph.input:
        return None
    first = trained[0]
    before = _up_to(graph, first.value)
    each = sum(products(before, node) for node in before.nodes)
    images = min(COLOR_IMAGES, MAX_PRODUCTS // max(1, each))
    return FirstNorm(first, before, images) if images >= LEAST_IMAGES else None


def _up_to(graph: Graph, value: str) -> Graph:
    """Return the part of `graph` that makes `value`."""
    needed, nodes = {value}, []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            nodes.append(node)
    return replace(graph, outputs=(value,), scores=0, nodes=tuple(reversed(nodes)))
