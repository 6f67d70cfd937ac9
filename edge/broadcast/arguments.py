"""The options of a command that broadcasts, and what comes of them.

Whatever serves is imported where it is asked for: the first label of every other run waits for
nothing of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.backends.base import ModelSpec
from edge.command import within
from edge.live import Listener
from edge.mqtt import HOME_ASSISTANT
from edge.sources.base import Source

TOKEN_VARIABLE = "EDGE_LIVE_TOKEN"  # noqa: S105 - its name
PASSWORD_VARIABLE = "EDGE_LIVE_MQTT_PASSWORD"  # noqa: S105 - its name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to `parser`, in a group of their own."""
    group = parser.add_argument_group(
        "seen from elsewhere",
        "By a process of its own, of the lowest priority. Without HOST only this machine can ask; "
        "with another one, a token is needed.",
    )
    add = group.add_argument
    add("--web", metavar="[HOST:]PORT", help="a page with the live picture, its label, and figures")
    add("--metrics", metavar="[HOST:]PORT", help="figures for Prometheus, at /metrics")
    add("--mqtt", metavar="URL", help="label changes and health to mqtts://USER@HOST[:PORT]/TOPIC")
    add(
        "--mqtt-password-file",
        type=Path,
        metavar="FILE",
        help=f"the broker's password, in one line (or ${PASSWORD_VARIABLE})",
    )
    add(
        "--mqtt-ca",
        default="",
        metavar="FILE",
        help="certificates to trust (default: the system's)",
    )
    add(
        "--mqtt-confidence",
        type=within(float, 0, 1),
        default=0.5,
        metavar="P",
        help="how sure a label must be, 0 to 1 (default: 0.5)",
    )
    add(
        "--mqtt-stable",
        type=within(float, 0, 3600),
        default=1.0,
        metavar="S",
        help="for how many seconds a new label must have been seen (default: 1)",
    )
    add(
        "--mqtt-discovery",
        default=HOME_ASSISTANT,
        metavar="PREFIX",
        help=f"where Home Assistant looks for new devices, '' for none (default: {HOME_ASSISTANT})",
    )
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"the token of both, in one line (or ${TOKEN_VARIABLE}; default: a new one)",
    )


class Unseen:
    """A run that nobody else sees. `notes` are lines for whoever started it."""

    notes: Sequence[str] = ()

    @contextmanager
    def on_air(
        self,
        model: ModelSpec,  # noqa: ARG002 - of those who broadcast
        source: Source,  # noqa: ARG002
        labels: Sequence[str],  # noqa: ARG002
        log: Path | None,  # noqa: ARG002
    ) -> Iterator[Listener | None]:
        """Give what is to listen to the loop, for as long as the context lasts."""
        yield None

    def close(self) -> None:
        """Let go of what was held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def prepare(args: argparse.Namespace, *, is_service: bool) -> Unseen:
    """Return what the options ask for; its sockets listen then.

    Args: is_service: what is said goes into a journal, where no token must stand.
    Raises: EdgeError: an address or a token cannot be used, or something is not installed; OSError.
    """
    if args.web is None and args.metrics is None and args.mqtt is None:
        return Unseen()
    from edge.broadcast.broadcast import broadcast_of

    return broadcast_of(args, is_service=is_service)
