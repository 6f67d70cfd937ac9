"""A task in a process that does another one's work."""

from __future__ import annotations

from typing import Any

from calibration.errors import CalibrationError
from calibration.spread.task import Runner, Task
from edge.errors import EdgeError


class Opened:
    """A task, with as many runners as are at work beside each other, each opened once."""

    def __init__(self, task: Task[Any, Any]) -> None:
        self._task = task
        self._idle: list[Runner[Any, Any]] = []

    def run(self, piece: Any) -> Any:  # noqa: ANN401 (of whatever task it is)
        """Return what the task makes of a piece. Raises: CalibrationError; OSError."""
        try:
            runner = self._free() or self._task.open()
            result = runner.run(piece)
        except EdgeError as error:
            # Not every error of ours survives the way between processes; its message does.
            raise CalibrationError(str(error)) from None
        self._idle.append(runner)
        return result

    def _free(self) -> Runner[Any, Any] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
