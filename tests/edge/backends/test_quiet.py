from __future__ import annotations

import os
import sys

import pytest

from edge.backends.quiet import without_info


def test_info_goes_and_the_rest_stays_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    with without_info():
        os.write(2, b"INFO: chatter\nWARNING: first\n")
        os.write(2, b"second\n")
        os.write(2, b"INFO: more\n")
    os.write(2, b"third\n")
    assert capfd.readouterr().err == "WARNING: first\nsecond\nthird\n"


def test_what_was_said_before_an_error_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_info():
            os.write(2, b"ERROR: reason\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert capfd.readouterr().err == "ERROR: reason\n"


def test_a_process_without_stderr_has_nothing_to_keep_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with without_info():
        pass
