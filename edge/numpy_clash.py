"""A compiled module that was made for another NumPy: how Python says so, and what mends it.

The system's picamera2 needs its simplejpeg, which is built for the system's NumPy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# How cython's modules, and NumPy itself, say it.
_SIZES = re.compile(r"numpy\.\w+ size changed.*?Expected (\d+) from C header, got (\d+)")
_BUILT_FOR_1 = (
    "compiled using NumPy 1.x",
    "_ARRAY_API not found",
    "numpy.core.multiarray failed to import",
)


@dataclass(frozen=True, slots=True)
class NumpyClash:
    """`said` is what told it, `wanted` the NumPy that the module was built for, as pip calls it."""

    said: str
    wanted: str

    @property
    def packages(self) -> str:
        """What pip is to install: NumPy, and an OpenCV that goes with it (4.12 needs NumPy 2)."""
        older = " 'opencv-python-headless<4.12'" if self.wanted == "<2" else ""
        return f"'numpy{self.wanted}'{older}"


def find_numpy_clash(text: str) -> NumpyClash | None:
    """Return the clash that an error or a traceback tells of, None where it tells of none."""
    sizes = _SIZES.search(text)
    if sizes:
        # numpy.dtype has 96 bytes in NumPy 1 and 88 in NumPy 2.
        return NumpyClash(sizes[0], "<2" if int(sizes[1]) > int(sizes[2]) else ">=2")
    words = next((words for words in _BUILT_FOR_1 if words in text), "")
    return NumpyClash(words, "<2") if words else None
