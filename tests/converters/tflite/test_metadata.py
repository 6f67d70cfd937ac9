import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from converters.tflite.metadata import append_labels
from edge.backends.tflite_metadata import read_metadata
from edge.card import CARD_KEY, LABELS_FILE, ModelCard
from tests.converters.artifacts import CARD, make

LABELS = "tree\nStraße\n鳥\n"


@pytest.fixture(scope="module")
def model() -> bytes:
    return make("y = GlobalAveragePool(x)").tflite


def test_the_card_comes_back(model: bytes) -> None:
    text = read_metadata(model, CARD_KEY)
    assert text is not None
    assert ModelCard.from_json(text) == CARD


def test_labels_by_zipfile(model: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.namelist() == [LABELS_FILE]
        assert archive.testzip() is None
        assert archive.read(LABELS_FILE).decode() == LABELS


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_labels_by_unzip(model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    command = ["unzip", "-p", str(path), LABELS_FILE]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stdout.decode() == LABELS


def test_without_labels_nothing_is_appended() -> None:
    assert append_labels(b"model", ()) == b"model"


def test_the_model_itself_stays_at_the_start() -> None:
    whole = append_labels(b"model", ("a", "b"))
    assert whole.startswith(b"model")
    assert append_labels(b"model", ("a", "b")) == whole
