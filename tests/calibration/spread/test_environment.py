from __future__ import annotations

from pathlib import Path

import pytest

import edge
from calibration.spread import environment
from calibration.spread.environment import differences


def test_like_machines_have_no_differences() -> None:
    here = environment.environment()
    assert here["edge-deploy"].startswith(f"{edge.__version__} (")
    assert differences(here, dict(here)) == ()


def test_each_difference_is_named() -> None:
    ours = {"edge-deploy": "1", "numpy": "2", "opencv": "3"}
    found = differences(ours, {"edge-deploy": "1", "numpy": "2.1", "more": "4"})
    assert found == ("numpy 2.1, not 2", "opencv is missing, not 3")


def test_code_that_was_changed_is_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environment.OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("A = 1\n")
    monkeypatch.setattr(edge, "__file__", str(tmp_path / "edge" / "__init__.py"))
    found = [environment._code(), environment._code()]
    assert found[0] == found[1]
    (tmp_path / "converters" / "__init__.py").write_text("A = 2\n")
    found.append(environment._code())
    (tmp_path / "converters" / "__init__.py").rename(tmp_path / "converters" / "other.py")
    found.append(environment._code())
    assert len(set(found)) == 3
