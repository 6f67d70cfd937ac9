"""Names on the hub: offline, from a cache as the library lays it out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from converters.mobilenet_v2.weights import hub
from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.hub import HubName
from edge.errors import MissingExtraError

constants = pytest.importorskip("huggingface_hub.constants", reason="needs the hub extra")
COMMIT = "0123456789abcdef0123456789abcdef01234567"

Fill = Callable[[dict[str, bytes]], None]


@pytest.fixture
def fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Return what puts files into the cache, as the repository owner/name at revision main."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--owner--name"

    def put(files: dict[str, bytes]) -> None:
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(COMMIT)
        for name, data in files.items():
            path = repository / "snapshots" / COMMIT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    return put


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf://timm/mobilenetv2_100.ra_in1k", HubName("timm/mobilenetv2_100.ra_in1k", None, None)),
        ("hf://a/b@v1", HubName("a/b", "v1", None)),
        ("hf://a/b/c.npz", HubName("a/b", None, "c.npz")),
        ("hf://a/b@main/c/d.h5", HubName("a/b", "main", "c/d.h5")),
    ],
)
def test_names_are_taken_apart(name: str, expected: HubName) -> None:
    assert hub.parse(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "hf://",
        "hf://a",
        "hf://a/",
        "hf://a/b/../c",
        "hf://a/b//etc/passwd",
        "hf://a/b@",
        "hf://a b/c",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(WeightFileError, match=r"allowed: hf://owner/name\[@revision\]\[/file\]"):
        hub.parse(name)


def test_a_cached_repository_needs_no_network(fill: Fill) -> None:
    fill({"model.safetensors": b"safe", "pytorch_model.bin": b"pickle", "config.json": b"{}"})
    assert hub.fetch("hf://owner/name").read_bytes() == b"safe"
    assert hub.fetch("hf://owner/name@main").read_bytes() == b"safe"
    assert hub.fetch("hf://owner/name/pytorch_model.bin").read_bytes() == b"pickle"


def test_a_model_of_tensorflow_js_comes_with_its_shards(fill: Fill) -> None:
    fill({"js/model.json": b"{}", "js/group1-shard1of1": b"1"})
    path = hub.fetch("hf://owner/name/js/model.json")
    assert path.read_bytes() == b"{}"
    assert (path.parent / "group1-shard1of1").is_file()


def test_what_is_not_there_is_one_sentence(fill: Fill) -> None:
    fill({"README.md": b""})
    for name in ("hf://owner/other", "hf://owner/name@v9", "hf://owner/name/absent.npz"):
        with pytest.raises(WeightFileError, match=rf"{name}: not to be had .* the network"):
            hub.fetch(name)
    with pytest.raises(WeightFileError, match=r"holds 'README\.md'; allowed at its top"):
        hub.fetch("hf://owner/name")


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["b.pth", "a.h5", "c.npz", "model.safetensors"], "model.safetensors"),
        (["b.pth", "a.h5", "c.npz"], "c.npz"),
        (["b.pth", "a.h5"], "a.h5"),
        (["b.pth", "README.md"], "b.pth"),
        (["x.safetensors", "model.safetensors"], "model.safetensors"),
        (["training_args.bin", "pytorch_model.bin"], "pytorch_model.bin"),
        (["onnx/model.safetensors", "b.pth"], "b.pth"),
    ],
)
def test_the_file_that_takes_least_trust_is_chosen(files: list[str], chosen: str) -> None:
    assert hub.choose("hf://a/b", files) == chosen


@pytest.mark.parametrize("files", [["a.npz", "b.npz"], ["training_args.bin"], []])
def test_nothing_is_guessed(files: list[str]) -> None:
    with pytest.raises(WeightFileError, match=r"name one|allowed at its top"):
        hub.choose("hf://a/b", files)


def test_without_the_library_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[hub\]"):
        hub.fetch("hf://owner/name")
