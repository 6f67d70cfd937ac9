"""Tiny networks whose units NumPy can count, and what it takes to explore them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from calibration.progress import silent
from converters.mobilenet_v2.explore.experiment import Asked
from edge.picture_flags import PreprocessFlags
from edge.tensors import F32
from tests.converters.models import Constants, build, f32, normal

SIDE = 8
READ, WIDE = 4, 24
DEAD, AT_TOP, FAINT = 3, 5, 7
# What the expansion's pictures are made of: [0, 1], as the preprocessing `unit` gives them.
UNIT = PreprocessFlags(preset="unit", resize=0)


def weights() -> dict[str, F32]:
    """Return those of a network of two layers and an inverted residual.

    One channel of the expansion never fires on any picture, one is always at 6, and one fires so
    faintly that no int8 of that range holds it.
    """
    expand, bias = normal(WIDE, READ, seed=2, spread=2), normal(WIDE, seed=3)
    expand[DEAD], bias[DEAD] = -np.abs(expand[DEAD]), -0.01
    expand[AT_TOP], bias[AT_TOP] = 0.01, 6.1
    expand[FAINT], bias[FAINT] = 0.0, 0.0
    expand[FAINT, 0] = 1e-3
    return {
        "stem": normal(READ, 3, seed=1),
        "expand": expand,
        "bias": bias,
        "depthwise": normal(WIDE, 1, 3, 3, seed=4, spread=0.5),
        "project": normal(READ, WIDE, seed=5, spread=0.3),
        "dense": normal(5, READ, seed=6),
    }


def network() -> onnx.ModelProto:
    """Return the network."""
    held: Constants = dict(weights())
    for name in ("stem", "expand", "project"):
        held[name] = held[name][:, :, None, None]
    body = (
        "s = Conv(x, stem) t = Relu(s) a = Conv(t, expand, bias) "
        "b = Clip(a, zero, six) d = Conv<pads=[1,1,1,1], group=24>(b, depthwise) "
        "e = Clip(d, zero, six) p = Conv(e, project) q = Add(p, t) g = GlobalAveragePool(q) "
        "h = Flatten(g) y = Gemm<transB=1>(h, dense)"
    )
    return build(
        body,
        f"float[1,3,{SIDE},{SIDE}]",
        zero=f32(0),
        six=f32(6),
        **held,
    )


def asked(model: onnx.ModelProto, pictures: Path, folder: Path) -> Asked:
    path = folder / "net.onnx"
    onnx.save(model, path)
    return Asked(path, str(pictures), 8, 0, folder, silent, UNIT)
