"""Read an ONNX file that may be anything: truncated, hostile, or not ONNX at all."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, inliner

from converters.errors import ConvertError
from edge.files import sha256

OLDEST_OPSET = 11
NEWEST_OPSET = onnx.defs.onnx_opset_version()
STANDARD_DOMAINS = ("", "ai.onnx")


def load(path: Path) -> tuple[onnx.ModelProto, str]:
    """Return the model, with external data read and functions inlined, and its file's SHA-256.

    Raises: ConvertError: the file is missing or unreadable, not ONNX, of an opset that is too old
        or too new, or its external data is missing or lies outside its folder.
    """
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise ConvertError(f"{path}: cannot be read: {cause.strerror}") from cause
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as cause:
        raise ConvertError(
            f"{path}: not an ONNX file, or a truncated one ({len(data)} bytes); export it again"
        ) from cause
    if not model.graph.node or not model.ir_version:
        raise ConvertError(f"{path}: holds no ONNX graph; give the .onnx file that was exported")
    _check_opset(path, model)
    _load_external_data(path, model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    return model, sha256(data)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operator set that the model is written in."""
    return max(
        (entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS),
        default=0,
    )


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    opset = opset_of(model)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ConvertError(
            f"{path}: opset {opset or 'not given'}; allowed: {OLDEST_OPSET} to {NEWEST_OPSET}. "
            f"Export it again with an opset in that range"
            + (", or update the onnx package" if opset > NEWEST_OPSET else "")
        )


def _load_external_data(path: Path, model: onnx.ModelProto) -> None:
    folder = path.resolve().parent
    for tensor in model.graph.initializer:
        if not external_data_helper.uses_external_data(tensor):
            continue
        info = external_data_helper.ExternalDataInfo(tensor)
        target = (folder / info.location).resolve()
        if Path(info.location).is_absolute() or not target.is_relative_to(folder):
            raise ConvertError(
                f"{path}: tensor {tensor.name!r} keeps its data in {info.location!r}, outside the "
                "model's folder; only files beside the model are read"
            )
        if not target.is_file():
            raise ConvertError(
                f"{path}: tensor {tensor.name!r} keeps its data in {info.location!r}, which is not "
                "there; copy that file beside the model"
            )
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, onnx.checker.ValidationError) as cause:
            raise ConvertError(
                f"{path}: the data of tensor {tensor.name!r} in {info.location!r} cannot be read: "
                f"{cause}"
            ) from cause
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]
