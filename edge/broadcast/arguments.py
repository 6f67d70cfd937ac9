"""The options of a command that broadcasts, and what comes of them."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge import metrics
from edge.backends.base import ModelSpec
from edge.broadcast.address import Address, is_loopback, listen, url_of
from edge.broadcast.latest import Latest
from edge.broadcast.secrets import SecretError, check_token, new_token, read_secret
from edge.broadcast.sender import Sender, Setting
from edge.command import within
from edge.mqtt.options import HOME_ASSISTANT, MqttOptions
from edge.mqtt.options import check_installed as check_mqtt_installed
from edge.sources.base import Source
from edge.web.app import EXTRA as WEB_EXTRA
from edge.web.server import check_installed

TOKEN_VARIABLE = "EDGE_LIVE_TOKEN"  # noqa: S105 - its name
PASSWORD_VARIABLE = "EDGE_LIVE_MQTT_PASSWORD"  # noqa: S105 - its name
# What a browser or a scraper asks for first, by option.
PATHS = {"--web": "/", "--metrics": "/metrics"}


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


@dataclass(slots=True)
class Broadcast:
    """What a run broadcasts, which may be nothing: its sockets listen until it is closed.

    `notes` are lines for whoever started it.
    """

    sockets: dict[str, socket.socket] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mqtt: MqttOptions | None = None

    @contextmanager
    def on_air(
        self, model: ModelSpec, source: Source, labels: Sequence[str], log: Path | None
    ) -> Iterator[Latest | None]:
        """Broadcast a run while the context lasts, and give what listens to its loop."""
        if not self.sockets and self.mqtt is None:
            yield None
            return
        facts: dict[str, Any] = {
            "model": Path(model.path).name,
            "model_sha256": model.sha256,
            "card": model.card.name if model.card else "",
            "runtime": model.runtime,
            "threads": model.threads,
            "source": source.name,
            "timestamps": source.timestamps,
        }
        fields = {
            "facts": facts,
            "labels": list(labels),
            "log": "" if log is None else str(log.absolute()),
            "hosts": self.hosts,
            "tokens": self.tokens,
            "mqtt": None if self.mqtt is None else self.mqtt.to_json(),
        }
        latest = Latest()
        with Sender(latest, Setting(fields, self.sockets)):
            yield latest

    def listen(self, option: str, text: str, token: str, *, is_service: bool) -> None:
        """Listen at `text` for what `option` names. Raises: EdgeError: see `prepare`."""
        address = Address.parse(text, option)
        listening = self.sockets[option] = listen(address, option)
        self.hosts[option] = address.host
        made = ""
        if not token and not is_loopback(listening):
            if is_service:
                raise SecretError(
                    f"{option} {address}: others than this machine may ask only with a token, and "
                    "one that is made now would stand in the journal; pass --token-file, or "
                    f"${TOKEN_VARIABLE}"
                )
            token = next(iter(self.tokens.values()), "")
            if not token:
                token = made = new_token()
        if token:
            self.tokens[option] = token
        # Behind #, where the page takes it from the link; what is behind it goes to no server.
        path = f"/login#{made}" if made and option == "--web" else PATHS[option]
        self.notes.append(f"{option}: {url_of(listening, address, path)}")
        if made and option != "--web":
            self.notes.append(f"{option}: the token, for this run alone: {made}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for listening in self.sockets.values():
            listening.close()


def prepare(args: argparse.Namespace, *, is_service: bool) -> Broadcast:
    """Return what the options ask for; its sockets listen then.

    Args: is_service: what is said goes into a journal, where no token must stand.
    Raises: EdgeError: an address or a token cannot be used, or something is not installed; OSError.
    """
    token = read_secret(args.token_file, TOKEN_VARIABLE)
    if token:
        check_token(token)
    broadcast = Broadcast()
    try:
        if args.web is not None:
            check_installed(WEB_EXTRA)
            broadcast.listen("--web", args.web, token, is_service=is_service)
        if args.metrics is not None:
            metrics.check_installed()
            check_installed(metrics.EXTRA)
            broadcast.listen("--metrics", args.metrics, token, is_service=is_service)
        password = read_secret(args.mqtt_password_file, PASSWORD_VARIABLE)
        if args.mqtt is not None:
            check_mqtt_installed()
            broadcast.mqtt = MqttOptions.parse(
                args.mqtt,
                password,
                ca=args.mqtt_ca,
                confidence=args.mqtt_confidence,
                stable_s=args.mqtt_stable,
                discovery=args.mqtt_discovery,
            )
    except BaseException:
        broadcast.__exit__(None, None, None)
        raise
    return broadcast
