"""Whether int8 is worth it here: timed, not believed."""

from __future__ import annotations

import json
from pathlib import Path

from edge.doctor.child_timing import Timing
from edge.doctor.finding import Finding, fail, ok, skip, unknown, warn
from edge.doctor.machine import Machine, Said

# Written by converters/mobilenet_v2/probe.py.
PROBE = Path(__file__).parents[1] / "probe"
RUNTIMES = {"tflite": ("ai-edge-litert", "tflite-runtime"), "onnx": ("onnxruntime",)}
# What /proc/cpuinfo calls instructions that add four products of bytes at once: the A76 of a Pi 5
# has them (Armv8.2), the A53 and A72 of the older ones do not.
DOT_PRODUCT = frozenset({"asimddp", "i8mm", "avx512_vnni", "avx_vnni"})
# How much faster than float int8 must be, at least. With those instructions it does four times as
# many products at once, of which a small network keeps a part; without, what it saves in memory
# should at least make up for the rounding.
LEAST_WITH, LEAST_WITHOUT = 1.3, 1.0


def int8(kind: str, machine: Machine) -> Finding:
    """Time a block of MobileNetV2, float and int8, on one thread."""
    names = [name for name in RUNTIMES[kind] if name in machine.python.packages]
    if not names:
        return skip(f"no runtime for .{kind} is installed")
    files = [str(PROBE / f"probe.{width}.{kind}") for width in ("float32", "int8")]
    said = machine.child("edge.doctor.child_timing", *files)
    timings = _read(said, files)
    if timings is None:
        return fail(*_died(said), machine.python.reinstall(names[0]))
    errors = [timing.error for timing in timings.values() if timing.error]
    if errors:
        return unknown(f"could not be timed ({errors[0]})", "see what runtime says")
    plain, quantized = (timings[file] for file in files)
    ratio = plain.best_ms / quantized.best_ms
    return _judge(
        machine,
        ratio,
        f"{quantized.runtime}: int8 is {ratio:.2f} times as fast as float "
        f"({quantized.best_ms:.2f} ms against {plain.best_ms:.2f} ms, 1 thread, "
        f"{quantized.kernels})",
    )


def model(path: str, machine: Machine) -> Finding:
    """Time the user's own file, beside the others that were named."""
    timings = _read(machine.timings, machine.models)
    if timings is None:
        return fail(*_died(machine.timings))
    timing = timings[path]
    if timing.error:
        return fail(timing.error, "the loop cannot start with it")
    found = f"{_speed(timing)}, {timing.runtime}, {timing.kernels}"
    if not timing.quantized:
        return ok(found, "it computes in float: an int8 file is smaller, and should be faster")
    if "part(s)" in timing.kernels or "no XNNPACK" in timing.kernels:
        return warn(
            found,
            "what falls out of XNNPACK is slow; the report of edge-convert names the operators",
        )
    beside = [
        other
        for other in timings.values()
        if other.runtime == timing.runtime and not other.quantized
    ]
    if not beside:
        return ok(found)
    fastest = min(beside, key=lambda other: other.best_ms)
    ratio = fastest.best_ms / timing.best_ms
    return _judge(machine, ratio, f"{found}; {ratio:.2f} times as fast as {fastest.path}")


def _judge(machine: Machine, ratio: float, found: str) -> Finding:
    flags = machine.table("proc/cpuinfo")
    words = set(f"{flags.get('Features', '')} {flags.get('flags', '')}".split())
    has_dot = bool(words & DOT_PRODUCT)
    least = LEAST_WITH if has_dot else LEAST_WITHOUT
    if ratio >= least:
        return ok(found)
    have = "has" if has_dot else "has no"
    return warn(
        found,
        f"this processor {have} dot products of bytes, and {least:g} times and more is expected of "
        "it: the runtime has no fast int8 kernels for it, or something else is running (see load)",
        machine.python.pip("install --upgrade " + " ".join(_installed(machine))),
    )


def _installed(machine: Machine) -> list[str]:
    names = [name for kind in RUNTIMES.values() for name in kind]
    return [name for name in names if name in machine.python.packages]


def _speed(timing: Timing) -> str:
    per_second = 1000 / max(timing.best_ms, 1e-3)
    return f"{timing.best_ms:.2f} ms (at most {per_second:,.0f} frames/s on 1 thread)"


def _read(said: Said, files: tuple[str, ...] | list[str]) -> dict[str, Timing] | None:
    """Return the timings by file; None where the child did not come so far."""
    lines = said.out.strip().splitlines() if said.status == 0 else []
    try:
        found = [Timing(**one) for one in json.loads(lines[-1])] if lines else []
    except (ValueError, TypeError):
        return None
    return {one.path: one for one in found} if {one.path for one in found} == set(files) else None


def _died(said: Said) -> tuple[str, str]:
    return (
        f"the runtime did not come through a first inference ({said.last_line})",
        "it hangs, or crashes: it was built for another processor or system",
    )
