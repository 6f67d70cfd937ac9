from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.backends import onnx_weights, open_model
from edge.backends.base import BackendError
from edge.backends.onnx_weights import weight_files
from tests.edge.backends.tiny_models import move_weights_out, onnx_model


def made(folder: Path, location: str) -> tuple[Path, Path]:
    path = folder / "model.onnx"
    path.write_bytes(onnx_model())
    return path, move_weights_out(path, location)


def is_mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("location", ["w.bin", "below/w.bin", "w" * 150, "g\u00fc \u4e2d.bin"])
def test_weights_are_read_and_not_mapped(location: str, tmp_path: Path) -> None:
    path, weights = made(tmp_path, location)
    backend = open_model(path)
    assert not is_mapped(weights)
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    np.testing.assert_array_equal(backend.run(), [0.25] * 3)
    backend.close()


def test_the_runtime_alone_maps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, weights = made(tmp_path, "w.bin")
    monkeypatch.setattr(onnx_weights, "MAX_BYTES", weights.stat().st_size - 1)
    backend = open_model(path)
    assert is_mapped(weights)
    np.testing.assert_array_equal(backend.run(), [0.25] * 3)
    backend.close()


def test_only_what_a_model_names_below_its_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "w.bin").write_bytes(b"weights")
    for name in ("../secret", str(tmp_path / "secret"), "none", "", ".", "w.bin\0", "\udcff"):
        raw = name.encode("utf-8", "surrogateescape")
        assert weight_files(entry(raw), folder) == {}, name
    # A name that is cut off with the model, and one that is whole, twice.
    assert weight_files(entry(b"w.bin") + entry(b"w.bin") + entry(b"w.binx")[:-1], folder) == {
        "w.bin": b"weights"
    }
    assert weight_files(b"w.bin location \x0a\x08location\x12", folder) == {}


def entry(name: bytes) -> bytes:
    return b"\x0a\x08location\x12" + bytes([len(name)]) + name


def test_all_files_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"123")
    monkeypatch.setattr(onnx_weights, "MAX_BYTES", 7)
    model = b"".join(entry(name) for name in (b"a", b"b", b"c"))
    assert set(weight_files(model, tmp_path)) == {"a", "b"}


def test_weights_that_are_not_there_or_cut_off_are_an_error(tmp_path: Path) -> None:
    path, weights = made(tmp_path, "w.bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(BackendError, match="cannot open it"):
        open_model(path)
    weights.unlink()
    with pytest.raises(BackendError, match="cannot open it"):
        open_model(path)
