import numpy as np
import pytest

from converters.errors import UnsupportedModelError
from converters.tflite.layout import Placed, nhwc, place
from converters.tflite.writer import check
from tests.converters.models import build, imported, int64, normal


def test_to_onnx_undoes_the_layout() -> None:
    image = np.arange(24).reshape(1, 2, 3, 4)
    tensor = image.transpose(0, 2, 3, 1)
    assert nhwc(image.shape) == tensor.shape
    np.testing.assert_array_equal(Placed(image.shape, tensor.shape).to_onnx(tensor), image)
    # Flattened, it is the same tensor: ONNX's order is that of C, H, W.
    flattened = Placed((1, 24), tensor.shape)
    assert flattened.is_flattened
    np.testing.assert_array_equal(flattened.to_onnx(tensor), image.reshape(1, -1))


def test_a_vector_is_an_image_of_one_pixel() -> None:
    vector = np.arange(6).reshape(1, 6)
    placed = Placed((1, 6), nhwc((1, 6)))
    assert placed.shape == (1, 1, 1, 6)
    assert not placed.is_flattened
    np.testing.assert_array_equal(placed.to_onnx(vector.reshape(1, 1, 1, 6)), vector)
    # What a caller gets has ONNX's rank already.
    np.testing.assert_array_equal(placed.to_onnx(vector), vector)


def test_flattening_leaves_the_image_where_it_is() -> None:
    graph = imported(build("f = Flatten(x) r = Relu(f) y = Gemm(r, w)", w=normal(192, 4)))
    placed = place(graph)
    assert placed["f"].shape == placed["r"].shape == placed["x"].shape == (1, 8, 8, 3)
    assert placed["f"].is_flattened
    assert placed["r"].is_flattened
    assert placed["y"] == Placed((1, 4), (1, 1, 1, 4))
    pooled = place(imported(build("p = GlobalAveragePool(x) y = Flatten(p)")))
    assert pooled["y"] == Placed((1, 3), (1, 1, 1, 3))


@pytest.mark.parametrize(
    ("body", "node", "reason"),
    [
        ("y = Flatten(x)", "Flatten_y", "needs a transpose"),
        ("f = Flatten(x) y = Relu(f)", "Relu_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) y = Add(f, f)", "Add_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) g = Gemm(f, m) y = Add(g, f)", "Add_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) y = Softmax(f)", "Softmax_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) y = Reshape(f, s)", "Reshape_y", "was flattened; that needs a transpose"),
        ("y = Reshape(x, s)", "Reshape_y", "needs a transpose in TFLite's layout"),
    ],
)
def test_what_would_need_a_transpose_is_refused(body: str, node: str, reason: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        check(imported(build(body, s=int64(1, 3, 4, 16), m=normal(192, 192))))
    (refusal,) = caught.value.refusals
    assert refusal.node == node
    assert reason in refusal.reason


def test_all_refusals_at_once() -> None:
    body = "f = Flatten(x) a = Softmax(f) b = Add(f, f)"
    with pytest.raises(UnsupportedModelError) as caught:
        check(imported(build(body, outputs=["a", "b"])))
    assert [refusal.node for refusal in caught.value.refusals] == ["Softmax_a", "Add_b"]


def test_vectors_and_images_of_one_pixel_may_change_into_each_other() -> None:
    model = build("p = GlobalAveragePool(x) f = Flatten(p) y = Reshape(f, s)", s=int64(1, 3, 1, 1))
    assert check(imported(model))["y"].shape == (1, 1, 1, 3)
