import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import helper

from converters.confirm import confirm
from converters.errors import ConvertError
from converters.onnx_import import load as load_module
from converters.onnx_import.importer import import_onnx
from converters.onnx_import.load import (
    NEWEST_OPSET,
    OLDEST_OPSET,
    drop_trailing_names,
    load,
)
from converters.passes import run_passes
from edge.errors import EdgeError
from edge.files import sha256
from tests.converters.models import build, normal

WEIGHT = normal(4, 3, 3, 3)
MODEL = build("c = Conv(x, w) r = Relu(c) f = Flatten(r) y = Softmax(f)", w=WEIGHT)
DATA: bytes = MODEL.SerializeToString()


def assert_refused(path: Path, reason: str) -> None:
    with pytest.raises(ConvertError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert reason in message, message
    assert "\n" not in message


def saved(path: Path, data: bytes = DATA) -> Path:
    path.write_bytes(data)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    model, digest = load(saved(tmp_path / "m.onnx"))
    assert model == MODEL
    assert digest == sha256(DATA)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no ONNX graph"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not an ONNX file"),
        (b"PK\x03\x04" + bytes(64), "not an ONNX file"),
        (b"not a model at all", "not an ONNX file"),
        (onnx.ModelProto().SerializeToString(), "holds no ONNX graph"),
        (DATA[: len(DATA) // 2], "not an ONNX file, or a truncated one"),
        (DATA.replace(b"Softmax", b"S\xff\xfe\xfdmax"), "not an ONNX file"),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, reason: str) -> None:
    assert_refused(saved(tmp_path / "m.onnx", data), reason)


def test_no_file(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.onnx", "cannot be read: No such file")
    assert_refused(tmp_path, "cannot be read: Is a directory")


@given(st.integers(0, len(DATA) - 1))
@settings(max_examples=100, deadline=None)
def test_truncated_anywhere(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = saved(tmp_path_factory.getbasetemp() / "cut.onnx", DATA[:length])
    # A cut between two fields of the outermost message leaves a shorter but whole message.
    with pytest.raises(EdgeError):
        import_onnx(load(path)[0], str(path))


def with_opset(version: int, domain: str = "") -> bytes:
    model = build("y = Relu(x)", opset=17)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid(domain, version))
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize("version", [OLDEST_OPSET, NEWEST_OPSET])
@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_the_first_and_the_last_opset(tmp_path: Path, version: int, domain: str) -> None:
    load(saved(tmp_path / "m.onnx", with_opset(version, domain)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_opset(OLDEST_OPSET - 1), f"opset {OLDEST_OPSET - 1}; allowed: {OLDEST_OPSET} to"),
        (with_opset(NEWEST_OPSET + 1), "or update the onnx package"),
        (with_opset(-1), "opset -1; allowed"),
        (with_opset(17, "com.example"), "opset not given"),
    ],
)
def test_other_opsets(tmp_path: Path, data: bytes, reason: str) -> None:
    assert_refused(saved(tmp_path / "m.onnx", data), reason)


@pytest.mark.parametrize("version", [-1, onnx.IR_VERSION + 1, 1 << 40])
def test_other_ir_versions(tmp_path: Path, version: int) -> None:
    model = build("y = Relu(x)")
    model.ir_version = onnx.IR_VERSION
    load(saved(tmp_path / "m.onnx", model.SerializeToString()))
    model.ir_version = version
    path = saved(tmp_path / "m.onnx", model.SerializeToString())
    assert_refused(path, f"IR version {version}; allowed: 1 to {onnx.IR_VERSION}")


def test_sparse_tensors(tmp_path: Path) -> None:
    model = build("y = Relu(x)")
    model.graph.sparse_initializer.add(dims=[1 << 28])
    path = saved(tmp_path / "m.onnx", model.SerializeToString())
    assert_refused(path, "holds sparse tensors; export the model with its weights written out")


def test_names_left_empty_at_the_end() -> None:
    model = build('a = Clip(x, "", hi) n = LayerNormalization(a, g, "") y = Clip(n, "", "")')
    assert drop_trailing_names(model)
    assert [list(node.input) for node in model.graph.node] == [["x", "", "hi"], ["a", "g"], ["n"]]
    assert not drop_trailing_names(model)


# External data


def external(path: Path, location: str, **entries: str) -> Path:
    """Write a model whose weight lies in `location`."""
    model = build("y = Conv(x, w)", w=WEIGHT)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return saved(path, model.SerializeToString())


def test_external_data(tmp_path: Path) -> None:
    saved(tmp_path / "w.bin", bytes(64) + WEIGHT.tobytes() + bytes(64))
    sizes = {"offset": "64", "length": str(WEIGHT.nbytes)}
    model, _ = load(external(tmp_path / "m.onnx", "w.bin", **sizes))
    np.testing.assert_array_equal(
        onnx.numpy_helper.to_array(model.graph.initializer[0]), WEIGHT, strict=True
    )


def test_external_data_in_a_folder_below_and_a_key_of_the_future(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    saved(tmp_path / "data" / "w.bin", WEIGHT.tobytes())
    load(external(tmp_path / "m.onnx", "data/w.bin", colour="blue"))


def test_onnx_own_external_data(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(MODEL, path, save_as_external_data=True, size_threshold=0)
    import_onnx(load(path)[0], str(path))


def test_external_data_outside(tmp_path: Path) -> None:
    outside = saved(tmp_path / "secret.bin", WEIGHT.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "m.onnx"
    reason = "outside the model's folder; only files beside the model are read"
    assert_refused(external(path, "../secret.bin"), reason)
    assert_refused(external(path, str(outside)), reason)
    assert_refused(external(path, "/dev/zero"), reason)
    (folder / "link.bin").symlink_to(outside)
    assert_refused(external(path, "link.bin"), reason)
    (folder / "up").symlink_to(tmp_path)
    assert_refused(external(path, "up/secret.bin"), reason)


@pytest.mark.parametrize(
    ("location", "entries", "reason"),
    [
        ("none.bin", {}, "which is not there; copy that file beside the model"),
        ("", {}, "is not there"),
        (".", {}, "is not there"),
        ("a\0b", {}, "no file name"),
        ("a" * 5000, {}, "no file name"),
        ("pipe", {}, "is not there"),
        ("loop", {}, "no file name"),
        ("w.bin", {"offset": "many"}, "cannot be read"),
        ("w.bin", {"offset": "-4"}, "cannot be read"),
        ("w.bin", {"length": "-4"}, "cannot be read"),
        ("w.bin", {"offset": "1000000"}, "cannot be read"),
        ("w.bin", {"length": str(WEIGHT.nbytes + 1)}, "433 bytes, but its shape needs 432"),
        ("w.bin", {"offset": "4", "length": str(WEIGHT.nbytes)}, "cannot be read"),
        ("w.bin", {"length": "all"}, "cannot be read"),
    ],
)
def test_external_data_that_cannot_be_had(
    tmp_path: Path, location: str, entries: dict[str, str], reason: str
) -> None:
    saved(tmp_path / "w.bin", WEIGHT.tobytes())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert_refused(external(tmp_path / "m.onnx", location, **entries), reason)


@pytest.mark.parametrize("offset", [0, 64])
def test_external_data_without_a_length_is_as_long_as_its_tensor(
    tmp_path: Path, offset: int
) -> None:
    path = external(tmp_path / "m.onnx", "w.bin", **({"offset": str(offset)} if offset else {}))
    with saved(tmp_path / "w.bin", bytes(offset) + WEIGHT.tobytes()).open("r+b") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        model, _ = load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), WEIGHT)
    assert peak < 1 << 20


def test_external_data_that_many_tensors_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "w.bin", WEIGHT.tobytes())
    path = external(tmp_path / "m.onnx", "w.bin")
    model = onnx.load(path, load_external_data=False)
    for name in ("tied", "again"):
        model.graph.initializer.append(model.graph.initializer[0])
        model.graph.initializer[-1].name = name
    path.write_bytes(model.SerializeToString())
    monkeypatch.setattr(load_module, "MAX_SHARED_BYTES", 2 * WEIGHT.nbytes)
    assert len(load(path)[0].graph.initializer) == 3
    monkeypatch.setattr(load_module, "MAX_SHARED_BYTES", 2 * WEIGHT.nbytes - 1)
    assert_refused(path, "its 432 bytes are read again and again")


def test_external_data_of_an_unknown_type(tmp_path: Path) -> None:
    saved(tmp_path / "w.bin", WEIGHT.tobytes())
    path = external(tmp_path / "m.onnx", "w.bin")
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].data_type = 999
    path.write_bytes(model.SerializeToString())
    assert_refused(path, "its element type 999 is not known")


def test_external_data_shorter_than_its_tensor(tmp_path: Path) -> None:
    saved(tmp_path / "w.bin", WEIGHT.tobytes()[:-4])
    model, _ = load(external(tmp_path / "m.onnx", "w.bin"))
    with pytest.raises(ConvertError, match="tensor 'w' does not fit its shape"):
        import_onnx(model, "m.onnx")


# Any damage: no other exception than the project's own


def flipped(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :]


MUTATIONS: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flip": flipped,
    "delete": lambda data, at, value: data[:at] + data[at + value :],
    "insert": lambda data, at, value: data[:at] + bytes([value]) + data[at:],
    "repeat": lambda data, at, value: data[: at + value] + data[at:],
    "truncate": lambda data, at, _: data[:at],
}
FULL = build(
    "c = Conv<pads=[1,1,1,1]>(x, w, b) n = BatchNormalization(c, g, b, b, v) k = Clip(n, lo, hi) "
    "a = Add(k, c) q = MaxPool<kernel_shape=[2,2]>(a) p = ReduceMean<keepdims=1>(q, axes) "
    "s = Shape(p) i = Constant<value_int=0>() h = Gather(s, i) o = Constant<value_ints=[0]>() "
    "u = Unsqueeze(h, o) e = Concat<axis=0>(u, minus) f = Reshape(p, e) d = Dropout(f) "
    "m = Gemm<transB=1>(d, l) y = Softmax(m)",
    opset=18,
    w=normal(2, 3, 1, 1),
    b=normal(2),
    g=normal(2),
    v=np.abs(normal(2)),
    lo=np.zeros((), np.float32),
    hi=np.asarray(6, np.float32),
    axes=np.asarray([2, 3]),
    minus=np.asarray([-1]),
    l=normal(3, 2),
)
WHOLE: dict[str, bytes] = {"small": DATA, "full": FULL.SerializeToString()}
# Where the small one says a batch of 1: a dimension of 2 bytes, its number in the second.
BATCH = DATA.index(b"\n\x02\x08\x01\n\x02\x08\x03") + 3


@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(MUTATIONS)),
            st.integers(0, FULL.ByteSize() - 1),
            st.integers(1, 255),
        ),
        min_size=1,
        max_size=3,
    ),
)
@example("small", [("flip", BATCH, 0x01)])  # of no picture
@example("small", [("flip", BATCH, 0x7E)])  # of 127
@example("small", [("flip", BATCH, 0x80)])  # of what the bytes behind it say
@settings(max_examples=400, deadline=None)
def test_damage_gives_a_graph_or_an_edge_error(
    tmp_path_factory: pytest.TempPathFactory, which: str, damage: list[tuple[str, int, int]]
) -> None:
    data = WHOLE[which]
    for kind, at, value in damage:
        data = MUTATIONS[kind](data, min(at, len(data) - 1), value) or b"\0"
    path = saved(tmp_path_factory.getbasetemp() / "damaged.onnx", data)
    try:
        graph, _ = run_passes(import_onnx(load(path)[0], str(path)))
        confirm(graph, path)
    except EdgeError as error:
        assert str(error)  # noqa: PT017 (either outcome is good; no other exception is)
