import numpy as np
import pytest

from converters.operators import Slice
from edge.tensors import Array
from tests.converters.models import Constants, assert_same, build, f32, int64
from tests.converters.onnx_import.refusals import assert_refused

OPSETS = [11, 13, 18, 28]
FAR = (1 << 63) - 1  # how exporters say "to the end"


def bounds(starts: Array, ends: Array, axes: Array, steps: Array | None = None) -> Constants:
    given: Constants = {"b": starts, "e": ends, "a": axes}
    return given if steps is None else {**given, "s": steps}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("start", "end", "step"),
    [
        (0, 4, 1),
        (1, 8, 1),
        (1, 8, 2),
        (0, 8, 3),
        (7, 8, 1),
        (0, 1, 1),
        (-3, -1, 1),
        (-FAR, 4, 1),
        (2, FAR, 5),
        (0, FAR, FAR),
        (0, 8, 8),
        (0, 8, 9),
    ],
)
def test_bounds(start: int, end: int, step: int, opset: int) -> None:
    given = bounds(int64(start), int64(end), int64(2), int64(step))
    graph = assert_same(build("y = Slice(x, b, e, a, s)", opset=opset, **given))
    assert [node.kind for node in graph.nodes] == ["Slice"]


def test_several_axes() -> None:
    given = bounds(int64(1, 0, -5), int64(3, 8, FAR), int64(-3, 2, -1), int64(1, 1, 2))
    graph = assert_same(build("y = Slice(x, b, e, a, s)", **given))
    # Along axis 2 all is kept.
    assert [node.operator for node in graph.nodes] == [Slice((1, 3), (1, 3), (3, 8), (1, 2))]


def test_without_axes_and_steps() -> None:
    assert_same(build("y = Slice(x, b, e)", b=int64(0, 1, 2), e=int64(1, 3, 4)))
    given = bounds(int64(1), int64(3), int64(1), int64(2))
    assert_same(build('y = Slice(x, b, e, "", s)', **given | {"b": int64(0), "e": int64(1)}))


def test_bounds_of_int32() -> None:
    numbers = (np.asarray([n], np.int32) for n in (1, 6, 3, 2))
    assert_same(build("y = Slice(x, b, e, a, s)", **bounds(*numbers)))


@pytest.mark.parametrize("end", [8, FAR])
def test_of_all_it_is_nothing(end: int) -> None:
    given = bounds(int64(0, -8), int64(end, end), int64(2, 3))
    graph = assert_same(build("c = Exp(x) y = Slice(c, b, e, a)", **given), spread=1)
    assert [node.kind for node in graph.nodes] == ["Exp"]


def test_bounds_from_the_shape() -> None:
    body = "h = Shape<start=2, end=3>(x) e = Div(h, two) y = Slice(x, b, e, a)"
    assert_same(build(body, two=int64(2), b=int64(0), a=int64(2)))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (bounds(int64(4), int64(4), int64(2)), "4 to 4 of an axis of 8 is empty"),
        (bounds(int64(8), int64(FAR), int64(2)), "of an axis of 8 is empty"),
        (bounds(int64(0), int64(-8), int64(2)), "of an axis of 8 is empty"),
        (bounds(int64(0), int64(4), int64(4)), "axis 4 of a value of 4 axes"),
        (bounds(int64(0), int64(4), int64(-5)), "axis -5 of a value of 4 axes"),
        (bounds(int64(0, 1), int64(4, 4), int64(2, -2)), "axes [2, 2] of 4"),
        (bounds(int64(0), int64(4, 4), int64(2)), "starts and ends are not lists of one length"),
        (bounds(int64(0), int64(4), int64(2, 3)), "starts, axes and steps are not lists"),
        (bounds(f32([0]), int64(4), int64(2)), "not a list of whole numbers"),
        (bounds(np.asarray(0), int64(4), int64(2)), "not a list of whole numbers"),
    ],
)
def test_refusals(given: Constants, reason: str) -> None:
    assert_refused(build("y = Slice(x, b, e, a)", **given), reason)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (int64(0), "a step of 0"),
        (int64(-1), "a step of -1"),
        (int64(1, 1), "starts, axes and steps are not lists"),
    ],
)
def test_steps_that_are_refused(step: Array, reason: str) -> None:
    given = bounds(int64(0), int64(4), int64(2), step)
    assert_refused(build("y = Slice(x, b, e, a, s)", **given), reason)


def test_bounds_that_were_left_out_are_refused() -> None:
    assert_refused(build('y = Slice(x, "", e)', e=int64(1)), "not as opset 17 defines it")
