"""What every pass owes: the same numbers, and nothing more to do the second time."""

from __future__ import annotations

import numpy as np

from converters.graph import Graph, Pass, PassResult
from converters.onnx_qdq.writer import write_float
from converters.passes.lower_affine import lower_affine
from tests.converters.models import normal, run


def applied(rewrite: Pass, graph: Graph) -> PassResult:
    """Return the pass's result after holding it against `graph` in ONNX Runtime."""
    result = rewrite(graph)
    result.graph.verify()
    assert result.graph.outputs == graph.outputs
    again = rewrite(result.graph)
    assert again.changed == ()
    assert again.graph == result.graph
    assert again.left == result.left
    x = normal(*graph.input_shape, seed=7, spread=2)
    # An Affine has no ONNX form of its own: as a depthwise convolution both sides are written.
    before, after = (run(write_float(lower_affine(g).graph), x) for g in (graph, result.graph))
    for ours, theirs in zip(after, before, strict=True):
        # The constants are rounded to float32 once more than in the source.
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    return result
