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
from converters.onnx_import.order import put_in_order
from edge.backends.base import brief
from edge.card import CARD_KEY, ModelCard
from edge.files import sha256
from edge.text import cut

OLDEST_OPSET = 11
NEWEST_OPSET = onnx.defs.onnx_opset_version()
# Weights that are tied may be one part of a file of external data.
MAX_SHARED_BYTES = 64 << 20
STANDARD_DOMAINS = ("", "ai.onnx")


def load(path: Path) -> tuple[onnx.ModelProto, str]:
    """Return the model, whole and in order, and its file's SHA-256.

    External data is read, functions are inlined, each node stands behind what makes its inputs.

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
    if not 0 < model.ir_version <= onnx.IR_VERSION:
        raise ConvertError(
            f"{path}: IR version {model.ir_version}; allowed: 1 to {onnx.IR_VERSION}. "
            "Export it again, or update the onnx package"
        )
    _check_opset(path, model)
    if model.graph.sparse_initializer:
        raise ConvertError(
            f"{path}: holds sparse tensors; export the model with its weights written out"
        )
    room_bytes: dict[Path, int] = {}
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor):
            _read_external(path, tensor, room_bytes)
    model = inline(model, str(path))
    put_in_order(model.graph)
    return model, sha256(data)


def drop_trailing_names(model: onnx.ModelProto) -> bool:
    """Drop the empty names that inputs end in, and return whether there were any.

    An optional input that is left out means the same with such a name and without, but of a
    LayerNormalization's bias ONNX Runtime 1.32 dies without a word.
    """
    found = False
    for node in model.graph.node:
        while node.input and not node.input[-1]:
            del node.input[-1]
            found = True
    return found


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


def _read_external(path: Path, tensor: onnx.TensorProto, room_bytes: dict[Path, int]) -> None:
    """Put the data of `tensor`, which lies in a file beside the model, into it.

    `room_bytes`: how much more may be read of each file, of which several tensors may be one part.
    """
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    where = f"{path}: tensor {tensor.name!r} keeps its data in {cut(location, 200)!r}"
    folder = path.resolve().parent
    try:
        target = (folder / location).resolve()
        there = target.is_file()
    except (OSError, ValueError, RuntimeError) as cause:  # too long, a NUL in it, circular links
        raise ConvertError(f"{where}, which is no file name ({brief(cause)})") from cause
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
            size_bytes = target.stat().st_size
            room_bytes.setdefault(target, size_bytes + MAX_SHARED_BYTES)
            room_bytes[target] -= _bound(tensor, size_bytes)
            if room_bytes[target] < 0:
                raise ValueError(f"its {size_bytes} bytes are read again and again")
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as cause:
        raise ConvertError(f"{where}, which cannot be read: {brief(cause)}") from cause
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _bound(tensor: onnx.TensorProto, file_bytes: int) -> int:
    """Let no more be read than the shape of `tensor` needs: without a length, all of a file is.

    Returns: how many bytes that is.

    Raises: ValueError: it asks for more, or its entries are no numbers.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        item_bytes = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError as cause:
        raise ValueError(f"its element type {tensor.data_type} is not known") from cause
    needed: int = math.prod(tensor.dims) * item_bytes
    if "length" not in entries:
        # Where the file ends earlier, what it has does not fit the shape, and is refused for that.
        length = min(needed, file_bytes - int(entries.get("offset", 0)))
        tensor.external_data.add(key="length", value=str(length))
        return length
    if int(entries["length"]) > needed:
        raise ValueError(f"{entries['length']} bytes, but its shape needs {needed}")
    return int(entries["length"])
