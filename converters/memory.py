"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give the system what this process has freed; costs some milliseconds.

    glibc maps large blocks one by one, but takes every block up to the largest that was freed so
    far, 32 MiB at most, from its heap (mallopt(3), M_MMAP_THRESHOLD), of which only the free end
    goes back by itself. Weights are such blocks: old ones would stand beside the next stage's.
    Other C libraries have no such call, and nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
