"""Run in a process of its own: import one module, and print its version."""

from __future__ import annotations

import importlib
from collections.abc import Sequence


def main(args: Sequence[str]) -> None:
    """Import the module named first. Raises: whatever that raises."""
    print(getattr(importlib.import_module(args[0]), "__version__", ""))
