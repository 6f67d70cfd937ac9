from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.graph import Graph
from converters.norm import MAX_PRODUCTS, first_norm
from converters.onnx_import.importer import import_with_norms
from converters.onnx_import.source import SourceNorm
from tests.converters.models import Constants, build, f32, normal, run

NORMS = (
    "c = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(c, s, s, m, v) r = Relu(n)"
    "d = Conv(r, u) y = BatchNormalization(d, s, s, m2, v2)"
)
S = f32([1.5, 0.5, 2.0, 1.0])
M, V = f32([0.1, -2.0, 3.0, 0.0]), f32([0.5, 1.0, 2.0, 4.0])


def weights(**others: object) -> Constants:
    held: Constants = {"w": normal(4, 3, 3, 3), "u": normal(4, 4, 1, 1, seed=1), "s": S}
    return held | {"m": M, "v": V, "m2": M + 1, "v2": V + 1} | others


def read(model: onnx.ModelProto) -> tuple[Graph, tuple[SourceNorm, ...]]:
    return import_with_norms(model, "m.onnx")


def test_running_moments_are_kept_as_the_file_has_them() -> None:
    _, norms = read(build(NORMS, **weights()))
    assert [norm.value for norm in norms] == ["c", "d"]
    np.testing.assert_array_equal(norms[0].mean, M)
    np.testing.assert_array_equal(norms[0].variance, V)
    np.testing.assert_array_equal(norms[1].mean, M + 1)


def test_moments_may_stand_in_nodes_of_their_own() -> None:
    # Exporters name weights that are equal once, and hand them on.
    body = "m = Identity(shared) v = Constant<value = float[4] {0.5, 1, 2, 4}>()" + NORMS
    held = weights(shared=M)
    del held["m"], held["v"]
    _, norms = read(build(body, **held))
    np.testing.assert_array_equal(norms[0].mean, M)
    np.testing.assert_array_equal(norms[0].variance, V)


def test_a_normalization_of_weights_is_none_of_pictures() -> None:
    body = "k = BatchNormalization(w, s3, s3, m3, v3) y = Conv(x, k)"
    three: Constants = {name: f32([1, 2, 3]) for name in ("s3", "m3", "v3")}
    _, norms = read(build(body, w=normal(4, 3, 3, 3), **three))
    assert norms == ()


@pytest.mark.parametrize("last", [False, True])
def test_what_comes_before_is_run_alone(last: bool) -> None:
    body, image = NORMS, "float[1,3,8,8]"
    if last:
        body = "t = Transpose<perm=[0,3,1,2]>(x) " + NORMS.replace("(x, w)", "(t, w)")
        image = "float[1,8,8,3]"
    model = build(body, image, **weights())
    found = first_norm(*read(model))
    assert found is not None
    assert "d" not in found.graph.shapes  # and so none of the weights after it is kept
    norm = found.opened()
    assert norm.channel_axis == (3 if last else 1)
    x = normal(*found.graph.input_shape, seed=4)
    [expected] = run(build(body.split(" n = ")[0], image, outputs=("c",), w=weights()["w"]), x)
    np.testing.assert_allclose(norm.before(x), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(norm.mean, M)


def test_what_was_never_trained_tells_nothing() -> None:
    fresh = weights(m=f32([0] * 4), v=f32([1] * 4))
    found = first_norm(*read(build(NORMS, **fresh)))
    assert found is not None
    assert found.source.value == "d"
    fresh |= {"m2": f32([0] * 4), "v2": f32([1] * 4)}
    assert first_norm(*read(build(NORMS, **fresh))) is None


def test_a_network_without_any_has_none() -> None:
    assert first_norm(*read(build("y = Conv(x, w)", w=normal(4, 3, 3, 3)))) is None


def test_costly_layers_are_run_on_few_pictures_and_too_costly_ones_on_none() -> None:
    graph, norms = read(build(NORMS, **weights()))
    cheap = first_norm(graph, norms)
    assert cheap is not None
    assert cheap.images == 48
    counts = []
    for side in (224, 1024, 2048):
        made = first_norm(*read(build(NORMS, f"float[1,3,{side},{side}]", **weights())))
        counts.append(made.images if made else 0)
    assert counts[0] == 48 > counts[1] > counts[2] == 0
    assert counts[1] * 1024 * 1024 * 4 * 3 * 9 < MAX_PRODUCTS
