import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from converters.tflite.metadata import EPOCH, labels_behind
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


def test_without_labels_nothing_stands_behind() -> None:
    assert labels_behind(5, ()) == b""


def test_it_is_the_zip_that_appending_to_the_file_gives() -> None:
    stream = io.BytesIO(b"model")
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(LABELS_FILE, EPOCH)
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, "a\nb\n")
    assert b"model" + labels_behind(5, ("a", "b")) == stream.getvalue()
