"""Who may import whom: arrows between packages go down only, optional packages have one owner."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What each package may import of this repository.
FLOORS = {
    "edge": {"edge"},
    "calibration": {"edge", "calibration"},
    "converters": {"edge", "calibration", "converters"},
    "device_scripts": {"edge", "device_scripts"},
}
BASE = {"numpy", "cv2"}
# Which modules, with all below them, may import an optional package.
OWNERS = {
    "ai_edge_litert": {"edge.backends.litert", "converters"},
    "dask": {"calibration.spread.cluster"},
    "distributed": {"calibration.spread.cluster"},
    "flatbuffers": {"converters.tflite"},
    "google": {"converters.onnx_import"},  # protobuf, which comes with onnx
    "h5py": {"converters.mobilenet_v2.weights.keras_file"},
    "huggingface_hub": {"converters.mobilenet_v2.weights.hub"},
    "jinja2": {"edge.page"},
    "libcamera": {"edge.sources.picamera2_setup"},
    "markupsafe": {"edge.page"},  # comes with jinja2
    "matplotlib": {"edge.plotting", "edge.latency.drawing", "converters.mobilenet_v2.explore"},
    "onnx": {"converters"},
    "onnxruntime": {"edge.backends.onnx", "calibration", "converters"},
    "paho": {"edge.mqtt"},
    "picamera2": {"edge.sources.picamera2"},
    "prometheus_client": {"edge.metrics"},
    "safetensors": {"converters.mobilenet_v2.weights.safetensors_file"},
    "sklearn": {"edge.sources.digit_cards"},
    "starlette": {"edge.web"},
    "tflite_runtime": {"edge.backends.litert"},
    "torch": {"converters.mobilenet_v2.digits"},
    "tqdm": {"calibration.progress"},
    "uvicorn": {"edge.web"},
}
# The second floor needs its extra for anything at all; below it, what is optional stays so.
MAY_NEED_EXTRAS = {"converters"}


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    package: str
    is_lazy: bool


def imports_of(module: str, source: str) -> Iterator[Import]:
    """Yield what a module imports; lazy is what a function, or nothing but typing, imports."""

    def walk(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            names = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom) and not child.level and child.module:
                names = [child.module]
            for name in names:
                yield Import(module, child.lineno, name.partition(".")[0], is_lazy)  # type: ignore[attr-defined]
            is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, is_lazy or is_typing or is_function)

    yield from walk(ast.parse(source), is_lazy=False)


def fault_of(found: Import) -> str | None:
    """Return why an import is not allowed, or None."""
    floor = found.module.partition(".")[0]
    if found.package in FLOORS:
        allowed = FLOORS[floor]
        return None if found.package in allowed else f"{floor} imports only {sorted(allowed)}"
    if found.package in sys.stdlib_module_names | BASE:
        return None
    if found.package not in OWNERS:
        return "no module owns it; add it to OWNERS and to an extra, or do without"
    owners = OWNERS[found.package]
    if not any(found.module == owner or found.module.startswith(f"{owner}.") for owner in owners):
        return f"only {sorted(owners)} may"
    if not found.is_lazy and floor not in MAY_NEED_EXTRAS:
        return "it is optional: import it inside the function that needs it"
    return None


def violations(root: Path) -> list[str]:
    faults = []
    for floor in FLOORS:
        for path in sorted((root / floor).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            for found in imports_of(module, path.read_text()):
                fault = fault_of(found)
                if fault:
                    faults.append(f"{module}:{found.line} imports {found.package}: {fault}")
    return faults


def test_every_import_is_allowed() -> None:
    assert violations(ROOT) == []


def test_every_owner_exists() -> None:
    for owner in set().union(*OWNERS.values()):
        place = ROOT.joinpath(*owner.split("."))
        assert place.is_dir() or place.with_suffix(".py").is_file(), owner


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("edge/a.py", "import calibration.dataset", r"edge.a:1 imports calibration: edge imports"),
        ("edge/a.py", "def f():\n    from converters import graph", "edge.a:2 imports converters"),
        ("edge/__init__.py", "import onnx", r"edge:1 imports onnx: only \['converters'\] may"),
        ("calibration/a.py", "import converters", "calibration.a:1 imports converters"),
        ("device_scripts/a.py", "import calibration", "device_scripts.a:1 imports calibration"),
        ("edge/a.py", "def f():\n    import torch", "edge.a:2 imports torch: only"),
        (
            "edge/backends/onnx.py",
            "import onnxruntime",
            "onnxruntime: it is optional: import it in",
        ),
        ("edge/backends/onnx.py", "try:\n    import onnxruntime\nexcept E: ...", "it is optional"),
        ("edge/backends/onnx.py", "class A:\n    import onnxruntime", "it is optional"),
        ("edge/backends/onnx_more.py", "def f():\n    import onnxruntime", "onnxruntime: only"),
        (
            "converters/a.py",
            "import os, pandas.io",
            "converters.a:1 imports pandas: no module owns",
        ),
        ("converters/a.py", "if True:\n    from torch.nn import Conv2d", "imports torch: only"),
    ],
)
def test_a_planted_violation_is_named(tmp_path: Path, path: str, source: str, message: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(source)
    [fault] = violations(tmp_path)
    assert re.search(message, fault)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("edge/a.py", "import os.path, numpy, cv2, edge.card\nfrom . import b\nfrom .c import d"),
        (
            "edge/backends/onnx.py",
            "def f():\n    try:\n        import onnxruntime\n    except E: ...",
        ),
        ("edge/backends/onnx.py", "if TYPE_CHECKING:\n    import onnxruntime"),
        ("converters/a.py", "import onnx, calibration, edge"),
        ("converters/mobilenet_v2/digits/train.py", "from torch import nn"),
        ("device_scripts/a.py", "import edge.live"),
    ],
)
def test_what_is_allowed_is_left_alone(tmp_path: Path, path: str, source: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(source)
    assert violations(tmp_path) == []


# Imports every module below the converters where nothing optional is installed.
IMPORT_ALL = """
import importlib, pkgutil, sys

class Bare:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package not in installed and package not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

installed = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Bare())
for top in ("edge", "device_scripts", "calibration"):
    package = importlib.import_module(top)
    for module in pkgutil.walk_packages(package.__path__, f"{top}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print("edge.live" in sys.modules, "device_scripts.live_classify" in sys.modules)
"""


def import_all(*installed: str) -> subprocess.CompletedProcess[str]:
    packages = ",".join([*FLOORS, *installed])
    return subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, packages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_base_install_imports_everything_below_the_converters() -> None:
    done = import_all("numpy", "cv2")
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


def test_a_missing_package_is_noticed() -> None:
    done = import_all("numpy")
    assert done.returncode != 0
    assert "No module named 'cv2'" in done.stderr


def test_the_base_install_is_what_a_board_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[^A-Za-z0-9._-]", need)[0] for need in project["dependencies"]]
    assert names == ["numpy", "opencv-python-headless"]
