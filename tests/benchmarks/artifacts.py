"""The files that are compared: ours by edge-convert, the others by the tools that users have.

Each is made once, by a process of its own, and lies in the work folder for whoever comes next.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx

from tests.benchmarks.inputs import FLAGS, Shared

OTHERS = (sys.executable, "-m", "tests.benchmarks.others")
CONVERT = (sys.executable, "-m", "converters.cli", "--int8")


class ToolError(Exception):
    """Another tool is not installed, or failed; the benchmark goes on without it."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes artifacts below `work`. `onnx2tf`: that command, None to look for it."""

    shared: Shared
    work: Path
    onnx2tf: str | None = None

    def ours(self, model: str, *flags: str, synthetic: bool = False) -> dict[str, Path]:
        """Return our two artifacts of a model, by format. `flags` are further ones."""
        kind = "-".join(["synthetic" if synthetic else "ours", *(f.strip("-") for f in flags)])
        folder = self.work / kind
        made = {name: folder / f"{model}.int8.{name}" for name in ("onnx", "tflite")}
        if not all(path.exists() for path in made.values()):
            run(self.convert_command(model, folder, *flags, synthetic=synthetic))
        return made

    def convert_command(
        self, model: str, out: Path, *flags: str, synthetic: bool = False
    ) -> list[str]:
        """Return the command line of edge-convert."""
        command = [*CONVERT, str(self.shared.model(model)), "-o", str(out), *FLAGS, *flags]
        return command if synthetic else [*command, "--calibration", str(self.shared.calibration)]

    def quantize_static(self, model: str, activation: str, method: str, *flags: str) -> Path:
        """Return the int8 ONNX file of onnxruntime's quantize_static. Raises: ToolError."""
        kind = ".".join([activation, method, *(flag.strip("-") for flag in flags)])
        out = self.work / "quantize_static" / f"{model}.{kind}.onnx"
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            run([*self.quantize_static_command(model, out, activation, method), *flags])
        return out

    def quantize_static_command(
        self, model: str, out: Path, activation: str, method: str
    ) -> list[str]:
        """Return the command line that pre-processes and quantizes."""
        files = [str(self.shared.model(model)), str(out), "--images", str(self.shared.calibration)]
        choice = ["--activation", activation, "--method", method]
        # The histograms do not depend on the activation type: the second file takes the first's.
        cache = ["--cache", str(out.with_name(f"{model}.{method}.json"))]
        return [
            *OTHERS,
            "quantize-static",
            *files,
            *choice,
            *(cache if method == "percentile" else ()),
        ]

    def float_tflite(self, model: str) -> Path:
        """Return onnx2tf's float TFLite file. Raises: ToolError."""
        out = self.work / "onnx2tf" / f"{model}_float32.tflite"
        if not out.exists():
            run(self.onnx2tf_command(model, out.parent))
        return out

    def onnx2tf_command(self, model: str, folder: Path) -> list[str]:
        """Return the command line that makes a float TFLite file. Raises: ToolError."""
        command = self.onnx2tf or shutil.which("onnx2tf")
        if command is None or not Path(command).exists():
            raise ToolError("onnx2tf is not installed (see make bench)")
        return [command, "-i", str(self._fixed_batch(model)), "-o", str(folder), "-n"]

    def _fixed_batch(self, model: str) -> Path:
        """Return the model with a batch of 1.

        With an open one, onnx2tf's file computes its pads from shapes, and is half as fast.
        """
        out = self.work / "fixed" / f"{model}.onnx"
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            proto = onnx.load(self.shared.model(model))
            for value in (*proto.graph.input, *proto.graph.output):
                value.type.tensor_type.shape.dim[0].dim_value = 1
            onnx.save(proto, out)
        return out

    def ai_edge_quantizer(self, model: str) -> Path:
        """Return the int8 TFLite file of onnx2tf and ai-edge-quantizer. Raises: ToolError."""
        out = self.work / "ai-edge-quantizer" / f"{model}.tflite"
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            run(self.ai_edge_quantizer_command(self.float_tflite(model), out))
        return out

    def ai_edge_quantizer_command(self, source: Path, out: Path) -> list[str]:
        """Return the command line that quantizes a float TFLite file."""
        files = [str(source), str(out), "--images", str(self.shared.calibration)]
        return [*OTHERS, "ai-edge-quantizer", *files]


def run(command: list[str]) -> None:
    """Run a process to its end. Raises: ToolError: it failed; its last line says why."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError((done.stderr.strip().splitlines() or ["no message"])[-1])
