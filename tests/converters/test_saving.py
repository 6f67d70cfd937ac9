from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from calibration.progress import silent
from converters import outputs, pipeline, saving, source
from converters.errors import ConvertError
from converters.graph import Graph, PassResult
from converters.operators import Conv
from converters.passes.remove_constant_channels import remove_constant_channels
from converters.pipeline import Conversion
from converters.quantize.assign import assign
from converters.quantize.quantized import QuantizedGraph
from converters.report import render
from converters.request import Kind, Request
from converters.saving import Change, _in_turn
from converters.source import read_source
from edge.picture_flags import PreprocessFlags
from tests.converters.models import build, f32, normal

SIDE, CHANNELS, DEAD, CLASSES = 16, 24, 8, 5


@pytest.fixture(scope="module")
def dying_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier a third of whose channels are 2 for every picture."""
    w, b = normal(CHANNELS, 3, 3, 3), normal(CHANNELS, seed=1)
    w[:DEAD], b[:DEAD] = 0, 2
    body = "c = Conv(x, w, b) r = Clip(c, zero, six) d = Conv(r, k) p = GlobalAveragePool(d) "
    model = build(
        body + "f = Flatten(p) y = Gemm(f, g)",
        f"float[N,3,{SIDE},{SIDE}]",
        w=w,
        b=b,
        k=normal(8, CHANNELS, 1, 1, seed=2),
        g=normal(8, CLASSES, seed=3),
        zero=f32(0),
        six=f32(6),
    )
    path = tmp_path_factory.mktemp("dying") / "net.onnx"
    onnx.save(model, path)
    return path


def request_of(path: Path, kind: Kind = "int8") -> Request:
    flags = PreprocessFlags(preset="tf", resize=0)
    request = Request(path, path.parent, samples=4, picture=flags, kind=kind)
    return request if kind == "int8" else replace(request, formats=("tflite",))


@pytest.fixture(scope="module")
def dying(dying_file: Path) -> Conversion:
    return pipeline.convert(request_of(dying_file), silent)


def test_what_was_saved_is_counted(dying: Conversion) -> None:
    found = dying.saving
    assert found is not None
    assert found.channels == {"r": Change(CHANNELS, CHANNELS - DEAD)}
    places = (SIDE - 2) ** 2
    before, after = (
        places * (27 * channels + 8 * channels) + 8 * CLASSES
        for channels in (CHANNELS, CHANNELS - DEAD)
    )
    assert found.multiply_adds == Change(before, after)
    # A byte each weight, four each bias.
    spared = DEAD * (27 + 8 + 4)
    assert found.constant_bytes.before - found.constant_bytes.after == spared
    assert found.kind == "tflite"
    assert found.inference_ms is not None
    assert min(found.inference_ms.before, found.inference_ms.after) > 0


@pytest.mark.parametrize(("kind", "weight_bytes"), [("float32", 4), ("float16", 2)])
def test_float_files_are_counted_in_their_own_bytes(
    dying_file: Path, kind: Kind, weight_bytes: int
) -> None:
    found = pipeline.convert(request_of(dying_file, kind), silent).saving
    assert found is not None
    spared = DEAD * ((27 + 8) * weight_bytes + 4)
    assert found.constant_bytes.before - found.constant_bytes.after == spared
    assert found.inference_ms is not None


def test_of_onnx_alone_that_is_timed(dying_file: Path) -> None:
    request = replace(request_of(dying_file), formats=("onnx",))
    found = pipeline.convert(request, silent).saving
    assert found is not None
    assert found.kind == "onnx"
    assert found.inference_ms is not None


def test_all_reports_say_it(dying: Conversion) -> None:
    found = dying.saving
    assert found is not None
    written = outputs.to_json(dying)["saving"]
    assert written["channels"] == {"r": {"before": CHANNELS, "after": CHANNELS - DEAD}}
    assert written["multiply_adds"]["after"] == found.multiply_adds.after
    text = outputs.to_text(dying, [])
    assert f"{DEAD} channels are constant or unread and were removed: M multiply-adds" in text
    page = render(dying)
    rows = [tuple(re.findall(r"<td[^>]*>([^<]*)</td>", part)) for part in page.split("<tr>")]
    assert ("channels of r", "24", "16", "33.33 %") in rows
    constants = found.constant_bytes
    share = f"{100 * constants.share:.2f} %"
    row = ("bytes of constants", f"{constants.before:,}", f"{constants.after:,}", share)
    assert row in rows


def test_where_nothing_was_removed_nothing_is_said(conversion: Conversion) -> None:
    assert conversion.saving is None
    assert outputs.to_json(conversion)["saving"] is None
    assert "were removed" not in outputs.to_text(conversion, [])
    assert "What was saved" not in render(conversion)


def test_what_cannot_be_quantized_whole_is_not_timed(
    dying_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(graph: Graph, *rest: object, per_tensor: bool) -> QuantizedGraph:
        if len(getattr(graph.nodes[0].operator, "weight", ())) == CHANNELS:
            raise ConvertError("too wide")
        return assign(graph, *rest, per_tensor=per_tensor)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "assign", fails)
    made = pipeline.convert(request_of(dying_file), silent)
    assert made.saving is not None
    assert made.saving.inference_ms is None
    assert made.saving.multiply_adds.share > 0
    assert "ms here" not in outputs.to_text(made, [])
    assert "M multiply-adds" in render(made)


def test_a_channel_that_goes_without_its_constant_is_noticed(
    dying_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(graph: Graph) -> PassResult:
        result = remove_constant_channels(graph)
        pairs = zip(graph.nodes, result.graph.nodes, strict=True)
        nodes = [
            replace(new, operator=replace(new.operator, bias=old.operator.bias))
            if new.output == "d"
            and isinstance(new.operator, Conv)
            and isinstance(old.operator, Conv)
            else new
            for old, new in pairs
        ]
        return replace(result, graph=graph.with_nodes(nodes))

    assert read_source(request_of(dying_file)).whole is not None
    monkeypatch.setattr(source, "SHRINK", (forgetful,))
    with pytest.raises(ConvertError, match="was not understood"):
        read_source(request_of(dying_file))


@pytest.mark.parametrize(("longest_ns", "rounds"), [(0, 9), (10**15, 100)])
def test_in_turn_and_who_begins_changes(
    longest_ns: int, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "LONGEST_NS", longest_ns)
    ran: list[str] = []
    times = _in_turn([lambda: ran.append("a"), lambda: ran.append("b")])
    assert [len(some) for some in times] == [rounds, rounds]
    assert "".join(ran) == "ab" + ("abba" * rounds)[: 2 * rounds]


def test_shares() -> None:
    assert Change(8, 6).share == 0.25
    assert Change(6, 9).share == -0.5
    assert Change(0, 0).share == 0
    assert np.isfinite(Change(0.0, 1.0).share)
