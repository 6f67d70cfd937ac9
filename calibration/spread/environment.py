"""What a machine's results depend on, so that those of two can be told to be the same."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

import edge

OURS = ("edge", "calibration", "converters")
RUNTIMES = ("onnxruntime", "ai-edge-litert", "tflite-runtime")


@cache
def environment() -> Mapping[str, str]:
    """Return, by name, the version of whatever takes part in a result, on this machine."""
    found = {
        "edge-deploy": f"{edge.__version__} ({_code()[:8]})",
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "machine": platform.machine(),
    }
    return found | {name: _version(name) for name in RUNTIMES}


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[str, ...]:
    """Return in words what is not the same."""
    return tuple(
        f"{name} {theirs.get(name, 'is missing')}, not {ours[name]}"
        for name in ours
        if ours[name] != theirs.get(name)
    )


def _code() -> str:
    """Return the digest of this project's own code, which may change between two versions."""
    root, digest = Path(edge.__file__).parents[1], hashlib.sha256()
    for path in sorted(path for name in OURS for path in (root / name).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is missing"
