import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from converters.onnx_import.runnable import runnable
from tests.converters.models import f32, normal, run
from tests.converters.qdq import pair, text


@pytest.mark.parametrize("zero_points", ["", ", z4"])
def test_the_exact_kernels_take_what_has_its_own_zero_points(zero_points: str) -> None:
    one, two = (f"DequantizeLinear<axis=0>({w}, s4{zero_points})" for w in ("w", "v"))
    given = text(
        pair("x", "xd", "s, z")
        + f"wd = {one} vd = {two} ud = {two} c = Conv(xd, wd) "
        + pair("c", "cd", "s, z")
        + "i = Conv(cd, vd) e = Conv(i, ud) "
        + pair("e", "y", "s, z"),
        s=f32(0.05),
        z=np.asarray(100, np.uint8),
        s4=f32([0.01, 0.02, 0.03, 0.04]),
        z4=np.zeros(4, np.int8),
        w=np.arange(12, dtype=np.int8).reshape(4, 3, 1, 1),
        v=np.arange(16, dtype=np.int8).reshape(4, 4, 1, 1),
        opset=21,
    )
    x = normal(1, 3, 8, 8)
    made = runnable(given)
    (ours,) = run(made, x, session__x64quantprecision="1")
    (theirs,) = ReferenceEvaluator(given).run(None, {"x": x})
    assert np.abs(ours - theirs).max() <= 0.0501
    means = [node.input[2] for node in made.graph.node if node.input[0] in ("w", "v")]
    assert len(set(means)) == 3


@pytest.mark.parametrize("made", ["Identity(z4)", "Cast<to=3>(z4)", "Clip(z4, low, high)"])
def test_zero_points_may_be_made_of_constants(made: str) -> None:
    """As PyTorch and Brevitas write them, unfolded."""
    given = text(
        f"m = {made} "
        + pair("x", "xd", "s, z")
        + "wd = DequantizeLinear<axis=0>(w, s4, m) c = Conv(xd, wd) "
        + pair("c", "y", "s, z"),
        s=f32(0.05),
        z=np.asarray(100, np.uint8),
        s4=f32([0.01, 0.02, 0.03, 0.04]),
        z4=np.zeros(4, np.int8),
        low=np.asarray(-127, np.int8),
        high=np.asarray(127, np.int8),
        w=np.arange(12, dtype=np.int8).reshape(4, 3, 1, 1),
        opset=21,
    )
    ready = runnable(given)
    (own,) = {node.input[2] for node in ready.graph.node if node.input[0] == "w"}
    assert own in {tensor.name for tensor in ready.graph.initializer}
    x = normal(1, 3, 8, 8)
    (ours,) = run(ready, x, session__x64quantprecision="1")
    (theirs,) = ReferenceEvaluator(given).run(None, {"x": x})
    assert np.abs(ours - theirs).max() <= 0.0501


def test_scales_of_channels_may_stand_right_behind_a_convolution() -> None:
    given = text(
        pair("x", "xd", "s, z")
        + "wd = DequantizeLinear<axis=0>(w, s4) c = Conv(xd, wd) "
        + "q = QuantizeLinear<axis=1>(c, s4, u4) y = DequantizeLinear<axis=1>(q, s4, u4)",
        s=f32(0.05),
        z=np.asarray(100, np.uint8),
        s4=f32([0.01, 0.02, 0.03, 0.04]),
        u4=np.full(4, 100, np.uint8),
        w=np.arange(12, dtype=np.int8).reshape(4, 3, 1, 1),
        opset=21,
    )
    x = normal(1, 3, 8, 8)
    (ours,) = run(runnable(given), x, session__x64quantprecision="1")
    (theirs,) = ReferenceEvaluator(given).run(None, {"x": x})
    assert np.abs(ours - theirs).max() <= 0.0401
