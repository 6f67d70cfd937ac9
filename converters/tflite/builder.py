"""A TFLite flatbuffer under construction: tensors, buffers, operators.

Wire types come from the schema's own Python bindings, which the ai-edge-litert wheel ships.
"""

from __future__ import annotations

import io
import mmap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConvertError
from converters.quantize.params import QuantParams
from edge.tensors import Array

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
# schema.fbs: a buffer's data is force_align 16. Kernels read int32 and float constants in place.
BUFFER_ALIGNMENT = 16
# What its offsets, of 32 bits with a sign, reach.
MAX_FILE_BYTES = (1 << 31) - 1

TENSOR_TYPES = {
    "float16": schema.TensorType.FLOAT16,
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32,
}


class _Skeleton(flatbuffers.Builder):  # type: ignore[misc]  # the bindings are untyped
    """A flatbuffer that leaves room for the arrays, which come in when the file is put together.

    The room is never touched, so that the system gives no memory for it.
    """

    def __init__(self, size_bytes: int) -> None:
        super().__init__(0)
        self.Bytes = mmap.mmap(-1, size_bytes)
        self.head = size_bytes
        # From the end of the file, where it is begun, to the beginning of each array.
        self.rooms: list[tuple[int, Array]] = []

    def room_for(self, data: Array) -> int:
        """Return the vector that is to hold `data`."""
        self.StartVector(1, data.nbytes, BUFFER_ALIGNMENT)
        self.head -= data.nbytes
        self.rooms.append((self.Offset(), data))
        return int(self.EndVector())

    def file(self, behind: Callable[[int], bytes]) -> bytes:
        """Return the flatbuffer with its arrays, and what stands `behind` its so many bytes."""
        skeleton = memoryview(self.Bytes)
        end = behind(len(skeleton) - self.head)
        # Of the right size from the start, it writes in place and gives away its own memory.
        stream = io.BytesIO(bytes(len(skeleton) - self.head + len(end)))
        at = self.head
        for distance, data in reversed(self.rooms):
            start = len(skeleton) - distance
            stream.write(skeleton[at:start])
            stream.write(np.ascontiguousarray(data).data)
            at = start + data.nbytes
        stream.write(skeleton[at:])
        stream.write(end)
        return stream.getvalue()


class _Buffer(schema.BufferT):  # type: ignore[misc]  # the bindings are untyped
    """A buffer whose array, in any order of memory, is copied once, and aligned.

    The bindings copy it byte by byte, and do not align it.
    """

    def Pack(self, builder: _Skeleton) -> int:  # noqa: N802 (the bindings' name)
        data: Array | None = self.data
        vector = builder.room_for(data) if data is not None and data.size else None
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


@dataclass(frozen=True, slots=True)
class Opcode:
    """A builtin operator and the version of its definition that is used."""

    code: int
    version: int


class TfliteBuilder:
    """Collects one subgraph. Tensors are referred to by the index that `tensor` returns."""

    def __init__(self, name: str) -> None:
        self.name = name
        # Buffer 0 is empty by convention: tensors without constant data refer to it.
        self.buffers: list[_Buffer] = [_Buffer()]
        self.tensors: list[schema.TensorT] = []
        self.operators: list[schema.OperatorT] = []
        self.opcodes: dict[Opcode, int] = {}
        self.metadata: list[schema.MetadataT] = []

    def buffer(self, data: Array) -> int:
        """Add a constant, which is copied when the file is made, and return its buffer's index."""
        buffer = _Buffer()
        buffer.data = data
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        params: QuantParams | None = None,
        data: Array | None = None,
    ) -> int:
        """Add a tensor and return its index. `data` (C order, of `dtype`) makes it a constant."""
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = TENSOR_TYPES[dtype]
        tensor.buffer = 0 if data is None else self.buffer(data)
        tensor.hasRank = True
        if params is not None:
            tensor.quantization = _quantization(params)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, name: str, value: Array, params: QuantParams | None = None) -> int:
        """Add a constant tensor of the array's own shape and type."""
        return self.tensor(name, value.shape, str(value.dtype), params, value)

    def like(self, source: int, name: str, dims: Sequence[int], dtype: str | None = None) -> int:
        """Add a tensor of a tensor's type and quantization, or of a plain `dtype`."""
        index = self.tensor(name, dims, dtype or "float32")
        if dtype is None:
            self.tensors[index].type = self.tensors[source].type
            self.tensors[index].quantization = self.tensors[source].quantization
        return index

    def operator(
        self,
        opcode: Opcode,
        inputs: Sequence[int],
        output: int,
        options: Any = None,  # noqa: ANN401 (one of the schema's option classes)
    ) -> None:
        """Append an operator; `options` is the schema's object for its builtin options."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self.opcodes.setdefault(opcode, len(self.opcodes))
        operator.inputs = np.asarray(inputs, np.int32)
        operator.outputs = np.asarray([output], np.int32)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.operators.append(operator)

    def add_metadata(self, name: str, data: bytes) -> None:
        entry = schema.MetadataT()
        entry.name = name
        entry.buffer = self.buffer(np.frombuffer(data, np.uint8))
        self.metadata.append(entry)

    def finish(
        self,
        inputs: Sequence[tuple[str, int]],
        outputs: Sequence[tuple[str, int]],
        behind: Callable[[int], bytes] = lambda _: b"",
    ) -> bytes:
        """Return the file.

        Args: inputs, outputs: (name in the signature, tensor index); behind: what follows the
            flatbuffer in the file, given its size in bytes.
        Raises: ConvertError: two tensors have one name, or the constants are too large.
        """
        names = Counter(tensor.name for tensor in self.tensors)
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice is not None:
            raise ConvertError(
                f"{self.name}: the model has a tensor called {twice!r}, a name that is needed for "
                "a step of the TFLite file; rename it in the exporter"
            )
        subgraph = schema.SubGraphT()
        subgraph.name = "main"
        subgraph.tensors = self.tensors
        subgraph.operators = self.operators
        subgraph.inputs = np.asarray([index for _, index in inputs], np.int32)
        subgraph.outputs = np.asarray([index for _, index in outputs], np.int32)
        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = f"{self.name}, written by edge-deploy"
        model.operatorCodes = [_operator_code(opcode) for opcode in self.opcodes]
        model.subgraphs = [subgraph]
        model.buffers = self.buffers
        model.metadata = self.metadata
        model.signatureDefs = [_signature(inputs, outputs)]
        size = sum(buffer.data.nbytes for buffer in self.buffers if buffer.data is not None)
        if size > MAX_FILE_BYTES:
            raise ConvertError(
                f"{self.name}: its constants take {size} bytes; a TFLite file holds at most "
                f"{MAX_FILE_BYTES}: halve them with --float16, or give a smaller network"
            )
        skeleton = _Skeleton(size + 4096 * (len(self.tensors) + 16))
        skeleton.Finish(model.Pack(skeleton), FILE_IDENTIFIER)
        return skeleton.file(behind)


def _quantization(params: QuantParams) -> schema.QuantizationParametersT:
    quantization = schema.QuantizationParametersT()
    quantization.scale = np.asarray(params.scale, np.float32)
    quantization.zeroPoint = np.asarray(params.zero_point, np.int64)
    quantization.quantizedDimension = params.axis or 0
    return quantization


def _operator_code(opcode: Opcode) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = opcode.code
    # Readers from before the field was widened look here; 127 sends them to builtinCode.
    code.deprecatedBuiltinCode = min(opcode.code, 127)
    code.version = opcode.version
    return code


def _signature(
    inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]]
) -> schema.SignatureDefT:
    def entries(tensors: Sequence[tuple[str, int]]) -> list[schema.TensorMapT]:
        maps = []
        for name, index in tensors:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            maps.append(entry)
        return maps

    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs, signature.outputs = entries(inputs), entries(outputs)
    return signature
