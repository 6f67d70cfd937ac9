from pathlib import Path
from typing import Any

import pytest

from converters.request import Level, Request


@pytest.mark.parametrize(
    ("asked", "levels", "climbs"),
    [
        ({}, ("fast",), False),
        ({"max_drop": 0.5}, ("fast", "best"), True),
        ({"min_sqnr": 20.0}, ("fast", "best"), True),
        ({"optimize": "none", "max_drop": 0.5}, ("none",), False),
        ({"optimize": "best"}, ("best",), False),
    ],
)
def test_a_gate_climbs_unless_the_user_chose(
    asked: dict[str, Any], levels: tuple[Level, ...], climbs: bool
) -> None:
    request = Request(Path("m.onnx"), Path(), **asked)
    assert request.levels == levels
    assert request.climbs == climbs
