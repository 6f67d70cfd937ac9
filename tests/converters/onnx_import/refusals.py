"""What a test of a refusal says."""

from __future__ import annotations

import onnx
import pytest

from converters.errors import UnsupportedModelError
from tests.converters.models import imported


def assert_refused(model: onnx.ModelProto, reason: str) -> None:
    """Hold that the model is refused for one node, with `reason` in the message."""
    with pytest.raises(UnsupportedModelError) as caught:
        imported(model)
    (refusal,) = caught.value.refusals
    assert reason in refusal.reason, refusal.reason
