"""The root of every error that a user can meet, and how a command reports one."""

from __future__ import annotations


class EdgeError(Exception):
    """Something outside the program is not as it must be.

    A message says where, what was found, what is allowed and what to do. Commands print it on
    stderr and exit with `exit_status`; anything that is not an `EdgeError` is a bug.
    """

    exit_status = 2


class GateError(EdgeError):
    """A quality gate that the user asked for was not met: the work was done, but is not good."""

    exit_status = 3


class MissingExtraError(EdgeError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; it comes with the extra {extra!r}: "
            f"pip install 'edge-deploy[{extra}]'"
        )
