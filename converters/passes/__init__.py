"""Rewrites of a float Graph, one a file; each leaves the float output as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converters.graph import Graph, Pass
from converters.passes.fold_affine import fold_affine, fold_offset
from converters.passes.fold_clamp import fold_clamp
from converters.passes.fold_rounding import fold_rounding
from converters.passes.fuse_gelu import fuse_gelu
from converters.passes.fuse_hard_swish import fuse_hard_swish
from converters.passes.fuse_rsqrt import fuse_rsqrt
from converters.passes.lower_affine import lower_affine
from converters.passes.remove_constant_channels import remove_constant_channels
from converters.passes.remove_unused import remove_unused

# In order: a function is recognised once its constants are joined, and before a clamp of it is; a
# clamp can only join its convolution once the BatchNormalization between is gone.
SIMPLIFY: tuple[Pass, ...] = (
    remove_unused,
    fold_affine,
    fuse_gelu,
    fuse_hard_swish,
    fuse_rsqrt,
    lower_affine,
    fold_clamp,
)
# What a channel is bounded by is known once its clamp has joined. The nodes stay, with fewer.
SHRINK: tuple[Pass, ...] = (remove_constant_channels,)
PASSES = (*SIMPLIFY, *SHRINK)
# Of a file that is already quantized: none of these changes a weight, whose integers are given.
GIVEN_PASSES: tuple[Pass, ...] = (
    remove_unused,
    fold_offset,
    fuse_gelu,
    fuse_hard_swish,
    fuse_rsqrt,
    lower_affine,
    fold_rounding,
    fold_clamp,
)


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass did, for the conversion report."""

    name: str
    changed: tuple[str, ...]
    left: tuple[str, ...]


def run_passes(
    graph: Graph, passes: Sequence[Pass] = PASSES
) -> tuple[Graph, tuple[PassReport, ...]]:
    """Return the graph after all passes, verified after each, and what each one did."""
    reports = []
    for rewrite in passes:
        result = rewrite(graph)
        graph = result.graph
        graph.verify()
        reports.append(PassReport(rewrite.__name__, result.changed, result.left))
    return graph, tuple(reports)
