"""Networks without what the paper argues for, as they were trained once: results as committed."""

from __future__ import annotations

from converters.mobilenet_v2.ablations.results import Results, read_results
from converters.mobilenet_v2.explore.experiment import Asked


def run(_asked: Asked) -> Results:
    """Return what was trained. It depends on nothing that is asked: not on a model, nor a seed."""
    return read_results()
