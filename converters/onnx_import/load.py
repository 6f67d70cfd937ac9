"""Read an ONNX file that may be anything: truncated, hostile, or not ONNX at all."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import external_data_helper

from converters.errors import ConvertError
from converters.onnx_import.functions import inline
from edge.card import CARD_KEY, ModelCard
from edge.files import sha256

OLDEST_OPSET = 11
NEWEST_OPSET = onnx.defs.onnx_opset_version()
STANDARD_DOMAINS = ("", "ai.onnx")


def load(path: Path) -> tuple[onnx.ModelProto, str]:
    """Return the model, with external data read and functions inlined, and its file's SHA-256.

    Raises: ConvertError: the file is missing or unreadable, not ONNX, of an opset that is too old
        or too new, its external data is missing or lies outside its folder, or its functions
        cannot be inlined.
    """
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise ConvertError(f"{path}: cannot be read: {cause.strerror}") from cause
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        _check_text(model)
    except (DecodeError, UnicodeDecodeError) as cause:
        raise ConvertError(
            f"{path}: not an ONNX file, or a truncated one ({len(data)} bytes); export it again"
        ) from cause
    if not model.graph.node or not model.ir_version:
        raise ConvertError(f"{path}: holds no ONNX graph; give the .onnx file that was exported")
    _check_opset(path, model)
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor):
            _read_external(path, tensor)
    return inline(model, str(path)), sha256(data)


def card_of(model: onnx.ModelProto) -> ModelCard | None:
    """Return the card in a model's metadata, None where there is none. Raises: CardError."""
    for entry in model.metadata_props:
        if entry.key == CARD_KEY:
            return ModelCard.from_json(entry.value)
    return None


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the standard operator set that the model is written in."""
    return max(
        (entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS),
        default=0,
    )


def _check_text(message: Message) -> None:
    """Raise DecodeError for a string that is not UTF-8, which protobuf hands over as bytes."""
    for field, value in message.ListFields():
        if field.type not in (field.TYPE_MESSAGE, field.TYPE_STRING):
            continue
        single = isinstance(value, Message | str | bytes)
        for item in (value,) if single else value:
            if isinstance(item, Message):
                _check_text(item)
            elif isinstance(item, bytes):
                raise DecodeError(f"{field.full_name} is not UTF-8")


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    opset = opset_of(model)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ConvertError(
            f"{path}: opset {opset or 'not given'}; allowed: {OLDEST_OPSET} to {NEWEST_OPSET}. "
            f"Export it again with an opset in that range"
            + (", or update the onnx package" if opset > NEWEST_OPSET else "")
        )


def _read_external(path: Path, tensor: onnx.TensorProto) -> None:
    """Put the data of `tensor`, which lies in a file beside the model, into it."""
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    where = f"{path}: tensor {tensor.name!r} keeps its data in {location!r}"
    folder = path.resolve().parent
    try:
        target = (folder / location).resolve()
        there = target.is_file()
    except (OSError, ValueError, RuntimeError) as cause:  # too long, a NUL in it, circular links
        raise ConvertError(f"{where}, which is no file name ({cause})") from cause
    if Path(location).is_absolute() or not target.is_relative_to(folder):
        raise ConvertError(
            f"{where}, outside the model's folder; only files beside the model are read"
        )
    if not there:
        raise ConvertError(f"{where}, which is not there; copy that file beside the model")
    try:
        with warnings.catch_warnings():
            # onnx warns of keys that it does not know; they change nothing.
            warnings.simplefilter("ignore")
            _bound(tensor, target.stat().st_size)
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as cause:
        raise ConvertError(f"{where}, which cannot be read: {cause}") from cause
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _bound(tensor: onnx.TensorProto, file_bytes: int) -> None:
    """Let no more be read than the shape of `tensor` needs: without a length, all of a file is.

    Raises: ValueError: it asks for more, or its entries are no numbers.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        item_bytes = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError as cause:
        raise ValueError(f"its element type {tensor.data_type} is not known") from cause
    needed = math.prod(tensor.dims) * item_bytes
    if "length" not in entries:
        # Where the file ends earlier, what it has does not fit the shape, and is refused for that.
        length = min(needed, file_bytes - int(entries.get("offset", 0)))
        tensor.external_data.add(key="length", value=str(length))
    elif int(entries["length"]) > needed:
        raise ValueError(f"{entries['length']} bytes, but its shape needs {needed}")
