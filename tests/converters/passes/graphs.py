"""What every pass owes: the same numbers, and nothing more to do the second time.

And what the passes that recognise a function are given: its parts behind a convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from converters.graph import Graph, Pass, PassResult
from converters.onnx_qdq.writer import write_float
from converters.passes.fold_affine import fold_affine
from converters.passes.lower_affine import lower_affine
from tests.converters.models import Constants, build, f32, imported, normal, run


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


def constants(numbers: Mapping[str, float]) -> Constants:
    """Return single numbers by name, beside weights of three channels."""
    return {name: f32(number) for name, number in numbers.items()} | {
        "g": normal(3, seed=1),
        "o": normal(3, seed=2),
        "var": np.abs(normal(3, seed=3)),
        "w": normal(3, 3, 1, 1),
    }


def behind_conv(body: str, outputs: Sequence[str], given: Constants) -> Graph:
    """Return the graph of `body`, which reads `v`, after what stands before such a pass."""
    model = build(f"v = Conv(x, w) {body}", outputs=outputs or ("y",), **given)
    return fold_affine(imported(model)).graph
