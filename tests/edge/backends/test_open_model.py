from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge import backends
from edge.backends import default_threads, open_model
from edge.backends.base import Backend, BackendError
from edge.backends.litert import LiteRtBackend
from edge.backends.onnx import OnnxBackend
from edge.card import CARD_KEY, TENSORS_KEY, CardError, ModelCard
from edge.errors import MissingExtraError
from edge.preprocess import PRESETS
from edge.scores import ScoresError
from edge.tensors import TensorError
from tests.edge.backends.tiny_models import (
    CLASSES,
    SCALE,
    ZERO_POINT,
    onnx_model,
    onnx_tensors_json,
    tflite_model,
)

CARD = ModelCard("tiny", PRESETS["tf"], ("one", "two", "drei ä"))

Save = Callable[[str, bytes], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture(params=["tflite-int8", "tflite-float32", "onnx-int8", "onnx-float32"])
def backend(request: pytest.FixtureRequest, save: Save) -> Backend:
    kind, dtype = request.param.split("-")
    if kind == "tflite":
        data = tflite_model({CARD_KEY: CARD.to_json().encode()}, dtype=dtype)
    else:
        data = onnx_model({CARD_KEY: CARD.to_json(), TENSORS_KEY: onnx_tensors_json()}, dtype=dtype)
    return open_model(save(f"tiny.{kind}", data), threads=1)


def test_computes_the_mean_of_each_channel(backend: Backend) -> None:
    layout, height, width, _ = backend.spec.input.image_geometry()
    steps = np.array([-100, 20, 90]) if backend.spec.input.is_quantized else np.array([0.5, -2, 7])
    for offset in (0, 1):
        picture = np.broadcast_to(steps + offset, (1, height, width, CLASSES))
        if layout == "NCHW":
            picture = picture.transpose(0, 3, 1, 2)
        backend.input_view()[...] = picture.astype(backend.spec.input.dtype)
        np.testing.assert_array_equal(backend.run(), (steps + offset).astype(np.float32))


def test_output_may_be_kept_and_is_one_dimensional(backend: Backend) -> None:
    kept = backend.run()
    assert kept.shape == (CLASSES,)
    assert backend.run().shape == (CLASSES,)


def test_spec_says_what_the_file_is(backend: Backend) -> None:
    spec = backend.spec
    assert spec.card == CARD
    assert spec.classes == CLASSES
    assert spec.sha256 == hashlib.sha256(Path(spec.path).read_bytes()).hexdigest()
    assert spec.input.image_geometry()[1:] == (8, 4, 3)
    if spec.input.is_quantized:
        assert (spec.input.scale, spec.input.zero_point) == (SCALE, ZERO_POINT)
        assert (spec.output.scale, spec.output.zero_point) == (SCALE, ZERO_POINT)
    assert spec.threads == 1
    backend.close()


def test_content_decides_not_the_name(save: Save) -> None:
    assert isinstance(open_model(save("model.onnx", tflite_model())), LiteRtBackend)
    assert isinstance(open_model(save("model.bin", onnx_model())), OnnxBackend)


def test_a_model_without_card_has_none(save: Save) -> None:
    assert open_model(save("a.tflite", tflite_model())).spec.card is None
    assert open_model(save("a.onnx", onnx_model())).spec.card is None


@pytest.mark.parametrize("build", [tflite_model, onnx_model])
def test_an_unreadable_card_is_an_error(build: Callable[..., bytes], save: Save) -> None:
    content = b"{" if build is tflite_model else "{"
    with pytest.raises(CardError, match="card cannot be read"):
        open_model(save("a.model", build({CARD_KEY: content})))


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["a.tflite", "a.onnx"])
def test_a_cut_file_is_an_error(name: str, keep: float, save: Save) -> None:
    data = tflite_model({CARD_KEY: CARD.to_json().encode()})
    if name == "a.onnx":
        data = onnx_model({CARD_KEY: CARD.to_json()})
    with pytest.raises((BackendError, CardError)):
        open_model(save(name, data[: int(len(data) * keep)]))


def test_garbage_is_an_error(save: Save) -> None:
    with pytest.raises(BackendError, match="not a TFLite model"):
        open_model(save("a.tflite", b"hello, world"))
    with pytest.raises(BackendError, match="cannot open it"):
        open_model(save("a.onnx", b"hello, world"))
    with pytest.raises(BackendError, match="cannot open it"):
        open_model(save("b.tflite", b"\xff\xff\xff\x7fTFL3" + bytes(100)))
    with pytest.raises(BackendError, match="0 bytes"):
        open_model(save("empty.onnx", b""))


def test_names_in_a_file_cannot_command_a_terminal(save: Save) -> None:
    model = onnx.load_from_string(onnx_model())
    model.graph.node[0].op_type, model.graph.node[0].name = "None", "\x1b]0;title\x07"
    with pytest.raises(BackendError, match=r"\ufffd\]0;title\ufffd"):
        open_model(save("a.onnx", model.SerializeToString()))
    with pytest.raises(BackendError, match=r"Ev\ufffd\[31mil"):
        open_model(save("a.tflite", tflite_model(custom_operator="Ev\x1b[31mil")))


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="No such file"):
        open_model(tmp_path / "none.onnx")
    with pytest.raises(BackendError, match="not a file"):
        open_model(tmp_path)


def test_an_input_that_is_no_image_is_an_error(save: Save) -> None:
    with pytest.raises(TensorError, match="not one image"):
        open_model(save("a.tflite", tflite_model(shape=(1, 8, 4, 5))))
    with pytest.raises(TensorError, match="not one image"):
        open_model(save("a.onnx", onnx_model(shape=("n", 3, "height", 4))))


BUILDERS: dict[str, Callable[..., bytes]] = {"tflite": tflite_model, "onnx": onnx_model}


@pytest.fixture(params=BUILDERS)
def build(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    return BUILDERS[request.param]


def test_of_two_outputs_that_fit_none_is_guessed(build: Callable[..., bytes], save: Save) -> None:
    path = save("a.model", build(outputs=2))
    expected = r"any of several outputs .*: 'scores0' \[1, 3\], 'scores1' \[1, 3\]; name one with"
    with pytest.raises(ScoresError, match=expected):
        open_model(path)
    assert open_model(path, scores="scores1").spec.output.name == "scores1"
    with pytest.raises(ScoresError, match="has no output 'scores2'"):
        open_model(path, scores="scores2")


def test_the_only_output_that_fits_is_taken(build: Callable[..., bytes], save: Save) -> None:
    opened = open_model(save("a.model", build(gives_image=True, dtype="float32")))
    assert opened.spec.output.name == "scores0"
    picture = np.random.default_rng(0).random(opened.spec.input.shape, np.float32)
    opened.input_view()[...] = picture
    axes = (1, 2) if build is tflite_model else (2, 3)
    np.testing.assert_allclose(opened.run(), picture.mean(axis=axes)[0], rtol=1e-6)
    everything = list(opened.run_all().values())
    np.testing.assert_array_equal(everything[0], picture)
    np.testing.assert_array_equal(everything[1][0], opened.run())


def test_the_card_says_which_output_holds_the_scores(
    build: Callable[..., bytes], save: Save
) -> None:
    text = replace(CARD, scores="scores1").to_json()
    card = {CARD_KEY: text.encode() if build is tflite_model else text}
    path = save("a.model", build(card, outputs=2, dtype="float32"))
    assert open_model(path).spec.output.name == "scores1"
    # Whoever opens it may want another.
    assert open_model(path, scores="scores0").spec.output.name == "scores0"
    with pytest.raises(ScoresError, match="has no output 'scores1'"):
        open_model(save("b.model", build(card, dtype="float32")))


def test_integers_of_several_outputs_have_a_scale_each(save: Save) -> None:
    image = {"name": "image", "scale": SCALE, "zero_point": ZERO_POINT}
    others = [{"name": f"scores{i}", "scale": 0.5 + i, "zero_point": i} for i in range(2)]
    text = json.dumps({"input": image, "output": others[0], "outputs": others})
    path = save("a.onnx", onnx_model({TENSORS_KEY: text}, outputs=2, dtype="int8"))
    output = open_model(path, scores="scores1").spec.output
    assert (output.scale, output.zero_point) == (1.5, 1)
    # Of the one that is missing nothing is made up.
    text = json.dumps({"input": image, "output": others[0], "outputs": others[:1]})
    path = save("b.onnx", onnx_model({TENSORS_KEY: text}, outputs=2, dtype="int8"))
    with pytest.raises(BackendError, match="does not say their scale"):
        open_model(path, scores="scores1")


def test_a_model_that_gives_nothing_is_refused(save: Save) -> None:
    with pytest.raises(BackendError, match="has no output"):
        open_model(save("a.tflite", tflite_model(outputs=0)))


def test_one_output_of_another_name_is_refused_where_one_was_named(
    build: Callable[..., bytes], save: Save
) -> None:
    with pytest.raises(ScoresError, match=r"has no output 'y'; its outputs: 'scores0' \[1, 3\]"):
        open_model(save("a.model", build()), scores="y")


def test_float16_is_refused(save: Save) -> None:
    with pytest.raises(TensorError, match="float16"):
        open_model(save("a.onnx", onnx_model(dtype="float16")))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "{",
        "[]",
        '{"input": {"scale": "x"}}',
        '{"input": {"scale": 0.5, "zero_point": 1e400}}',
        f'{{"input": {{"scale": {10**400}, "zero_point": 0}}}}',
    ],
)
def test_integers_without_a_scale_are_refused(text: str | None, save: Save) -> None:
    metadata = {} if text is None else {TENSORS_KEY: text}
    with pytest.raises(BackendError, match="does not say their scale"):
        open_model(save("a.onnx", onnx_model(metadata, dtype="int8")))


def test_a_zero_point_that_is_no_int8_is_refused(save: Save) -> None:
    text = onnx_tensors_json().replace(str(ZERO_POINT), "300")
    with pytest.raises(TensorError, match="'image' has zero point 300; allowed for int8"):
        open_model(save("a.onnx", onnx_model({TENSORS_KEY: text}, dtype="int8")))


@pytest.mark.parametrize("text", [b"scores0", CARD_KEY.encode()])
def test_names_that_are_not_utf_8_are_refused(
    text: bytes, save: Save, capfd: pytest.CaptureFixture[str]
) -> None:
    data = onnx_model({CARD_KEY: CARD.to_json()})
    assert text in data
    with pytest.raises(BackendError, match="cannot open it"):
        open_model(save("a.onnx", data.replace(text, b"\xff" + text[1:])))
    assert capfd.readouterr().out == ""


def test_what_a_runtime_cannot_open_leaves_stdout_alone(
    save: Save, capfd: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load_from_string(onnx_model())
    model.graph.node[0].op_type = "Xean"
    with pytest.raises(BackendError, match="cannot open it"):
        open_model(save("a.onnx", model.SerializeToString().replace(b"Xean", b"\xffean")))
    assert capfd.readouterr().out == ""


def test_a_claim_of_terabytes_is_refused(save: Save) -> None:
    with pytest.raises(TensorError, match="not one image"):
        open_model(save("a.onnx", onnx_model(shape=(1, 3, 1 << 20, 1 << 20))))


@pytest.mark.parametrize("threads", [0, 65])
def test_threads_have_limits(threads: int, save: Save) -> None:
    with pytest.raises(BackendError, match="threads; allowed"):
        open_model(save("a.onnx", onnx_model()), threads=threads)


def test_threads_by_default_are_one_or_two(save: Save) -> None:
    assert default_threads() in (1, 2)
    assert open_model(save("a.onnx", onnx_model())).spec.threads == default_threads()


def test_a_missing_runtime_names_its_extra(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("ai_edge_litert", "tflite_runtime", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[tflite\]"):
        open_model(save("a.tflite", tflite_model()))
    with pytest.raises(MissingExtraError, match=r"edge-deploy\[onnx\]"):
        open_model(save("a.onnx", onnx_model()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raise ImportError('/lib/libm.so.6: version GLIBC_2.38 not found')", "GLIBC_2.38"),
        ("import a_package_of_its_own", "No module named 'a_package_of_its_own'"),
    ],
)
@pytest.mark.parametrize(
    ("package", "missing"),
    [
        ("ai_edge_litert", None),
        ("tflite_runtime", "ai_edge_litert"),
        ("onnxruntime", None),
    ],
)
def test_a_runtime_that_is_installed_and_does_not_load_says_why(
    package: str,
    missing: str | None,
    content: str,
    reason: str,
    tmp_path: Path,
    save: Save,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(content)
    for name in (package, f"{package}.interpreter"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    if missing is not None:
        monkeypatch.setitem(sys.modules, missing, None)
        monkeypatch.setitem(sys.modules, f"{missing}.interpreter", None)
    model = save("a", onnx_model() if package == "onnxruntime" else tflite_model())
    with pytest.raises(BackendError, match=f"is installed, but cannot be loaded .*{reason}"):
        open_model(model)


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))


def _replace(path: Path) -> None:
    _replace_by(path, b"another model")


@pytest.mark.parametrize("change", [_truncate, _overwrite, _replace, Path.unlink])
def test_a_file_that_changes_while_it_runs_changes_nothing(
    backend: Backend, change: Callable[[Path], None]
) -> None:
    """A file that is mapped and cut off would end the process with SIGBUS."""
    backend.input_view().fill(3)
    before = backend.run().copy()
    change(Path(backend.spec.path))
    for _ in range(10):
        assert np.array_equal(backend.run(), before)


def test_a_file_that_changes_while_it_is_opened_is_refused(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save("model.onnx", onnx_model())

    def replaced_meanwhile(data: bytes) -> str:
        _replace_by(path, onnx_model({"other": "model"}))
        return hashlib.sha256(data).hexdigest()

    monkeypatch.setattr(backends, "sha256", replaced_meanwhile)
    with pytest.raises(BackendError, match="was changed while it was opened; open it again"):
        open_model(path)


def _replace_by(path: Path, data: bytes) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(data)
    other.replace(path)
