import pytest

from converters.errors import ConvertError
from converters.onnx_import import importer
from converters.onnx_import.handlers.affine import MAX_REPEATED
from converters.onnx_import.inputs import MAX_BATCH_VALUES, MAX_SIDE
from tests.converters.models import build, f32, imported, normal
from tests.converters.onnx_import.refusals import assert_refused


def test_the_largest_image_and_one_larger() -> None:
    assert imported(build("y = Relu(x)", f"float[1,3,{MAX_SIDE},2]")).input_shape[2] == MAX_SIDE
    with pytest.raises(ConvertError, match="height and width"):
        imported(build("y = Relu(x)", f"float[1,3,{MAX_SIDE + 1},2]"))


def test_the_largest_batch_and_one_larger() -> None:
    body = "p = GlobalAveragePool(x) y = Flatten(p)"
    largest = MAX_BATCH_VALUES // (3 * 8 * 8)
    assert imported(build(body, f"float[{largest},3,8,8]")).input_shape[0] == 1
    with pytest.raises(ConvertError, match=r"shape \[349526, 3, 8, 8\]; .* with a batch of 1"):
        imported(build(body, f"float[{largest + 1},3,8,8]"))
    # One picture may be as large as a picture is.
    assert imported(build(body, f"float[1,3,{MAX_SIDE},{MAX_SIDE}]")).shapes["y"] == (1, 3)


def test_an_output_that_would_be_huge_is_refused() -> None:
    model = build(
        "y = Conv<pads=[4096,4096,4096,4096]>(x, w)", "float[1,1,16384,2]", w=normal(9, 1, 1, 1)
    )
    assert_refused(model, "empty or too large")


@pytest.mark.parametrize("batch", [1, 4])
def test_the_largest_output_and_one_value_larger(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build("y = Conv(x, w)", f"float[{batch},3,8,8]", w=normal(5, 3, 1, 1))
    monkeypatch.setattr(importer, "MAX_VALUES", batch * 5 * 64)
    assert imported(model).shapes["y"] == (1, 5, 8, 8)
    monkeypatch.setattr(importer, "MAX_VALUES", batch * 5 * 64 - 1)
    assert_refused(model, "too large")


def test_many_outputs_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each of them is a small part of what calibration holds at once.
    body = " ".join(f"a{i + 1} = Relu(a{i})" for i in range(20))
    model = build(f"a0 = Relu(x) {body} y = Flatten(a20)")
    monkeypatch.setattr(importer, "MAX_VALUES", 22 * 3 * 64)
    assert len(imported(model).nodes) == 22
    monkeypatch.setattr(importer, "MAX_VALUES", 22 * 3 * 64 - 1)
    assert_refused(model, "too large, alone or with those before it")


@pytest.mark.parametrize("body", ["a = Add(f, c)", "a = Mul(c, f)"])
def test_one_number_is_repeated_for_channels_alone(body: str) -> None:
    # Along such an axis it would take as much memory as the activation, and the file none.
    for width, kind in ((MAX_REPEATED // 4, "Affine"), (MAX_REPEATED // 4 + 1, body[4:7])):
        model = build(f"f = Flatten(x) {body} y = Relu(a)", f"float[1,1,4,{width}]", c=f32(2))
        assert kind in [node.kind for node in imported(model).nodes]
