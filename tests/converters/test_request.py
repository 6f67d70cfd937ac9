from pathlib import Path

import pytest

from converters.request import Level, Request


@pytest.mark.parametrize(
    ("optimize", "max_drop", "levels"),
    [
        (None, None, ("fast",)),
        (None, 0.5, ("fast", "best")),
        ("none", 0.5, ("none",)),
        ("best", None, ("best",)),
    ],
)
def test_a_gate_climbs_unless_the_user_chose(
    optimize: Level | None, max_drop: float | None, levels: tuple[Level, ...]
) -> None:
    request = Request(Path("m.onnx"), Path(), optimize=optimize, max_drop=max_drop)
    assert request.levels == levels
