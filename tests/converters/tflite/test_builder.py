import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from converters.errors import ConvertError
from converters.quantize.params import QuantParams
from converters.tflite.builder import Opcode, TfliteBuilder


def built(sizes: list[int]) -> bytes:
    """Return a model of constants of these sizes in bytes."""
    builder = TfliteBuilder("sizes")
    for index, size in enumerate(sizes):
        data = np.full(size, index + 1, np.int8)
        builder.constant(f"c{index}", data, QuantParams((0.5,), (0,)))
    last = builder.tensor("x", (1, 4), "int8", QuantParams((0.5,), (3,)))
    builder.operator(Opcode(schema.BuiltinOperator.RELU, 2), [last], last)
    return builder.finish([("x", last)], [("x", last)])


@pytest.mark.parametrize("sizes", [[1], [16, 17, 15], [1, 2, 3, 4, 5], [1000, 7, 64]])
def test_every_buffer_lies_at_a_multiple_of_16(sizes: list[int]) -> None:
    data = built(sizes)
    model = schema.Model.GetRootAs(data)
    lengths: list[int] = []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            table = buffer._tab
            offset = flatbuffers.number_types.UOffsetTFlags.py_type(table.Offset(4))
            assert table.Vector(offset) % 16 == 0
            np.testing.assert_array_equal(buffer.DataAsNumpy(), len(lengths) + 1)
            lengths.append(buffer.DataLength())
    assert lengths == sizes


def test_names_longer_than_was_reckoned_with_move_no_constant() -> None:
    builder = TfliteBuilder("long")
    first, second = np.arange(50, dtype=np.int32), np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    builder.constant("n" * 300_000, first)
    builder.constant("m" * 300_000, second.transpose(2, 0, 1))
    last = builder.tensor("x", (1, 4), "float32")
    model = schema.ModelT.InitFromPackedBuf(builder.finish([("x", last)], [("x", last)]), 0)
    assert len(model.subgraphs[0].tensors[1].name) == 300_000
    assert model.buffers[1].data.tobytes() == first.tobytes()
    assert model.buffers[2].data.tobytes() == second.transpose(2, 0, 1).tobytes()


def test_constants_beyond_what_offsets_reach_are_refused() -> None:
    builder = TfliteBuilder("large")
    nothing = np.broadcast_to(np.zeros(1, np.int8), (2, 1 << 30))  # one byte of memory
    last = builder.constant("c", nothing)
    with pytest.raises(ConvertError, match="large: its constants take 2147483648 bytes"):
        builder.finish([("c", last)], [("c", last)])


def test_the_file_names_its_format_and_schema() -> None:
    data = built([4])
    assert data[4:8] == b"TFL3"
    model = schema.Model.GetRootAs(data)
    assert model.Version() == 3
    assert model.Buffers(0).DataLength() == 0
    assert model.Description() == b"sizes, written by edge-deploy"


def test_tensors_say_what_they_hold() -> None:
    builder = TfliteBuilder("t")
    params = QuantParams((0.5, 0.25), (0, 0), axis=1)
    builder.constant("c", np.asarray([[1, 2]], np.int8), params)
    tensor = builder.tensors[0]
    assert (tensor.name, list(tensor.shape), tensor.type) == ("c", [1, 2], schema.TensorType.INT8)
    assert list(tensor.quantization.scale) == [0.5, 0.25]
    assert tensor.quantization.quantizedDimension == 1
    np.testing.assert_array_equal(builder.buffers[tensor.buffer].data, [[1, 2]])


def test_an_array_that_is_not_contiguous_is_written_in_order() -> None:
    builder = TfliteBuilder("t")
    x = builder.constant("c", np.arange(6, dtype=np.int8).reshape(2, 3).T)
    model = schema.ModelT.InitFromPackedBuf(builder.finish([("c", x)], [("c", x)]), 0)
    assert bytes(model.buffers[1].data) == bytes([0, 3, 1, 4, 2, 5])


def test_what_stands_behind_is_told_the_files_size() -> None:
    builder = TfliteBuilder("t")
    x = builder.tensor("x", (1,), "int8")
    plain = builder.finish([("x", x)], [("x", x)])
    assert builder.finish([("x", x)], [("x", x)], lambda size: b"%d" % size) == plain + (
        b"%d" % len(plain)
    )


def test_opcodes_are_shared() -> None:
    builder = TfliteBuilder("t")
    x = builder.tensor("x", (1,), "int8")
    relu, late = Opcode(schema.BuiltinOperator.RELU, 2), Opcode(200, 1)
    for opcode in (relu, late, relu):
        builder.operator(opcode, [x], x)
    model = schema.ModelT.InitFromPackedBuf(builder.finish([("x", x)], [("x", x)]), 0)
    assert [operator.opcodeIndex for operator in model.subgraphs[0].operators] == [0, 1, 0]
    codes = [(c.builtinCode, c.deprecatedBuiltinCode, c.version) for c in model.operatorCodes]
    assert codes == [(19, 19, 2), (200, 127, 1)]


def test_a_tensor_like_another_has_its_type_and_meaning_or_a_plain_one() -> None:
    builder = TfliteBuilder("t")
    source = builder.tensor("x", (1, 4), "int8", QuantParams((0.5,), (3,)))
    same = builder.tensors[builder.like(source, "y", (2, 2))]
    assert (same.name, list(same.shape), same.type) == ("y", [2, 2], schema.TensorType.INT8)
    assert list(same.quantization.scale) == [0.5]
    assert list(same.quantization.zeroPoint) == [3]
    assert same.buffer == 0
    plain = builder.tensors[builder.like(source, "z", (4,), "float32")]
    assert plain.type == schema.TensorType.FLOAT32
    assert plain.quantization is None
