import numpy as np
import pytest

from converters.errors import UnsupportedModelError
from converters.tflite.layout import Placed, nhwc, place
from converters.tflite.writer import check
from tests.converters.models import build, imported, int64, normal


def test_column_order_finds_each_pixel() -> None:
    image = np.arange(2 * 3 * 4).reshape(1, 2, 3, 4)
    placed = Placed((1, 24), flattened=(2, 3, 4))
    order = placed.column_order()
    assert order is not None
    in_tflite = image.transpose(0, 2, 3, 1).reshape(1, -1)
    np.testing.assert_array_equal(image.reshape(1, -1)[:, order], in_tflite)
    np.testing.assert_array_equal(placed.to_onnx(in_tflite), image.reshape(1, -1))


def test_to_onnx_of_images_and_vectors() -> None:
    image = np.arange(24).reshape(1, 2, 3, 4)
    assert Placed(nhwc(image.shape)).shape == (1, 3, 4, 2)
    tensor = image.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(Placed(tensor.shape).to_onnx(tensor), image)
    vector = np.arange(6).reshape(1, 6)
    assert Placed((1, 6)).to_onnx(vector) is vector


def test_only_an_image_with_several_pixels_is_turned_by_flattening() -> None:
    graph = imported(build("f = Flatten(x) r = Relu(f) y = Gemm(r, w)", w=normal(192, 4)))
    placed = place(graph)
    assert placed["f"].flattened == placed["r"].flattened == (3, 8, 8)
    assert placed["y"].flattened is None
    pooled = place(imported(build("p = GlobalAveragePool(x) y = Flatten(p)")))
    assert pooled["y"] == Placed((1, 3))


@pytest.mark.parametrize(
    ("body", "node", "reason"),
    [
        ("y = Flatten(x)", "Flatten_y", "needs a transpose"),
        ("f = Flatten(x) y = Relu(f)", "Relu_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) y = Add(f, f)", "Add_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) y = Softmax(f)", "Softmax_y", "only a Gemm or a clamp may"),
        ("f = Flatten(x) y = Reshape(f, s)", "Reshape_y", "was flattened; that needs a transpose"),
        ("y = Reshape(x, s)", "Reshape_y", "needs a transpose in TFLite's layout"),
    ],
)
def test_what_would_need_a_transpose_is_refused(body: str, node: str, reason: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        check(imported(build(body, s=int64(1, 3, 4, 16))))
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
