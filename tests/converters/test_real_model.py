"""A network that somebody else trained, on photographs: skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.progress import silent
from converters import pipeline
from converters.pipeline import Conversion
from converters.request import Request
from edge.picture_flags import PreprocessFlags

SHARED = Path(__file__).parent.parent.parent.parent / "shared"
MODEL = SHARED / "models" / "mobilenet_v2_1.0_224.onnx"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not MODEL.exists(), reason="needs the real models and images of ../shared"),
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    request = Request(
        MODEL,
        tmp_path_factory.mktemp("out"),
        str(SHARED / "imagenet" / "calibration"),
        samples=64,
        picture=PreprocessFlags(preset="tf", resize=0),
    )
    return pipeline.convert(request, silent)


def test_both_artifacts_keep_what_float_says(real: Conversion) -> None:
    for kind in ("onnx", "tflite"):
        score = real.verification.scores[kind]
        # Ranges alone cost this network 23 dB in simulation; what other tools lose is 19 to 22.
        assert score.sqnr_db is not None
        assert score.sqnr_db > 20
        assert score.agreement is not None
        assert score.agreement > 0.95
    assert real.verification.tensors[-1].steps in (0, 1, 2)


@pytest.mark.parametrize("name", ["mobilenet_v2_1.0_224", "mobilenet_v2_0.35_features"])
def test_one_scale_for_all_weights_keeps_what_float_says(name: str, tmp_path: Path) -> None:
    request = Request(
        SHARED / "models" / f"{name}.onnx",
        tmp_path,
        str(SHARED / "imagenet" / "calibration"),
        samples=64,
        picture=PreprocessFlags(preset="tf", resize=0),
        per_tensor=True,
    )
    made = pipeline.convert(request, silent)
    for kind, inventory in made.inventories.items():
        assert inventory.in_float == ()
        # Ranges alone leave -3 dB.
        sqnr_db = made.verification.scores[kind].sqnr_db
        assert sqnr_db is not None
        assert sqnr_db > 14


def test_nothing_is_left_in_float_and_nothing_is_moved(real: Conversion) -> None:
    onnx, tflite = real.inventories["onnx"], real.inventories["tflite"]
    assert (onnx.in_float, tflite.in_float) == ((), ())
    assert onnx.count("QLinearConv") == 52
    assert onnx.count("QLinearAdd") == 10
    assert onnx.count("Transpose") == 2
    assert tflite.count("PAD", "PADV2", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE") == 0


def test_channels_that_died_in_training_are_gone(real: Conversion) -> None:
    # Seven of the first convolution's 32 have no weights, one is never above 0 behind it, and one
    # is not read: all but one, which fills up a multiple of 8.
    saving = real.saving
    assert saving is not None
    layers = {name: (change.before, change.after) for name, change in saving.channels.items()}
    assert list(layers.values()) == [(32, 24), (32, 24)]
    # 112 x 112 places: 3 x 3 x 3 and 3 x 3 products a channel, and 16 of the next layer.
    saved = 112 * 112 * 8 * (27 + 9 + 16)
    assert saving.multiply_adds.before - saving.multiply_adds.after == saved
    assert saving.inference_ms is not None
