from ai_edge_litert import schema_py_generated as schema

from converters.tflite import opcodes
from converters.tflite.builder import Opcode

# The highest versions that tflite-runtime 2.14.0, the last there is, loads: found by giving it
# files of one operator. 32-bit Arm has no other runtime.
TFLITE_RUNTIME = {
    "ABS": 5,
    "ADD": 5,
    "AVERAGE_POOL_2D": 3,
    "BATCH_MATMUL": 4,
    "BROADCAST_TO": 3,
    "CONCATENATION": 4,
    "CONV_2D": 7,
    "DEPTHWISE_CONV_2D": 7,
    "DEPTH_TO_SPACE": 2,
    "DEQUANTIZE": 5,
    "DIV": 2,
    "ELU": 1,
    "EXP": 2,
    "GATHER": 6,
    "GELU": 2,
    "HARD_SWISH": 1,
    "LEAKY_RELU": 2,
    "LOG": 1,
    "LOGISTIC": 3,
    "LOG_SOFTMAX": 2,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MINIMUM": 4,
    "MIRROR_PAD": 3,
    "MUL": 7,
    "PAD": 4,
    "PADV2": 4,
    "POW": 1,
    "PRELU": 1,
    "QUANTIZE": 3,
    "REDUCE_MAX": 3,
    "REDUCE_MIN": 3,
    "RELU": 3,
    "RELU6": 3,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "RSQRT": 2,
    "SOFTMAX": 3,
    "SPACE_TO_DEPTH": 2,
    "SQRT": 1,
    "STRIDED_SLICE": 8,
    "SUB": 5,
    "SUM": 2,
    "TANH": 3,
    "TILE": 3,
    "TRANSPOSE": 6,
}


def test_tflite_runtime_has_every_version_that_is_written() -> None:
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    used = [value for value in vars(opcodes).values() if isinstance(value, Opcode)]
    assert {names[opcode.code] for opcode in used} == set(TFLITE_RUNTIME)
    newer = [opcode for opcode in used if opcode.version > TFLITE_RUNTIME[names[opcode.code]]]
    assert newer == []
