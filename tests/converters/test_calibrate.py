from __future__ import annotations

import numpy as np

from converters.calibrate import FloatGraph, calibrate
from converters.onnx_qdq.writer import write_float
from edge.tensors import F32
from tests.converters.models import build, imported, normal, run

BODY = "c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) y = MaxPool<kernel_shape=[2,2]>(r)"


def test_values_are_those_of_a_plain_session() -> None:
    graph = imported(build(BODY, w=normal(4, 3, 3, 3)))
    session = FloatGraph(graph, ("r", "c"))
    for seed in range(3):
        x = normal(*graph.input_shape, seed=seed)
        found = session.run(x)
        assert list(found) == ["r", "c"]
        _, *expected = run(write_float(graph, ("r", "c")), x)
        for one, other in zip(found.values(), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_output_that_the_runtime_writes_has_memory_that_lives() -> None:
    # The graph's own output is written as well, though nobody asked for it: were its memory let
    # go, the runtime would write over whatever lies there next.
    graph = imported(build(BODY, w=normal(4, 3, 3, 3)))
    session = FloatGraph(graph, ("c",))
    for _, memory in session._slots:
        assert set(memory) == {"y", "c"}


def test_a_result_outlives_one_run_less_than_there_are_slots() -> None:
    graph = imported(build(BODY, w=normal(4, 3, 3, 3)))
    session = FloatGraph(graph, ("c",), slots=3)
    first = session.run(normal(*graph.input_shape, seed=1))["c"]
    kept = first.copy()
    for _ in range(2):
        session.run(normal(*graph.input_shape, seed=2))
    np.testing.assert_array_equal(first, kept)
    session.run(normal(*graph.input_shape, seed=2))
    assert (first != kept).any()


def test_each_picture_is_observed_once() -> None:
    graph = imported(build(BODY, w=normal(4, 3, 3, 3)))
    inputs = [normal(*graph.input_shape, seed=seed) for seed in range(5)]
    observed = calibrate(graph, inputs)
    assert observed.samples == 5
    values = np.concatenate([run(write_float(graph, ("c",)), x)[1].ravel() for x in inputs])
    histogram = observed.histograms["c"]
    assert (histogram.low, histogram.high) == (values.min(), values.max())
    assert histogram.size == values.size


def test_the_scores_of_each_picture_are_shown_in_order() -> None:
    graph = imported(build(BODY, w=normal(4, 3, 3, 3)))
    inputs = [normal(*graph.input_shape, seed=seed) for seed in range(4)]
    shown: list[F32] = []
    observed = calibrate(graph, inputs, lambda scores: shown.append(scores.copy()))
    assert "y" not in observed.histograms  # a pool keeps its input's range
    for x, scores in zip(inputs, shown, strict=True):
        np.testing.assert_array_equal(scores, run(write_float(graph), x)[0])
