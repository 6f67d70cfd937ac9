"""All checks, by what they look at, in the order in which a user would mend things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from edge.doctor.checks import board, camera, kernels, memory, python, storage
from edge.doctor.finding import Finding, skip, unknown
from edge.doctor.machine import Machine


@dataclass(frozen=True, slots=True)
class Check:
    """A question to a machine; one `on_pi` is put to a Raspberry Pi alone."""

    look: Callable[[Machine], Finding]
    on_pi: bool = False

    def __call__(self, machine: Machine) -> Finding:
        if self.on_pi and not machine.is_pi:
            return skip("not a Raspberry Pi")
        try:
            return self.look(machine)
        except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
            # Whatever is odd about this machine (a number of a thousand digits, a link to itself)
            # must not hide what the other checks find.
            return unknown(f"could not be looked at ({error})")


CHECKS: Mapping[str, Check] = {
    # Before anything is timed, which heats the board and keeps a core busy.
    "load": Check(board.load),
    "temperature": Check(board.temperature),
    "system": Check(python.system),
    "python": Check(python.version),
    "environment": Check(python.environment, on_pi=True),
    "numpy": Check(python.numpy),
    "opencv": Check(python.opencv),
    "runtime": Check(python.runtime),
    "picamera2": Check(camera.picamera2, on_pi=True),
    "camera": Check(camera.camera),
    "camera setup": Check(camera.setup, on_pi=True),
    "camera access": Check(camera.access),
    "camera owner": Check(camera.owner),
    "int8 tflite": Check(partial(kernels.int8, "tflite")),
    "int8 onnx": Check(partial(kernels.int8, "onnx")),
    "power": Check(board.power, on_pi=True),
    "throttling": Check(board.throttling, on_pi=True),
    "governor": Check(board.governor),
    "clock": Check(board.clock),
    "cma": Check(memory.cma, on_pi=True),
    "memory": Check(memory.memory),
    "swap": Check(memory.swap),
    "disk": Check(storage.disk),
    "log": Check(storage.log),
}


def examine(machine: Machine, begin: Callable[[str], None] = lambda _: None) -> dict[str, Finding]:
    """Return what every check finds, and for each of the machine's models how it runs.

    Args: begin: called with the subject of each check before it is made; some take seconds.
    """
    models = {f"model {path}": Check(partial(kernels.model, path)) for path in machine.models}
    findings = {}
    for subject, check in {**CHECKS, **models}.items():
        begin(subject)
        findings[subject] = check(machine)
    return findings
