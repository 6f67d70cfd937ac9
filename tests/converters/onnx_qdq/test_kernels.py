from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.onnx_qdq import session
from converters.onnx_qdq.kernels import are_exact, defaults_are_exact
from converters.onnx_qdq.writer import write_float
from edge.backends.onnx import EXACT_KERNELS
from edge.tensors import Array
from tests.converters.models import build, imported, normal


def _sums(*, saturating: bool) -> Array:
    """What 64 products of 255 and 127, and of 255 and -127, come to, as the probe scales them."""
    pairs = np.full(32, 2 * 255 * 127) * np.array([[1], [-1]])
    if saturating:
        pairs = np.clip(pairs, -(2**15), 2**15 - 1)
    scale = 64 * 255 * 127 / 100
    steps: Array = np.rint(pairs.sum(axis=1) / scale) + 128
    return steps.astype(np.uint8)


def test_exact_sums_pass_and_saturated_ones_fail() -> None:
    right, wrong = _sums(saturating=False), _sums(saturating=True)
    assert are_exact([right, np.repeat(right, 5)])
    assert not are_exact([wrong])
    assert not are_exact([right, wrong])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="others have one kind of kernels")
def test_default_kernels_are_exact_where_the_processor_has_vnni() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    assert defaults_are_exact() == bool({"avx512_vnni", "avx_vnni"} & set(flags))


@pytest.mark.parametrize("are_exact", [False, True])
def test_a_session_takes_other_kernels_only_where_the_default_ones_saturate(
    monkeypatch: pytest.MonkeyPatch, are_exact: bool
) -> None:
    monkeypatch.setattr(session, "defaults_are_exact", lambda: are_exact)
    model: onnx.ModelProto = write_float(imported(build("y = Conv(x, w)", w=normal(4, 3, 1, 1))))
    options = session.exact_session(model).get_session_options()
    key, value = EXACT_KERNELS
    if are_exact:
        with pytest.raises(RuntimeError, match=key):
            options.get_session_config_entry(key)
    else:
        assert options.get_session_config_entry(key) == value
