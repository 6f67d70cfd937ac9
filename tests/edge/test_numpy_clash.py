from __future__ import annotations

import pytest

from edge.numpy_clash import NumpyClash, find_numpy_clash

SIZES = "numpy.dtype size changed, may indicate ... Expected {} from C header, got {}"


@pytest.mark.parametrize(
    ("text", "wanted", "packages"),
    [
        (SIZES.format(96, 88), "<2", "'numpy<2' 'opencv-python-headless<4.12'"),
        (SIZES.format(88, 96), ">=2", "'numpy>=2'"),
        ("ImportError: numpy.core.multiarray failed to import", "<2", None),
        ("AttributeError: _ARRAY_API not found", "<2", None),
        ("A module that was compiled using NumPy 1.x cannot be run in NumPy 2", "<2", None),
    ],
)
def test_what_was_built_for_which_numpy(text: str, wanted: str, packages: str | None) -> None:
    clash = find_numpy_clash(f"Traceback:\n  File x\n{text} from PyObject\n")
    assert clash is not None
    assert clash.wanted == wanted
    assert clash.said in text
    assert packages in (None, clash.packages)


@pytest.mark.parametrize("text", ["", "No module named 'picamera2'", "numpy.dtype size changed"])
def test_other_errors_are_not_taken_for_it(text: str) -> None:
    assert find_numpy_clash(text) is None


def test_the_packages_are_words_of_a_shell() -> None:
    assert NumpyClash("", "<2").packages.count("'") == 4
