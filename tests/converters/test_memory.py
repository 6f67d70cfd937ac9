import ctypes
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters import source
from converters.artifacts import write_artifacts
from converters.graph import Graph
from converters.memory import give_back
from converters.onnx_import.importer import import_with_norms
from converters.onnx_import.source import SourceNorm
from converters.request import Request
from converters.tflite.builder import TfliteBuilder
from edge.picture_flags import PreprocessFlags
from tests.converters.models import Constants, build, normal

LAYERS, CHANNELS = 32, 256
# The passes need old and new weights, the writer weights and file. The rest is for one layer being
# folded in float64, and for what does not grow with the weights.
MOST_COPIES = 2.4
HAS_TRIM = hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of 8 MB: convolutions 1x1, each with its BatchNormalization."""
    first = "x0 = Conv(x, first)"
    rest = (
        f"c{i} = Conv(x{i}, w{i}) x{i + 1} = BatchNormalization(c{i}, gain, zero, zero, gain)"
        for i in range(LAYERS)
    )
    last = f"p = GlobalAveragePool(x{LAYERS}) y = Flatten(p)"
    weights: Constants = {
        f"w{i}": normal(CHANNELS, CHANNELS, 1, 1, seed=i, spread=1 / 16) for i in range(LAYERS)
    }
    proto = build(
        "\n".join((first, *rest, last)),
        "float[1,3,4,4]",
        first=normal(CHANNELS, 3, 1, 1),
        gain=np.full(CHANNELS, 0.9, np.float32),
        zero=np.zeros(CHANNELS, np.float32),
        **weights,
    )
    path = tmp_path_factory.mktemp("memory") / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def copies_held(model: Path) -> float:
    """Return how often the file's size Python and NumPy held at most, from reading to writing."""
    request = Request(
        model, model.parent, formats=("tflite",), kind="float32", picture=PreprocessFlags("none")
    )
    tracemalloc.start()
    try:
        read = source.read_source(request)
        artifacts = write_artifacts(request, read.graph, read.card)
        assert len(artifacts["tflite"]) > 0.9 * model.stat().st_size
        return tracemalloc.get_traced_memory()[1] / model.stat().st_size
    finally:
        tracemalloc.stop()


def test_no_stage_holds_the_weights_more_than_twice(model: Path) -> None:
    assert copies_held(model) < MOST_COPIES


def keep_read(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    def kept(model: onnx.ModelProto, where: str) -> tuple[Graph, tuple[SourceNorm, ...]]:
        graph, norms = import_with_norms(model, where)
        held.append(graph)
        return graph, norms

    monkeypatch.setattr(source, "import_with_norms", kept)


def keep_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = TfliteBuilder.buffer
    monkeypatch.setattr(TfliteBuilder, "buffer", lambda self, data: buffer(self, data.copy()))


@pytest.mark.parametrize("keep", [keep_read, keep_turned])
def test_a_stage_that_keeps_a_copy_is_seen(
    keep: Callable[[pytest.MonkeyPatch], None], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch)
    assert copies_held(model) > MOST_COPIES


def resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


@pytest.mark.skipif(not HAS_TRIM, reason="the C library has no malloc_trim")
def test_what_was_freed_below_what_is_in_use_goes_back() -> None:
    give_back()
    before = resident_bytes()
    del_me = np.ones(24 << 20, np.uint8)
    del del_me  # from here on blocks of this size come from the heap
    blocks = [np.ones(1 << 20, np.uint8) for _ in range(64)]
    assert resident_bytes() - before > 60 << 20
    del blocks[:-1]
    give_back()
    assert resident_bytes() - before < 16 << 20
