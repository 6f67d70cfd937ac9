from __future__ import annotations

from dataclasses import replace

import pytest

from edge.card import MAX_LABELS
from edge.tensors import TensorError, TensorSpec
from tests.edge.fakes import model_spec


@pytest.mark.parametrize("shape", [(7,), (1, 7), (1, 1, 1, 7), (1, 1), (MAX_LABELS,)])
def test_one_number_a_class(shape: tuple[int, ...]) -> None:
    spec = replace(model_spec(), output=TensorSpec("scores", shape, "float32"))
    assert spec.classes == max(shape)


@pytest.mark.parametrize("shape", [(), (0,), (1, -1), (2, 7), (1, 2, 2, 7), (MAX_LABELS + 1,)])
def test_what_is_not_one_number_a_class_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TensorError, match="not one number a class"):
        replace(model_spec(), output=TensorSpec("scores", shape, "float32"))
