"""ONNX models, in ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from edge.backends.base import (
    BackendError,
    ModelSpec,
    brief,
    only_input,
    raise_if_installed,
    scores_place,
)
from edge.backends.onnx_weights import give
from edge.card import CARD_KEY, TENSORS_KEY, ModelCard
from edge.errors import MissingExtraError
from edge.tensors import F32, Array, TensorSpec

# Without VNNI, ONNX Runtime's default x86 kernels add products of uint8 and int8 in 16 bits and
# saturate; this makes it take those that do not.
EXACT_KERNELS = ("session.x64quantprecision", "1")
DTYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}
NO_FILES: Mapping[str, bytes] = MappingProxyType({})
# Name, type, and shape, whose sizes are numbers, names or None.
_Declared: TypeAlias = tuple[str, str, list[Any]]


class OnnxBackend:
    """One ONNX model, on the CPU; its input and output are bound to memory made once."""

    def __init__(
        self,
        path: Path,
        digest: str,
        threads: int,
        scores: str = "",
        weights: Mapping[str, bytes] = NO_FILES,
        *,
        exact_kernels: bool = False,
    ) -> None:
        """Open `path`, whose SHA-256 is `digest`, with `weights` as `weight_files` read them.

        Raises: as `edge.backends.open_model`.
        """
        try:
            import onnxruntime
        except ImportError as cause:
            raise_if_installed("onnxruntime", cause)
            raise MissingExtraError("onnxruntime", "onnx") from None
        runtime = f"onnxruntime {version('onnxruntime')}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what fails is raised as well
        give(options, weights)
        if exact_kernels:
            options.add_session_config_entry(*EXACT_KERNELS)
        try:
            session = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # it would be to the same provider, announced on stdout
            )
            metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
            inputs, outputs = map(_read, (session.get_inputs(), session.get_outputs()))
        except Exception as cause:  # its errors have no root of their own
            raise BackendError(
                f"{path}: {runtime} cannot open it ({brief(cause)}); copy or convert it again"
            ) from cause
        only_input(path, [name for name, _, _ in inputs])
        card = metadata.get(CARD_KEY)
        held = None if card is None else ModelCard.from_json(card)
        given = [(name, _shape(shape)) for name, _, shape in outputs]
        output = outputs[scores_place(path, given, scores, held)]
        self.spec = ModelSpec(
            path=str(path),
            runtime=runtime,
            input=_tensor(path, "input", inputs[0], metadata),
            output=_tensor(path, "output", output, metadata),
            card=held,
            sha256=digest,
            threads=threads,
        )
        self._input: Array = np.zeros(self.spec.input.shape, self.spec.input.dtype)
        self._output: Array = np.zeros(self.spec.output.shape, self.spec.output.dtype)
        self._scores = self._output.reshape(-1)
        self._session: Any = session
        self._exact_kernels = exact_kernels
        self._outputs, self._metadata = outputs, metadata
        # Outputs that are not bound, the runtime does not give out.
        self._binding = session.io_binding()
        for bind, tensor, memory in (
            (self._binding.bind_input, self.spec.input, self._input),
            (self._binding.bind_output, self.spec.output, self._output),
        ):
            bind(tensor.name, "cpu", 0, memory.dtype, memory.shape, memory.ctypes.data)

    def input_view(self) -> Array:
        return self._input

    def run(self) -> Array:
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as cause:
            raise self._failure(cause) from cause
        return self._scores

    def run_all(self) -> dict[str, F32]:
        path, metadata = Path(self.spec.path), self._metadata
        specs = [_tensor(path, "output", one, metadata) for one in self._outputs]
        try:
            found = self._session.run(None, {self.spec.input.name: self._input})
        except Exception as cause:
            raise self._failure(cause) from cause
        return {spec.name: spec.dequantize(y) for spec, y in zip(specs, found, strict=True)}

    def kernels(self) -> str:
        return "exact kernels" if self._exact_kernels else "default kernels"

    def _failure(self, cause: Exception) -> BackendError:
        return BackendError(f"{self.spec.path}: the inference failed ({brief(cause)})")

    def close(self) -> None:
        self._binding = self._session = None


def _read(tensors: list[Any]) -> list[_Declared]:
    """Return name, type and shape of each. Raises: UnicodeDecodeError: a name is no UTF-8."""
    return [(tensor.name, tensor.type, tensor.shape) for tensor in tensors]


def _tensor(path: Path, role: str, tensor: _Declared, metadata: Mapping[str, str]) -> TensorSpec:
    name, kind, shape = tensor
    dtype = DTYPES.get(kind, kind)
    scale, zero_point = 1.0, 0
    if dtype in ("int8", "uint8"):
        scale, zero_point = _quantization(path, role, name, metadata)
    return TensorSpec(name, _shape(shape), dtype, scale, zero_point)


def _shape(shape: list[Any]) -> tuple[int, ...]:
    """Return the shape for a batch of 1; another size that is left open becomes -1."""
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    if sizes and sizes[0] == -1:
        sizes[0] = 1
    return tuple(sizes)


def _quantization(
    path: Path, role: str, name: str, metadata: Mapping[str, str]
) -> tuple[float, int]:
    """Return scale and zero point of the input or, of several outputs, of the one called `name`."""
    try:
        meanings = json.loads(metadata[TENSORS_KEY])
        several = meanings.get("outputs") if role == "output" else None
        entry = {one["name"]: one for one in several}[name] if several else meanings[role]
        return float(entry["scale"]), int(entry["zero_point"])
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as cause:
        raise BackendError(
            f"{path}: its {role} holds integers, and the file does not say their scale "
            f"(metadata {TENSORS_KEY!r}); convert it with edge-convert"
        ) from cause
