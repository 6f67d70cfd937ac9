from __future__ import annotations

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.backends.tflite_metadata import MetadataError, read_metadata
from tests.edge.backends.tiny_models import tflite_model

CONTENT = b'{"a": 1}'
MODEL = tflite_model({"other": b"x" * 40, "edge_card": CONTENT})


def test_finds_the_buffer_among_others() -> None:
    assert read_metadata(MODEL, "edge_card") == CONTENT
    assert read_metadata(MODEL, "other") == b"x" * 40


def test_absent_name_and_absent_metadata_give_none() -> None:
    assert read_metadata(MODEL, "edge_car") is None
    assert read_metadata(tflite_model(), "edge_card") is None


def test_agrees_with_the_schema_bindings() -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(MODEL))
    by_name = {entry.name.decode(): model.buffers[entry.buffer].data for entry in model.metadata}
    assert by_name["edge_card"].tobytes() == read_metadata(MODEL, "edge_card")


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(MODEL) - 1))
def test_a_file_cut_anywhere_is_refused_or_still_whole(size: int) -> None:
    try:
        found = read_metadata(MODEL[:size], "edge_card")
    except MetadataError:
        return
    assert found in (CONTENT, None)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    damaged = bytearray(MODEL)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(MODEL) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_metadata(bytes(damaged), "edge_card")
    except MetadataError:
        return
    assert found is None or len(found) <= len(MODEL)


def test_a_vtable_before_the_file_is_refused() -> None:
    # The root table at 8 says that its vtable lies 9 bytes before it.
    data = (8).to_bytes(4, "little") + b"TFL3" + (9).to_bytes(4, "little") + bytes(32)
    with pytest.raises(MetadataError, match="outside"):
        read_metadata(data, "edge_card")
