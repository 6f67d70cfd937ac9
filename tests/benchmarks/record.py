"""What every benchmark writes down: its figures, its raw samples, and the machine they are from."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge.device import describe_board, describe_versions
from edge.files import write_text

RESULTS = Path(__file__).parent / "results"
# What decides which int8 kernels a runtime has: 16-bit sums that saturate (avx2) or not (vnni).
_CPU_FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "asimd", "asimddp", "i8mm")
_PACKAGES = ("onnx", "ai-edge-quantizer", "flatbuffers")


def machine() -> dict[str, Any]:
    """Return what the machine is, what runs on it and how busy it is; the date is UTC."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "board": describe_board(),
        "cpu_flags": cpu_flags(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "versions": describe_versions() | _versions(),
    }


def cpu_flags() -> list[str]:
    """Return which of the instruction sets that int8 kernels choose by are there."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = next((line for line in lines if line.startswith(("flags", "Features"))), "").split()
    return [flag for flag in _CPU_FLAGS if flag in names]


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def parser(module_doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that the benchmarks share."""
    p = argparse.ArgumentParser(
        description=module_doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--shared", type=Path, default=Path("../shared"), metavar="DIR", help="models and images"
    )
    p.add_argument(
        "--work",
        type=Path,
        default=Path("build/bench"),
        metavar="DIR",
        help="artifacts are made here, and used again where they are (default %(default)s)",
    )
    p.add_argument("--onnx2tf", metavar="FILE", help="the command, from an environment of its own")
    return p


def save(name: str, before: dict[str, Any], **parts: object) -> None:
    """Write results/NAME.json: `parts`, and the machine as it was `before` and is now."""
    result = {"machine": before, "load_average_after": list(os.getloadavg()), **parts}
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / f"{name}.json", _json(result) + "\n")
    print(f"\nsamples: {RESULTS / name}.json", file=sys.stderr)


def _json(value: object, indent: str = "") -> str:
    """Return JSON with one line a key, and lists of samples on one line each."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + " "
    rows = (f"{inner}{json.dumps(key)}: {_json(item, inner)}" for key, item in value.items())
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        parts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "| " + " | ".join(parts) + " |"

    rule = "| " + " | ".join(
        ("-" * width if not i else "-" * (width - 1) + ":") for i, width in enumerate(widths)
    )
    return "\n".join([line(header), rule + " |", *map(line, rows)])


def heading(title: str, facts: dict[str, Any]) -> str:
    """Return the lines above a table: what it is, and where and when it was measured."""
    board = facts["board"]
    flags = ", ".join(facts["cpu_flags"])
    return (
        f"\n## {title}\n\n{board.get('cpu', 'unknown processor')}, {board['cores']} cores "
        f"({flags}), load {facts['load_average'][0]}, {facts['date'][:10]}\n"
    )
