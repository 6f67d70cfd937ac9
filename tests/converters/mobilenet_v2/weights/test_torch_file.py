"""PyTorch's files without PyTorch: tensors come out, and no pickle ever runs anything."""

from __future__ import annotations

import os
import pickle
import posix
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from converters.mobilenet_v2.weights.contents import WeightFileError
from converters.mobilenet_v2.weights.read import read_weights
from edge.tensors import Array
from tests.converters.mobilenet_v2.weights import pickles
from tests.converters.mobilenet_v2.weights.pickles import (
    called,
    dictionary,
    number,
    save_old,
    save_zip,
    several,
    state,
    storage,
    tensor,
    text,
    whole,
)

ARRAYS: dict[str, Array] = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.bias": np.arange(4, dtype=np.float64),
    "n": np.array(7, np.int64),
}


def assert_arrays(path: Path, expected: dict[str, Array]) -> None:
    found = read_weights(path).arrays
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def refusal(path: Path) -> str:
    with pytest.raises(WeightFileError) as refused:
        read_weights(path)
    return str(refused.value)


def test_both_forms_come_out(tmp_path: Path) -> None:
    new = save_zip(tmp_path / "new.pth", state(ARRAYS), list(ARRAYS.values()))
    old = save_old(tmp_path / "old.pth", ARRAYS)
    assert_arrays(new, ARRAYS)
    assert_arrays(old, ARRAYS)
    assert read_weights(new).format == "PyTorch"
    assert read_weights(old).format == "PyTorch before 1.6"


def test_the_byte_order_is_what_the_file_says(tmp_path: Path) -> None:
    swapped = [array.byteswap() for array in ARRAYS.values()]
    path = save_zip(tmp_path / "a.pth", state(ARRAYS), swapped, {"byteorder": b"big"})
    assert_arrays(path, ARRAYS)
    odd = save_zip(tmp_path / "b.pth", state(ARRAYS), swapped, {"byteorder": b"middle"})
    assert "byte order b'middle'" in refusal(odd)


def test_views_of_one_storage(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.float32)
    stored = storage("0", "FloatStorage", 12)
    items = {
        "transposed": tensor(stored, (3, 4), (1, 3)),
        "behind": tensor(stored, (2,), (1,), 10),
        "empty": tensor(stored, (0, 3), (3, 1), 12),
        "scalar": tensor(stored, (), (), 11),
    }
    path = save_zip(tmp_path / "a.pth", dictionary(items), [numbers])
    expected = {
        "transposed": numbers.reshape(4, 3).T,
        "behind": numbers[10:],
        "empty": np.empty((0, 3)),
        "scalar": numbers[11],
    }
    assert_arrays(path, expected)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((13,), (1,), 0),
        ((12,), (1,), 1),
        ((2, 2), (11, 1), 0),
        ((1,), (1,), 12),
        ((1 << 40,), (0,), 0),
        ((13,), (0,), 0),
        ((2, 2), (1,), 0),
        ((1 << 40, 1 << 40), (0, 0), 0),
        ((-1,), (1,), 0),
        ((1,), (-1,), 0),
        ((1,), (1,), -1),
        ((1,) * 9, (1,) * 9, 0),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    one = tensor(storage("0", "FloatStorage", 12), shape, strides, offset)
    path = save_zip(tmp_path / "a.pth", dictionary({"a": one}), [np.zeros(12, np.float32)])
    assert str(path) in refusal(path)


def test_a_storage_of_another_length_is_refused(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "a.pth", state(ARRAYS), [np.zeros(5, np.float32)] * 3)
    assert "storage '0' has 20 bytes, not 6 numbers of 4" in refusal(path)
    missing = save_zip(tmp_path / "b.pth", state(ARRAYS))
    assert "storage '0' is missing" in refusal(missing)
    for counts in (1, -1, 1 << 60):
        old = save_old(tmp_path / "old.pth", ARRAYS, counts=counts)
        assert "numbers, not 6" in refusal(old)


def test_the_entry_of_a_checkpoint_is_found_and_said(tmp_path: Path) -> None:
    first, second = ARRAYS["a.weight"], ARRAYS["a.weight"] + 1
    momentum = dictionary({"state": dictionary({"a": whole(first, "0")})})
    items = {
        "epoch": number(3),
        "optimizer": momentum,
        "state_dict": dictionary({"a": whole(first, "0")}),
    }
    path = save_zip(tmp_path / "a.pth", dictionary(items), [first, second])
    found = read_weights(path)
    np.testing.assert_array_equal(found.arrays["a"], first)
    assert found.notes == ("the entry 'state_dict' of the checkpoint is read",)
    assert found.not_read == Counter({"other entries of the checkpoint": 1})
    items["model_ema"] = dictionary({"a": whole(second, "1")})
    found = read_weights(save_zip(tmp_path / "b.pth", dictionary(items), [first, second]))
    np.testing.assert_array_equal(found.arrays["a"], second)
    assert found.notes == (
        "the entry 'model_ema' of the checkpoint is read; 'state_dict' is there too, and is not",
    )


def test_what_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "a.pth", dictionary({"epoch": number(3)}))
    assert "no tensors at its top or in model_ema" in refusal(path)
    assert "['epoch']" in refusal(path)
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"a": 1}))
    assert "not one of torch.save" in refusal(tmp_path / "b.pth")


class Runs:
    """What an attacker pickles: Python's own machine would call this."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ran",)


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


SYSTEM = f"{posix.__name__}.system"
HOSTILE = {
    "reduce": (called("os.system", text("touch ran")), "os.system"),
    "by itself": (pickle.dumps(Runs(), 2)[2:-1], SYSTEM),
    "stack global": (
        stack_global("builtins", "eval") + several([text("1")]) + b"R",
        "builtins.eval",
    ),
    "in a state": (
        called("collections.OrderedDict") + called("os.system", text("touch ran")) + b"b",
        "os.system",
    ),
    "as a storage": (
        several([text("storage"), b"cos\nsystem\n", text("0"), text("cpu"), number(1)]) + b"Q",
        "os.system",
    ),
    "as an argument": (
        called("torch._utils._rebuild_tensor_v2", called("os.system", text("touch ran"))),
        "os.system",
    ),
    "a class": (b"csubprocess\nPopen\n" + several([text("touch")]) + b"\x81", "subprocess.Popen"),
    "an attribute of what is allowed": (
        called("collections.OrderedDict.fromkeys", text("a")),
        "collections.OrderedDict.fromkeys",
    ),
    "not quite a storage": (called("torch.load", text("x")), "torch.load"),
    "an instance": (b"(ios\nsystem\n", "INST"),
    "an object": (b"(cos\nsystem\no", "os.system"),
    "an extension": (b"\x82\x01", "EXT1"),
    "a list of calls": (
        b"](" + called("os.system", text("a")) + called("shutil.rmtree", text("/")) + b"e",
        "os.system, shutil.rmtree",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_in_a_pickle_is_ever_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def ran(*_: object) -> None:
        pytest.fail("a pickle ran something")

    for module, name in ((os, "system"), (posix, "system")):
        monkeypatch.setattr(module, name, ran)
    for name in ("loads", "load", "Unpickler"):
        monkeypatch.setattr(pickle, name, ran)
    monkeypatch.chdir(tmp_path)
    attack, words = HOSTILE[kind]
    for payload in (attack, dictionary({"a": attack}), state(ARRAYS) + attack + b"0"):
        path = save_zip(tmp_path / "a.pth", payload, list(ARRAYS.values()))
        assert words in refusal(path)
        (tmp_path / "old.pth").write_bytes(pickles.PROTOCOL + payload + b".")
        assert words in refusal(tmp_path / "old.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "attack",
    [
        b"N" + b"r" + (0xFFFFFFFF).to_bytes(4, "little"),  # a memo of 64 GiB in C
        b"(" + b"N" * 10 + b"t" + b"\x85" * 100_000 + b"}" + b"N" + b"s",
        b"}" + b")" + b"\x85" * 100_000 + b"Ns",  # the hash of such a key overflows the stack
        b"]q\x00" + b"h\x00\x86q\x00" * 60 + b"Q",  # two to the sixtieth of itself
        # The same as the offset of a tensor.
        called(
            "torch._utils._rebuild_tensor_v2",
            storage("0", "FloatStorage", 1),
            b"]q\x00" + b"h\x00\x86q\x00" * 60,
            b")",
            b")",
        ),
        called("torch.Size", several([number(1 << 62)])),
        b"\x8b\xff\xff\xff\x7f",  # a number of 2 GiB
        b"\x8d" + b"\xff" * 8,  # a text of 16 EiB
        b"h\x05",
        b"t",
        b"u",
        b"R",
        b"\x96" + (4).to_bytes(8, "little") + b"abcd",
        b"",
    ],
)
def test_a_pickle_that_would_exhaust_or_break_the_machine_is_refused(
    tmp_path: Path, attack: bytes
) -> None:
    assert "a.pth" in refusal(save_zip(tmp_path / "a.pth", attack))


def test_programs_and_tar_files_are_refused_by_name(tmp_path: Path) -> None:
    program = save_zip(tmp_path / "a.pt", state(ARRAYS), (), {"constants.pkl": b""})
    assert "a TorchScript program" in refusal(program)
    (tmp_path / "b.pth").write_bytes(bytes(257) + b"ustar" + bytes(300))
    assert "a tar file, which PyTorch wrote before 2017" in refusal(tmp_path / "b.pth")
